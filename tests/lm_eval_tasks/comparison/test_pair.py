"""Comparisons of two models: what adds up, what is controlled for, what is left out."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_tasks.comparison.pair import Settings, compare, overall
from lm_eval_tasks.stats.length_control import rank_correlation
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.strata import strata
from lm_eval_tasks.stats.win_rate import UNSCORED


def marks(
    scores: list[list[int]] | np.ndarray, *, seed: int = 0, ids: str = "q", words: np.ndarray | None = None
) -> Marks:
    table = np.array(scores, dtype=np.int32)
    random = np.random.default_rng(seed)
    return Marks(
        tuple(f"{ids}{row}" for row in range(len(table))),
        np.ones(table.shape, dtype=bool),
        random.random(table.shape) < 0.6,
        np.ones(table.shape, dtype=bool),
        table,
        random.integers(5, 200, table.shape).astype(np.int32) if words is None else words.astype(np.int32),
    )


def random_marks(seed: int, shift: float = 0.0, questions: int = 80, samples: int = 4) -> Marks:
    random = np.random.default_rng(seed)
    scores = np.clip(np.round(random.normal(12 + shift, 5, (questions, samples))), 0, 25)
    return marks(scores, seed=seed)


def test_rates_add_up_and_swap() -> None:
    first, second = random_marks(1, 2.0), random_marks(2, samples=3)
    there, back = (compare(*pair, top_score=25) for pair in ((first, second), (second, first)))
    assert there is not None
    assert back is not None
    assert there.win.value + there.tie.value + there.loss.value == pytest.approx(1)
    assert there.margin.value == pytest.approx(-back.margin.value)
    assert there.p_value == pytest.approx(back.p_value)
    assert there.bounds is None


def test_only_shared_questions_count_and_the_others_are_named() -> None:
    first, second = marks([[3], [4], [5]]), marks([[1], [9], [UNSCORED]]).rows(["q1", "q2"])
    found = compare(first, second, top_score=25)
    assert found is not None
    assert found.matched.only_first == ("q0",)
    assert found.unscored == 1
    assert (found.win.value, found.loss.value) == (0, 1)
    assert compare(first, marks([[1]], ids="other"), top_score=25) is None


def test_bounds_hold_the_margin_of_any_judgement_of_the_rest() -> None:
    first, second = random_marks(3), random_marks(4)
    hidden = first.scores.copy()
    hidden[::3, 1:] = UNSCORED
    partly = Marks(first.ids, first.present, first.correct, first.readable, hidden, first.words)
    whole, part = (compare(side, second, top_score=25) for side in (first, partly))
    assert whole is not None
    assert part is not None
    assert part.bounds is not None
    assert part.bounds[0] < whole.margin.value < part.bounds[1]


def test_strata_make_up_the_whole() -> None:
    first, second = random_marks(5, 1.5), random_marks(6)
    whole = compare(first, second, top_score=25)
    parts = strata(first, second)
    assert whole is not None
    assert sum(part.share for part in parts) == pytest.approx(1)
    for rate in ("win", "loss", "margin"):
        total = sum(part.share * getattr(part, rate).value for part in parts if part.share)
        assert total == pytest.approx(getattr(whole, rate).value)


def test_strata_by_hand() -> None:
    first, second = marks([[5, 1]]), marks([[3]])
    first.correct[:] = [[True, False]]
    second.correct[:] = [[True]]
    found = {part.name: part for part in strata(first, second)}
    assert {name: part.share for name, part in found.items()} == {
        "both right": 0.5,
        "both wrong": 0,
        "only first right": 0,
        "only second right": 0.5,
    }
    right, wrong = found["both right"], found["only second right"]
    assert right.win is not None
    assert wrong.loss is not None
    assert (right.win.value, wrong.loss.value) == (1, 1)
    assert found["both wrong"].win is None


def test_a_margin_that_is_all_length_goes_away_at_equal_length() -> None:
    random = np.random.default_rng(10)
    long, short = random.integers(60, 180, (150, 4)), random.integers(40, 120, (150, 4))
    scores = [np.round(words / 8 + random.normal(0, 3, words.shape)).clip(0, 25) for words in (long, short)]
    first, second = marks(scores[0], words=long), marks(scores[1], words=short)
    found = compare(first, second, top_score=25, settings=Settings(draws=500))
    assert found is not None
    assert found.equal_length is not None
    assert found.margin.value > 0.3
    assert abs(found.equal_length.margin.value) < 0.1
    assert found.length_matters
    correlation = rank_correlation(first)
    assert correlation is not None
    assert correlation > 0.5


def test_overall_is_the_mean_of_tasks() -> None:
    found = [
        compare(random_marks(seed, 1.0, questions=size), random_marks(seed + 1, questions=size), top_score=25)
        for seed, size in ((11, 20), (13, 200))
    ]
    known = [comparison for comparison in found if comparison is not None]
    total = overall(known)
    assert total.margin.value == pytest.approx(sum(c.margin.value for c in known) / 2)
    assert total.win.value + total.tie.value + total.loss.value == pytest.approx(1)
