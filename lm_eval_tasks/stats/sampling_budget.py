"""How many replies a question are worth their tokens: what more of them would do to the interval.

A question's share of right replies varies with the question and with the luck of its n replies, so the mean
over Q questions has the variance (between + within / n) / Q. Replies shrink the second part only. Both are
measured by analysis of variance, one way, with unequal numbers of replies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_tasks.stats.estimation.estimates import means
from lm_eval_tasks.stats.estimation.intervals import Bounds

FIRST = 2
"""Replies a question to begin with: the fewest that tell how much replies to one question vary."""
WORTH_IT = 0.05
"""By how much twice as many replies must narrow the interval to be worth their tokens."""


@dataclass(frozen=True, slots=True)
class Precision:
    """What is known of an accuracy after n replies a question.

    Attributes:
        replies: n, the mean over questions.
        width: Length of its 95% interval (:mod:`.intervals`); None with fewer than two questions.
        between: Variance of the questions' own accuracies, at least 0.
        within: Mean variance of a reply within a question.
    """

    replies: float
    width: float | None
    between: float
    within: float

    def narrowed(self, times: float) -> float:
        """Factor by which the interval's length changes with that many times as many replies."""
        now = self.between + self.within / self.replies
        return math.sqrt((self.between + self.within / (self.replies * times)) / now) if now else 1.0

    def enough(self, width: float) -> bool:
        """Whether to stop: the interval is as narrow as asked for, or twice as many replies hardly matter.

        Args:
            width: Length of the interval that is asked for; 0 to go by the second rule alone.
        """
        reached = self.width is not None and self.width <= width
        return reached or self.narrowed(2) > 1 - WORTH_IT


def precision_of(right: Sequence[Sequence[bool]]) -> Precision | None:
    """Measures the components.

    Args:
        right: For each question whether its replies are right; questions without replies are left out.

    Returns:
        None if no question has two replies.
    """
    rows = [np.asarray(replies, dtype=np.float64) for replies in right if len(replies)]
    several = [row for row in rows if len(row) > 1]
    if not several:
        return None
    numbers = np.array([len(row) for row in rows])
    shares = np.array([row.mean() for row in rows])
    within = float(sum(row.var() * len(row) for row in several) / sum(len(row) - 1 for row in several))
    between = 0.0
    if len(rows) > 1:
        luck = within * float((1 / numbers).mean())
        between = max(0.0, float(shares.var(ddof=1)) - luck)
    estimate = means(shares, Bounds(0.0, 1.0))[0].estimate()
    width = None if estimate.low is None or estimate.high is None else estimate.high - estimate.low
    return Precision(float(numbers.mean()), width, between, within)
