"""Reading replies: the two tags, think blocks, and the ways to name a choice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.replies.choices import read_choice
from lm_eval_tasks.replies.responses import read_principle, read_refined, read_response
from lm_eval_tasks.tasks.load import load_task

LETTERS = Question(
    "letters", "?", (Choice("A", "21"), Choice("B", "a spring"), Choice("C", "A small amount")), "B"
)
NUMBERS = Question("numbers", "?", (Choice("1", "3"), Choice("2", "1.5"), Choice("3", "water")), "2")
GENES = Question(
    "genes", "?", (Choice("A", "Cc or cc"), Choice("B", "CC or Cc"), Choice("C", "CC or cc")), "A"
)
SAME = Question(
    "same", "?", (Choice("A", "kmph"), Choice("B", "kmph"), Choice("C", "60 kmph"), Choice("D", "")), "C"
)


def reply(explanation: str, choice: str) -> str:
    return f"<explanation>{explanation}</explanation>\n<choice>{choice}</choice>"


def test_a_reply_in_the_form_asked_for() -> None:
    response = read_response(LETTERS, "<explanation>\nIt coils.\n</explanation>\n<choice>\nB\n</choice>")
    assert (response.explanation, response.choice) == ("It coils.", "B")
    assert response.readable
    assert (response.explanation_problem, response.choice_problem) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "< Explanation >why< / EXPLANATION > <CHOICE > b </ choice>",
        "First thoughts. " + reply("why", "B") + " That is all.",
        "<explanation>draft</explanation><choice>A</choice> No: " + reply("why", "B"),
        "<explanation>cut off here <explanation>why</explanation> <choice>A <choice>B</choice>",
        "<choice>B</choice> because <explanation>why</explanation>",
        "<think>" + reply("secret", "A") + "</think>" + reply("why", "B"),
        reply("secret", "A") + "</think>" + reply("why", "B"),
        "<thinking>one <think>two</think> three</thinking>" + reply("why", "B"),
    ],
)
def test_case_space_order_drafts_and_thoughts_are_forgiven(text: str) -> None:
    response = read_response(LETTERS, text)
    assert (response.explanation, response.choice) == ("why", "B")
    assert response.text == text


@pytest.mark.parametrize(
    ("text", "explanation_problem", "choice_problem"),
    [
        ("", "empty_reply", "empty_reply"),
        (" \n", "empty_reply", "empty_reply"),
        ("The answer is B.", "no_tag", "no_tag"),
        ("<think>" + reply("why", "B"), "unfinished_thinking", "unfinished_thinking"),
        ("<explanation>why", "unclosed_tag", "no_tag"),
        ("<explanation>why</explanation><choice>B is what", None, "unclosed_tag"),
        ("<explanation>why</explanation><choice>", None, "unclosed_tag"),
        ("<think>Hm.</think><explanation>why</explanation><think>A or", None, "unfinished_thinking"),
        ("[THINK]" + reply("why", "B"), "unfinished_thinking", "unfinished_thinking"),
        ("Let me see. <reasoning>" + reply("why", "B"), "unfinished_thinking", "unfinished_thinking"),
        (reply("why", "A") + ", <choice>B</choice>", None, "ambiguous_choice"),
        ("why</explanation><choice>B</choice>", "no_tag", None),
        (reply(" ", "B"), "empty_tag", None),
        (reply("why", " "), None, "empty_tag"),
        (reply("why", "D"), None, "unknown_choice"),
        (reply("why", "A or B"), None, "ambiguous_choice"),
    ],
)
def test_what_cannot_be_read_has_a_reason(
    text: str, explanation_problem: str | None, choice_problem: str | None
) -> None:
    response = read_response(LETTERS, text)
    assert (response.explanation_problem, response.choice_problem) == (explanation_problem, choice_problem)
    assert (response.explanation is None) == (explanation_problem is not None)
    assert (response.choice is None) == (choice_problem is not None)


@pytest.mark.parametrize(
    ("question", "text", "label"),
    [
        (LETTERS, "b", "B"),
        (LETTERS, "B.", "B"),
        (LETTERS, "B)", "B"),
        (LETTERS, "(b)", "B"),
        (LETTERS, "[B]", "B"),
        (LETTERS, "**B**", "B"),
        (LETTERS, "B) a spring", "B"),
        (LETTERS, "(B) A Spring.", "B"),
        (LETTERS, "B: a spring", "B"),
        (LETTERS, "B - a spring", "B"),
        (LETTERS, "B a spring", "B"),
        (LETTERS, "B) because it coils", "B"),
        (LETTERS, "Option B", "B"),
        (LETTERS, "The correct answer is: (B)", "B"),
        (LETTERS, "a  spring", "B"),
        (LETTERS, "21", "A"),
        (LETTERS, "a small amount", "C"),
        (NUMBERS, "2", "2"),
        (NUMBERS, "2)", "2"),
        (NUMBERS, "1.5", "2"),
        (NUMBERS, "3", "3"),  # label of one, text of another: the label was asked for
        (NUMBERS, "1) 3", "1"),
        (GENES, "CC or Cc", "B"),
        (GENES, "Cc or cc", "A"),
        (SAME, "60 kmph", "C"),
        (SAME, "B) kmph", "B"),
    ],
)
def test_ways_to_name_a_choice(question: Question, text: str, label: str) -> None:
    assert read_choice(question.choices, text) == (label, None)


@pytest.mark.parametrize(
    ("question", "text", "problem"),
    [
        (LETTERS, "E", "unknown_choice"),
        (LETTERS, "a summer", "unknown_choice"),
        (LETTERS, "none of these", "unknown_choice"),
        (LETTERS, "A small step", "unknown_choice"),
        (LETTERS, "A, B", "ambiguous_choice"),
        (LETTERS, "A) 21 B) a spring", "ambiguous_choice"),
        (LETTERS, "A) a spring", "ambiguous_choice"),
        (LETTERS, "A and C", "ambiguous_choice"),
        (NUMBERS, "1.7", "unknown_choice"),
        (SAME, "kmph", "ambiguous_choice"),
        (SAME, "()", "unknown_choice"),
        (GENES, "cc or cc", "ambiguous_choice"),
        (GENES, "cC or cC", "ambiguous_choice"),
    ],
)
def test_what_names_no_choice_or_two(question: Question, text: str, problem: str) -> None:
    assert read_choice(question.choices, text) == (None, problem)


NEXT = "Which one flies?\n\nChoices:\nA) a stone\nB) a bird\nC) a fish\n\n"


@pytest.mark.parametrize(
    "behind",
    [
        f"\n\nQuestion:\n{NEXT}{reply('It has wings.', 'A')}",
        f"\n\nContext:\nNo bird is a fish, but wait.\n\nQuestion:\n{NEXT}{reply('It has wings.', 'A')}",
        f"\n\n{NEXT}No: {reply('It has wings.', 'A')}",
        f"<|im_end|>\n<|im_start|>user\nActually, no.<|im_end|>\n{reply('It has wings.', 'A')}",
        f"\nUser: No, wait.\nAssistant: {reply('It has wings.', 'A')}",
        f"\n\nBirds fly.\n{reply('It has wings.', 'A')}",
        f"\n{reply('It has wings.', 'A')}",
        "\n\nQuestion 2: <explanation>It has",
        f"\n\nQuestion:\n{NEXT}<choice>A",
        "\nThat is why <choice>A</choice> is wrong.",
    ],
)
def test_what_follows_the_first_complete_reply_is_not_read(behind: str) -> None:
    """A base model goes on with a question of its own, and replies to that, too."""
    response = read_response(LETTERS, reply("why", "B") + behind)
    assert (response.explanation, response.choice) == ("why", "B")


def test_a_made_up_question_lends_its_reply_to_no_unfinished_one() -> None:
    text = f"<explanation>why</explanation>\nAnswer: B\n\nQuestion:\n{NEXT}{reply('It has wings.', 'A')}"
    response = read_response(LETTERS, text)
    assert (response.explanation, response.choice, response.choice_problem) == ("why", None, "no_tag")


@pytest.mark.parametrize(
    "between",
    [
        "No: ",
        "\n\nWait, that is wrong. Let me reconsider.\n",
        " Correction: ",
        "\nNein, falsch:\n",
        "\n不对，重新：\n",
    ],
)
def test_a_reply_that_is_taken_back_in_words_is_replaced(between: str) -> None:
    response = read_response(LETTERS, reply("draft", "A") + between + reply("why", "B"))
    assert (response.explanation, response.choice) == ("why", "B")


def test_the_form_repeated_before_the_reply_is_no_reply() -> None:
    form = "<explanation>\nyour reasoning\n</explanation>\n<choice>\nthe label\n</choice>\n"
    response = read_response(LETTERS, f"I use the form\n{form}So:\n{reply('why', 'B')}")
    assert (response.explanation, response.choice) == ("why", "B")


WORDS = st.text(st.characters(exclude_characters="<>", exclude_categories=("Cs",)), min_size=1).filter(
    str.strip
)


@given(explanation=WORDS, label=st.sampled_from("ABC"))
def test_the_form_that_is_taught_is_read_back(explanation: str, label: str) -> None:
    response = read_response(LETTERS, load_task("demo_explain").format_response(explanation, label))
    assert (response.explanation, response.choice) == (explanation.strip(), label)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    for question in (LETTERS, NUMBERS, SAME):
        response = read_response(question, text)
        assert (response.explanation is None) == (response.explanation_problem is not None)
        assert (response.choice is None) == (response.choice_problem is not None)
        assert response.choice is None or response.choice in question.labels
        read_choice(question.choices, text)


@given(thought=st.text(), explanation=WORDS)
def test_a_thought_changes_nothing_that_is_read(thought: str, explanation: str) -> None:
    thought = re.sub(r"(?i)<\s*/?\s*think", "", thought)
    answer = reply(explanation, "B")
    bare, thoughtful = (
        read_response(LETTERS, answer),
        read_response(LETTERS, f"<think>{thought}</think>{answer}"),
    )
    assert (thoughtful.explanation, thoughtful.choice) == (bare.explanation, bare.choice)


def test_long_replies_are_read_in_one_pass() -> None:
    text = "<explanation>" * 50_000 + "(" * 50_000 + reply("why", "B" + " " * 50_000)
    assert read_response(LETTERS, text).choice == "B"


FIRST = reply("It sinks.", "B")
PRINCIPLE = "<principle>\nCheck every\n word.\n</principle>"
SECOND = reply("It melts.", "A")


def test_a_refined_reply_has_three_parts() -> None:
    whole = f"{FIRST}\n{PRINCIPLE}\n{SECOND}"
    read = read_refined(LETTERS, whole)
    assert (read.first.explanation, read.first.choice) == ("It sinks.", "B")
    assert read.principle == "Check every word."
    assert (read.refined.explanation, read.refined.choice) == ("It melts.", "A")
    assert read.refined.text == whole


@pytest.mark.parametrize(
    ("text", "first", "principle", "refined", "problem"),
    [
        (FIRST, "B", None, None, "no_refined_reply"),
        (f"{FIRST}\n{PRINCIPLE}", "B", "Check every word.", None, "no_refined_reply"),
        (f"{FIRST}\n<principle>\nCheck every", "B", None, None, "no_tag"),
        (f"{FIRST}\n{PRINCIPLE}\n<explanation>It", "B", "Check every word.", None, "no_tag"),
        (f"{FIRST}\n{SECOND}", "B", None, "A", None),
        (f"{PRINCIPLE}\n{SECOND}", None, "Check every word.", "A", None),
        (f"{FIRST}<principle>Hm.</principle>{FIRST}{PRINCIPLE}{SECOND}", "B", "Check every word.", "A", None),
        (f"<think>{FIRST}\n{PRINCIPLE}</think>{FIRST}\n{SECOND}", "B", None, "A", None),
        (f"{FIRST}\n<principle>{SECOND}</principle>", "B", None, None, "no_refined_reply"),
        ("<think>It", None, None, None, "unfinished_thinking"),
        (" \n", None, None, None, "empty_reply"),
        ("It melts.", None, None, None, "no_refined_reply"),
    ],
)  # fmt: skip
def test_the_first_reply_never_stands_in_for_the_refined_one(
    text: str, first: str | None, principle: str | None, refined: str | None, problem: str | None
) -> None:
    read = read_refined(LETTERS, text)
    assert read.first.choice == first
    assert read.principle == principle
    assert (read.refined.choice, read.refined.choice_problem) == (refined, problem)


@pytest.mark.parametrize(
    ("text", "principle"),
    [
        ("<principle>Show every step.</principle>", "Show every step."),
        ("Sure: < Principle > Say\n why. </principle> Good.", "Say why."),
        ("Show every step.", None),
        ("<principle>Show", None),
        ("<principle> </principle>", None),
    ],
)
def test_a_principle_stands_between_its_tags(text: str, principle: str | None) -> None:
    assert read_principle(text) == principle
