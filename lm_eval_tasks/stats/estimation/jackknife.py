"""Any figure of many questions with an interval by question, from what it is without each of them.

For figures that are no mean of the questions' own values (kappa, alpha, an AUC over all pairs, a rank
correlation). The interval is the one of :mod:`lm_eval_tasks.stats.estimation.intervals`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean, combined
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, Bounds, Floats


def from_left_out(value: float, left_out: Floats, bounds: Bounds) -> Mean | None:
    """A figure from what it is without each of the questions.

    Args:
        value: On all questions.
        left_out: Without one of them each, shape (questions,); NaN where it then isn't defined.
        bounds: Where the figure lies.

    Returns:
        None if it isn't defined. If it isn't without one of the questions it has no interval: it rests on it.
    """
    questions = len(left_out)
    if not np.isfinite(value) or not questions:
        return None
    if questions == 1 or not np.isfinite(left_out).all():
        return combined(value, np.zeros(questions), 1.0, bounds)
    influence = (value - left_out) * (questions - 1) / questions
    inside = min(max(value, bounds.low), bounds.high)
    return combined(inside, influence, float(questions), bounds)


def of_sums(sums: ArrayLike, figure: Callable[[Floats], Floats], bounds: Bounds) -> Mean | None:
    """A figure that is a function of sums over questions.

    Args:
        sums: What each question adds, shape (questions, sums).
        figure: From sums of shape (any, sums) to figures of shape (any,); NaN where it isn't defined.
        bounds: Where the figure lies.
    """
    table = np.asarray(sums, dtype=np.float64)
    if not len(table):
        return None
    total = table.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(figure(total[None])[0])
        left_out = figure(total - table)
    return from_left_out(value, left_out, bounds)


def estimate_of(found: Mean | None, confidence: float = CONFIDENCE) -> Estimate | None:
    """Its estimate; None stays None."""
    return None if found is None else found.estimate(confidence)
