"""The page of the judges: what audits found, in words first, then figure by figure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_tasks.audit.audit import read_audits
from lm_eval_tasks.audit.records import AuditReport, KindReport
from lm_eval_tasks.audit.text import table_of
from lm_eval_tasks.comparison.judges.board import EVIDENCE, JudgeBoard, judge_board
from lm_eval_tasks.comparison.judges.choice import Choice, Cost, beyond_chance, choices
from lm_eval_tasks.comparison.judges.panels import PanelReport, panel_reports
from lm_eval_tasks.comparison.judges.text import order_words
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.words import money, short_judge, typeset
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.tables import listed, number_of, percent

PAGE = "judges.html"
_GRADES = {"bad": "Bad", "doubtful": "Doubtful", "unknown": "Can’t be told", "good": "Good"}


@dataclass(frozen=True, slots=True)
class KindTable:
    """The figures of one kind of probe."""

    title: str
    lede: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditSection:
    """One audit."""

    slug: str
    judge: str
    headline: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[tuple[str, str, str], ...]
    kinds: tuple[KindTable, ...]


@dataclass(frozen=True, slots=True)
class BoardSection:
    """All judges beside each other, and which to take.

    Attributes:
        note: What they are sorted by.
        columns: Of the table.
        rows: Likewise.
        budgets: What is short, and for each budget: from where on, the judge, how good it is, a note.
    """

    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    budgets: tuple[tuple[str, tuple[tuple[str, str, str, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class PanelSection:
    """A panel, member by member."""

    title: str
    lede: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class JudgesPage:
    """All that the template shows."""

    lede: str
    board: BoardSection | None
    panels: tuple[PanelSection, ...]
    audits: tuple[AuditSection, ...]


def judges_page(runs: Sequence[Run], settings: Settings, gold: str | None = None) -> JudgesPage | None:
    """Gathers what is known of the judges of all runs; None where there is one alone, and no audit.

    Args:
        runs: The runs of the site.
        settings: How to estimate.
        gold: Name of judgements that are taken for true; None without.

    Raises:
        DataError: If no run has the gold judgements, or a file can't be read.
    """
    found = [report for run in runs for report in read_audits(run)]
    several = any(len(task.judgements) > 1 for run in runs for task in run.tasks.values())
    board = judge_board(runs, gold, settings) if several or gold is not None else None
    if board is not None and len(board.rows) < 2:
        board = None
    if not found and board is None:
        return None
    names = [row.name for row in board.rows] if board is not None else [report.judge for report in found]
    judges = sorted({short_judge(name) for name in names})
    are = "is" if len(judges) == 1 else "are"
    by_people = "" if gold is None else f", and beside {gold}"
    return JudgesPage(
        f"What {listed(judges, 4)} {are} worth, as far as the runs on this site tell{by_people}.",
        None if board is None else _board(board),
        tuple(_panel(report) for report in panel_reports(runs, settings.confidence)),
        tuple(_section(number, report) for number, report in enumerate(found)),
    )


_COLUMNS = (
    ("rho", "as good as a person"),
    ("kappa", "agreement with gold"),
    ("flaw", "planted errors found"),
    ("right", "right over wrong"),
    ("consistency", "says the same again"),
    ("longer", "prefers the longer"),
)


def _board(board: JudgeBoard) -> BoardSection:
    shown = [
        (key, name) for key, name in _COLUMNS if any(getattr(row, key) is not None for row in board.rows)
    ]
    twice = {
        name for name, count in Counter(short_judge(row.name) for row in board.rows).items() if count > 1
    }
    rows = tuple(
        (
            short_judge(row.name) + (f", {row.rubric}" if short_judge(row.name) in twice else ""),
            *(_figure(getattr(row, key)) for key, _ in shown),
            f"{row.separated} of {row.pairs}",
            f"{percent(row.coverage)}%",
            money(row.price),
            "–" if row.seconds is None else f"{row.seconds:.0f} s",
        )
        for row in board.rows
    )
    told = (
        "Nothing is known of all of them that would rank them."
        if board.by is None
        else f"Sorted by: {EVIDENCE[board.by]}."
    )
    dice = [short_judge(row.name) for row in board.rows if board.by and not beyond_chance(board, row)]
    if dice:
        told += f" Not told from dice, so not to be taken: {listed(dice, 4)}."
    budgets = []
    kinds: tuple[tuple[str, Cost], ...] = (("Money", "price"), ("Time", "seconds"))
    for title, cost in kinds:
        lines = tuple(_choice(one, cost) for one in choices(board, cost))
        if lines:
            budgets.append((title, lines))
    head = ("Judge", *(name for _, name in shown), "runs told apart", "judged", "price", "time")
    return BoardSection(told, head, rows, tuple(budgets))


def _choice(found: Choice, cost: Cost) -> tuple[str, str, str, str]:
    start = money(found.budget) if cost == "price" else f"{found.budget:.0f} s"
    notes = []
    if found.level:
        dearer = "dearer" if cost == "price" else "slower"
        level = listed([short_judge(name) for name in found.level], 3)
        notes.append(f"{level}: not told from it, and {dearer}")
    if found.worse:
        notes.append(f"{listed([short_judge(name) for name in found.worse], 3)}: worse")
    return start, short_judge(found.judge), _figure(found.evidence), "; ".join(notes)


def _panel(report: PanelReport) -> PanelSection:
    order = (
        f" By the panel the order of the runs is {', '.join(report.order)}." if len(report.order) > 1 else ""
    )
    left_out = (
        f" {number_of(report.missing, 'explanation')} lack a member’s verdicts." if report.missing else ""
    )
    return PanelSection(
        report.name,
        "Each member beside the median verdicts of the others, on "
        f"{number_of(report.statements, 'explanation')}.{order}{left_out}",
        ("Member", "kappa with the others", "same score", "points above them", "order without it"),
        tuple(
            (
                short_judge(member.name),
                _figure(member.kappa),
                _figure(member.same),
                _figure(member.above),
                order_words(member.order, report.order),
            )
            for member in report.members
        ),
    )


def _figure(found: Estimate | None) -> str:
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return typeset(f"{found.value:.2f}")
    return typeset(f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]")


def _section(number: int, report: AuditReport) -> AuditSection:
    findings = report.findings
    bad = sum(finding.grade == "bad" for finding in findings)
    facts = [
        ("Judge", report.judge),
        ("Rubric", report.rubric),
        ("Explanations", f"{report.statements} of {report.run}, {', '.join(report.tasks)}"),
        ("Date", report.date[:10]),
        ("Cost of the audit", "" if report.price is None else money(report.price)),
    ]
    return AuditSection(
        slug=f"audit-{number}",
        judge=short_judge(report.judge),
        headline=number_of(bad, "bad finding") if bad else "Nothing bad found",
        facts=tuple((name, value) for name, value in facts if value),
        findings=tuple(
            (finding.grade, _GRADES[finding.grade], typeset(_capital(finding.text))) for finding in findings
        ),
        kinds=tuple(_kind(kind) for kind in report.kinds),
    )


_LEDES = {
    "consistency": "The same statement several times, none of it from the cache: the noise under the rest.",
    "perturbation": "Edits that make no explanation better, each beside harmless text of the same size at "
    "the same place. A score that rises has been talked into it.",
    "order": "The criteria, and the choices, in the opposite order.",
    "length": "Pairs of explanations of one question whose lengths differ; ties count a half.",
    "discrimination": "How often the better of two explanations has the better score; a coin has 0.5.",
    "self-preference": "Whether it puts its own family further above others than its reference does.",
}


def _kind(kind: KindReport) -> KindTable:
    head, rows = table_of(kind)
    lost = kind.probes - kind.judged
    return KindTable(
        title=_capital(kind.kind),
        lede=f"{_LEDES.get(kind.kind, '')} {number_of(kind.probes, 'statement')}"
        + (f", {lost} of them left unjudged." if lost else "."),
        columns=head,
        rows=tuple(tuple(typeset(cell) for cell in row) for row in rows),
        notes=kind.notes,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
