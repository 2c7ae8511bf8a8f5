"""Rates at equal length: nothing is left over where length is all there is, and what is there is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from benchmarks.coverage.lengths import Judged, marks
from lm_eval_tasks.stats.length_control import FAR, EqualLength, equal_length, rank_correlation
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import UNSCORED


def controlled(first: Marks, second: Marks) -> EqualLength:
    found = equal_length(first, second)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("judged", "questions"),
    [
        (Judged(ratio=2.2, paid=3, spread=0.45), 40),
        (Judged(ratio=2.2, paid=6, spread=0.45), 250),
        (Judged(ratio=1.7, paid=6, level=20, spread=0.3), 250),
        (Judged(ratio=1.0, paid=4), 40),
        (Judged(ratio=1.6, paid=0), 40),
    ],
)
def test_models_that_differ_in_length_alone_come_out_even(judged: Judged, questions: int) -> None:
    random = np.random.default_rng(questions)
    held = []
    for _ in range(150):
        found = controlled(*judged.draw(random, questions, 4))
        assert found.margin.low is not None
        assert found.margin.high is not None
        if not found.extrapolated:
            held.append(found.margin.low <= 0 <= found.margin.high)
    assert len(held) > 100
    assert np.mean(held) >= 0.9


def test_an_advantage_at_equal_length_is_found() -> None:
    random = np.random.default_rng(31)
    even = Judged(ratio=1.0, paid=5, better=3).draw(random, 4000, 4)
    longer = Judged(ratio=1.8, paid=5, better=3).draw(random, 800, 4)
    shorter = Judged(ratio=0.6, paid=5, better=3).draw(random, 800, 4)
    truth = controlled(*even).margin.value
    assert truth > 0.3
    for sides in (longer, shorter):
        assert controlled(*sides).margin.value == pytest.approx(truth, abs=0.07)


def test_the_other_way_round_everything_turns_round() -> None:
    first, second = Judged(ratio=1.5, paid=3, better=1).draw(np.random.default_rng(32), 60, 3)
    there, back = controlled(first, second), controlled(second, first)
    assert there.margin.value == pytest.approx(-back.margin.value, abs=0.01)
    assert there.win.value == pytest.approx(back.loss.value, abs=0.01)
    assert there.margin.value == pytest.approx(there.win.value - there.loss.value)
    assert there.length_ratio == pytest.approx(1 / back.length_ratio)
    assert there.slope.value == pytest.approx(back.slope.value, abs=0.02)


def test_errors_are_those_of_resampled_questions() -> None:
    first, second = Judged(ratio=1.6, paid=4).draw(np.random.default_rng(33), 120, 3)
    random = np.random.default_rng(34)
    drawn = []
    for _ in range(200):
        rows = random.integers(0, 120, 120)
        sides = (marks(side.scores[rows], side.words[rows]) for side in (first, second))
        drawn.append(controlled(*sides))
    found = controlled(first, second)
    for figure in ("win", "loss", "margin", "slope"):
        spread = np.std([getattr(one, figure).value for one in drawn])
        assert getattr(found, figure).stderr == pytest.approx(spread, rel=0.2)


def test_lengths_that_hardly_overlap_are_flagged() -> None:
    random = np.random.default_rng(35)
    for ratio, flagged in ((1.3, False), (2.0, True), (40.0, True)):
        first, second = Judged(ratio=ratio, paid=3, spread=0.25).draw(random, 80, 4)
        assert controlled(first, second).extrapolated is flagged
    assert FAR < 2


def test_always_the_same_outcome_gives_an_interval_with_a_width() -> None:
    random = np.random.default_rng(36)
    words = [random.integers(20, 90, (40, 2)) for _ in range(2)]
    ties = controlled(*(marks(np.full((40, 2), 7), side) for side in words))
    wins = controlled(marks(np.full((40, 2), 9), words[0]), marks(np.full((40, 2), 7), words[1]))
    for found in (ties, wins):
        for figure in (found.win, found.loss, found.margin):
            assert figure.low is not None
            assert figure.high is not None
            assert figure.high - figure.low > 0.01
    assert ties.margin.value == pytest.approx(0, abs=1e-6)
    assert wins.margin.value > 0.95


def test_samples_without_a_score_are_in_no_pair() -> None:
    first, second = Judged(ratio=1.4, paid=3).draw(np.random.default_rng(37), 30, 3)
    padded = marks(
        np.hstack([first.scores, np.full((30, 1), UNSCORED)]),
        np.hstack([first.words, np.full((30, 1), 9999)]),
    )
    assert controlled(padded, second).margin.value == pytest.approx(controlled(first, second).margin.value)


def test_length_that_never_differs_is_not_controlled_for() -> None:
    scores, same = np.random.default_rng(38).integers(0, 26, (10, 2)), np.full((10, 2), 50)
    assert equal_length(marks(scores, same), marks(scores[::-1], same)) is None
    assert rank_correlation(marks(scores, same)) is None


def test_the_rank_correlation_is_scipys() -> None:
    random = np.random.default_rng(39)
    scores, words = random.integers(0, 26, (40, 3)), random.integers(5, 60, (40, 3))
    expected = spearmanr(scores.ravel(), words.ravel()).statistic
    assert rank_correlation(marks(scores, words)) == pytest.approx(expected)
