"""A confidence sequence: intervals that hold at every number of questions at once, for rules that stop early.

Looking at an ordinary 95% interval after every question, and stopping when it leaves 0 out, finds a
difference in models without one far more often than in 5% of the runs. This one may be looked at after
every question: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv
2103.06476). After t questions of mean m and standard deviation s it is

    m +- s sqrt(2 (t r^2 + 1) / (t^2 r^2) ln(sqrt(t r^2 + 1) / alpha)),
    r^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / t_opt,

tightest near ``t_opt`` questions. Being asymptotic it trusts s, which says nothing where no question has
differed yet; two pseudo-observations at each end of the range, counted in t, m and s, mend that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, Bounds, Floats

PSEUDO_OBSERVATIONS = 2
"""At each end of the range."""
FIRST_LOOK = 20
"""Questions before which no interval is given: the error was measured from there on."""

Side: TypeAlias = Literal["above", "below", "open"]


@dataclass(frozen=True, slots=True)
class Decision:
    """On which side of a threshold a mean lies, as far as the questions looked at tell.

    Attributes:
        side: ``open`` if they don't.
        questions: How many were looked at: up to the first look that told, or all.
        value: Mean of these; None without any.
        low: Lower end of the interval that holds at every look, narrowed by all looks so far.
        high: Upper end.
    """

    side: Side
    questions: int
    value: float | None
    low: float
    high: float


def decide(
    values: ArrayLike,
    bounds: Bounds,
    *,
    threshold: float,
    expected: int,
    confidence: float = CONFIDENCE,
) -> Decision:
    """Looks after every question, and stops at the first look that tells.

    Values that follow a decision don't change it, so it may be called again and again as more come in.

    Args:
        values: As in :func:`confidence_sequence`.
        bounds: As in :func:`confidence_sequence`.
        threshold: What the mean is compared with.
        expected: As in :func:`confidence_sequence`; the same at every call.
        confidence: Probability that no look tells the wrong side.
    """
    table = np.asarray(values, dtype=np.float64)
    low, high = confidence_sequence(table, bounds, expected=expected, confidence=confidence)
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    told = np.flatnonzero((low > threshold) | (high < threshold))
    looked = int(told[0]) + 1 if len(told) else len(table)
    if not looked:
        return Decision("open", 0, None, bounds.low, bounds.high)
    end = looked - 1
    side: Side = "open"
    if len(told):
        side = "above" if low[end] > threshold else "below"
    return Decision(side, looked, float(table[:looked].mean()), float(low[end]), float(high[end]))


@dataclass(frozen=True, slots=True)
class Narrowed:
    """How well a mean is known after so many questions.

    Attributes:
        reached: Whether its interval is as narrow as was asked for.
        questions: How many were looked at: up to the first look at which it was, or all.
        value: Mean of these; None without any.
        low: Lower end of the interval that holds at every look, narrowed by all looks so far.
        high: Upper end.
    """

    reached: bool
    questions: int
    value: float | None
    low: float
    high: float


def narrow(
    values: ArrayLike,
    bounds: Bounds,
    *,
    width: float,
    expected: int,
    confidence: float = CONFIDENCE,
) -> Narrowed:
    """Looks after every question, and stops at the first look at which the interval is narrow enough.

    An ordinary interval that ends questions when it is narrow prefers samples that happen to vary little, and
    holds less often than it says. All looks of a confidence sequence hold together: this one may stop.

    Args:
        values: As in :func:`confidence_sequence`.
        bounds: As in :func:`confidence_sequence`.
        width: What the interval's width must be below.
        expected: As in :func:`confidence_sequence`; the same at every call.
        confidence: Probability that no look leaves the truth out.
    """
    table = np.asarray(values, dtype=np.float64)
    low, high = confidence_sequence(table, bounds, expected=expected, confidence=confidence)
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    told = np.flatnonzero(high - low < width)
    looked = int(told[0]) + 1 if len(told) else len(table)
    if not looked:
        return Narrowed(False, 0, None, bounds.low, bounds.high)
    end = looked - 1
    return Narrowed(len(told) > 0, looked, float(table[:looked].mean()), float(low[end]), float(high[end]))


def confidence_sequence(
    values: ArrayLike, bounds: Bounds, *, expected: int, confidence: float = CONFIDENCE
) -> tuple[Floats, Floats]:
    """Intervals for the mean after each question, all of which hold together.

    Args:
        values: One a question, in the order in which questions are looked at, which doesn't depend on them;
            shape (questions,).
        bounds: The finite range of a question's value.
        expected: Number of questions at which it is tightest: about where one hopes to stop.
        confidence: Probability that no interval leaves out the truth, e.g. 0.95.

    Returns:
        Lower and upper ends, each of shape (questions,), within the bounds; the bounds themselves before
        ``FIRST_LOOK`` questions. All looks hold at once, so ends may be intersected over the looks so far.

    Raises:
        ValueError: If a value lies outside of the bounds, or the bounds aren't finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if not (math.isfinite(bounds.low) and math.isfinite(bounds.high)):
        raise ValueError("a confidence sequence takes a finite range")
    bounds.check(table)
    ends = np.repeat([bounds.low, bounds.high], PSEUDO_OBSERVATIONS)
    count = np.arange(1, len(table) + 1) + len(ends)
    mean = (np.cumsum(table) + ends.sum()) / count
    # Squares about the middle of the range, so that nothing cancels where all values are far from 0.
    middle = (bounds.low + bounds.high) / 2
    squares = (np.cumsum((table - middle) ** 2) + ((ends - middle) ** 2).sum()) / count
    spread = np.sqrt(np.maximum(squares - (mean - middle) ** 2, 0.0))
    alpha = 1 - confidence
    tuning = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / expected
    scaled = count * tuning + 1
    half = spread * np.sqrt(2 * scaled / (count * count * tuning) * np.log(np.sqrt(scaled) / alpha))
    low, high = np.maximum(mean - half, bounds.low), np.minimum(mean + half, bounds.high)
    early = np.arange(len(table)) < FIRST_LOOK - 1
    return np.where(early, bounds.low, low), np.where(early, bounds.high, high)
