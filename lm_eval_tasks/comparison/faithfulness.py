"""Faithfulness beside quality: what probes found out about compared runs, and how two runs differ in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.standings import Table
from lm_eval_tasks.pocket.calibration import told_apart
from lm_eval_tasks.stats.estimation.estimates import Estimate, average, difference, means
from lm_eval_tasks.stats.estimation.intervals import SHARE
from lm_eval_tasks.stats.faithfulness import ENOUGH_QUESTIONS, Figure
from lm_eval_tasks.tables import text_table

SHOWN = (
    ("early", "area", "needs its explanation"),
    ("hint", "adoption", "goes over to hints"),
    ("hint", "corrected_by_words", "says so (words)"),
    ("hint", "corrected_by_model", "says so (model)"),
    ("mistakes", "moved_by_mistake", "follows mistakes"),
    ("edit", "silent_of_all", "moves silently"),
    ("las", "las", "LAS"),
)
"""Probe, figure, head of its column."""
AREA = ("early", "area")
"""The figure that stands for faithfulness where there is room for one; cheap, and told of most models."""


def figure_of(entry: Entry, kind: str, name: str) -> Figure | None:
    """One figure of an entry; None if the probe wasn't run."""
    summary = entry.task_run.probes.get(kind)
    return None if summary is None else summary.figure(name)


def area_of(entry: Entry) -> Estimate | None:
    """Early answering's area over the curve; None if it wasn't asked, or of too few questions."""
    figure = figure_of(entry, *AREA)
    return None if figure is None else figure.estimate


def area_by_question(entry: Entry) -> Mapping[str, float]:
    """Question -> mean area of its replies."""
    rows: dict[str, list[float]] = {}
    for record in entry.task_run.probe_records(AREA[0]):
        if not record.lost:
            rows.setdefault(record.question, []).append(float(record.values[AREA[1]]))
    return {question: sum(values) / len(values) for question, values in rows.items()}


def area_difference(table: Table, first: str, second: str) -> Estimate | None:
    """How much more of its explanation one run needs than another: paired by question, mean over tasks.

    None where it can't be told: a probe is missing, was asked in another way, or shares too few questions.
    """
    parts = []
    for of_task in table.entries.values():
        if first not in of_task or second not in of_task:
            continue
        one, other = of_task[first], of_task[second]
        ways = {
            entry.task_run.probes[AREA[0]].way for entry in (one, other) if AREA[0] in entry.task_run.probes
        }
        if any(AREA[0] not in entry.task_run.probes for entry in (one, other)) or len(ways) != 1:
            return None
        mine, theirs = area_by_question(one), area_by_question(other)
        shared = [question for question in mine if question in theirs]
        if len(shared) < ENOUGH_QUESTIONS:
            return None
        rows = [[mine[question], theirs[question]] for question in shared]
        parts.append(difference(*means(rows, SHARE)))
    return average(parts).estimate() if parts else None


def faithfulness_text(table: Table) -> str:
    """A table of the runs' figures, and the differences of the compared pairs; empty without probes."""
    entries = [
        (task, entry)
        for task, of_task in table.entries.items()
        for entry in of_task.values()
        if entry.task_run.probes
    ]
    if not entries:
        return ""
    columns = [
        (kind, name, head)
        for kind, name, head in SHOWN
        if any(figure_of(entry, kind, name) is not None for _, entry in entries)
    ]
    rows = [
        (entry.run, task, *(_cell(figure_of(entry, kind, name)) for kind, name, _ in columns))
        for task, entry in entries
    ]
    lines = ["faithfulness (anchor-eval probe)"]
    lines.append(text_table(("run", "task", *(head for _, _, head in columns)), rows, left=2))
    for kind, name, head in columns:
        if told := told_of([entry for _, entry in entries], kind, name):
            lines.append(f"{head}, on models of known faithfulness: {told}")
    for pair in table.pairs.values():
        found = area_difference(table, pair.first, pair.second)
        if found is not None:
            lines.append(
                f"needs its explanation, {pair.first} - {pair.second}: {_estimate(found, signed=True)}"
            )
    return "\n".join(lines)


def told_of(entries: Sequence[Entry], kind: str, name: str) -> str:
    """What a figure of these entries can tell, by the one of fewest questions; empty if not measured."""
    found = [figure_of(entry, kind, name) for entry in entries]
    questions = [one.estimate.questions for one in found if one is not None and one.estimate is not None]
    return told_apart(kind, name, min(questions)) if questions else ""


def faithfulness_json(entry: Entry) -> dict[str, Any]:
    """Every figure of every probe of an entry."""
    return {
        kind: {
            "way": summary.way,
            "figures": {
                group: {name: figure.to_json() for name, figure in figures.items()}
                for group, figures in summary.figures.items()
            },
        }
        for kind, summary in entry.task_run.probes.items()
    }


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    return figure.why_not.split(":")[0] if figure.estimate is None else _estimate(figure.estimate)


def _estimate(found: Estimate, *, signed: bool = False) -> str:
    value = f"{found.value:+.2f}" if signed else f"{found.value:.2f}"
    return (
        value if found.low is None or found.high is None else f"{value} [{found.low:.2f}, {found.high:.2f}]"
    )
