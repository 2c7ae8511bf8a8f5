"""Coefficients of agreement: the values of libraries, and cases by hand where there is none."""

from __future__ import annotations

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.raters.coefficients import coefficients

RANDOM = np.random.default_rng(5)
NONE = np.nan


def value(found: Estimate | None) -> float:
    assert found is not None
    return found.value


def noisy(raters: int, statements: int, noise: float, seed: int, missing: float = 0.0) -> np.ndarray:
    """Ratings from 0 to 4 of statements that have a true place."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 5, statements)
    ratings = np.clip(np.round(truth + random.normal(0, noise, (raters, statements))), 0, 4)
    ratings[random.random(ratings.shape) < missing] = NONE
    return ratings


def test_two_raters_by_hand() -> None:
    """Ten statements, verdicts of three places; table: 0-0 four, 0-1 one, 1-1 two, 1-2 one, 2-2 two."""
    first = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2], dtype=float)
    second = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2], dtype=float)
    found = coefficients(np.stack([first, second]), [str(k) for k in range(10)], 3)
    assert (found.statements, found.questions) == (10, 10)
    assert value(found.exact) == pytest.approx(0.8)
    # Shares of the three places over both raters: 9/20, 6/20, 5/20; sum of p (1 - p) = 0.645.
    by_chance = 0.645 / 2
    assert value(found.ac1) == pytest.approx((0.8 - by_chance) / (1 - by_chance))
    # Weights 1, 3/4, 0: agreement 0.8 + 0.2 * 3/4 = 0.95; all weights together 3 + 4 * 3/4 = 6.
    by_chance = 6 / (3 * 2) * 0.645
    assert value(found.ac2) == pytest.approx((0.95 - by_chance) / (1 - by_chance))


def test_kappa_is_scikit_learns() -> None:
    ratings = noisy(2, 200, 0.9, seed=1)
    found = coefficients(ratings, [str(k) for k in range(200)], 5)
    theirs = cohen_kappa_score(*ratings.astype(int), weights="quadratic", labels=range(5))
    assert value(found.kappa) == pytest.approx(theirs)


@pytest.mark.parametrize(("categories", "level"), [(5, "ordinal"), (None, "interval")])
def test_alpha_is_krippendorffs_with_any_number_of_raters_and_gaps(
    categories: int | None, level: str
) -> None:
    ratings = noisy(4, 150, 0.8, seed=2, missing=0.3)
    found = coefficients(ratings, [str(k) for k in range(150)], categories)
    theirs = krippendorff.alpha(reliability_data=ratings, level_of_measurement=level)
    assert value(found.alpha) == pytest.approx(theirs)
    assert found.statements == (np.isfinite(ratings).sum(axis=0) > 1).sum()


def test_raters_who_nearly_always_say_the_same() -> None:
    """48 of 50 alike: kappa and alpha fall to about 0, and AC1 does not."""
    first, second = np.full(50, 1.0), np.full(50, 1.0)
    first[0], second[1] = 0, 0
    found = coefficients(np.stack([first, second]), [str(k) for k in range(50)], 2)
    assert value(found.exact) == pytest.approx(0.96)
    assert abs(value(found.kappa)) < 0.05
    assert abs(value(found.alpha)) < 0.05
    assert value(found.ac1) > 0.9


def test_samples_of_one_question_are_no_independent_proof() -> None:
    """Each statement sixteen times over: the same values, and intervals as wide as without the copies."""
    ratings = noisy(2, 40, 1.0, seed=3)
    names = [str(k) for k in range(40)]
    once = coefficients(ratings, names, 5)
    copied = coefficients(np.repeat(ratings, 16, axis=1), list(np.repeat(names, 16)), 5)
    for name in ("exact", "kappa", "ac1", "ac2"):
        one, many = getattr(once, name), getattr(copied, name)
        assert many.value == pytest.approx(one.value)
        assert many.high - many.low == pytest.approx(one.high - one.low)
    assert copied.questions == 40


def test_intervals_hold() -> None:
    """Kappa and alpha of 60 questions, their true values from 200,000."""
    truth = coefficients(noisy(2, 200_000, 1.0, seed=4), [str(k) for k in range(200_000)], 5)
    names = [str(k) for k in range(60)]
    held = dict.fromkeys(("exact", "kappa", "alpha", "ac1", "ac2"), 0)
    runs = 200
    for seed in range(runs):
        found = coefficients(noisy(2, 60, 1.0, seed=1000 + seed), names, 5)
        for name in held:
            interval = getattr(found, name)
            held[name] += interval.low <= getattr(truth, name).value <= interval.high
    assert all(count >= 0.91 * runs for count in held.values()), held


def test_what_cannot_be_told() -> None:
    nobody = coefficients(np.array([[1.0, NONE], [NONE, 2.0]]), ["a", "b"], 5)
    assert (nobody.statements, nobody.exact, nobody.kappa, nobody.alpha, nobody.ac1) == (0, *[None] * 4)
    one = coefficients(np.array([[1.0, 3.0], [1.0, 2.0]]), ["a", "a"], 5)
    assert one.questions == 1
    assert one.exact is not None
    assert (one.exact.value, one.exact.low) == (0.5, None)
