"""What a comparison could show: the smallest win - loss that it would find most of the time.

The margin's variance is that of a mean over questions. A question's own margin varies with the question and
with the luck of its samples; the second part shrinks with the number of samples N, the first doesn't:
var = q + (a + b) / N + e / N^2, with a, b and e the effects of a sample of either model and of the pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lm_eval_tasks.comparison.pair import match
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN, with_pseudo_observations
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import UNSCORED, standing

_NO_VARIANCE = 1e-12
_MANY = 1e6  # degrees of freedom that can't be told from infinitely many


@dataclass(frozen=True, slots=True)
class Variance:
    """Components of the variance of one question's win - loss, as measured.

    Attributes:
        question: Between questions.
        samples: Of a sample of the first model and of one of the second, together.
        pair: What is left in a single pair.
        tie: Share of ties.
        questions: Questions that they were measured on.
    """

    question: float
    samples: float
    pair: float
    tie: float
    questions: int

    def of_question(self, samples: int) -> float:
        """Variance of a question's margin with N samples of each model."""
        return self.question + self.samples / samples + self.pair / samples**2


def power_of(margin: float, variance: float, questions: int, *, confidence: float = CONFIDENCE) -> float:
    """Probability that the test by question tells a true win - loss from 0.

    The test is that of :mod:`lm_eval_tasks.stats.estimation.intervals`: its statistic is taken to have the
    noncentral t distribution, and its pseudo-observations the weights that so many questions give them on
    average.

    Args:
        margin: The true win - loss.
        variance: Of one question's margin.
        questions: Number of questions, at least two.
        confidence: 1 - level of the test.
    """
    from scipy.special import nctdtr, stdtrit

    squares = (questions - 1) * max(variance, _NO_VARIANCE)
    test = with_pseudo_observations(
        margin,
        squares,
        0.0,
        effective=questions,
        freedom=questions - 1,
        ends=MARGIN,
        bounds=MARGIN,
    )
    # Pseudo-observations don't vary, and the total is divided by more than the questions. They steady the
    # error, too: degrees of freedom are those of its varying part (Satterthwaite).
    total = test.freedom + 1
    spread = math.sqrt(questions * squares / (questions - 1)) / total
    varying = squares / (test.error**2 * total * test.freedom)
    freedom = min((questions - 1) / varying**2, _MANY)
    bound = float(stdtrit(test.freedom, (1 + confidence) / 2)) * test.error / spread
    shift = test.centre / spread
    tails = [float(nctdtr(freedom, shift, end)) for end in (-bound, bound)]
    below, above = (0.0 if math.isnan(tail) else tail for tail in tails)  # NaN in a tail far beyond 1e-100
    return below + 1 - above


def smallest_margin(
    variance: float, questions: int, *, power: float = 0.8, confidence: float = CONFIDENCE, tie: float = 0.0
) -> float | None:
    """The true win - loss that the test by question finds with the given probability.

    A win - loss of d takes wins at least that often and ties otherwise, so it is at most 1 - tie, and a
    question's margin then varies by no more than 1 - tie - d^2.

    Args:
        variance: Of one question's margin.
        questions: Number of questions, at least two.
        power: Probability of finding it.
        confidence: 1 - level of the test.
        tie: Share of ties.

    Returns:
        The win - loss; None if even 1 - tie isn't found so often.
    """
    from scipy.optimize import brentq

    most = 1 - tie

    def missing(margin: float) -> float:
        possible = min(variance, max(0.0, most - margin**2))
        return power_of(margin, possible, questions, confidence=confidence) - power

    if missing(most) < 0:
        return None
    return float(brentq(missing, 0.0, most)) if missing(0.0) < 0 else 0.0


def bounds(tie: float, samples: int) -> tuple[float, float]:
    """Least and most variance of a question's margin for models that are equally good.

    Args:
        tie: Share of ties; a single pair's margin then has variance 1 - tie.
        samples: Samples of each model a question.

    Returns:
        Variance if questions don't differ, so that samples are all that varies (a third of a pair's variance
        lies in either sample and a third in the pair: exact for scores without ties), and if all pairs of a
        question come out alike.
    """
    alike = 1 - tie
    return alike * (2 / (3 * samples) + 1 / (3 * samples**2)), alike


def variance_of(first: Marks, second: Marks) -> Variance | None:
    """Measures the components on two runs, by analysis of variance in each question (samples x samples).

    Returns:
        None unless at least two questions have two scored samples of each model.
    """
    shared = match(first.ids, second.ids).shared
    first, second = first.rows(shared), second.rows(shared)
    scored1, scored2 = first.scores != UNSCORED, second.scores != UNSCORED
    n1, n2 = scored1.sum(axis=1), scored2.sum(axis=1)
    kept = (n1 > 1) & (n2 > 1)
    if kept.sum() < 2:
        return None
    mine, theirs = standing(first.scores, second.scores), standing(second.scores, first.scores)
    n1, n2 = n1[kept], n2[kept]
    rows = (mine.below - mine.above)[kept] / n2[:, None]
    columns = (theirs.above - theirs.below)[kept] / n1[:, None]
    margin = rows.sum(axis=1) / n1
    squares = (mine.below + mine.above)[kept].sum(axis=1)
    of_rows = n2 * (rows**2).sum(axis=1) - n1 * n2 * margin**2
    of_columns = n1 * (columns**2).sum(axis=1) - n1 * n2 * margin**2
    left = squares - n1 * n2 * margin**2 - of_rows - of_columns
    pair = left / ((n1 - 1) * (n2 - 1))
    sample1 = (of_rows / (n1 - 1) - pair) / n2
    sample2 = (of_columns / (n2 - 1) - pair) / n1
    within = sample1 / n1 + sample2 / n2 + pair / (n1 * n2)
    return Variance(
        question=max(0.0, float(margin.var(ddof=1) - within.mean())),
        samples=max(0.0, float((sample1 + sample2).mean())),
        pair=max(0.0, float(pair.mean())),
        tie=float((mine.equal[kept].sum(axis=1) / (n1 * n2)).mean()),
        questions=int(kept.sum()),
    )
