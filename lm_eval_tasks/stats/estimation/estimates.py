"""Estimates whose unit is the question: means, ratios and differences, their errors, intervals and tests.

The samples of a question belong together and the N x N pairs of two models share 2N samples, so neither is a
number of independent observations. Everything here adds up questions (method section 3); interval and p-value
are those of :mod:`lm_eval_tasks.stats.estimation.intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, Bounds, Floats, Student, student


@dataclass(frozen=True, slots=True)
class Estimate(JsonRecord):
    """A figure with its uncertainty.

    Attributes:
        value: The figure.
        stderr: Standard error as the questions show it; None with fewer than two questions.
        low: Lower end of the interval; None with fewer than two questions.
        high: Upper end.
        questions: How many questions it rests on.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    questions: int


@dataclass(frozen=True, slots=True, eq=False)
class Mean:
    """A mean over questions, with what each question contributes to its error.

    Attributes:
        value: On the questions as they are.
        influence: First-order change by each question (infinitesimal jackknife), shape (questions,).
        variance: Of the value, clustered by question, with the small-sample factor n / (n - 1); NaN where
            fewer than two questions bear on it.
        effective: Questions that bear on it; fewer than there are where they weigh differently.
        freedom: Degrees of freedom of ``variance``.
        ends: Where one question's value may lie, in units in which ``value`` is the mean of all questions.
        bounds: Where the figure itself may lie: the same, unless it is made of independent parts.
    """

    value: float
    influence: Floats
    variance: float
    effective: float
    freedom: float
    ends: Bounds
    bounds: Bounds

    @property
    def student(self) -> Student | None:
        """What interval and p-value are taken from; None with fewer than two questions."""
        if math.isnan(self.variance):
            return None
        return student(
            self.value,
            self.influence,
            self.variance,
            effective=self.effective,
            freedom=self.freedom,
            ends=self.ends,
            bounds=self.bounds,
        )

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The figure with its standard error and interval."""
        questions = len(self.influence)
        found = self.student
        if found is None:
            return Estimate(self.value, None, None, None, questions)
        low, high = found.interval(confidence)
        return Estimate(self.value, math.sqrt(self.variance), low, high, questions)

    @property
    def p_value(self) -> float | None:
        """Two-sided test of "the true value is 0" by question; None with fewer than two questions.

        At most alpha exactly where the (1 - alpha) interval leaves 0 out.
        """
        found = self.student
        return None if found is None else found.p_value()


def means(columns: ArrayLike, bounds: Bounds | Sequence[Bounds]) -> list[Mean]:
    """Means over questions of one or several values a question.

    Args:
        columns: Shape (questions,) or (questions, values); at least one question.
        bounds: The range of a question's value; one for all columns, or one each.

    Returns:
        One mean a column, of the same questions, so that :func:`ratio` and :func:`difference` are paired.

    Raises:
        ValueError: If a value lies outside of its bounds.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    limits = [bounds] * table.shape[1] if isinstance(bounds, Bounds) else list(bounds)
    for column, limit in zip(table.T, limits, strict=True):
        limit.check(column)
    questions = len(table)
    centre = table.mean(axis=0)
    influence = (table - centre) / questions
    return [
        combined(float(value), part, float(questions), limit)
        for value, part, limit in zip(centre, influence.T, limits, strict=True)
    ]


def ratio(top: Mean, bottom: Mean) -> Mean:
    """top / bottom of one call of :func:`means`: a mean of each question's own, weighed by its bottom.

    The ratio of one question is taken to lie within the bounds of ``top``, as those of shares of a share do.
    """
    value = top.value / bottom.value
    weights = bottom.value + len(bottom.influence) * bottom.influence
    influence = (top.influence - value * bottom.influence) / bottom.value
    return combined(value, influence, float(weights.sum() ** 2 / np.square(weights).sum()), top.bounds)


def difference(first: Mean, second: Mean) -> Mean:
    """first - second of one call of :func:`means`: paired by question."""
    return combined(
        first.value - second.value,
        first.influence - second.influence,
        first.effective,
        first.bounds.minus(second.bounds),
    )


def unpaired_difference(first: Mean, second: Mean) -> Mean:
    """first - second where the two are of different questions."""
    return _of_independent((first, second), (1.0, -1.0))


def average(parts: Sequence[Mean]) -> Mean:
    """Unweighted mean of figures of different tasks, whose questions are independent."""
    if len(parts) == 1:
        return parts[0]
    return _of_independent(parts, [1 / len(parts)] * len(parts))


def combined(value: float, influence: Floats, effective: float, bounds: Bounds) -> Mean:
    """A figure of one set of questions from what each question adds to its error.

    Args:
        value: The figure.
        influence: First-order change by each question.
        effective: Questions that bear on it.
        bounds: Of one question's value, in units in which the figure is their mean.
    """
    several = effective > 1 + 1e-9
    factor = effective / (effective - 1) if several else math.nan
    variance = factor * float(np.square(influence).sum())
    return Mean(value, influence, variance, effective, effective - 1, bounds, bounds)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction: adjusted p-values in the given order; None stays None, uncounted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = largest
    return adjusted


def _of_independent(parts: Sequence[Mean], shares: Sequence[float]) -> Mean:
    """A weighted sum of independent figures; degrees of freedom after Welch and Satterthwaite."""
    pairs = list(zip(parts, shares, strict=True))
    variances = [share**2 * part.variance for part, share in pairs]
    total = sum(variances)
    if total > 0:
        freedom = total**2 / sum(v**2 / part.freedom for v, part in zip(variances, parts, strict=True))
    else:
        freedom = sum(part.freedom for part in parts)
    whole = sum(abs(share) for share in shares)
    signed = [part.ends.times(math.copysign(whole, share)) for part, share in pairs]
    ranges = [part.bounds.times(share) for part, share in pairs]
    return Mean(
        value=sum(share * part.value for part, share in pairs),
        influence=np.concatenate([share * part.influence for part, share in pairs]),
        variance=total,
        effective=whole**2 / sum(share**2 / part.effective for part, share in pairs),
        freedom=freedom,
        ends=Bounds(min(end.low for end in signed), max(end.high for end in signed)),
        bounds=Bounds(sum(of.low for of in ranges), sum(of.high for of in ranges)),
    )
