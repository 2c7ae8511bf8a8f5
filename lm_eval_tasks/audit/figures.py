"""Figures of answers: shares, shifts and areas under the curve, each with an interval by question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from lm_eval_tasks.audit.records import FEWEST, FEWEST_QUESTIONS, Answer, Figure
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, UNBOUNDED, Bounds, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums

Unit = Literal["share", "points", "correlation"]


def mean_figure(
    key: str, label: str, values: Iterable[tuple[str, float]], bounds: Bounds, unit: Unit = "share"
) -> Figure:
    """A mean over statements, weighed alike.

    Args:
        key: As in :class:`Figure`.
        label: Likewise.
        values: The question of each statement, and its value.
        bounds: Where a value lies.
        unit: As in :class:`Figure`.
    """
    return ratio_figure(key, label, [(question, value, 1.0) for question, value in values], bounds, unit)


def ratio_figure(
    key: str,
    label: str,
    parts: Sequence[tuple[str, float, float]],
    bounds: Bounds,
    unit: Unit = "share",
) -> Figure:
    """Sum of parts / sum of wholes.

    Args:
        key: As in :class:`Figure`.
        label: Likewise.
        parts: The question of each statement, its part and its whole (1 for a mean; pairs, for a share).
        bounds: Where part / whole lies.
        unit: As in :class:`Figure`.
    """
    number = int(sum(whole for *_, whole in parts))
    sums = by_question((question, (part, whole)) for question, part, whole in parts)
    if number < FEWEST or len(sums) < FEWEST_QUESTIONS:
        return Figure(key, label, None, number, unit)
    return Figure(key, label, estimate_of(of_sums(sums, _ratio, bounds)), number, unit)


def by_question(rows: Iterable[tuple[str, Sequence[float]]]) -> Floats:
    """Sums of each question's rows, shape (questions, values)."""
    table: dict[str, Floats] = {}
    for question, values in rows:
        row = np.asarray(values, dtype=np.float64)
        table[question] = table[question] + row if question in table else row
    return np.array(list(table.values()))


def _ratio(sums: Floats) -> Floats:
    found: Floats = sums[:, 0] / sums[:, 1]
    return found


def shift_figure(key: str, label: str, found: Sequence[tuple[Answer, Answer]], span: float) -> Figure:
    """Mean of score after - score before, in points.

    Args:
        key: As in :class:`Figure`.
        label: Likewise.
        found: Answers before and after.
        span: From the worst score to the best.
    """
    values = [(after.probe.question, score(after) - score(before)) for before, after in found]
    return mean_figure(key, label, values, Bounds(-span, span), "points")


def score(answer: Answer) -> float:
    """The score of an answer that has one."""
    assert answer.score is not None
    return answer.score


def better(first: Answer, second: Answer) -> float:
    """1 if the first has the higher score, 0 if the second, 1/2 if they tie."""
    one, other = score(first), score(second)
    return 0.5 if one == other else float(one > other)


def said(found: Figure) -> str:
    """``0.51 [0.47, 0.55]``, or that there is too little to tell."""
    of = found.estimate
    if of is None:
        return f"{found.why} ({found.number})" if found.why == "too few" else found.why
    sign = "+" if found.unit != "share" else ""
    if of.low is None or of.high is None:
        return f"{of.value:{sign}.2f}"
    return f"{of.value:{sign}.2f} [{of.low:{sign}.2f}, {of.high:{sign}.2f}]"


def above(found: Figure, value: float) -> bool:
    """Whether the interval lies above a value."""
    return found.estimate is not None and found.estimate.low is not None and found.estimate.low > value


def below(found: Figure, value: float) -> bool:
    """Whether the interval lies below a value."""
    return found.estimate is not None and found.estimate.high is not None and found.estimate.high < value


__all__ = [
    "MARGIN",
    "SHARE",
    "UNBOUNDED",
    "Estimate",
    "above",
    "below",
    "better",
    "by_question",
    "mean_figure",
    "ratio_figure",
    "said",
    "score",
    "shift_figure",
]
