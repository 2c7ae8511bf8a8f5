"""A training's checkpoints, each measured as a run: accuracy and win - loss over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from judges.errors import DataError
from lm_eval_tasks.comparison.named import Report
from lm_eval_tasks.comparison.pair import Comparison
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.runs.training_step import training_step
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.tables import number_of, percent, signed_percent, text_table


@dataclass(frozen=True, slots=True, eq=False)
class AtStep:
    """One checkpoint on one task.

    Attributes:
        step: Its training step.
        run: Name of its run.
        task: The task.
        accuracy: Share of right answers; None where questions are open.
        compared: Against the baseline; None for the baseline itself.
    """

    step: int
    run: str
    task: str
    accuracy: Estimate | None
    compared: Comparison | None

    def to_json(self) -> dict[str, Any]:
        """For machines; shares of 1."""
        row: dict[str, Any] = {"step": self.step, "run": self.run, "task": self.task}
        figures: dict[str, Estimate | None] = {"accuracy": self.accuracy}
        if self.compared is not None:
            of = self.compared
            figures |= {"win": of.win, "tie": of.tie, "loss": of.loss, "win_minus_loss": of.margin}
        for name, found in figures.items():
            row[name] = (
                None if found is None else {"value": found.value, "low": found.low, "high": found.high}
            )
        return row


def in_order(runs: Sequence[Run]) -> list[Run]:
    """The checkpoints among runs, by step.

    Raises:
        DataError: If there are fewer than two, or two of one step.
    """
    steps = [(step, run) for run in runs if (step := training_step(run)) is not None]
    if len(steps) < 2:
        names = ", ".join(run.name for run in runs)
        raise DataError(
            f"{number_of(len(steps), 'checkpoint')} among the runs ({names}); a run is one if its model's "
            "path ends in checkpoint-STEP, or its folder's name in step-STEP or checkpoint-STEP"
        )
    ordered = sorted(steps, key=lambda pair: pair[0])
    for (step, first), (other, second) in pairwise(ordered):
        if step == other:
            raise DataError(f"{first.name} and {second.name} are both of step {step}; leave one out")
    return [run for _, run in ordered]


def over_steps(report: Report, runs: Mapping[str, Run], confidence: float) -> list[AtStep]:
    """Rows by task and step.

    Args:
        report: The checkpoints, compared with a baseline.
        runs: Name in the report -> run.
        confidence: Coverage of the intervals.
    """
    found = []
    for task, entries in report.table.entries.items():
        for name, entry in entries.items():
            step = training_step(runs[name])
            pair = report.table.pairs.get((name, str(report.table.baseline)))
            if step is None or (pair is None and name != report.table.baseline):
                continue
            accuracy = None if entry.accuracy is None else entry.accuracy.estimate(confidence)
            found.append(AtStep(step, name, task, accuracy, None if pair is None else pair.tasks.get(task)))
    return sorted(found, key=lambda row: (row.task, row.step))


def steps_text(rows: Sequence[AtStep], baseline: str) -> str:
    """A table for each task, in percent, with a warning about picking the best."""
    parts = []
    for task in dict.fromkeys(row.task for row in rows):
        own = [row for row in rows if row.task == task]
        cells = [_cells(row) for row in own]
        parts.append(f"{task}, against {baseline}, in %\n{text_table(_HEADER, cells, left=2)}")
    count = len({row.step for row in rows})
    parts.append(
        f"The best of {count} checkpoints is the best by chance, too: its interval doesn't count that it "
        "was picked. Measure it again on other questions."
    )
    return "\n\n".join(parts)


_HEADER = ("step", "run", "accuracy", "", "win", "tie", "loss", "win-loss", "")


def _cells(row: AtStep) -> tuple[str, ...]:
    accuracy = row.accuracy
    shown = (percent(None if accuracy is None else accuracy.value), _ends(accuracy))
    of = row.compared
    if of is None:
        return (str(row.step), row.run, *shown, "", "", "", "baseline", "")
    rates = (percent(of.win.value), percent(of.tie.value), percent(of.loss.value))
    return (
        str(row.step),
        row.run,
        *shown,
        *rates,
        signed_percent(of.margin.value),
        _ends(of.margin, signed=True),
    )


def _ends(found: Estimate | None, *, signed: bool = False) -> str:
    if found is None or found.low is None or found.high is None:
        return ""
    say = signed_percent if signed else percent
    return f"[{say(found.low)}, {say(found.high)}]"
