"""Estimates by question: against other implementations, and against the truth in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lm_eval_tasks.stats.estimates import (
    _distinct_rows,
    average,
    bca_interval,
    difference,
    holm,
    means,
    ratio,
)
from lm_eval_tasks.stats.win_rate import pair_counts

Floats = NDArray[np.float64]


def test_the_interval_is_scipys_bca_interval() -> None:
    values = np.random.default_rng(3).beta(2, 1, 60)
    ours = means(values, draws=20_000)[0].estimate()
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=0).confidence_interval
    assert ours.stderr == pytest.approx(values.std(ddof=1) / 60**0.5)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_the_paired_test_is_the_t_test() -> None:
    values = np.random.default_rng(4).normal(0.1, 1, 50)
    assert means(values)[0].p_value == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_the_paired_test_where_all_questions_agree_is_the_sign_test() -> None:
    assert means(np.full(6, 0.5))[0].p_value == pytest.approx(2 * 0.5**6)
    assert means(np.zeros(6))[0].p_value == 1.0


def test_one_question_has_no_interval() -> None:
    found = means([0.5])[0]
    assert found.p_value is None
    assert found.estimate().to_json() == {
        "value": 0.5,
        "stderr": None,
        "low": None,
        "high": None,
        "questions": 1,
    }


def test_the_same_seed_gives_the_same_draws() -> None:
    values = np.random.default_rng(5).random(30)
    assert means(values, seed=1)[0].estimate() == means(values, seed=1)[0].estimate()
    assert means(values, seed=1)[0].estimate() != means(values, seed=2)[0].estimate()


@pytest.mark.parametrize(("kinds", "columns"), [(2, 1), (5, 3), (200, 5), (10**9, 2)])
def test_distinct_rows_are_numpys(kinds: int, columns: int) -> None:
    table = np.random.default_rng(kinds).integers(0, kinds, (6000, columns)) / 7
    rows, counts = np.unique(table, axis=0, return_counts=True)
    found = _distinct_rows(table)
    assert np.array_equal(found[0], rows)
    assert np.array_equal(found[1], counts)


def test_a_ratio_of_means_has_the_error_of_the_delta_method() -> None:
    random = np.random.default_rng(6)
    bottom = random.uniform(0.5, 1, 400)
    top = bottom * random.uniform(0, 1, 400)
    found = ratio(*means(np.column_stack([top, bottom])))
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    assert found.estimate().stderr == pytest.approx(found.replicates.std(), rel=0.1)


def test_a_difference_is_paired_by_question() -> None:
    base = np.random.default_rng(7).random(50)
    found = difference(*means(np.column_stack([base + 0.25, base])))
    assert found.estimate().stderr == pytest.approx(0, abs=1e-9)
    assert found.value == pytest.approx(0.25)


def test_tasks_weigh_the_same_and_their_errors_add_up() -> None:
    random = np.random.default_rng(8)
    parts = [means(random.random(size), seed=size)[0] for size in (20, 500)]
    found = average(parts)
    assert found.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert found.variance == pytest.approx((parts[0].variance + parts[1].variance) / 4)
    assert found.replicates.std() == pytest.approx(found.variance**0.5, rel=0.1)


def test_holm_is_statsmodels_holm() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([0.04, None, 0.01]) == [0.04, None, 0.02]


def simulated(random: np.random.Generator, questions: int, samples: int) -> Floats:
    """Win, tie and loss of one evaluation: a question moves both models' scores and favours one of them."""
    level = random.normal(12, 4, (questions, 1))
    favour = random.normal(1, 2, (questions, 1))
    first = random.normal(level + favour, 3, (questions, samples))
    second = random.normal(level, 3, (questions, samples))
    scores = [np.clip(np.round(scores), 0, 25).astype(int) for scores in (first, second)]
    return pair_counts(scores[0], scores[1]).shares()


def test_95_percent_intervals_cover_the_truth_and_those_by_pair_do_not() -> None:
    random = np.random.default_rng(9)
    questions, samples, evaluations = 60, 4, 1000
    margin = np.array([1, 0, -1])
    truth = (simulated(random, 200_000, samples) @ margin).mean()
    covered = naive = 0
    for seed in range(evaluations):
        shares = simulated(random, questions, samples)
        found = means(shares @ margin, draws=600, seed=seed)[0]
        low, high = bca_interval(found.value, found.replicates, found.influence)
        covered += low <= truth <= high
        # Bootstrap of rows: as if all N x N pairs of all questions were independent observations.
        pairs = questions * samples**2
        rows = random.multinomial(pairs, shares.mean(axis=0), 600) @ margin / pairs
        low, high = np.quantile(rows, [0.025, 0.975])
        naive += low <= truth <= high
    print(f"intervals by question cover {covered}, by pair {naive} of {evaluations}")
    assert 0.93 <= covered / evaluations <= 0.97
    assert naive / evaluations < 0.8
