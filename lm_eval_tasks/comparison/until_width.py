"""Two runs judged question by question until win - loss is known well enough, and no further.

As :mod:`lm_eval_tasks.comparison.gate`, in the same order of chance and with the same confidence sequence; it
ends when the interval is narrow, on whichever side of whatever it lies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from judges.judge import Judge
from lm_eval_tasks.comparison.gate import Seen, Sides, looks
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN
from lm_eval_tasks.stats.estimation.sequence import FIRST_LOOK, Narrowed, narrow
from lm_eval_tasks.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class TaskWidth:
    """What came out on one task.

    Attributes:
        task: Its name.
        reached: Whether the interval is as narrow as was asked for.
        questions: Questions looked at until it was.
        shared: Questions that both runs have.
        unscored: Of those looked at, questions without a judged sample of both; they are in no figure.
        win: Share of pairs that the new run won, mean over those questions; likewise tie and loss.
        tie: Likewise.
        loss: Likewise.
        win_minus_loss: Win - loss on them.
        low: Lower end of what holds at every look.
        high: Upper end.
        judged_new: Share of the new run's replies to these questions that were judged.
        judged_base: The same of the baseline.
        notes: What a reader must know.
    """

    task: str
    reached: bool
    questions: int
    shared: int
    unscored: int
    win: float
    tie: float
    loss: float
    win_minus_loss: float
    low: float
    high: float
    judged_new: float
    judged_base: float
    notes: tuple[str, ...]

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return values | {"width": self.width, "notes": list(self.notes)}


def judged_until(
    sides: Sides,
    width: float,
    judging: tuple[Judge, TaskSpec],
    *,
    confidence: float = CONFIDENCE,
    look_every: int = FIRST_LOOK,
    on_look: Callable[[Sides, Narrowed], None] = lambda sides, found: None,
) -> TaskWidth:
    """Has questions judged until the interval of win - loss is narrower than ``width``, or all are.

    Args:
        sides: The two runs' replies.
        width: In shares of 1, of a win - loss between -1 and 1.
        judging: Who judges, and the task.
        confidence: Probability that no look leaves the truth out.
        look_every: Questions that are judged at once, between two stops.
        on_look: Told how it stands after each of these.

    Raises:
        BackendError: If the judge can't serve; its replies so far are in the cache.
        BudgetSpentError: If it may spend no more; its replies so far are in the cache.
        NothingJudgedError: If on no question both runs have an explanation with a verdict.
    """
    seen, found = Seen(), Narrowed(False, 0, None, MARGIN.low, MARGIN.high)
    expected = max(FIRST_LOOK, len(sides.new) // 2)
    for seen in looks(sides, look_every, judging):
        found = narrow(seen.margins, MARGIN, width=width, expected=expected, confidence=confidence)
        on_look(sides, found)
        if found.reached:
            break
    until = seen.questions_until(found.questions if found.reached else None)
    rates = seen.rates[: found.questions]
    win, tie, loss = (float(_mean(getattr(one, what) for one in rates)) for what in ("win", "tie", "loss"))
    new_share, base_share = seen.judged_shares(until)
    return TaskWidth(
        task=sides.task,
        reached=found.reached,
        questions=until,
        shared=len(sides.new),
        unscored=until - found.questions,
        win=win,
        tie=tie,
        loss=loss,
        win_minus_loss=float(_mean(one.margin for one in rates)),
        low=found.low,
        high=found.high,
        judged_new=new_share,
        judged_base=base_share,
        notes=sides.notes,
    )


def _mean(shares: Any) -> Fraction:
    found: list[Fraction] = list(shares)
    return sum(found, Fraction(0)) / len(found)
