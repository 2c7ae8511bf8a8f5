"""Win rates at equal length: how much of a margin is explained by one model writing more.

Over all pairs of samples, the outcome is regressed on x = ln(words of the first / words of the second); the
value at x = 0 is the rate for explanations of the same length. Least squares on the user's own data, each
question with the same weight, errors clustered by question. Linear, so win + tie + loss stay 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.stats.estimates import Estimate, Mean, combined, difference, means
from lm_eval_tasks.stats.intervals import CONFIDENCE, UNBOUNDED, Floats
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import UNSCORED, standing

_FAR = 2.0


@dataclass(frozen=True, slots=True)
class EqualLength:
    """Rates at equal length, in shares of 1.

    Attributes:
        win: Win rate of the first model at equal length.
        loss: Loss rate.
        margin: Win - loss.
        slope: Change of the margin when the first model's explanations become e times as long.
        length_ratio: Geometric mean of words of the first / words of the second.
        extrapolated: True if pairs of equal length lie outside of what the data show (more than two
            standard deviations of x away): then the figures rest on the straight line alone.
    """

    win: Estimate
    loss: Estimate
    margin: Estimate
    slope: Estimate
    length_ratio: float
    extrapolated: bool


def equal_length(first: Marks, second: Marks, *, confidence: float = CONFIDENCE) -> EqualLength | None:
    """Controls the comparison of two models for length.

    Args:
        first: Marks of the first model.
        second: Marks of the second, rows in the same order of questions.
        confidence: Coverage of the intervals.

    Returns:
        None if there are fewer than two questions with pairs, or if length never differs.
    """
    columns = _moments(first, second)
    if len(columns) < 2:
        return None
    x, xx, win, x_win, loss, x_loss = means(columns, UNBOUNDED)
    variance = xx.value - x.value**2
    if variance < 1e-12:
        return None
    wins, losses = _line(x, xx, win, x_win), _line(x, xx, loss, x_loss)
    margin, slope = (difference(a, b) for a, b in zip(wins, losses, strict=True))
    return EqualLength(
        win=wins[0].estimate(confidence),
        loss=losses[0].estimate(confidence),
        margin=margin.estimate(confidence),
        slope=slope.estimate(confidence),
        length_ratio=math.exp(x.value),
        extrapolated=abs(x.value) > _FAR * math.sqrt(variance),
    )


def rank_correlation(marks: Marks) -> float | None:
    """Spearman's correlation of score and length over all scored samples; None if one never varies."""
    from scipy import stats

    scored = marks.scores != UNSCORED
    scores, words = marks.scores[scored], marks.words[scored]
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(words) == 0:
        return None
    return float(stats.spearmanr(scores, words).statistic)


def _moments(first: Marks, second: Marks) -> Floats:
    """Means over the pairs of each question with pairs: x, x^2, win, x * win, loss, x * loss."""
    u, v = _log_words(first), _log_words(second)
    scored1, scored2 = first.scores != UNSCORED, second.scores != UNSCORED
    kept = scored1.any(axis=1) & scored2.any(axis=1)
    n1, n2 = scored1.sum(axis=1)[kept], scored2.sum(axis=1)[kept]
    mine, theirs = standing(first.scores, second.scores), standing(second.scores, first.scores)
    sums = [(u**power).sum(axis=1)[kept] / n1 for power in (1, 2)]
    others = [(v**power).sum(axis=1)[kept] / n2 for power in (1, 2)]
    x = sums[0] - others[0]
    xx = sums[1] - 2 * sums[0] * others[0] + others[1]
    columns = [x, xx]
    # A win of the first model's sample is, seen from the other side, a sample that has one above it.
    for cells, mirrored in ((mine.below, theirs.above), (mine.above, theirs.below)):
        columns.append(cells.sum(axis=1)[kept] / (n1 * n2))
        columns.append(((u * cells).sum(axis=1) - (v * mirrored).sum(axis=1))[kept] / (n1 * n2))
    return np.column_stack(columns)


def _line(x: Mean, xx: Mean, y: Mean, xy: Mean) -> tuple[Mean, Mean]:
    """Least squares of y on x from their moments: intercept and slope."""
    spread = xx.value - x.value**2
    b = (xy.value - x.value * y.value) / spread
    a = y.value - b * x.value
    residual = y.influence - b * x.influence
    crossed = xy.influence - a * x.influence - b * xx.influence
    return (
        combined(a, (xx.value * residual - x.value * crossed) / spread, y.effective, UNBOUNDED),
        combined(b, (crossed - x.value * residual) / spread, y.effective, UNBOUNDED),
    )


def _log_words(marks: Marks) -> Floats:
    """ln(words) of scored samples, 0 elsewhere; an explanation of no words counts as one."""
    words: NDArray[np.float64] = np.log(np.maximum(marks.words, 1))
    return np.where(marks.scores != UNSCORED, words, 0.0)
