"""Two models on one task, compared on the questions that both answered."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean, average, difference, means
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN, SHARE
from lm_eval_tasks.stats.length_control import EqualLength, equal_length
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.ratings import DRAWS
from lm_eval_tasks.stats.strata import Stratum, strata
from lm_eval_tasks.stats.win_rate import UNSCORED, Scores, pair_counts


@dataclass(frozen=True, slots=True)
class Settings:
    """How figures are estimated.

    Attributes:
        draws: Bootstrap draws of the ratings; all other intervals have a closed form.
        seed: Of the draws; the same seed gives the same intervals.
        confidence: Coverage of the intervals.
    """

    draws: int = DRAWS
    seed: int = 0
    confidence: float = CONFIDENCE

    def of_task(self, task: str) -> Settings:
        """The settings with draws of the task's own: tasks are independent, so must their draws be."""
        return replace(self, seed=self.seed + zlib.crc32(task.encode()))


@dataclass(frozen=True, slots=True)
class Matched:
    """Which questions two runs share.

    Attributes:
        shared: Ids in both, in the first run's order.
        only_first: Ids that only the first run has; counted, in no figure.
        only_second: Ids that only the second run has.
    """

    shared: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The means behind a comparison, kept to average them over tasks."""

    win: Mean
    tie: Mean
    loss: Mean
    margin: Mean


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """One model against another on one task.

    Attributes:
        matched: The questions.
        unscored: Shared questions on which a model has no scored sample; in no figure.
        win: Share of the N1 x N2 pairs that the first model wins, mean over questions.
        tie: Share of ties.
        loss: Share of losses.
        margin: Win - loss.
        p_value: Of "the margin is 0", paired by question; None with fewer than two questions.
        bounds: The margin if every unscored sample had turned out worst for the first model, and best; None
            if all samples are scored.
        accuracy: Difference in accuracy on the shared questions, paired by question; None for open ones.
        equal_length: The rates at equal length; None if length never differs.
        strata: The rates by correctness.
        sides: The means behind it.
    """

    matched: Matched
    unscored: int
    win: Estimate
    tie: Estimate
    loss: Estimate
    margin: Estimate
    p_value: float | None
    bounds: tuple[float, float] | None
    accuracy: Estimate | None
    equal_length: EqualLength | None
    strata: tuple[Stratum, ...]
    sides: Sides

    @property
    def length_matters(self) -> bool:
        """Whether the verdict (ahead, behind, no clear difference) changes at equal length."""
        return self.equal_length is not None and verdict(self.margin) != verdict(self.equal_length.margin)


@dataclass(frozen=True, slots=True)
class Overall:
    """The unweighted mean of several tasks' comparisons.

    Attributes:
        win: As in :class:`Comparison`.
        tie: As in :class:`Comparison`.
        loss: As in :class:`Comparison`.
        margin: As in :class:`Comparison`.
        p_value: As in :class:`Comparison`.
    """

    win: Estimate
    tie: Estimate
    loss: Estimate
    margin: Estimate
    p_value: float | None


def verdict(margin: Estimate) -> int:
    """1 if the interval lies above 0, -1 if below, 0 if it doesn't tell."""
    if margin.low is None or margin.high is None:
        return 0
    return int(margin.low > 0) - int(margin.high < 0)


def match(first: Sequence[str], second: Sequence[str]) -> Matched:
    """Sorts question ids into shared ones and the others."""
    known1, known2 = set(first), set(second)
    return Matched(
        tuple(question for question in first if question in known2),
        tuple(question for question in first if question not in known2),
        tuple(question for question in second if question not in known1),
    )


def compare(
    first: Marks, second: Marks, *, top_score: int, settings: Settings | None = None
) -> Comparison | None:
    """Compares two models' marks on one task.

    Args:
        first: Marks of the model that wins or loses.
        second: Marks of the model it is compared with.
        top_score: The best possible score in the rubric's units, for the bounds.
        settings: How to estimate.

    Returns:
        None if there is no shared question on which both have scored samples.
    """
    settings = settings or Settings()
    matched = match(first.ids, second.ids)
    first, second = first.rows(matched.shared), second.rows(matched.shared)
    counts = pair_counts(first.scores, second.scores)
    shares = counts.shares()
    if not len(shares):
        return None
    win, tie, loss = means(shares, SHARE)
    sides = Sides(win, tie, loss, difference(win, loss))
    gains = first.accuracies - second.accuracies
    known = gains[np.isfinite(gains)]
    confidence = settings.confidence
    return Comparison(
        matched=matched,
        unscored=len(counts.pairs) - len(shares),
        win=win.estimate(confidence),
        tie=tie.estimate(confidence),
        loss=loss.estimate(confidence),
        margin=sides.margin.estimate(confidence),
        p_value=sides.margin.p_value,
        bounds=_bounds(first, second, top_score),
        accuracy=means(known, MARGIN)[0].estimate(confidence) if len(known) else None,
        equal_length=equal_length(first, second, confidence=confidence),
        strata=tuple(strata(first, second, confidence=confidence)),
        sides=sides,
    )


def overall(comparisons: Sequence[Comparison], confidence: float = CONFIDENCE) -> Overall:
    """Averages comparisons of the same two models over tasks, each task weighing the same."""
    win, tie, loss, margin = (
        average([getattr(comparison.sides, side) for comparison in comparisons])
        for side in ("win", "tie", "loss", "margin")
    )
    return Overall(
        win.estimate(confidence),
        tie.estimate(confidence),
        loss.estimate(confidence),
        margin.estimate(confidence),
        margin.p_value,
    )


def _bounds(first: Marks, second: Marks, top_score: int) -> tuple[float, float] | None:
    if first.judged == first.samples and second.judged == second.samples:
        return None
    ends = []
    for mine, theirs in ((0, top_score), (top_score, 0)):
        shares = pair_counts(_filled(first, mine), _filled(second, theirs)).shares()
        ends.append(float((shares[:, 0] - shares[:, 2]).mean()))
    return ends[0], ends[1]


def _filled(marks: Marks, score: int) -> Scores:
    return np.where(marks.present & (marks.scores == UNSCORED), score, marks.scores)
