"""The E-step on cases that are counted by hand: what is tried, what is accepted, why nothing is."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_train.principles.discovery import (
    attempts_of,
    best_of,
    distinct,
    fold,
    reference_of,
    rouge_l_f1,
)
from anchor_train.principles.records import Attempt, Discovery, NoDiscovery, Refinement
from anchor_train.recipes.section_settings import DiscoverSettings
from lm_eval_tasks.records import Choice, Question, Response, ScoredQuestion, ScoredResponse

QUESTION = Question("q", "How many?", (Choice("A", "two"), Choice("B", "four")), "B")
TOP = 25


def settings(**changes) -> DiscoverSettings:
    values = {"n": 2, "temperature": 0.7, "top_p": 0.9, "principle_tokens": 8, "max_tokens": 8}
    return DiscoverSettings(**{**values, **changes})


def reply(explanation: str | None, choice: str | None, score: int | None) -> ScoredResponse:
    text = f"<explanation>{explanation}</explanation><choice>{choice}</choice>"
    problems = (None if explanation else "no_tag", None if choice else "no_tag")
    return ScoredResponse(Response(text, explanation, choice, *problems), choice == "B", None, score)


def scored(*replies: ScoredResponse) -> ScoredQuestion:
    return ScoredQuestion(QUESTION, replies)


def attempt(worth=10) -> Attempt:
    return Attempt(QUESTION, 0, "first", worth, "reference", "sample")


def refinement(principle: str, worth, choice: str | None = "B", explanation: str | None = "e") -> Refinement:
    return Refinement(principle, explanation, choice, worth)


def test_the_hint_is_the_best_judged_right_reply_that_is_not_the_first_one_itself():
    first, better, best_wrong = reply("one", "B", 20), reply("two", "B", 15), reply("three", "A", 25)
    found = scored(first, better, best_wrong)
    assert reference_of(found, "argument", first.response.text) == (better.response.text, "sample")
    assert reference_of(found, "argument", best_wrong.response.text) == (first.response.text, "sample")


def test_of_several_best_replies_the_first_is_the_hint_and_unjudged_ones_are_none():
    one, two, unjudged = reply("one", "B", 20), reply("two", "B", 20), reply("x", "B", None)
    assert reference_of(scored(unjudged, one, two), None, "first") == (one.response.text, "sample")


def test_where_no_reply_is_right_the_argument_is_the_hint_if_it_may_be():
    wrong = scored(reply("one", "A", 10))
    (found,) = attempts_of(wrong, "argument", settings(), TOP)
    assert isinstance(found, Attempt)
    assert (found.reference, found.source, found.worth) == ("argument", "consultant", 10)
    for without in (
        attempts_of(wrong, None, settings(), TOP),
        attempts_of(wrong, "argument", settings(reference="reply"), TOP),
    ):
        assert without == [NoDiscovery("q", 0, "no_reference")]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (reply(None, "B", None), "first_unreadable"),
        (reply("e", "B", None), "first_unjudged"),
        (reply("e", "B", TOP), "first_at_top"),
    ],
)
def test_replies_that_cannot_be_improved_on_are_not_tried(first, reason):
    found = attempts_of(scored(first, reply("other", "B", 20)), None, settings(), TOP)
    assert found == [NoDiscovery("q", 0, reason)]


def test_as_many_first_replies_are_tried_as_asked_for():
    question = scored(*(reply(f"e{n}", "B", n) for n in range(4)))
    assert [a.sample for a in attempts_of(question, None, settings(first_replies=3), TOP)] == [0, 1, 2]
    assert attempts_of(scored(), None, settings(), TOP) == [NoDiscovery("q", None, "no_samples")]


def test_the_principle_that_improved_most_is_kept():
    tried = [refinement("a", 12), refinement("b", 18), refinement("c", 18), refinement("d", 9)]
    found = best_of(attempt(), tried, settings())
    assert isinstance(found, Discovery)
    assert (found.principle, found.before, found.after, found.gain) == ("b", 10, 18, 8)
    assert (found.tried, found.better) == (4, 3)
    assert Discovery.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("tried", "reason"),
    [
        ([], "no_principle"),
        ([refinement("a", None, explanation=None)], "no_refined_reply"),
        ([refinement("a", None, choice=None)], "no_refined_reply"),
        ([refinement("a", 25, choice="A")], "no_right_reply"),
        ([refinement("a", None), refinement("b", 25, choice="A")], "nothing_scored"),
        ([refinement("a", 10), refinement("b", 9)], "no_improvement"),
    ],
)
def test_a_reply_without_an_accepted_principle_has_one_reason(tried, reason):
    assert best_of(attempt(), tried, settings()) == NoDiscovery("q", 0, reason)


def test_a_wrong_refined_reply_is_accepted_only_if_that_is_allowed():
    wrong = [refinement("a", 25, choice="A")]
    assert isinstance(best_of(attempt(), wrong, settings()), NoDiscovery)
    assert isinstance(best_of(attempt(), wrong, settings(right_only=False)), Discovery)


def test_an_equal_score_is_no_improvement_and_one_unit_is():
    assert isinstance(best_of(attempt(10), [refinement("a", 10)], settings()), NoDiscovery)
    assert isinstance(best_of(attempt(10), [refinement("a", 11)], settings()), Discovery)


def test_rouge_l_of_hand_counted_texts():
    # Longest common subsequence "the cat mat" (3 words) of 4 and 6: P 3/4, R 3/6, F1 = 2PR/(P+R) = 3/5.
    assert rouge_l_f1("The cat, a mat!", "the cat sat on the mat") == pytest.approx(3 / 5)
    assert rouge_l_f1("same words", "Same words.") == 1.0
    assert rouge_l_f1("nothing shared", "at all") == 0.0
    assert rouge_l_f1("", "at all") == 0.0
    assert rouge_l_f1("Zwölf Äpfel", "zwölf äpfel übrig") == pytest.approx(4 / 5)


@given(st.lists(st.sampled_from("abcd"), max_size=8), st.lists(st.sampled_from("abcd"), max_size=8))
def test_rouge_l_is_that_of_the_longest_common_subsequence(one, two):
    table = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(two):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    common = table[-1][-1]
    expected = Fraction(2 * common, len(one) + len(two)) if common else Fraction(0)
    assert rouge_l_f1(" ".join(one), " ".join(two)) == pytest.approx(float(expected))


def test_by_rouge_a_first_reply_is_worth_its_likeness_to_the_reference():
    question = scored(reply("the cat a mat", "A", None), reply("the cat sat on the mat", "B", 20))
    (found,) = attempts_of(question, None, settings(acceptance="rouge"), TOP)
    assert isinstance(found, Attempt)
    assert found.worth == pytest.approx(3 / 5)
    same = scored(reply("the cat", "A", 3), reply("The cat!", "B", 20))
    assert attempts_of(same, None, settings(acceptance="rouge"), TOP) == [NoDiscovery("q", 0, "first_at_top")]


def test_principles_that_differ_in_case_space_and_marks_are_one():
    assert fold("  Say WHY,\n each time! ") == fold("say why each time") == "say why each time"
    assert fold("!?") == "!?"
    assert distinct(["Say why.", "say  why", "Say how.", "SAY WHY!"]) == ("Say why.", "Say how.")
