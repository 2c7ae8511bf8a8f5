"""What judging until an interval was narrow came to, as text for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from judges.judge_info import JudgeInfo
from judges.spending.accounts import Accounts
from lm_eval_tasks.comparison.gate import Sides
from lm_eval_tasks.comparison.reports.gate import METHOD
from lm_eval_tasks.comparison.until_width import TaskWidth
from lm_eval_tasks.stats.estimation.sequence import Narrowed
from lm_eval_tasks.tables import number_of, percent, signed_percent, text_table


@dataclass(frozen=True, slots=True, eq=False)
class WidthReport:
    """Everything there is to say.

    Attributes:
        new: Name of the run that is compared.
        baseline: Name of the run that it is compared with.
        width: What was asked for.
        confidence: Of each task's interval.
        tasks: What came out.
        judge: Who judged.
        accounts: What judging took in this run.
        notes: What a reader must know, beside the tasks' own notes.
    """

    new: str
    baseline: str
    width: float
    confidence: float
    tasks: Sequence[TaskWidth]
    judge: JudgeInfo
    accounts: Accounts
    notes: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """For machines; shares of 1, not percent."""
        return {
            "new": self.new,
            "baseline": self.baseline,
            "until_width": self.width,
            "reached": all(task.reached for task in self.tasks),
            "confidence": self.confidence,
            "interval": METHOD,
            "tasks": [task.to_json() for task in self.tasks],
            "judge": self.judge.to_json(),
            "accounts": self.accounts.to_json(),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """For people."""
        rows = [
            (
                task.task,
                f"{task.questions} of {task.shared}",
                percent(task.win),
                percent(task.tie),
                percent(task.loss),
                signed_percent(task.win_minus_loss),
                f"[{signed_percent(task.low)}, {signed_percent(task.high)}]",
                percent(task.width),
                f"{percent(task.judged_new)} / {percent(task.judged_base)}",
            )
            for task in self.tasks
        ]
        interval = f"{100 * self.confidence:g}% at every look"
        head = ("task", "questions", "win", "tie", "loss", "win - loss", interval, "width", "judged, both")
        return "\n".join(
            [
                f"{self.new} against {self.baseline}, judged by {self.judge.name} (rubric {self.judge.asked})"
                f" until win - loss is known to {percent(self.width)} points:",
                text_table(head, rows),
                *(_unscored(task) for task in self.tasks if task.unscored),
                f"judge: {self.accounts}",
                *(f"note: {note}" for task in self.tasks for note in task.notes),
                *(f"note: {note}" for note in self.notes),
                *(self._conclusion(task) for task in self.tasks),
            ]
        )

    @staticmethod
    def _conclusion(task: TaskWidth) -> str:
        if task.reached:
            left = task.shared - task.questions
            spared = f"; {number_of(left, 'question')} didn't need to be looked at" if left else ""
            return f"{task.task}: narrow enough after {number_of(task.questions, 'question')}{spared}"
        return (
            f"{task.task}: all {number_of(task.shared, 'shared question')} are judged, and the interval is "
            f"{percent(task.width)} points wide; more questions would narrow it"
        )


def width_line(sides: Sides, found: Narrowed) -> str:
    """How it stands, in the middle of it."""
    return (
        f"{sides.task}: {number_of(found.questions, 'question')} of {len(sides.new)}, "
        f"win - loss {signed_percent(found.value)} [{signed_percent(found.low)}, "
        f"{signed_percent(found.high)}], {percent(found.high - found.low)} points wide"
    )


def _unscored(task: TaskWidth) -> str:
    return (
        f"{task.task}: {number_of(task.unscored, 'question')} of these without a judged sample of both runs; "
        "in no figure"
    )
