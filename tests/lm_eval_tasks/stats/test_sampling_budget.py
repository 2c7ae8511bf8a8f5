"""When more replies a question are worth their tokens."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lm_eval_tasks.stats.sampling_budget import Precision, precision_of


def drawn(random: np.random.Generator, between: float, questions: int, replies: int) -> list[list[bool]]:
    """Replies to questions whose accuracies are beta distributed around a half with that variance."""
    size = (0.25 / between - 1) / 2
    shares = random.beta(size, size, (questions, 1))
    return [list(row) for row in random.random((questions, replies)) < shares]


def test_two_questions_by_hand() -> None:
    found = precision_of([[True, False], [True, True]])
    assert found is not None
    # Within: 0.5 and 0; between: the means 0.5 and 1 vary by 0.125, of which 0.25 / 2 is luck.
    assert (found.replies, found.within, found.between) == (2, 0.25, 0)
    assert found.narrowed(4) == pytest.approx(0.5)


def test_unequal_numbers_of_replies() -> None:
    found = precision_of([[True], [True, False], [], [False, False, True]])
    assert found is not None
    assert found.replies == 2
    assert found.within == pytest.approx((0.5 + 2 / 3) / 3)


def test_components_are_found_whatever_the_number_of_replies() -> None:
    random = np.random.default_rng(0)
    for replies in (2, 8):
        found = precision_of(drawn(random, 0.1, 20_000, replies))
        assert found is not None
        assert found.between == pytest.approx(0.1, abs=0.004)
        assert found.within == pytest.approx(0.25 - 0.1, abs=0.004)


def test_what_it_says_of_more_replies_comes_true() -> None:
    random = np.random.default_rng(1)
    few, many = (precision_of(drawn(random, 0.05, 4000, replies)) for replies in (4, 16))
    assert few is not None
    assert many is not None
    assert few.width is not None
    assert many.width == pytest.approx(few.width * few.narrowed(4), rel=0.03)


@pytest.mark.parametrize(
    ("between", "within", "replies", "width", "enough"),
    [
        (0.1, 0.0, 2, 0.2, True),  # each question always right or always wrong
        (0.0, 0.25, 16, 0.2, False),  # all is luck: as 1 / sqrt(replies), for ever
        (0.0, 0.25, 16, 0.05, True),  # but that is as narrow as asked for
        (0.125, 0.125, 2, 0.2, False),
        (0.125, 0.125, 8, 0.2, True),
        (0.0, 0.0, 2, 0.2, True),  # all replies right
        (0.125, 0.125, 2, None, False),  # a single question has no interval
    ],
)
def test_the_rule(between: float, within: float, replies: float, width: float | None, enough: bool) -> None:
    found = Precision(replies, width, between, within)
    assert found.enough(0.06) is enough
    now, then = between + within / replies, between + within / (2 * replies)
    assert found.narrowed(2) == pytest.approx(math.sqrt(then / now) if now else 1)


def test_without_a_second_reply_nothing_is_known() -> None:
    assert precision_of([[True], [False], []]) is None
