"""Coefficients of agreement with intervals by question: exact share, kappa, alpha, AC1 and AC2.

Each is a function of sums over statements, so what it would be without a question costs nothing more, and
intervals are exact jackknives by question. The tests hold the values to scikit-learn's and krippendorff's,
and AC1 and AC2, which no kept library has, to cases worked by hand.

* kappa: Cohen's with weights 1 - (i - j)^2 / (K - 1)^2, the mean over pairs of raters weighed by statements;
* alpha: Krippendorff's, ordinal for verdicts on a scale, interval for scores;
* AC1, AC2: Gwet's, without weights and with kappa's. Where nearly all verdicts are the same, kappa and alpha
  fall to 0 though raters agree; AC1 and AC2 don't.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN, SHARE, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums


@dataclass(frozen=True, slots=True)
class Coefficients(JsonRecord):
    """How much raters agree on one aspect. 1 is full agreement, and 0, but for ``exact``, what chance gives.

    Attributes:
        exact: Share of pairs of ratings of a statement that are the same.
        kappa: Quadratic weights; None if a rating never varies.
        alpha: None if ratings never vary.
        ac1: None for scores, which have no fixed set of categories.
        ac2: With kappa's weights; None likewise.
        statements: With at least two ratings.
        questions: That these statements belong to.
    """

    exact: Estimate | None
    kappa: Estimate | None
    alpha: Estimate | None
    ac1: Estimate | None
    ac2: Estimate | None
    statements: int
    questions: int


def coefficients(
    ratings: Floats,
    questions: Sequence[str],
    categories: int | None,
    confidence: float = CONFIDENCE,
) -> Coefficients:
    """All coefficients of some ratings.

    Args:
        ratings: Shape (raters, statements): places on a scale, 0 to ``categories`` - 1, or scores; NaN where
            a rater gave none.
        questions: The question of each statement.
        categories: Number of places on the scale; None if these are scores.
        confidence: Coverage of the intervals.
    """
    shared = np.isfinite(ratings).sum(axis=0) > 1
    table = ratings[:, shared]
    of_question = _numbered([question for question, kept in zip(questions, shared, strict=True) if kept])
    number = int(of_question.max(initial=-1)) + 1
    exact = of_sums(_by_question(_same_pairs(table), of_question, number), _share, SHARE)
    kappa = of_sums(_by_question(_kappa_sums(table), of_question, number), _kappa, MARGIN)
    ac1 = ac2 = None
    if categories is None:
        alpha = of_sums(_by_question(_spread_sums(table), of_question, number), _interval_alpha, MARGIN)
    else:
        counts = np.stack([(table == place).sum(axis=0) for place in range(categories)], axis=1)
        alpha = of_sums(_by_question(_coincidences(counts), of_question, number), _ordinal_alpha, MARGIN)
        ac1, ac2 = (
            estimate_of(_gwet(counts, of_question, number, weights), confidence)
            for weights in (np.eye(categories), _quadratic(categories))
        )
    return Coefficients(
        exact=estimate_of(exact, confidence),
        kappa=estimate_of(kappa, confidence),
        alpha=estimate_of(alpha, confidence),
        ac1=ac1,
        ac2=ac2,
        statements=int(shared.sum()),
        questions=number,
    )


def _numbered(questions: Sequence[str]) -> NDArray[np.intp]:
    places = {question: place for place, question in enumerate(dict.fromkeys(questions))}
    return np.array([places[question] for question in questions], dtype=np.intp)


def _by_question(sums: Floats, of_question: NDArray[np.intp], questions: int) -> Floats:
    table = np.zeros((questions, sums.shape[1]))
    np.add.at(table, of_question, sums)
    return table


def _share(sums: Floats) -> Floats:
    found: Floats = sums[:, 0] / sums[:, 1]
    return found


def _same_pairs(table: Floats) -> Floats:
    """Of each statement: its pairs of ratings that are the same, and all its pairs."""
    same, pairs = np.zeros(table.shape[1]), np.zeros(table.shape[1])
    for first, second in combinations(table, 2):
        both = np.isfinite(first) & np.isfinite(second)
        same += both & (first == second)
        pairs += both
    return np.stack([same, pairs], axis=1)


def _kappa_sums(table: Floats) -> Floats:
    """Of each statement and pair of raters: 1, x, y, x^2, y^2, xy; zeros where one of them gave none."""
    parts = []
    for first, second in combinations(table, 2):
        both = np.isfinite(first) & np.isfinite(second)
        x, y = np.where(both, first, 0.0), np.where(both, second, 0.0)
        parts += [both.astype(np.float64), x, y, x * x, y * y, x * y]
    return np.stack(parts, axis=1) if parts else np.zeros((table.shape[1], 6))


def _kappa(sums: Floats) -> Floats:
    """1 - observed / expected squared difference; the mean over pairs of raters, weighed by statements.

    A pair of which both always say the same one thing has no kappa, and is left out.
    """
    n, x, y, xx, yy, xy = np.moveaxis(sums.reshape(len(sums), -1, 6), 2, 0)
    observed = (xx + yy - 2 * xy) / n
    expected = (xx + yy) / n - 2 * x * y / n**2
    defined = (n > 0) & (expected > 1e-12)
    weight = np.where(defined, n, 0.0)
    each = np.where(defined, 1 - observed / np.where(defined, expected, 1.0), 0.0)
    found: Floats = (weight * each).sum(axis=1) / weight.sum(axis=1)
    return found


def _spread_sums(table: Floats) -> Floats:
    """Of each statement: ratings, their sum and squares, squared differences within it over its m - 1."""
    given = np.isfinite(table)
    m = given.sum(axis=0).astype(np.float64)
    values = np.where(given, table, 0.0)
    total, squares = values.sum(axis=0), (values * values).sum(axis=0)
    within = 2 * (m * squares - total * total) / np.maximum(m - 1, 1)
    return np.stack([m, total, squares, within], axis=1)


def _interval_alpha(sums: Floats) -> Floats:
    n, total, squares, within = sums.T
    among = 2 * (n * squares - total * total) / (n - 1)
    found: Floats = np.where(among > 1e-9, 1 - within / np.where(among > 1e-9, among, 1.0), np.nan)
    return found


def _coincidences(counts: NDArray[np.int_]) -> Floats:
    """Krippendorff's coincidences of each statement, shape (statements, K * K)."""
    m = counts.sum(axis=1, keepdims=True)
    pairs = counts[:, :, None] * counts[:, None, :] - np.eye(counts.shape[1])[None] * counts[:, None, :]
    flat: Floats = pairs.reshape(len(counts), counts.shape[1] ** 2) / np.maximum(m - 1, 1)
    return flat


def _ordinal_alpha(sums: Floats) -> Floats:
    places = round(sums.shape[1] ** 0.5)
    o = sums.reshape(len(sums), places, places)
    n_c = o.sum(axis=2)
    # The ordinal distance of two values: the ratings from one to the other, half of those at either end.
    up_to = np.cumsum(n_c, axis=1) - n_c / 2
    distance = (up_to[:, :, None] - up_to[:, None, :]) ** 2
    observed = (o * distance).sum(axis=(1, 2))
    expected = (n_c[:, :, None] * n_c[:, None, :] * distance).sum(axis=(1, 2))
    some = expected > 1e-9
    n = n_c.sum(axis=1)
    found: Floats = np.where(some, 1 - (n - 1) * observed / np.where(some, expected, 1.0), np.nan)
    return found


def _quadratic(categories: int) -> Floats:
    places = np.arange(categories)
    weights: Floats = 1 - ((places[:, None] - places[None]) / max(categories - 1, 1)) ** 2
    return weights


def _gwet(
    counts: NDArray[np.int_], of_question: NDArray[np.intp], questions: int, weights: Floats
) -> Mean | None:
    """AC1 (no weights) or AC2: chance agreement from how the ratings spread over the categories."""
    m = counts.sum(axis=1).astype(np.float64)
    near = counts @ weights
    agreed = (counts * (near - 1)).sum(axis=1) / np.maximum(m * (m - 1), 1)
    sums = np.concatenate([np.ones((len(m), 1)), agreed[:, None], counts / m[:, None]], axis=1)
    places = counts.shape[1]
    factor = float(weights.sum()) / (places * (places - 1))

    def figure(of: Floats) -> Floats:
        share = of[:, 2:] / of[:, :1]
        by_chance = factor * (share * (1 - share)).sum(axis=1)
        found: Floats = (of[:, 1] / of[:, 0] - by_chance) / (1 - by_chance)
        return found

    return of_sums(_by_question(sums, of_question, questions), figure, MARGIN)
