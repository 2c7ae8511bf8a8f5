"""Estimates whose unit is the question: cluster bootstrap, clustered standard errors, paired tests.

The samples of a question belong together and the N x N pairs of two models share 2N samples, so neither is a
number of independent observations. Everything here resamples or adds up questions (method section 3).

Intervals are BCa: bias-corrected and accelerated (Efron 1987, "Better bootstrap confidence intervals").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

INTERVAL_METHOD = "BCa bootstrap by question"
DRAWS = 2000
CONFIDENCE = 0.95
_BLOCK_CELLS = 1 << 22
_FEW_VALUES = 1 << 12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its uncertainty.

    Attributes:
        value: The figure.
        stderr: Closed-form standard error, clustered by question; None with fewer than two questions.
        low: Lower end of the bootstrap interval; None with fewer than two questions.
        high: Upper end.
        questions: How many questions it rests on.
    """

    value: float
    stderr: float | None
    low: float | None
    high: float | None
    questions: int

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """A statistic with its bootstrap replicates and with what each question contributes to its error.

    Attributes:
        value: On the questions as they are.
        replicates: On resampled questions, shape (draws,).
        influence: First-order change by each question (infinitesimal jackknife), shape (questions,).
        variance: Sum of squared influences with the small-sample factor n / (n - 1); NaN for one question.
    """

    value: float
    replicates: Floats
    influence: Floats
    variance: float

    def estimate(self, confidence: float = CONFIDENCE) -> Estimate:
        """The figure with its standard error and interval."""
        questions = len(self.influence)
        if math.isnan(self.variance):
            return Estimate(self.value, None, None, None, questions)
        low, high = bca_interval(self.value, self.replicates, self.influence, confidence)
        return Estimate(self.value, math.sqrt(self.variance), low, high, questions)

    @property
    def p_value(self) -> float | None:
        """Two-sided test of "the true value is 0" by question; None with fewer than two questions.

        Student's t on value / stderr. When all questions contribute the same there is no spread to
        measure by, and the sign test says how surprising that agreement is.
        """
        from scipy import stats

        questions = len(self.influence)
        if math.isnan(self.variance):
            return None
        if self.value == 0:
            return 1.0
        if self.variance < 1e-24:
            return float(stats.binomtest(questions, questions).pvalue)
        return float(2 * stats.t.sf(abs(self.value) / math.sqrt(self.variance), questions - 1))


def means(columns: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> list[Sampled]:
    """Means over questions of several values a question, resampled together.

    Questions with the same values are interchangeable, so a draw is one multinomial over the distinct rows:
    the ordinary bootstrap, at a price that doesn't grow with the number of questions.

    Args:
        columns: Shape (questions,) or (questions, values); at least one question.
        draws: Bootstrap draws.
        seed: Of the draws.

    Returns:
        One statistic a column. All share their draws, so :func:`ratio` and :func:`difference` are exact.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim == 1:
        table = table[:, None]
    questions = len(table)
    centre = table.mean(axis=0)
    influence = (table - centre) / questions
    factor = questions / (questions - 1) if questions > 1 else math.nan
    replicates = _resampled_means(table, draws, seed)
    return [
        Sampled(
            float(centre[k]),
            replicates[:, k],
            influence[:, k],
            factor * float(np.square(influence[:, k]).sum()),
        )
        for k in range(table.shape[1])
    ]


def ratio(top: Sampled, bottom: Sampled) -> Sampled:
    """top / bottom of one call of :func:`means`; the replicates in which bottom is 0 are left out."""
    value = top.value / bottom.value
    defined = bottom.replicates != 0
    influence = (top.influence - value * bottom.influence) / bottom.value
    return combined(value, top.replicates[defined] / bottom.replicates[defined], influence)


def difference(first: Sampled, second: Sampled) -> Sampled:
    """first - second of one call of :func:`means`: paired by question."""
    return combined(
        first.value - second.value, first.replicates - second.replicates, first.influence - second.influence
    )


def average(parts: Sequence[Sampled]) -> Sampled:
    """Unweighted mean of statistics of different tasks, whose questions are independent."""
    if len(parts) == 1:
        return parts[0]
    share = 1 / len(parts)
    draws = min(len(part.replicates) for part in parts)
    return Sampled(
        value=share * sum(part.value for part in parts),
        replicates=share * np.sum([part.replicates[:draws] for part in parts], axis=0),
        influence=np.concatenate([share * part.influence for part in parts]),
        variance=share**2 * sum(part.variance for part in parts),
    )


def bca_interval(
    value: float, replicates: Floats, influence: Floats, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval.

    Args:
        value: The statistic.
        replicates: Its bootstrap replicates.
        influence: Each question's influence on it, for the acceleration.
        confidence: Coverage aimed at, e.g. 0.95.
    """
    from scipy.special import ndtr, ndtri

    spread = float(np.square(influence).sum())
    if spread < 1e-24 or np.ptp(replicates) == 0:
        return value, value
    tolerance = 1e-12 * max(1.0, abs(value))
    under = np.mean(replicates < value - tolerance) + np.mean(np.abs(replicates - value) <= tolerance) / 2
    bias = float(ndtri(np.clip(under, 1 / len(replicates), 1 - 1 / len(replicates))))
    acceleration = float(np.power(influence, 3).sum()) / (6 * spread**1.5)
    tails = bias + ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))
    low, high = np.quantile(replicates, ndtr(bias + tails / (1 - acceleration * tails)))
    return float(low), float(high)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction: adjusted p-values in the given order; None stays None, uncounted."""
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p))
        adjusted[i] = largest
    return adjusted


def combined(value: float, replicates: Floats, influence: Floats) -> Sampled:
    """A statistic computed from others of one call of :func:`means`."""
    questions = len(influence)
    factor = questions / (questions - 1) if questions > 1 else math.nan
    return Sampled(value, replicates, influence, factor * float(np.square(influence).sum()))


def _resampled_means(table: Floats, draws: int, seed: int) -> Floats:
    distinct, counts = _distinct_rows(table)
    random = np.random.default_rng(seed)
    shares = counts / counts.sum()
    found = np.empty((draws, table.shape[1]))
    block = max(1, _BLOCK_CELLS // len(distinct))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        weights = random.multinomial(len(table), shares, size=size)
        found[start : start + size] = weights @ distinct / len(table)
    return found


def _distinct_rows(table: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct rows in ascending order, and how often each occurs: ``np.unique(axis=0)``.

    Shares of N x N pairs take few values; then ranking rows by one whole number is five times as fast.
    """
    rank = np.zeros(len(table), dtype=np.int64)
    for column in table.T:
        values = np.unique(column)
        if len(values) > _FEW_VALUES:
            return np.unique(table, axis=0, return_counts=True)
        rank = rank * len(values) + np.searchsorted(values, column)
        if rank.max(initial=0) > len(table):
            # Numbered afresh, so that no number of columns overflows.
            rank = np.searchsorted(np.unique(rank), rank)
    counts = np.bincount(rank)
    example = np.zeros(len(counts), dtype=np.int64)
    example[rank] = np.arange(len(table))
    present = counts > 0
    return table[example[present]], counts[present]
