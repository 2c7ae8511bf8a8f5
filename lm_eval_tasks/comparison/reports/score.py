"""What judging a task came to, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_tasks.comparison.agreement import JudgeAgreement, StandIn
from lm_eval_tasks.questions.load import left_out_text
from lm_eval_tasks.runs.judgement_files import JudgementSummary
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.metrics import Summary, mean_of_tasks
from lm_eval_tasks.stats.raters.alt_test import FEWEST_PEOPLE, FEWEST_STATEMENTS
from lm_eval_tasks.tables import number, text_table


def summary_text(summary: JudgementSummary) -> str:
    """Metrics, coverage, cost and notes of a judged task."""
    lost = {**summary.unreadable, **summary.unjudged}
    reasons = ", ".join(f"{count} {reason}" for reason, count in lost.items() if count)
    flags = ", ".join(f"{count} {sign}" for sign, count in summary.flagged.items())
    return "\n".join(
        [
            f"{summary.task}, model {summary.model}",
            f"judge {summary.judge.name}, rubric {summary.judge.asked}",
            metrics_table(summary.metrics),
            f"judged: {summary.judged} of {summary.responses} responses"
            + (f" ({reasons})" if reasons else ""),
            *(f"failed, {count}: {reason}" for reason, count in summary.failures.items()),
            *failed_lines(summary.unanswered, summary.responses),
            _tokens(summary),
            *_reused(summary.accounts.get("prefix_reuse")),
            *([f"flagged, as addressing the judge: {flags}"] if flags else []),
            *(f"note: {note}" for note in summary.notes),
        ]
    )


def failed_lines(unanswered: Mapping[str, int], responses: int) -> list[str]:
    """That replies failed and count nowhere, and why; nothing if none did.

    Args:
        unanswered: Reason -> how many replies failed.
        responses: How many arrived.
    """
    failed = sum(unanswered.values())
    if not failed:
        return []
    shown = sorted(unanswered.items(), key=lambda entry: -entry[1])[:5]
    return [
        f"replies: {responses} of {responses + failed} arrived; {failed} failed and count nowhere (the same "
        "anchor-eval run asks for them again)",
        *(f"  {count} x {reason}" for reason, count in shown),
    ]


def left_out_lines(rows: int, places: Sequence[str] = ()) -> list[str]:
    """That rows of the data were left out because they can't be read; nothing if none were."""
    return [left_out_text(rows, places)] if rows else []


def _tokens(summary: JudgementSummary) -> str:
    """What was read and written, and its price; what the endpoint doesn't tell is unknown, not zero."""
    if summary.prompt_tokens is None or summary.completion_tokens is None:
        price = "; price unknown" if summary.accounts.get("priced") else ""
        return f"tokens: unknown, the judge's endpoint doesn't tell for all replies{price}"
    price = "" if summary.price is None else f"; price {summary.price:.4f}"
    return f"tokens: {summary.prompt_tokens} read, {summary.completion_tokens} written{price}"


def _reused(share: object) -> list[str]:
    """A line on the engine's prefix cache, where it told of it."""
    found = isinstance(share, float)
    return [f"prefix cache: {share:.0%} of what was read in this run was there already"] if found else []


_COEFFICIENTS = ("exact", "kappa", "alpha", "ac1", "ac2")


def agreement_text(found: JudgeAgreement) -> str:
    """How much several judgements of a log agree, each coefficient with its 95% interval by question."""
    rows = [
        (
            aspect.aspect,
            *(
                _coefficient(getattr(aspect.found, name))
                for name in ("exact", "kappa", "alpha", "ac1", "ac2")
            ),
            str(aspect.found.statements),
            str(aspect.found.questions),
        )
        for aspect in found.aspects
    ]
    header = ("", "exact", "kappa", "alpha", "AC1", "AC2", "statements", "questions")
    return "\n".join([f"agreement of {', '.join(found.judgements)}", text_table(header, rows)])


def stand_in_text(found: StandIn) -> str:
    """Whether a judge may stand for a person."""
    test = found.found
    if test is None:
        return (
            f"{found.judge} in the place of a person: too few ratings to tell ({FEWEST_PEOPLE} people with "
            f"{FEWEST_STATEMENTS} statements each that another one rated, too)"
        )
    said = "may stand for a person" if test.passes else "may not stand for a person"
    warning = "" if test.rho.value > test.constant_rho else ", no more than a judge that always says the same"
    return (
        f"{found.judge} {said}: wins the test against {100 * test.omega:.0f}% of {len(test.people)} people "
        f"(eps {test.eps:g}); does at least as well as one of them on {_coefficient(test.rho)} of the "
        f"statements{warning} (the best constant judge: {test.constant_rho:.2f})"
    )


def _coefficient(found: Estimate | None) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return f"{found.value:.2f}"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def mean_text(tasks: Sequence[Mapping[str, Summary]]) -> str:
    """The metrics of several tasks as their mean."""
    return f"mean of {len(tasks)} tasks, each counting the same\n{metrics_table(mean_of_tasks(tasks))}"


def metrics_table(metrics: Mapping[str, Summary]) -> str:
    """Metric, value, standard error, interval and how many questions it rests on."""
    rows = [
        (name, number(found.value), number(found.stderr), _interval(found), str(found.questions))
        for name, found in metrics.items()
    ]
    return text_table(("metric", "value", "stderr", "95% interval", "questions"), rows)


def _interval(found: Summary) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"[{number(found.low)}, {number(found.high)}]"
