"""Power: the variance is measured right, and the promised difference is found as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_tasks.comparison.power import bounds, smallest_margin, variance_of
from lm_eval_tasks.stats.estimates import means
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import pair_counts


def marks(random: np.random.Generator, level: np.ndarray, samples: int) -> Marks:
    scores = random.normal(level[:, None], 3, (len(level), samples))
    table = np.clip(np.round(scores), 0, 25).astype(np.int32)
    there = np.ones(table.shape, dtype=bool)
    return Marks(tuple(f"q{row}" for row in range(len(level))), there, there, there, table, table)


def evaluation(random: np.random.Generator, questions: int, samples: int) -> tuple[Marks, Marks]:
    level = random.normal(12, 3, questions)
    return marks(random, level + random.normal(0, 2, questions), samples), marks(random, level, samples)


def test_components_predict_the_variance_at_another_number_of_samples() -> None:
    random = np.random.default_rng(0)
    measured = variance_of(*evaluation(random, 3000, 4))
    assert measured is not None
    for samples in (2, 12):
        first, second = evaluation(random, 3000, samples)
        shares = pair_counts(first.scores, second.scores).shares()
        true = (shares[:, 0] - shares[:, 2]).var()
        assert measured.of_question(samples) == pytest.approx(true, rel=0.1)


def test_a_difference_of_the_smallest_size_is_found_80_percent_of_the_time() -> None:
    random = np.random.default_rng(1)
    variance, questions = 0.2, 150
    margin = smallest_margin(variance, questions)
    found = 0
    for _ in range(500):
        values = random.normal(margin, variance**0.5, questions)
        p_value = means(values, draws=1)[0].p_value
        found += p_value is not None and p_value < 0.05
    assert 0.75 < found / 500 < 0.85


def test_real_variance_lies_between_the_bounds() -> None:
    first, second = evaluation(np.random.default_rng(2), 2000, 16)
    counts = pair_counts(first.scores, second.scores)
    low, high = bounds(tie=float(counts.ties.sum() / counts.pairs.sum()), samples=16)
    measured = variance_of(first, second)
    assert measured is not None
    assert low < measured.of_question(16) < high


def test_one_sample_tells_nothing_about_samples() -> None:
    assert variance_of(*evaluation(np.random.default_rng(3), 50, 1)) is None
