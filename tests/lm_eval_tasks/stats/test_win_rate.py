"""Win, tie and loss against brute force."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.records import Judgement
from judges.rubrics.load import load_rubric
from lm_eval_tasks.stats.win_rate import UNSCORED, pair_counts, rates, standing

samples = st.lists(st.integers(0, 25), min_size=1, max_size=9)
totals = st.one_of(st.integers(UNSCORED, 25), st.integers(UNSCORED, 100_000))


def brute_force(scores1: list[int], scores2: list[int]) -> tuple[int, int, int]:
    cells = [(one > other) - (one < other) for one in scores1 for other in scores2]
    return cells.count(1), cells.count(0), cells.count(-1)


@given(samples, samples)
def test_rates_equal_brute_force_sum_to_one_and_are_antisymmetric(
    scores1: list[int], scores2: list[int]
) -> None:
    found = rates(scores1, scores2)
    assert (found.wins, found.ties, found.losses) == brute_force(scores1, scores2)
    assert found.win + found.tie + found.loss == 1
    swapped = rates(scores2, scores1)
    assert (swapped.win, swapped.tie, swapped.loss) == (found.loss, found.tie, found.win)
    assert swapped.margin == -found.margin


def test_rates_are_exact() -> None:
    assert rates([5, 9, 9], [9]).win == 0
    assert rates([5, 9, 9], [9]).margin == Fraction(-1, 3)


def test_sums_that_floats_tell_apart_tie() -> None:
    rubric = load_rubric()
    keys = [criterion.key for criterion in rubric.criteria]
    rest = dict.fromkeys(keys[2:], "UNSATISFACTORY")
    one = Judgement({keys[0]: "SATISFACTORY", keys[1]: "NEEDS IMPROVEMENT", **rest})
    other = Judgement({keys[0]: "GOOD", keys[1]: "UNSATISFACTORY", **rest})
    assert rates([rubric.score(one)], [rubric.score(other)]).tie == 1


@given(st.data())
def test_columns_equal_brute_force(data: st.DataObject) -> None:
    questions = data.draw(st.integers(1, 6))
    table1, table2 = (
        np.array(
            data.draw(
                st.lists(
                    st.lists(totals, min_size=width, max_size=width), min_size=questions, max_size=questions
                )
            )
        )
        for width in (data.draw(st.integers(1, 5)), data.draw(st.integers(1, 5)))
    )
    found = pair_counts(table1, table2)
    for row in range(questions):
        expected = brute_force(
            [int(score) for score in table1[row] if score != UNSCORED],
            [int(score) for score in table2[row] if score != UNSCORED],
        )
        assert (found.wins[row], found.ties[row], found.losses[row]) == expected


@pytest.mark.parametrize(
    ("samples", "top"), [(1, 25), (16, 25), (32, 126), (32, 127), (33, 25), (300, 25), (40, 100_000)]
)
def test_few_and_many_samples_and_scores_are_counted_alike(samples: int, top: int) -> None:
    random = np.random.default_rng(samples + top)
    table1 = random.integers(UNSCORED, top, (7, samples), endpoint=True)
    table2 = random.integers(UNSCORED, top, (7, samples), endpoint=True)
    table1[0], table2[0] = top, 0
    table1[1] = table2[1] = top
    found = pair_counts(table1, table2)
    for row, (mine, theirs) in enumerate(zip(table1.tolist(), table2.tolist(), strict=True)):
        scored = ([score for score in side if score != UNSCORED] for side in (mine, theirs))
        assert (found.wins[row], found.ties[row], found.losses[row]) == brute_force(*scored)


def test_many_blocks_of_pairs_give_what_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    table1, table2 = random.integers(-1, 26, (50, 4)), random.integers(-1, 26, (50, 3))
    whole = pair_counts(table1, table2)
    monkeypatch.setattr("lm_eval_tasks.stats.win_rate._BLOCK_CELLS", 100)
    pieces = pair_counts(table1, table2)
    assert np.array_equal(whole.wins, pieces.wins)
    assert np.array_equal(whole.losses, pieces.losses)
    assert np.array_equal(whole.pairs, pieces.pairs)


def test_many_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    table1, table2 = random.integers(-1, 26, (50, 4)), random.integers(-1, 26, (50, 3))
    whole = standing(table1, table2)
    monkeypatch.setattr("lm_eval_tasks.stats.win_rate._BLOCK_CELLS", 100)
    pieces = standing(table1, table2)
    assert np.array_equal(whole.below, pieces.below)
    assert np.array_equal(whole.equal, pieces.equal)
    assert np.array_equal(whole.above, pieces.above)


def test_a_question_without_scores_has_no_pairs_and_no_shares() -> None:
    found = pair_counts(np.array([[UNSCORED, UNSCORED], [3, 4]]), np.array([[3], [3]]))
    assert found.pairs.tolist() == [0, 2]
    assert found.shares().tolist() == [[0.5, 0.5, 0.0]]


def test_questions_must_pair_up() -> None:
    with pytest.raises(ValueError, match="2 and 1 questions"):
        pair_counts(np.array([[1], [2]]), np.array([[1]]))
