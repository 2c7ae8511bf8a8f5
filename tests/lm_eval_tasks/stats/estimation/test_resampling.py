"""Draws of questions: distinct rows are counted right, and the draws are the ordinary bootstrap's."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_tasks.stats.estimation.resampling import distinct_rows, resampled_means


@pytest.mark.parametrize(("kinds", "columns"), [(2, 1), (5, 3), (200, 5), (10**9, 2)])
def test_distinct_rows_are_numpys(kinds: int, columns: int) -> None:
    table = np.random.default_rng(kinds).integers(0, kinds, (6000, columns)) / 7
    rows, counts = np.unique(table, axis=0, return_counts=True)
    found = distinct_rows(table)
    assert np.array_equal(found[0], rows)
    assert np.array_equal(found[1], counts)


def test_the_same_seed_gives_the_same_draws() -> None:
    table = np.random.default_rng(5).random((30, 2))
    assert np.array_equal(resampled_means(table, 50, 1), resampled_means(table, 50, 1))
    assert not np.array_equal(resampled_means(table, 50, 1), resampled_means(table, 50, 2))


def test_draws_spread_as_means_do() -> None:
    table = np.random.default_rng(15).normal(3, 2, (80, 1))
    drawn = resampled_means(table, 4000, 0)
    assert drawn.mean() == pytest.approx(table.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(table.std() / 80**0.5, rel=0.05)
