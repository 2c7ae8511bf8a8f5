"""The interval of bounded means: exact coverage where outcomes can be counted, and what must never happen."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from lm_eval_tasks.stats.estimation.estimates import Mean, means
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, UNBOUNDED, Bounds, pseudo_weight

Floats = NDArray[np.float64]
PLAIN_WIDTH = 1.1
"""How much wider than the BCa bootstrap an interval may be in plain cases from 50 questions up."""

margins = st.lists(st.floats(-1, 1), min_size=2, max_size=30)


def interval(found: Mean, confidence: float = 0.95) -> tuple[float, float]:
    of = found.student
    assert of is not None
    return of.interval(confidence)


def coverage(values: tuple[float, ...], chances: tuple[float, ...], questions: int, bounds: Bounds) -> float:
    """Exact probability that the interval holds the true mean, over all samples of so many questions."""
    truth = float(np.dot(values, chances))
    held = 0.0
    for counts in product(range(questions + 1), repeat=len(values) - 1):
        if sum(counts) > questions:
            continue
        whole = (*counts, questions - sum(counts))
        chance = float(stats.multinomial.pmf(whole, questions, chances))
        if chance > 1e-9:
            low, high = interval(means(np.repeat(values, whole), bounds)[0])
            held += chance * (low <= truth <= high)
    return held


def test_without_a_range_it_is_the_t_interval() -> None:
    values = np.random.default_rng(3).normal(2, 1, 40)
    found = means(values, UNBOUNDED)[0]
    expected = stats.ttest_1samp(values, 0)
    assert interval(found) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.p_value == pytest.approx(expected.pvalue)


def test_nothing_seen_means_up_to_three_in_so_many() -> None:
    low, high = interval(means(np.zeros(400), SHARE)[0])
    assert low == 0
    assert high == pytest.approx(3 / 400, rel=0.03)  # the rule of three


@pytest.mark.parametrize("value", [-1.0, 0.0, 0.3, 1.0])
def test_questions_that_all_agree_have_an_interval_with_a_width(value: float) -> None:
    for questions in (2, 40, 5000):
        low, high = interval(means(np.full(questions, value), MARGIN)[0])
        assert low < high
        assert low <= value <= high


@pytest.mark.parametrize("rate", [0.002, 0.01, 0.04, 0.13, 0.3, 0.5])
@pytest.mark.parametrize("questions", [5, 20, 50, 200])
def test_a_share_of_yes_or_no_is_held(rate: float, questions: int) -> None:
    assert coverage((1.0, 0.0), (rate, 1 - rate), questions, SHARE) >= 0.93


@pytest.mark.parametrize("rate", [0.01, 0.03, 0.08, 0.17, 0.4])
@pytest.mark.parametrize("questions", [20, 50, 200])
def test_rare_differences_all_one_way_are_held(rate: float, questions: int) -> None:
    assert coverage((-1.0, 0.0), (rate, 1 - rate), questions, MARGIN) >= 0.93


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.12, 0.4])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_margin_near_its_end_is_held(rate: float, value: float) -> None:
    for questions in (20, 50):
        assert coverage((value, 1.0), (rate, 1 - rate), questions, MARGIN) >= 0.93


@pytest.mark.parametrize("chances", [(0.02, 0.03, 0.95), (0.1, 0.02, 0.88), (0.3, 0.2, 0.5)])
def test_wins_and_losses_among_ties_are_held(chances: tuple[float, ...]) -> None:
    assert coverage((1.0, -1.0, 0.0), chances, 25, MARGIN) >= 0.93


def test_plain_cases_pay_little_for_it() -> None:
    random = np.random.default_rng(4)
    for questions in (50, 200):
        ours, theirs = [], []
        for seed in range(40):
            values = random.normal(0.05, 0.4, questions).clip(-1, 1)
            low, high = interval(means(values, MARGIN)[0])
            bca = stats.bootstrap((values,), np.mean, n_resamples=2000, rng=seed).confidence_interval
            ours.append(high - low)
            theirs.append(bca.high - bca.low)
        assert np.mean(ours) < PLAIN_WIDTH * np.mean(theirs)


@given(margins, st.floats(0.01, 0.99))
def test_p_is_at_most_alpha_exactly_where_the_interval_leaves_0_out(
    values: list[float], alpha: float
) -> None:
    found = means(values, MARGIN)[0]
    low, high = interval(found, 1 - alpha)
    p = found.p_value
    assert p is not None
    if not math.isclose(p, alpha, rel_tol=1e-6):
        assert (p < alpha) == (not low <= 0 <= high)


@given(margins, st.sampled_from([0.5, 0.95, 0.999]))
def test_turned_round_everything_turns_round(values: list[float], confidence: float) -> None:
    there, back = means(values, MARGIN)[0], means([-value for value in values], MARGIN)[0]
    low, high = interval(there, confidence)
    assert interval(back, confidence) == pytest.approx((-high, -low), abs=1e-12)
    assert there.p_value == pytest.approx(back.p_value)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_a_95_percent_interval_holds_the_figure_itself_and_stays_in_the_range(values: list[float]) -> None:
    found = means(values, SHARE)[0]
    low, high = interval(found)
    assert 0 <= low < high <= 1
    assert low - 1e-12 <= found.value <= high + 1e-12


def test_the_unit_does_not_matter() -> None:
    shares = np.random.default_rng(6).beta(0.5, 3, 30)
    low, high = interval(means(shares, SHARE)[0])
    assert interval(means(2 + 5 * shares, Bounds(2, 7))[0]) == pytest.approx((2 + 5 * low, 2 + 5 * high))


def test_a_pseudo_observation_weighs_less_the_better_the_questions_speak_for_themselves() -> None:
    assert pseudo_weight(1.0, squares=0.0, skew=0.0) == 1
    assert pseudo_weight(1.0, squares=8.0, skew=0.0) == 0.5
    assert pseudo_weight(1.0, squares=8.0, skew=-1.0) == 1  # a few far questions make up all of it
    assert pseudo_weight(0.0, squares=8.0, skew=0.5) == 0


def test_bounds_need_a_range() -> None:
    with pytest.raises(ValueError, match="hold no range"):
        Bounds(1, 1)
