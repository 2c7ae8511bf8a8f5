"""How labels are told apart by their tokens, whatever the tokeniser makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.faithfulness.model import told_apart

PROMPT, CLOSE = [1, 2, 3], [8, 9]


@pytest.mark.parametrize(
    ("labels", "left"),
    [
        ([[4], [5]], [[4], [5]]),  # one token each: the closing tag is the same for both
        ([[4, 6], [5, 6]], [[4], [5]]),
        ([[4], [4, 4]], [[8], [4, 8]]),  # "1" and "11": what closes the label tells them apart
        ([[4, 5], [6]], [[4, 5], [6]]),
    ],
)
def test_what_labels_share_at_both_ends_is_left_off(labels, left):
    context, rests = told_apart([PROMPT + label + CLOSE for label in labels])
    assert rests == left
    assert [context + rest for rest in rests] == [
        (PROMPT + label + CLOSE)[: len(context) + len(rest)]
        for label, rest in zip(labels, rests, strict=True)
    ]


def test_a_choice_part_that_is_one_token():
    assert told_apart([[1, 2, 70], [1, 2, 71]]) == ([1, 2], [[70], [71]])


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=2, max_size=5, unique_by=tuple))
def test_no_label_is_the_beginning_of_another_unless_it_was(labels):
    wholes = [[7, *label] for label in labels]
    context, rests = told_apart(wholes)
    assert context
    assert all(rests)
    assert len(set(map(tuple, rests))) == len(rests)
    nested = any(a != b and b[: len(a)] == a for a in wholes for b in wholes)
    assert nested or not any(a != b and b[: len(a)] == a for a in rests for b in rests)
