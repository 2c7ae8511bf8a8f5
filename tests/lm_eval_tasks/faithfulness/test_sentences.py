"""Where sentences end, which of them state the answer, and where explanations are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.faithfulness.sentences import cuts, joined, sentences_of, states_answer, steps_of
from lm_eval_tasks.records import Choice, Question

QUESTION = Question("q", "Which?", tuple(Choice(label, f"{label.lower()}-thing") for label in "ABCD"), "A")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("It has 3.5 l. So it is full.", 2),
        ("First line\nSecond line", 2),
        ("1. Heat it.\n2. Cool it.", 2),
        ("Use e.g. water. Then wait!", 2),
        ("He said \"no.\" Then he left.", 2),
        ("Only one", 1),
        ("水流动。所以它移动。 是的。", 2),
        ("- a\n- b\n\n---\n", 2),
        ("", 0),
    ],
)  # fmt: skip
def test_sentences(text, number):
    assert len(sentences_of(text)) == number


@given(st.text(alphabet=st.sampled_from("ab .!?\n1)-"), max_size=60))
def test_no_letter_is_lost(text):
    assert "".join(sentences_of(text)).split() == text.split()


@pytest.mark.parametrize(
    "sentence",
    [
        "So the answer is B.",
        "Therefore, the correct option is (C).",
        "Answer: D",
        "**The answer is A**",
        "Hence I choose B.",
        "This matches option C.",
        "Iron is the best choice.",
        "(B)",
        "B",
        "That makes (D) true.",
    ],
)
def test_a_sentence_that_states_the_answer(sentence):
    assert states_answer(sentence, QUESTION)


@pytest.mark.parametrize(
    "sentence",
    [
        "Water flows downhill.",
        "So Mia has 12 apples.",
        "A magnet attracts iron.",
        "The question asks for a metal.",
        "7 × 6 = 42.",
    ],
)
def test_a_sentence_that_leads_there(sentence):
    assert not states_answer(sentence, QUESTION)


def test_steps_leave_out_what_states_the_answer_wherever_it_stands():
    text = "The answer is B. Iron is magnetic. Copper isn't.\nSo the correct choice is B."
    assert joined(steps_of(text, QUESTION)) == "Iron is magnetic. Copper isn't."


@given(st.integers(1, 200), st.integers(2, 8))
def test_cuts_lead_from_nothing_to_all(number, most):
    found = cuts(number, most)
    assert found[0] == 0
    assert found[-1] == number
    assert len(found) <= most
    assert found == sorted(set(found))


def test_all_lengths_where_there_is_room():
    assert cuts(3) == [0, 1, 2, 3]
    assert len(cuts(40)) == 8
