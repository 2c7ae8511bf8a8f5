"""Ratings recover what they are made from."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from lm_eval_tasks.stats import ratings as room
from lm_eval_tasks.stats.marks import NO_MARKS, Marks
from lm_eval_tasks.stats.ratings import POINTS_PER_UNIT, Outcomes, groups, outcomes, ratings


def marks(shift: float, seed: int, questions: int = 150) -> Marks:
    level = np.random.default_rng(0).normal(12, 3, (questions, 1))
    scores = np.random.default_rng(seed).normal(level + shift, 4, (questions, 4))
    table = np.clip(np.round(scores), 0, 25).astype(np.int32)
    there = np.ones(table.shape, dtype=bool)
    return Marks(tuple(f"q{row}" for row in range(questions)), there, there, there, table, table)


def test_ratings_recover_a_known_order() -> None:
    shifts = {"d": 0.0, "b": 4.0, "a": 6.0, "c": 2.0}
    found = ratings(list(shifts), [outcomes([marks(s, i + 1) for i, s in enumerate(shifts.values())])])
    assert [rating.name for rating in found] == ["a", "b", "c", "d"]
    assert all(rating.low < rating.value < rating.high for rating in found)
    assert np.mean([rating.value for rating in found]) == pytest.approx(1000)
    assert all(better.low > worse.high for better, worse in pairwise(found))


def test_the_model_recovers_its_own_strengths() -> None:
    strengths, tie = np.array([1.0, 0.3, -0.4]), 0.7
    rows = []
    for first, second in ((0, 1), (0, 2), (1, 2)):
        odds = np.array(
            [
                math.exp(strengths[first]),
                tie * math.exp((strengths[first] + strengths[second]) / 2),
                math.exp(strengths[second]),
            ]
        )
        rows.append(odds / odds.sum())
    shares = np.array(rows)
    many = Outcomes(shares, np.repeat(shares[None], 3, axis=0), questions=10_000_000)
    found = {rating.name: rating.value for rating in ratings(["x", "y", "z"], [many], baseline="z")}
    assert found["z"] == 1000
    assert (found["x"] - 1000) / POINTS_PER_UNIT == pytest.approx(1.4, abs=1e-4)
    assert (found["y"] - 1000) / POINTS_PER_UNIT == pytest.approx(0.7, abs=1e-4)


def test_a_model_that_never_lost_has_a_rating() -> None:
    found = ratings(["best", "worst"], [outcomes([marks(30, 1), marks(-30, 2)])])
    assert [rating.name for rating in found] == ["best", "worst"]
    assert all(math.isfinite(bound) for rating in found for bound in (rating.low, rating.high))


def test_models_without_a_shared_question_are_not_rated_together() -> None:
    with pytest.raises(ValueError, match="no shared question links c to a"):
        ratings(["a", "b", "c"], [outcomes([marks(0, 1), marks(1, 2), NO_MARKS])])


def test_models_are_linked_by_the_tasks_that_they_share() -> None:
    tasks = [
        outcomes([marks(0, 1), marks(3, 2), NO_MARKS]),
        outcomes([NO_MARKS, marks(0, 3), marks(3, 4)]),
    ]
    found = ratings(["a", "b", "c"], tasks)
    assert [rating.name for rating in found] == ["c", "b", "a"]


def test_groups_are_the_largest_sets_that_cannot_be_told_apart() -> None:
    names = ["a", "b", "c", "d"]
    assert groups(names, set()) == [("a", "b", "c", "d")]
    assert groups(names, {frozenset("ad"), frozenset("ac")}) == [("a", "b"), ("b", "c", "d")]
    every = {frozenset(pair) for pair in ("ab", "ac", "ad", "bc", "bd", "cd")}
    assert groups(names, every) == [("a",), ("b",), ("c",), ("d",)]


def judged(outcome: np.ndarray) -> list[Marks]:
    """One sample a question of three models, from their scores, shape (questions, 3)."""
    there = np.ones((len(outcome), 1), dtype=bool)
    ids = tuple(f"q{row}" for row in range(len(outcome)))
    tables = [outcome[:, [model]].astype(np.int32) for model in range(3)]
    return [Marks(ids, there, there, there, table, table) for table in tables]


def test_models_that_always_tied_may_differ_all_the_same() -> None:
    found = ratings(["a", "b", "c"], [outcomes(judged(np.full((40, 3), 7)))])
    assert all(rating.low < 990 < 1010 < rating.high for rating in found)


@pytest.mark.parametrize(("questions", "rate"), [(20, 0.05), (50, 0.05), (50, 0.6)])
def test_ratings_of_equal_models_hold_1000_where_few_questions_differ(questions: int, rate: float) -> None:
    random = np.random.default_rng(questions)
    held = []
    for seed in range(120):
        scores = (random.random((questions, 3)) < rate) * random.integers(1, 4, (questions, 3))
        found = ratings(["a", "b", "c"], [outcomes(judged(scores), draws=300, seed=seed)])
        held += [rating.low <= 1000 <= rating.high for rating in found]
    assert np.mean(held) >= 0.93


def newton_with_a_dense_design(counts: np.ndarray, pairs: np.ndarray, models: int) -> np.ndarray:
    """Davidson's model for one table, each outcome of each pair as a row of a design matrix."""
    design = np.zeros((len(pairs), 3, models + 1))
    for row, (first, second) in enumerate(pairs):
        design[row, 0, first] = design[row, 2, second] = 1
        design[row, 1, [first, second]] = 0.5
        design[row, 1, models] = 1
    design = np.delete(design, models - 1, axis=2)
    counts, found = counts + 0.1, np.zeros(models)
    for _ in range(60):
        odds = np.exp(design @ found)
        shares = odds / odds.sum(axis=1, keepdims=True)
        expected = np.einsum("pk,pkm->pm", shares, design)
        totals = counts.sum(axis=1)
        gradient = np.einsum("pk,pkm->m", counts - totals[:, None] * shares, design)
        spread = np.einsum("p,pk,pkm,pkn->mn", totals, shares, design, design)
        spread -= np.einsum("p,pm,pn->mn", totals, expected, expected)
        found += np.linalg.solve(spread, gradient).clip(-1, 1)
    return np.append(found[:-1], 0.0)


@pytest.mark.parametrize("models", [2, 4, 7])
def test_strengths_are_those_of_the_models_likelihood(models: int) -> None:
    random = np.random.default_rng(models)
    every = np.array(list(combinations(range(models), 2)))
    pairs = every[(every[:, 0] == 0) | (random.random(len(every)) < 0.7)]  # some were never compared
    counts = random.dirichlet([1, 1, 0.3], (9, len(pairs)))
    counts *= random.choice([0, 2, 60, 900], (9, len(pairs), 1))
    counts[0] = 0
    counts[1, :, 2] = 0
    found = room._fit(counts, pairs, models)
    for table, strengths in zip(counts, found, strict=True):
        assert strengths == pytest.approx(newton_with_a_dense_design(table, pairs, models), abs=1e-9)
