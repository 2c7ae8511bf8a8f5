"""Power: the variance is measured right, and the promised difference is found as often as promised."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_tasks.comparison.power import bounds, power_of, smallest_margin, variance_of
from lm_eval_tasks.stats.estimation.estimates import means
from lm_eval_tasks.stats.estimation.intervals import MARGIN
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


def share_found(values: np.ndarray) -> float:
    """Of the rows: evaluations whose test is significant."""
    p_values = [means(row, MARGIN)[0].p_value for row in values]
    return sum(p is not None and p <= 0.05 for p in p_values) / len(p_values)


@pytest.mark.parametrize(("questions", "variance"), [(12, 0.05), (20, 0.16), (50, 0.2), (150, 0.2)])
def test_the_smallest_margin_is_found_as_often_as_promised(questions: int, variance: float) -> None:
    margin = smallest_margin(variance, questions)
    assert margin is not None
    centre = (margin + 1) / 2
    size = centre * (1 - centre) / (variance / 4) - 1
    random = np.random.default_rng(questions)
    values = 2 * random.beta(centre * size, (1 - centre) * size, (1000, questions)) - 1
    assert share_found(values) == pytest.approx(0.8, abs=0.1 if questions < 20 else 0.05)


@pytest.mark.parametrize(("questions", "tie"), [(10, 0.3), (20, 0.6), (60, 0.8), (200, 0.6)])
def test_it_is_found_as_often_where_all_samples_of_a_question_agree(questions: int, tie: float) -> None:
    margin = smallest_margin(bounds(tie, 1)[1], questions, tie=tie)
    assert margin is not None
    chances = [(1 - tie + margin) / 2, tie, (1 - tie - margin) / 2]
    values = np.random.default_rng(questions).choice([1.0, 0.0, -1.0], p=chances, size=(1000, questions))
    assert share_found(values) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("questions", [2, 5, 9, 40, 1000])
@pytest.mark.parametrize("tie", [0.0, 0.5, 0.95])
def test_no_margin_is_promised_that_cannot_be(questions: int, tie: float) -> None:
    for variance in bounds(tie, 4):
        margin = smallest_margin(variance, questions, tie=tie)
        assert margin is None or 0 < margin <= 1 - tie
        if questions == 2:
            assert margin is None


def test_power_without_a_difference_is_the_level_of_the_test() -> None:
    assert power_of(0, 0.3, 400) == pytest.approx(0.05, abs=0.002)
    assert power_of(0.5, 0.3, 400) == pytest.approx(1)
    assert power_of(-0.1, 0.3, 60) == pytest.approx(power_of(0.1, 0.3, 60))


def test_real_variance_lies_between_the_bounds() -> None:
    first, second = evaluation(np.random.default_rng(2), 2000, 16)
    counts = pair_counts(first.scores, second.scores)
    low, high = bounds(tie=float(counts.ties.sum() / counts.pairs.sum()), samples=16)
    measured = variance_of(first, second)
    assert measured is not None
    assert measured.tie == pytest.approx((counts.ties / counts.pairs).mean())
    assert low < measured.of_question(16) < high


def test_one_sample_tells_nothing_about_samples() -> None:
    assert variance_of(*evaluation(np.random.default_rng(3), 50, 1)) is None
