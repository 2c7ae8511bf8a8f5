"""Estimates by question: against other implementations, and against the truth in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from lm_eval_tasks.stats.estimation.estimates import (
    average,
    difference,
    holm,
    means,
    ratio,
    unpaired_difference,
)
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, UNBOUNDED
from lm_eval_tasks.stats.estimation.resampling import resampled_means
from lm_eval_tasks.stats.win_rate import pair_counts

Floats = NDArray[np.float64]


def test_the_standard_error_is_that_of_questions() -> None:
    values = np.random.default_rng(3).beta(2, 1, 60)
    assert means(values, SHARE)[0].estimate().stderr == pytest.approx(values.std(ddof=1) / 60**0.5)


def test_a_value_outside_of_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"values from 0\.5 to 3 don't lie between 0 and 1"):
        means([0.5, 3.0], SHARE)


def test_one_question_has_no_interval() -> None:
    found = means([0.5], SHARE)[0]
    assert found.p_value is None
    assert found.estimate().to_json() == {
        "value": 0.5,
        "stderr": None,
        "low": None,
        "high": None,
        "questions": 1,
    }


def test_a_ratio_of_means_has_the_error_of_the_delta_method() -> None:
    random = np.random.default_rng(6)
    bottom = random.uniform(0.5, 1, 400)
    top = bottom * random.uniform(0, 1, 400)
    found = ratio(*means(np.column_stack([top, bottom]), SHARE))
    drawn = resampled_means(np.column_stack([top, bottom]), 2000, 0)
    assert found.value == pytest.approx(top.sum() / bottom.sum())
    assert found.estimate().stderr == pytest.approx((drawn[:, 0] / drawn[:, 1]).std(), rel=0.1)


def test_a_ratio_rests_on_the_questions_that_have_a_bottom() -> None:
    bottom = np.repeat([1.0, 0.0], [12, 88])
    top = np.where(bottom > 0, 0.0, 0.0)
    inside = ratio(*means(np.column_stack([top, bottom]), SHARE)).estimate()
    alone = means(np.zeros(12), SHARE)[0].estimate()
    assert (inside.low, inside.high) == pytest.approx((alone.low, alone.high))
    single = np.repeat([1.0, 0.0], [1, 40])
    assert ratio(*means(np.column_stack([single, single]), SHARE)).estimate().low is None


def test_a_difference_is_paired_by_question() -> None:
    base = 0.7 * np.random.default_rng(7).random(50)
    found = difference(*means(np.column_stack([base + 0.25, base]), SHARE))
    assert found.estimate().stderr == pytest.approx(0, abs=1e-9)
    assert found.value == pytest.approx(0.25)
    assert found.bounds == MARGIN


def test_different_questions_are_compared_by_welchs_test() -> None:
    random = np.random.default_rng(12)
    one, other = random.normal(0.4, 1, 30), random.normal(0, 2, 90)
    found = unpaired_difference(means(one, UNBOUNDED)[0], means(other, UNBOUNDED)[0])
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.estimate().low, found.estimate().high) == pytest.approx(
        tuple(expected.confidence_interval())
    )


@pytest.mark.parametrize(("rate1", "rate2"), [(0.02, 0.02), (0.05, 0.2), (0.5, 0.9), (0.98, 0.6)])
def test_differences_of_accuracy_on_different_questions_are_held(rate1: float, rate2: float) -> None:
    random = np.random.default_rng(13)
    held = 0
    for _ in range(600):
        parts = [means((random.random(n) < rate) * 1.0, SHARE)[0] for n, rate in ((25, rate1), (60, rate2))]
        found = unpaired_difference(*parts).estimate()
        assert found.low is not None
        assert found.high is not None
        held += found.low <= rate1 - rate2 <= found.high
    assert held / 600 >= 0.93


def test_tasks_weigh_the_same_and_their_errors_add_up() -> None:
    random = np.random.default_rng(8)
    values = [random.random(size) for size in (20, 500)]
    found = average([means(of_task, SHARE)[0] for of_task in values])
    assert found.value == pytest.approx((values[0].mean() + values[1].mean()) / 2)
    assert found.variance == pytest.approx((values[0].var(ddof=1) / 20 + values[1].var(ddof=1) / 500) / 4)
    assert found.bounds == SHARE


def test_a_mean_of_tasks_has_the_interval_of_a_task_with_all_their_questions() -> None:
    ties = average([means(np.zeros(30), MARGIN)[0] for _ in range(4)]).estimate()
    alone = means(np.zeros(120), MARGIN)[0].estimate()
    assert alone.low is not None
    assert (ties.low, ties.high) == pytest.approx((alone.low, alone.high), rel=0.02)


@pytest.mark.parametrize("sizes", [(20, 20), (15, 120), (10, 10, 10, 10, 10)])
def test_means_of_tasks_with_rare_wins_are_held(sizes: tuple[int, ...]) -> None:
    random = np.random.default_rng(14)
    held = 0
    for _ in range(600):
        found = average([means((random.random(n) < 0.04) * 1.0, MARGIN)[0] for n in sizes]).estimate()
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.04 <= found.high
    assert held / 600 >= 0.93


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
    for _ in range(evaluations):
        shares = simulated(random, questions, samples)
        found = means(shares @ margin, MARGIN)[0].estimate()
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
        # Bootstrap of rows: as if all N x N pairs of all questions were independent observations.
        pairs = questions * samples**2
        rows = random.multinomial(pairs, shares.mean(axis=0), 600) @ margin / pairs
        low, high = np.quantile(rows, [0.025, 0.975])
        naive += low <= truth <= high
    print(f"intervals by question cover {covered}, by pair {naive} of {evaluations}")
    assert 0.93 <= covered / evaluations <= 0.985
    assert naive / evaluations < 0.8
