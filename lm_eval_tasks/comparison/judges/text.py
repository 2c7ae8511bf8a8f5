"""The leaderboard of judges as text: a table, which judge to take, and what panels consist of."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_tasks.comparison.judges.board import EVIDENCE, JudgeBoard
from lm_eval_tasks.comparison.judges.choice import Choice, beyond_chance, choices, reaches
from lm_eval_tasks.comparison.judges.panels import PanelReport
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.tables import listed, number_of, percent, text_table


def board_text(board: JudgeBoard) -> str:
    """A table, and which judge to take."""
    rows = [
        (
            row.name,
            _said(row.rho),
            _said(row.kappa),
            _said(row.flaw),
            _said(row.right),
            _said(row.consistency),
            _said(row.longer),
            f"{row.separated} of {row.pairs}",
            percent(row.coverage),
            "-" if row.price is None else f"{row.price:.3g}",
            "-" if row.seconds is None else f"{row.seconds:.0f}",
        )
        for row in board.rows
    ]
    head = (
        "judge",
        "rho",
        "kappa",
        "AUC planted",
        "AUC right",
        "consistent",
        "P(longer)",
        "told apart",
        "judged",
        "price",
        "seconds",
    )
    return "\n\n".join(
        [
            text_table(head, rows),
            "\n".join(_advice(board)),
            "rho, kappa: against people, or the gold judgements. AUC: 0.5 is what a coin has. P(longer):\n"
            "of two right or two wrong explanations. Told apart: pairs of runs. Judged: % of the readable.\n"
            "Price and seconds: of 1,000 statements. [ ]: 95% interval by question.",
        ]
    )


def _advice(board: JudgeBoard) -> list[str]:
    """Which judge to take: the best, and what does as well for less, as far as can be told."""
    if board.by is None:
        return ["Nothing is known of all these judges that would rank them; anchor-eval audit finds it out."]
    best = board.rows[0]
    figure = board.evidence(best)
    lines = [f"Sorted by: {EVIDENCE[board.by]}. The best: {best.name}, {_said(figure)}."]
    level = [row for row in board.rows[1:] if reaches(board.evidence(row), figure)]
    if level:
        lines.append(f"Not told from it: {listed([row.name for row in level], 4)}.")
    worse = len(board.rows) - 1 - len(level)
    if worse:
        lines.append(f"Worse than the best: {number_of(worse, 'judge')}.")
    dice = [row.name for row in board.rows if not beyond_chance(board, row)]
    if dice:
        lines.append(f"Not told from dice, so not to be taken: {listed(dice, 4)}.")
    lines += [_choice(found, "", "costs more") for found in choices(board, "price")]
    lines += [_choice(found, " s", "takes longer") for found in choices(board, "seconds")]
    return lines


def _choice(found: Choice, unit: str, dearer: str) -> str:
    more = f"; not told from it, and {dearer}: {listed(found.level, 3)}" if found.level else ""
    judge = f"{found.judge}, {_said(found.evidence)}"
    return f"From {found.budget:.3g}{unit} for 1,000 statements on: {judge}{more}."


def _said(found: Estimate | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def panel_text(report: PanelReport) -> str:
    """One panel: each member beside the others, and the order of the runs without it."""
    rows = [
        (
            member.name,
            _said(member.kappa),
            _said(member.same),
            _said(member.above),
            order_words(member.order, report.order),
        )
        for member in report.members
    ]
    head = (
        "member",
        "kappa with the others",
        "same score",
        "points above them",
        "order of the runs without it",
    )
    order = f"Order of the runs by the panel: {', '.join(report.order)}." if len(report.order) > 1 else ""
    missing = (
        f"{number_of(report.missing, 'explanation')} that a member gave no verdicts on left out."
        if report.missing
        else ""
    )
    return "\n".join(
        filter(
            None,
            [
                f"{report.name} (rubric {report.rubric}): {number_of(len(report.members), 'member')} on "
                f"{number_of(report.statements, 'explanation')}; each beside the median of the others",
                text_table(head, rows),
                order,
                missing,
            ],
        )
    )


def order_words(order: Sequence[str], whole: Sequence[str]) -> str:
    """The order of runs without a member, where it is another than the panel's."""
    if len(whole) < 2:
        return "-"
    return "the same" if tuple(order) == tuple(whole) else ", ".join(order)
