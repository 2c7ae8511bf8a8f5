"""What a gate came to, as text for people and as JSON for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from judges.judge_info import JudgeInfo
from judges.spending.accounts import Accounts
from lm_eval_tasks.comparison.gate import Rule, Sides, TaskGate, Verdict, overall
from lm_eval_tasks.stats.estimation.sequence import Decision
from lm_eval_tasks.tables import number_of, percent, signed_percent, text_table

METHOD = "asymptotic confidence sequence by question with pseudo-observations at the ends of the range"


@dataclass(frozen=True, slots=True, eq=False)
class GateReport:
    """Everything there is to say.

    Attributes:
        new: Name of the new run.
        baseline: Name of the run that it is compared with.
        rule: What was asked; its confidence is that of all tasks together.
        tasks: What came out, in the order in which tasks were looked at; a failing one is the last.
        left: Tasks that weren't looked at, because one had failed.
        judge: Who judged; None if the judgements that were there were taken.
        accounts: What judging took in this run.
        notes: What a reader must know, beside the tasks' own notes.
    """

    new: str
    baseline: str
    rule: Rule
    tasks: Sequence[TaskGate]
    left: Sequence[str] = ()
    judge: JudgeInfo | None = None
    accounts: Accounts | None = None
    notes: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """Of all tasks together."""
        return overall(self.tasks)

    def to_json(self) -> dict[str, Any]:
        """For machines; shares of 1, not percent."""
        return {
            "verdict": self.verdict,
            "new": self.new,
            "baseline": self.baseline,
            "margin": self.rule.margin,
            "confidence": self.rule.confidence,
            "interval": METHOD,
            "seed": self.rule.seed,
            "tasks": [task.to_json() for task in self.tasks],
            "tasks_left_out": list(self.left),
            "judge": None if self.judge is None else self.judge.to_json(),
            "accounts": None if self.accounts is None else self.accounts.to_json(),
            "notes": list(self.notes),
        }

    def text(self) -> str:
        """For people."""
        rows = [
            (
                task.task,
                task.verdict,
                f"{task.questions} of {task.shared}",
                signed_percent(task.win_minus_loss),
                f"[{signed_percent(task.low)}, {signed_percent(task.high)}]",
                f"{percent(task.judged_new)} / {percent(task.judged_base)}",
            )
            for task in self.tasks
        ]
        interval = f"{100 * self.rule.confidence:g}% at every look"
        head = ("task", "verdict", "questions", "win - loss", interval, "judged, new / baseline")
        return "\n".join(
            [
                f"{self.new} against {self.baseline}: "
                f"win - loss above {signed_percent(self.rule.margin)} points?",
                text_table(head, rows, left=2),
                *(f"{task.task}: undecided, for {task.doubt}" for task in self.tasks if task.doubt),
                *(_unscored(task) for task in self.tasks if task.unscored),
                *([f"not looked at, for one failed: {', '.join(self.left)}"] if self.left else []),
                *([] if self.accounts is None else [f"judge: {self.accounts}"]),
                *(f"note: {note}" for task in self.tasks for note in task.notes),
                *(f"note: {note}" for note in self.notes),
                self._conclusion(),
            ]
        )

    def _conclusion(self) -> str:
        if self.verdict == "pass":
            return "pass"
        if self.verdict == "fail":
            return "fail: win - loss is below the margin"
        return "undecided: more questions, or another margin, could tell"


def progress_line(sides: Sides, decision: Decision) -> str:
    """How it stands, in the middle of it."""
    return (
        f"{sides.task}: {number_of(decision.questions, 'question')} of {len(sides.new)}, "
        f"win - loss {signed_percent(decision.value)} "
        f"[{signed_percent(decision.low)}, {signed_percent(decision.high)}]"
    )


def _unscored(task: TaskGate) -> str:
    return (
        f"{task.task}: {number_of(task.unscored, 'question')} of these without a judged sample of both runs; "
        "in no figure"
    )
