"""What is an argument, and what only names the choice."""

from __future__ import annotations

import pytest

from anchor_train.preferences.arguments import own_words, says_too_little
from lm_eval_tasks.records import Choice, Question

QUESTION = Question(
    "q", "How long is the road?", (Choice("A", "12 km"), Choice("B", "the long way round")), gold="B"
)


@pytest.mark.parametrize(
    "announcement",
    [
        "The correct answer is B) the long way round.",
        "B",
        "So the answer must be (B), the long way round.",
        "Clearly, this is the right choice: B.",
        "",
    ],
)
def test_an_announcement_has_no_word_of_its_own(announcement):
    assert own_words(announcement, QUESTION) == 0
    assert says_too_little(announcement, QUESTION, 8) == "it only announces the choice"


def test_a_one_liner_is_told_by_its_words():
    told = says_too_little("It is B because roads bend.", QUESTION, 8)
    assert told == "2 words beside the choice, 8 are the least"
    assert says_too_little("It is B because roads bend.", QUESTION, 2) is None


def test_saying_the_same_word_often_is_no_argument():
    assert own_words("really " * 40, QUESTION) == 1


def test_an_argument_in_another_script_is_counted_by_its_signs():
    assert says_too_little("因为道路绕过山谷所以更长", QUESTION, 8) is None


def test_numbers_are_words():
    assert own_words("60 / 5 = 12 and 12 + 3.5 = 15.5", QUESTION) == 5
