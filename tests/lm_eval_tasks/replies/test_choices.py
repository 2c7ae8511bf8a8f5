"""Which choice a text names: the one, none, or several, in the wordings that models have for it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.replies.choices import read_choice
from lm_eval_tasks.replies.responses import read_response

WATERS = tuple(
    Choice(label, text) for label, text in zip("ABCD", ("water", "ice", "steam", "snow"), strict=True)
)
RIVERS = tuple(
    Choice(label, text)
    for label, text in zip("ABCD", ("a spring", "a river", "a lake", "an ocean"), strict=True)
)
NUMBERED = tuple(Choice(str(number), choice.text) for number, choice in enumerate(WATERS, 1))


@pytest.mark.parametrize(
    "text",
    [
        "A, B, C, or D",
        "A, B and C",
        "B, C or D",
        "A. B. C. D.",
        "A - B - C",
        "A: water, B: ice",
        "A. water or B. ice",
        "A) water\nB) ice",
        "A/B",
        "(A)(B)",
        "[A] [B]",
        "a, b, c",
        "both A and B",
        "A through D",
        "Option A, option B",
        "label A, label B",
        "A as well as B",
        "**A** and **B**",
        "<b>A</b>, <b>B</b>",
        "A und B",
        "A y C",
        "A或B",
        "A、B",
        "water or ice",
        "A, ice",
        "The answer is A or B",
        "A, then B because of the cold",
        "A, maybe B",
        "A, not sure, maybe C",
        "A, but B too",
        "I would say A, but maybe B.",
        "A or possibly B",
        "A, i.e., ice",
        "ice (A)",
        "A (maybe B)",
        "A vs. B",
        "• A\n• B",
        "option A -- option B -- option C",
        "A ✅ B ✅",
        "['A', 'B']",
        "A: water vs B: ice",
    ],
)
def test_a_list_of_labels_is_never_its_first_label(text: str) -> None:
    assert read_choice(WATERS, text) == (None, "ambiguous_choice")


@pytest.mark.parametrize("text", ["1, 2, 3, or 4", "1 or 2", "1. 2. 3. 4.", "1: water, 2: ice", "1 2 3 4"])
def test_neither_is_a_list_of_numbers(text: str) -> None:
    assert read_choice(NUMBERED, text) == (None, "ambiguous_choice")


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{B}",
        r"$\boxed{\text{B}}$",
        "（B）",
        "B。",
        "Ｂ",
        "Ⓑ",
        "🅱️ a river",
        "B, but A is close",
        "&quot;B&quot;",
        "[[B]]",
        "«B»",
        "<b>B</b>",
        "**B**) a river",
        "B (a river)",
        "B = a river",
        "B — a river",
        "B because it flows",
        "B, because A is still",
        "B (not A)",
        "B rather than A",
        "B. Option C is wrong",
        "B\n\nBecause rivers flow.",
        "B is the right answer",
        "The label is B",
        "I choose B",
        "Choice B is correct",
        "The answer is B, not A",
        "答案：B",
        "正解はB",
        "Die Antwort ist B",
        "La respuesta es B",
        "La réponse est B",
        "Ответ: B",
        "It's B, not A or C",
        "B; C is wrong",
        "a river (B)",
        "B, i.e. a river",
        "B (vs C)",
        "✅ B",
        "→ B",
        "... B",
        "\u200bB\u200b",
        "答案是B，不是C",
    ],
)
def test_wordings_that_name_one_choice(text: str) -> None:
    assert read_choice(RIVERS, text) == ("B", None)


@pytest.mark.parametrize(
    "text",
    [
        "A river carries water",
        "A lake is still",
        "A is wrong",
        "not A",
        "none of them",
        "I can't tell",
        "E",
        "The answer isn't B",
        "The answer can't be B",
        "It's not B",
        "I wouldn't choose B",
        "anything but B",
        "neither A nor B",
        "B? No.",
        "B ❌",
        "¬B",
        "-B",
        "either",
        "all of the above",
        "None of A, B or C",
    ],
)
def test_a_word_of_a_sentence_is_no_label(text: str) -> None:
    assert read_choice(RIVERS, text) == (None, "unknown_choice")


_SEPARATORS = st.sampled_from(
    [
        *(", ", " and ", ", and ", " or ", "/", " / ", ";", " & ", "\n", " - ", " | ", ". ", "、", " "),
        *(" vs ", " vs. ", " versus ", " as well as ", " plus ", " • ", " · ", " -- ", "\t", " → "),
        *(" &amp; ", "<br>", " &#124; ", "\u200b,\u200b", "\xa0", "&nbsp;or&nbsp;", ", maybe ", " = "),
    ]
)
_DRESSES = st.sampled_from(
    ["{}", "({})", "[{}]", "**{}**", "（{}）", '"{}"', "{})", "`{}`", "option {}", "“{}”", "&quot;{}&quot;"]
)


@given(
    st.lists(st.sampled_from("ABCD"), min_size=2, max_size=4, unique=True),
    _SEPARATORS,
    _DRESSES,
    st.booleans(),
    st.booleans(),
)
def test_any_list_is_ambiguous_in_any_dress(
    labels: list[str], separator: str, dress: str, small: bool, numbers: bool
) -> None:
    given_labels = [str("ABCD".index(label) + 1) for label in labels] if numbers else labels
    text = separator.join(dress.format(label) for label in given_labels)
    choices = NUMBERED if numbers else WATERS
    assert read_choice(choices, text.lower() if small else text) == (None, "ambiguous_choice")


@given(
    st.sampled_from("BCD"),
    st.sampled_from(["", "Answer: ", "The answer is ", "Option ", "I choose ", "my choice: ", "答案："]),
    _DRESSES,
    st.sampled_from(["", ".", " because it is cold", "\nThe rest is wrong.", ", since the others are not"]),
)
def test_one_label_in_any_dress_is_read(label: str, lead: str, dress: str, behind: str) -> None:
    assert read_choice(WATERS, lead + dress.format(label) + behind) == (label, None)


@given(st.text(max_size=60))
def test_what_is_read_is_always_one_of_the_choices(text: str) -> None:
    label, problem = read_choice(WATERS, text)
    assert (
        (label in "ABCD" and problem is None) if label else problem in ("unknown_choice", "ambiguous_choice")
    )


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<explanation>Cold.</explanation><choice>B", "B"),
        ("<explanation>Cold.</explanation>\n<choice>\nB\n", "B"),
        ('<explanation>Cold.</explanation>\n<choice id="1">B</choice>', "B"),
        ("<explanation>Cold.</explanation><choice>B or", None),
    ],
)
def test_tags_with_attributes_and_an_unclosed_last_one(text: str, label: str | None) -> None:
    assert read_response(Question("ice", "?", WATERS, "B"), text).choice == label


@pytest.mark.parametrize(
    "unit",
    [
        "<",
        "<choice ",
        "<choice>",
        "(",
        "A) x ",
        "A, ",
        "the answer to x ",
        "**",
        "\\text{",
        "\n ",
        "<|a|>",
        ". ",
    ],
)
def test_long_replies_are_read_in_a_moment(unit: str) -> None:
    question = Question("ice", "?", WATERS, "B")
    long = unit * (100_000 // len(unit))
    began = time.process_time()
    for text in (
        long,
        f"<explanation>e</explanation><choice>{long}",
        f"<explanation>{long}</explanation><choice>B</choice>",
        f"<explanation>e</explanation><choice>{long}</choice>, <choice>B</choice>",
    ):
        read_response(question, text)
        read_choice(WATERS, text)
    assert time.process_time() - began < 5  # seconds of CPU; a pattern that backtracks takes minutes
