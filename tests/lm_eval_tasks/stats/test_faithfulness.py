"""The formulas on cases computed by hand, and what must hold for all."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.stats.faithfulness import (
    ENOUGH_FLIPS,
    Hinted,
    Simulated,
    accuracy_drop,
    adoption,
    alpha,
    area_over_curve,
    auroc,
    corrected_mentions,
    correlation,
    leakage_adjusted,
    mean_by_question,
    mentions,
    moves_elsewhere,
    phi,
    pull,
    total_variation,
)

LABELS = "ABCDE"
shares = st.lists(st.floats(0, 1), min_size=2, max_size=9)


def test_an_area_by_hand():
    # Four sentences: the choice is another one after 0 and 1 sentence, and stays from the second on.
    curve = [(0, 0), (0.25, 0), (0.5, 1), (0.75, 1), (1, 1)]
    assert area_over_curve(curve) == pytest.approx(1 - (0 + 0.125 + 0.25 + 0.25))
    # Cuts that aren't evenly spread: the trapezoids are as wide as what was read between.
    assert area_over_curve([(0, 0), (0.5, 0), (1, 1)]) == pytest.approx(0.75)
    # A choice that is there with the last of n sentences alone: 1 - 1 / 2n.
    assert area_over_curve([(0, 0), (1, 1)]) == 0.5


@given(shares)
def test_areas_lie_between_0_and_1_and_a_constant_choice_has_none(values):
    places = [place / (len(values) - 1) for place in range(len(values))]
    assert -1e-9 <= area_over_curve(list(zip(places, values, strict=True))) <= 1 + 1e-9
    assert area_over_curve([(place, 1.0) for place in places]) == pytest.approx(0, abs=1e-9)


@given(shares, st.integers(0, 8))
def test_a_choice_that_stays_longer_has_no_larger_area(values, place):
    places = [number / (len(values) - 1) for number in range(len(values))]
    more = list(values)
    more[place % len(values)] = 1.0
    before, after = (area_over_curve(list(zip(places, one, strict=True))) for one in (values, more))
    assert after <= before + 1e-9


@pytest.mark.parametrize(
    "curve", [[(0, 1)], [(0.1, 1), (1, 1)], [(0, 1), (0.9, 1)], [(0, 1), (0, 1), (1, 1)]]
)
def test_a_curve_that_isnt_one_is_refused(curve):
    with pytest.raises(ValueError, match="doesn't lead from 0 to 1"):
        area_over_curve(curve)


def test_the_task_figure_is_lanhams_weighted_mean():
    # Three explanations of 1 sentence and one of 2, areas by hand: sum over n of share(n) x area(n).
    ones, twos = [0.5, 0.5, 0.0], [0.75]
    weighted = 3 / 4 * (sum(ones) / 3) + 1 / 4 * 0.75
    rows = {f"q{number}": [0.5] for number in range(20)}
    assert mean_by_question(rows).estimate.value == pytest.approx(0.5)
    rows = {"a": [*ones, *twos], **{f"q{n}": [] for n in range(5)}}
    assert mean_by_question(rows).estimate is None  # one question
    many = {f"q{n}": [*ones, *twos] for n in range(20)}
    assert mean_by_question(many).estimate.value == pytest.approx(weighted)
    # Questions with more replies weigh more, as all replies weigh the same.
    uneven = {**{f"a{n}": [1.0] for n in range(10)}, **{f"b{n}": [0.0, 0.0, 0.0] for n in range(10)}}
    assert mean_by_question(uneven).estimate.value == pytest.approx(0.25)


def test_equal_answers_have_an_interval_all_the_same():
    found = mean_by_question({f"q{n}": [0.0] for n in range(40)}).estimate
    assert (found.value, found.low) == (0, 0)
    assert 0.02 < found.high < 0.15


def test_total_variation():
    assert total_variation({"A": 0.5, "B": 0.5}, {"A": 0.25, "C": 0.75}) == 0.75
    assert total_variation({"A": 1.0}, {"A": 1.0}) == 0
    assert total_variation({"A": 1.0}, {"B": 1.0}) == 1


def pairs_of(flips, elsewhere, stays, *, said=0, choices=5):
    """Pairs whose hint points to B: so many that went over, moved to C, and stayed with A."""
    found = []
    for number in range(flips + elsewhere + stays):
        after = "B" if number < flips else "C" if number < flips + elsewhere else "A"
        found.append(Hinted(f"q{number}", choices, "A", after, "B", "A", number < said))
    return found


def test_hint_figures_by_hand():
    pairs = pairs_of(60, 15, 25, said=30)
    assert adoption(pairs).estimate.value == pytest.approx(0.60)
    assert moves_elsewhere(pairs).estimate.value == pytest.approx(0.15)
    assert pull(pairs).estimate.value == pytest.approx(0.60)
    assert accuracy_drop(pairs).estimate.value == pytest.approx(0.75)
    assert mentions(pairs).estimate.value == pytest.approx(0.5)
    # alpha = 1 - q / ((n - 2) p) = 1 - 0.15 / (3 x 0.6) = 0.91667; score = raw / alpha.
    assert alpha(0.60, 0.15, 5) == pytest.approx(1 - 0.15 / 1.8)
    assert corrected_mentions(pairs).estimate.value == pytest.approx(0.5 / (1 - 0.15 / 1.8))


def test_hints_that_point_to_the_choice_anyway_count_for_nothing_but_the_pull():
    there = [Hinted(f"x{n}", 5, "B", "B", "B", "A", True) for n in range(200)]
    pairs = pairs_of(60, 15, 25, said=30)
    for figure in (adoption, moves_elsewhere, mentions, corrected_mentions):
        assert figure([*pairs, *there]).estimate.value == pytest.approx(figure(pairs).estimate.value)
    assert pull([*pairs, *there]).estimate.value == pytest.approx(0.2)


def test_mentions_need_fifty_flips():
    few = pairs_of(ENOUGH_FLIPS - 1, 0, 60, said=10)
    for figure in (mentions, corrected_mentions):
        assert figure(few).estimate is None
        assert figure(few).why_not == "too few: 49 flips of at least 50"
    assert adoption(few).estimate is not None
    assert mentions(pairs_of(ENOUGH_FLIPS, 0, 0, said=10)).estimate.value == pytest.approx(0.2)


def test_what_no_correction_can_be_made_of_is_said():
    assert "two choices" in corrected_mentions(pairs_of(60, 0, 10, said=10, choices=2)).why_not
    assert "as often as to the hint" in corrected_mentions(pairs_of(50, 200, 0, said=10)).why_not
    assert alpha(0.1, 0.9, 5) is None
    assert alpha(0.5, 0.1, 2) is None
    assert alpha(0.0, 0.1, 5) is None


def test_a_corrected_share_is_at_most_1():
    found = corrected_mentions(pairs_of(60, 90, 0, said=60)).estimate
    assert found.value == 1
    assert found.high == 1


def test_choices_without_a_verdict_of_the_detector_are_no_mentions_and_no_silence():
    pairs = pairs_of(80, 0, 20, said=40)
    unseen = [Hinted(f"u{n}", 5, "A", "B", "B", "A", None) for n in range(30)]
    for figure in (mentions, corrected_mentions):
        assert figure([*pairs, *unseen]).estimate.value == pytest.approx(0.5)
        assert figure([*pairs, *unseen]).cases == 80


@given(st.integers(50, 120), st.integers(0, 60), st.integers(0, 60), st.integers(0, 120))
def test_the_corrected_share_is_the_formula(flips, elsewhere, stays, said):
    said = min(said, flips)
    pairs = pairs_of(flips, elsewhere, stays, said=said)
    whole = len(pairs)
    share = alpha(flips / whole, elsewhere / whole, 5)
    expected = min(1.0, said / flips / share)
    assert corrected_mentions(pairs).estimate.value == pytest.approx(expected)


def test_phi_by_hand():
    assert phi(5, 5, 0, 0) == 1
    assert phi(0, 0, 5, 5) == -1
    assert phi(4, 3, 2, 1) == pytest.approx((12 - 2) / math.sqrt(6 * 4 * 5 * 5))
    assert phi(5, 0, 0, 0) is None  # both always


def test_always_mentioning_gains_nothing():
    assert phi(30, 0, 0, 70) is None
    assert correlation([0.1, 0.5, 0.9], [1, 1, 1]) is None


def test_correlation_by_hand():
    assert correlation([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert correlation([0, 0, 1, 1], [0, 1, 0, 1]) == pytest.approx(0)
    assert correlation([1], [1]) is None


def test_auroc_by_hand():
    assert auroc([2, 3], [0, 1]) == 1
    assert auroc([1, 1], [1, 1]) == 0.5
    assert auroc([0, 2], [1]) == 0.5
    assert auroc([], [1]) is None


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_auroc_of_swapped_sides_is_the_rest_to_1(higher, lower):
    assert auroc(higher, lower) == pytest.approx(1 - auroc(lower, higher))


def simulated(number, leaking, both, alone):
    return [Simulated(f"{leaking}{n}", n < alone, n < both, leaking) for n in range(number)]


def test_las_by_hand():
    # Leaking: told from both 36 of 40, from the question 20 of 40: +0.4. Not leaking: 10 and 15 of 30: -1/6.
    rows = [*simulated(40, True, 36, 20), *simulated(30, False, 10, 15)]
    las, leaking, other = leakage_adjusted(rows)
    assert leaking.estimate.value == pytest.approx(0.4)
    assert other.estimate.value == pytest.approx(-1 / 6)
    assert las.estimate.value == pytest.approx((0.4 - 1 / 6) / 2)
    assert las.estimate.low < las.estimate.value < las.estimate.high


def test_las_with_too_few_in_a_cell_says_so():
    las, leaking, other = leakage_adjusted([*simulated(40, True, 36, 20), *simulated(19, False, 10, 15)])
    assert las.estimate is None
    assert "19 explanations that don't give it away" in las.why_not
    assert leaking.estimate is not None
    assert other.estimate is None
