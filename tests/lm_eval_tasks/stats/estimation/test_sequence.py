"""A confidence sequence keeps its error however often it is looked at, where ordinary intervals don't."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from lm_eval_tasks.stats.estimation.estimates import means
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, UNBOUNDED, Bounds
from lm_eval_tasks.stats.estimation.sequence import FIRST_LOOK, Decision, confidence_sequence, decide

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]

POPULATIONS: dict[str, tuple[Draw, float]] = {
    "plain": (lambda random, size: random.normal(0, 0.3, size).clip(-1, 1), 0.0),
    "wins, ties and losses": (lambda random, size: random.choice([-1.0, 0, 1], size), 0.0),
    "6% differ": (lambda random, size: random.choice([-1.0, 0, 1], size, p=[0.03, 0.94, 0.03]), 0.0),
    "4% differ, all one way": (lambda random, size: 1.0 * (random.random(size) < 0.04), 0.04),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_in_95_percent_of_runs_no_look_of_hundreds_leaves_the_truth_out(name: str) -> None:
    draw, truth = POPULATIONS[name]
    random = np.random.default_rng(20)
    wrong = 0
    for _ in range(400):
        low, high = confidence_sequence(draw(random, 600), MARGIN, expected=200)
        wrong += bool(((truth < low) | (truth > high)).any())
    assert wrong / 400 <= 0.05 + 2 * (0.05 * 0.95 / 400) ** 0.5


def test_ordinary_intervals_looked_at_as_often_are_wrong_several_times_as_often() -> None:
    random = np.random.default_rng(21)
    wrong = 0
    for _ in range(100):
        values = random.choice([-1.0, 0, 1], 300)
        p_values = (means(values[:seen], MARGIN)[0].p_value for seen in range(FIRST_LOOK, 301, 4))
        wrong += any(p is not None and p < 0.05 for p in p_values)
    assert wrong / 100 > 0.15


def test_it_is_the_papers_formula_on_the_questions_and_four_more() -> None:
    values = np.random.default_rng(22).beta(2, 3, 90)
    low, high = confidence_sequence(values, SHARE, expected=50, confidence=0.9)
    seen = np.concatenate([values[:70], [0, 0, 1, 1]])
    t, alpha = len(seen), 0.1
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / 50
    half = seen.std() * np.sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * np.log(np.sqrt(t * rho2 + 1) / alpha))
    assert (low[69], high[69]) == pytest.approx((seen.mean() - half, seen.mean() + half))


def test_it_narrows_to_the_truth_and_says_nothing_at_first() -> None:
    values = np.random.default_rng(23).normal(0.3, 0.3, 20_000).clip(-1, 1)
    low, high = confidence_sequence(values, MARGIN, expected=2000)
    assert low[: FIRST_LOOK - 1].tolist() == [-1] * (FIRST_LOOK - 1)
    assert high[: FIRST_LOOK - 1].tolist() == [1] * (FIRST_LOOK - 1)
    assert low[FIRST_LOOK - 1] > -1
    assert low[-1] < values.mean() < high[-1]
    assert high[-1] - low[-1] < 0.02


def test_questions_that_all_agree_leave_room() -> None:
    low, high = confidence_sequence(np.zeros(400), MARGIN, expected=200)
    assert (low < 0).all()
    assert (high > 0).all()


def test_it_needs_a_finite_range_and_values_in_it() -> None:
    with pytest.raises(ValueError, match="finite range"):
        confidence_sequence([0.5], UNBOUNDED, expected=10)
    with pytest.raises(ValueError, match="don't lie between 0 and 5"):
        confidence_sequence([5.5], Bounds(0, 5), expected=10)


@pytest.mark.parametrize(("mean", "side"), [(0.25, "above"), (-0.25, "below"), (0.0, "open")])
def test_it_is_decided_at_the_first_look_that_tells(mean: float, side: str) -> None:
    values = np.random.default_rng(24).normal(mean, 0.3, 300).clip(-1, 1)
    found = decide(values, MARGIN, threshold=0.0, expected=150)
    assert found.side == side
    assert found.value == pytest.approx(values[: found.questions].mean())
    if side == "open":
        assert found.questions == 300
        assert found.low < 0 < found.high
        return
    assert FIRST_LOOK <= found.questions < 150
    assert (found.low > 0) if side == "above" else (found.high < 0)
    assert decide(values[: found.questions - 1], MARGIN, threshold=0.0, expected=150).side == "open"


def test_what_comes_after_a_decision_changes_nothing() -> None:
    values = np.random.default_rng(25).normal(0.3, 0.3, 100).clip(-1, 1)
    found = decide(values, MARGIN, threshold=0.0, expected=50)
    turned = np.concatenate([values[: found.questions], np.full(900, -1.0)])
    assert decide(turned, MARGIN, threshold=0.0, expected=50) == found


def test_nothing_seen_decides_nothing() -> None:
    assert decide([], MARGIN, threshold=0.0, expected=20) == Decision("open", 0, None, -1.0, 1.0)
    assert decide(np.ones(FIRST_LOOK - 1), MARGIN, threshold=0.0, expected=20).side == "open"
