"""The one interval and test of this package: Student's t by question that knows the range of its values.

A t interval trusts that the questions seen show how much questions vary. Where few differ, or nearly all
are at an end of the range, they don't: 40 ties in a row look like certainty, and an interval of no width.
So each end of the range gets a pseudo-observation, the idea of Agresti and Coull (1998, "Approximate is
better than exact") for means of any bounded value. It weighs up to one question, and less the better the
questions show by themselves how much they vary:

    weight = 1 / (1 + D (1 - (K / r)^2) / 8),   r = distance of the mean from that end,
    D = sum of squared deviations / r^2,        K = sum of cubed / sum of squared deviations.

D says how many questions at that end would vary as much as all questions do; (K / r)^2 is 1 where a few far
values make up all of the deviation, however many, and near 0 where values spread evenly. Interval and
p-value come from one t distribution: the (1 - alpha) interval leaves 0 out exactly where p <= alpha.
``tests/lm_eval_tasks/stats/estimation/test_intervals.py`` counts how often intervals hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

INTERVAL_METHOD = "t by question with pseudo-observations at the ends of the range"
CONFIDENCE = 0.95
_SLACK = 1e-9  # rounding errors don't take a value out of its range
_ENOUGH = 8.0
"""Evenly spread deviations worth this many far questions halve the weight of a pseudo-observation."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The range that the value of one question lies in.

    Attributes:
        low: The least possible value; -inf if there is none.
        high: The greatest; inf if there is none.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"bounds {self.low} and {self.high} hold no range")

    def minus(self, other: Bounds) -> Bounds:
        """The range of a difference."""
        return Bounds(self.low - other.high, self.high - other.low)

    def times(self, factor: float) -> Bounds:
        """The range of a multiple; the factor isn't 0."""
        return Bounds(*sorted((factor * self.low, factor * self.high)))

    def check(self, values: Floats) -> None:
        """Refuses values outside of the range.

        Raises:
            ValueError: If there is one.
        """
        least, most = values.min(initial=math.inf), values.max(initial=-math.inf)
        if least < self.low - _SLACK or most > self.high + _SLACK:
            raise ValueError(
                f"values from {least:g} to {most:g} don't lie between {self.low:g} and {self.high:g}"
            )


SHARE = Bounds(0.0, 1.0)
"""Of win, tie and loss rates, accuracy and other shares."""
MARGIN = Bounds(-1.0, 1.0)
"""Of win - loss, and of differences of shares."""
UNBOUNDED = Bounds(-math.inf, math.inf)
"""Of values without a known range: the plain t interval."""


@dataclass(frozen=True, slots=True)
class Student:
    """What interval and test are taken from: (truth - centre) / error has Student's t distribution.

    Attributes:
        centre: Middle of the intervals before they are cut at the bounds.
        error: Standard error, pseudo-observations included.
        freedom: Degrees of freedom.
        bounds: What intervals are cut at.
    """

    centre: float
    error: float
    freedom: float
    bounds: Bounds

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """The two-sided interval.

        Args:
            confidence: Coverage aimed at, e.g. 0.95.
        """
        from scipy.special import stdtrit

        half = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.error
        return max(self.bounds.low, self.centre - half), min(self.bounds.high, self.centre + half)

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p-value of "the true value is ``null``", a value within the bounds."""
        from scipy.special import stdtr

        if self.error == 0:
            return float(self.centre == null)
        return float(min(1.0, 2 * stdtr(self.freedom, -abs(self.centre - null) / self.error)))


def student(
    value: float,
    influence: Floats,
    variance: float,
    *,
    effective: float,
    freedom: float,
    ends: Bounds,
    bounds: Bounds,
) -> Student:
    """The distribution of a mean over questions of values within bounds.

    Args:
        value: The mean.
        influence: What each question adds to its error: deviation from the mean x weight / sum of weights.
        variance: Of the mean, as the questions show it.
        effective: Number of questions; where they weigh differently, (sum of weights)^2 / sum of squares.
        freedom: Degrees of freedom of ``variance``.
        ends: Of one question's value: where the pseudo-observations lie.
        bounds: What intervals are cut at.
    """
    squares = variance * effective * (effective - 1)
    raw = float(np.square(influence).sum())
    skew = effective * float(np.power(influence, 3).sum()) / raw if raw > 0 else 0.0
    return with_pseudo_observations(
        value, squares, skew, effective=effective, freedom=freedom, ends=ends, bounds=bounds
    )


def with_pseudo_observations(
    value: float,
    squares: float,
    skew: float,
    *,
    effective: float,
    freedom: float,
    ends: Bounds,
    bounds: Bounds,
) -> Student:
    """As :func:`student`, from sums over the questions.

    Args:
        value: The mean.
        squares: Sum of the questions' squared deviations from it.
        skew: Sum of cubed deviations / sum of squared ones; 0 where nothing deviates.
        effective: As in :func:`student`.
        freedom: As in :func:`student`; the result has the pseudo-observations' weights more.
        ends: As in :func:`student`.
        bounds: As in :func:`student`.
    """
    pseudo = [
        (end, pseudo_weight(abs(end - value), squares, skew))
        for end in (ends.low, ends.high)
        if math.isfinite(end)
    ]
    added = sum(weight for _, weight in pseudo)
    total = effective + added
    centre = (effective * value + sum(weight * end for end, weight in pseudo)) / total
    squares += effective * (value - centre) ** 2 + sum(weight * (end - centre) ** 2 for end, weight in pseudo)
    return Student(centre, math.sqrt(squares / (total * (total - 1))), freedom + added, bounds)


def pseudo_weight(distance: float, squares: float, skew: float) -> float:
    """How many questions the pseudo-observation at one end of the range counts for, between 0 and 1.

    Args:
        distance: From the mean to that end.
        squares: Sum of the questions' squared deviations from their mean.
        skew: Sum of cubed deviations / sum of squared ones; 0 where nothing deviates.
    """
    if squares <= 0:
        return 1.0
    if distance <= 0:
        return 0.0
    one_sided = min(1.0, (skew / distance) ** 2)
    return 1 / (1 + squares / distance**2 * (1 - one_sided) / _ENOUGH)
