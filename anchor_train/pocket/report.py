"""Reports of the demo and of the experiment, as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from anchor_train.pocket.outcome import Exhibit, Outcome
from anchor_train.records import Behaviour
from judges.rubrics.load import load_rubric
from lm_eval_tasks.tables import percent, text_table

BEHAVIOURS: tuple[Behaviour, ...] = ("consistently_correct", "variable", "consistently_incorrect")


def demo_report(outcome: Outcome) -> str:
    """The demo's report."""
    return "\n\n".join(_demo_parts(outcome)) + "\n"


def _demo_parts(outcome: Outcome) -> Iterator[str]:
    yield f"# {', '.join(outcome.models)} on the pocket task"
    yield "## Table 1, judged by the ground truth"
    yield fenced(outcome.truth.to_text())
    if outcome.own is not None:
        yield "## Table 1, judged by the pocket base model itself"
        yield fenced(outcome.own.to_text())
        yield f"Its agreement with the ground truth (weighted kappa): {kappa_text(outcome.kappa)}"
    yield "## Behaviours over four replies"
    yield fenced(behaviour_text(outcome))
    if outcome.pairs:
        yield "## Training pairs"
        yield fenced("\n\n".join(report.to_text() for report in outcome.pairs.values()))
    yield f"## The same question, {len(outcome.models)} models"
    yield from map(_exhibit, outcome.exhibits)


def behaviour_text(outcome: Outcome) -> str:
    """Shares of the behaviours, a row for each model."""
    rows = []
    for model, counts in outcome.behaviours.items():
        total = sum(counts.values())
        rows.append((model, *(f"{percent(counts.get(b, 0) / total)}" for b in BEHAVIOURS)))
    return text_table(("% of the questions", *(b.replace("_", " ") for b in BEHAVIOURS)), rows)


def kappa_text(kappa: Mapping[str, float | None]) -> str:
    """Kappa by criterion, on one line."""
    return ", ".join(f"{criterion_names()[key]} {_kappa(value)}" for key, value in kappa.items())


def criterion_names() -> dict[str, str]:
    """Criterion key -> its name in lower case."""
    return {criterion.key: criterion.name.lower() for criterion in load_rubric().criteria}


def fenced(text: str) -> str:
    """A block that keeps its columns."""
    return f"```text\n{text}\n```"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _exhibit(exhibit: Exhibit) -> str:
    question = exhibit.question
    rows = []
    for model, sample in exhibit.replies.items():
        choice = sample.response.choice or "none"
        mark = "right" if sample.correct else "wrong"
        explanation = " ".join((sample.response.explanation or "(no readable explanation)").split())
        rows.append((model, f"{choice} ({mark})", f"{sample.score} of 25", explanation.replace("|", "\\|")))
    shown = f"> {question.question}\n>\n> right: {question.gold}) {question.gold_choice.text}"
    return f"{shown}\n\n{markdown_table(('model', 'choice', 'score', 'explanation'), rows)}"


def _kappa(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Gain:
    """What Anchor gains over Rank in one run, by the ground truth.

    Attributes:
        share: Lambda of the anchor pairs.
        accuracy: Difference in accuracy.
        margin: Difference in win - loss against the base model.
    """

    share: float
    accuracy: float
    margin: float


def gains(outcome: Outcome) -> Gain:
    """Figure 2's point for one run; it must have both models."""
    rows = {row.model: row for row in outcome.truth.rows}
    anchor, rank = rows["anchor"], rows["rank"]
    return Gain(
        share=outcome.pairs["anchor"].lopsided_share or 0.0,
        accuracy=(anchor.accuracy or 0.0) - (rank.accuracy or 0.0),
        margin=(anchor.margin or 0.0) - (rank.margin or 0.0),
    )
