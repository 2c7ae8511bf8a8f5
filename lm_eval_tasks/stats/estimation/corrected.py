"""A judge's figure corrected by people: prediction-powered inference (PPI++, arXiv 2301.09633, 2311.01453).

People label few questions, a judge all of them. Where both said something it shows how the judge errs, and
the judge's figure on the others is corrected by that:

    theta = lambda mean_others(f) + mean_labelled(y - lambda f),
    lambda = cov(y, f) / ((1 + n / N) var(f)), between 0 and 1.

``lambda`` is how far the judge is trusted: with 0 the labels stand alone, so a useless judge costs nothing.
It holds whatever the judge is like, as long as the labelled questions are drawn at random. The unit is the
question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean, average, means
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, Bounds, Floats

FEWEST_LABELLED = 30
"""Labelled questions below which nothing is corrected: what lambda and errors rest on them."""
_UNSEEN = 2
"""Errors of a judge that are reckoned with beside those that labels show."""


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A corrected figure and what it is made of.

    Attributes:
        theta: Corrected.
        labels: By the labelled questions alone.
        judge: By the judge alone, on all questions.
        trust: lambda.
        labelled: Questions with labels.
        others: Questions that only the judge has seen.
        left: Variance of one labelled question's y - lambda f.
        theirs: Variance of the judge's part on the others.
    """

    theta: Mean
    labels: Mean
    judge: Mean
    trust: float
    labelled: int
    others: int
    left: float
    theirs: float

    def stderr_with(self, labelled: int) -> float:
        """The standard error that about so many labelled questions would give."""
        return math.sqrt(self.left / labelled + self.theirs)


@dataclass(frozen=True, slots=True)
class Corrected(JsonRecord):
    """A corrected figure with its interval, beside what it is without the one or the other.

    Attributes:
        corrected: The figure.
        labels: By the labelled questions alone.
        judge: By the judge alone; its interval knows nothing of the judge's errors.
        trust: lambda, how far the judge is trusted.
        labelled: Questions with labels.
        others: Questions that only the judge has seen.
        shrink: Width of the interval / width with labels alone.
        shrink_twice: The same with twice as many labels, about.
    """

    corrected: Estimate
    labels: Estimate
    judge: Estimate
    trust: float
    labelled: int
    others: int
    shrink: float
    shrink_twice: float


def corrected(labels: Floats, judge_labelled: Floats, judge_others: Floats, bounds: Bounds) -> Parts:
    """Corrects a judge's mean over questions.

    Args:
        labels: y of the labelled questions.
        judge_labelled: f of the same questions.
        judge_others: f of the others; may be none.
        bounds: Where a question's value lies; finite.

    Raises:
        ValueError: With fewer than three labelled questions.
    """
    n, others = len(labels), len(judge_others)
    if n < 3 or len(judge_labelled) != n:
        raise ValueError(f"{n} labels and {len(judge_labelled)} values of the judge can't be corrected with")
    every = np.concatenate([judge_labelled, judge_others])
    alone = means(labels, bounds)[0]
    by_judge = means(every, bounds)[0]
    trust = _trust(labels, judge_labelled, every, others)
    rest = labels - trust * judge_labelled
    value = float(rest.mean()) + (trust * float(judge_others.mean()) if others else 0.0)
    # One more degree of freedom is spent where lambda is fitted. That few labels show (next to) no error of
    # a judge doesn't mean that there is none: as Agresti and Coull do, two more are reckoned with, a step
    # large.
    unseen = _UNSEEN * (trust * (bounds.high - bounds.low) / 2) ** 2
    left = (float(np.square(rest - rest.mean()).sum()) + unseen) / (n - 1 - (trust > 0))
    theirs = trust**2 * float(judge_others.var(ddof=1)) / others if others > 1 and trust else 0.0
    variance = left / n + theirs
    influence = (rest - rest.mean()) / n
    if others and trust:
        influence = np.concatenate([influence, trust * (judge_others - judge_others.mean()) / others])
    # It is as good as the labels of so many questions would be.
    worth = float(labels.var(ddof=1)) / variance if variance > 0 else float(n)
    worth = min(max(worth, float(n)), float(n + others))
    theta = Mean(
        value=min(max(value, bounds.low), bounds.high),
        influence=influence,
        variance=variance,
        effective=worth,
        freedom=_freedom(left / n, n - 1 - (trust > 0), theirs, others - 1),
        ends=bounds,
        bounds=bounds,
    )
    return Parts(theta, alone, by_judge, trust, n, others, left, theirs)


def share_left(correlation: float, labelled: int, questions: int) -> float:
    """What is left of the variance that labels have alone, with the best trust in the judge.

    With lambda = cov(y, f) / ((1 + n / N) var(f)) the corrected figure's variance is var(y) / n times
    1 - r^2 N / (n + N), for n labelled questions and N others.

    Args:
        correlation: r, of y and f on the same questions; a negative one is no reason to trust.
        labelled: n.
        questions: n + N.
    """
    return 1 - max(0.0, correlation) ** 2 * (questions - labelled) / questions


def summary_of(parts: list[Parts], confidence: float = CONFIDENCE) -> Corrected:
    """The mean of some tasks' corrected figures; of one task its own."""
    theta, labels, judge = (
        average([getattr(one, name) for one in parts]).estimate(confidence)
        for name in ("theta", "labels", "judge")
    )
    now = math.sqrt(sum(one.stderr_with(one.labelled) ** 2 for one in parts))
    twice = math.sqrt(sum(one.stderr_with(2 * one.labelled) ** 2 for one in parts))
    shrink = _width(theta) / _width(labels) if _width(labels) else 1.0
    return Corrected(
        corrected=theta,
        labels=labels,
        judge=judge,
        trust=float(np.mean([one.trust for one in parts])),
        labelled=sum(one.labelled for one in parts),
        others=sum(one.others for one in parts),
        shrink=shrink,
        shrink_twice=shrink * twice / now if now else shrink,
    )


def _trust(labels: Floats, judge: Floats, every: Floats, others: int) -> float:
    spread = float(every.var(ddof=1))
    if not others or spread <= 0:
        return 0.0
    together = float(np.cov(labels, judge)[0, 1])
    return min(1.0, max(0.0, together / ((1 + len(labels) / others) * spread)))


def _freedom(first: float, of_first: float, second: float, of_second: float) -> float:
    """After Welch and Satterthwaite."""
    if first + second <= 0 or second <= 0 or of_second < 1:
        return float(of_first)
    return (first + second) ** 2 / (first**2 / of_first + second**2 / of_second)


def _width(found: Estimate) -> float:
    return 0.0 if found.low is None or found.high is None else found.high - found.low
