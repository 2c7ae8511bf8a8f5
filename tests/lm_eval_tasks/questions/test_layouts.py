"""Rows of every layout -> questions."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.questions.layouts import Layout, RowError, printed_labels, read_row

PLAIN = Layout(question="question", choices="choices", gold="gold")


def row(**changes: Any) -> dict[str, Any]:
    return {"question": "Which?", "choices": ["one", "two", "three"], "gold": "B", **changes}


def test_plain_strings_get_letters() -> None:
    question = read_row(row(), [PLAIN], "new")
    assert (question.id, question.labels, question.gold_choice.text) == ("new", ("A", "B", "C"), "two")


@pytest.mark.parametrize(
    "choices",
    [
        {"label": ["A", "B", "C"], "text": ["one", "two", "three"]},
        [{"label": "A", "text": "one"}, {"label": "B", "text": "two"}, {"label": "C", "text": "three"}],
        {"A": "one", "B": "two", "C": "three"},
    ],
)
def test_choices_with_labels_of_their_own(choices: Any) -> None:
    assert read_row(row(choices=choices), [PLAIN], "new") == read_row(row(), [PLAIN], "new")


def test_one_column_for_each_choice() -> None:
    layout = Layout(question="q", choices=("x", "y"), gold="gold", gold_is="index_from_1", id="n")
    question = read_row({"q": "Which?", "x": 7, "y": 8.5, "gold": 2, "n": 12}, [layout], "new")
    assert (question.id, question.gold_choice.text) == ("12", "8.5")


@pytest.mark.parametrize(
    ("gold_is", "gold"),
    [("label", "B"), ("label", "b"), ("index", 1), ("index", "1"), ("index_from_1", 2), ("text", "two")],
)
def test_ways_to_give_the_gold(gold_is: Any, gold: Any) -> None:
    layout = PLAIN.model_copy(update={"gold_is": gold_is})
    assert read_row(row(gold=gold), [layout], "new").gold == "B"


@pytest.mark.parametrize(
    ("changes", "layout", "message"),
    [
        ({"gold": "E"}, PLAIN, "'gold' = 'E' is none of the labels A, B, C"),
        ({"gold": 1}, PLAIN, "set gold_is"),
        ({"gold": None}, PLAIN, "none of the labels"),
        ({"gold": 3}, PLAIN.model_copy(update={"gold_is": "index"}), "no position among 3"),
        ({"gold": 0}, PLAIN.model_copy(update={"gold_is": "index_from_1"}), "no position among 3"),
        ({"gold": "four"}, PLAIN.model_copy(update={"gold_is": "text"}), "text of 0 choices"),
        ({"question": " "}, PLAIN, "'question' is empty"),
        ({"question": ["Which?"]}, PLAIN, "'question' holds list, expected text"),
        ({"choices": ["one"]}, PLAIN, "1 choices"),
        ({"choices": "one two"}, PLAIN, "expected a list of choices"),
        ({"choices": {"label": ["A"], "text": ["one", "two"]}}, PLAIN, "1 labels but 2 texts"),
        ({"choices": [{"label": "B", "text": "x"}, {"label": "B", "text": "y"}]}, PLAIN, "the same label"),
        ({"choices": [{"label": "A"}, {"label": "B"}]}, PLAIN, "has no 'text'"),
        ({}, PLAIN.model_copy(update={"context": "passage"}), "expected the fields .*passage"),
        ({"choices": ["B)x", "B)y", "C)z"]}, PLAIN.model_copy(update={"labels": "printed"}), "which label"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(changes: dict[str, Any], layout: Layout, message: str) -> None:
    with pytest.raises(RowError, match=message):
        read_row(row(**changes), [layout], "new")


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["A)21", "B) 22", "C)", "D)-3"], [("A", "21"), ("B", "22"), ("C", ""), ("D", "-3")]),
        (
            ["d.The rate", "A.Low", "B.High", "C.Even"],
            [("D", "The rate"), ("A", "Low"), ("B", "High"), ("C", "Even")],
        ),
        (
            ["A.In the NEC game", "In the B.NEC game", "The C.NEC game", "D.No game"],
            [("A", "In the NEC game"), ("B", "In the NEC game"), ("C", "The NEC game"), ("D", "No game")],
        ),
        (["A.x", "B.y", "C The rest"], [("A", "x"), ("B", "y"), ("C", "The rest")]),
        # "A" is taken, so the article is none; the label stands before the area's name
        (["A.x", "B.y", "A part in C.A area"], [("A", "x"), ("B", "y"), ("C", "A part in A area")]),
        (["A.x", "one without", "C.z"], [("A", "x"), ("B", "one without"), ("C", "z")]),
    ],
)
def test_labels_inside_the_choices(texts: list[str], expected: list[tuple[str, str]]) -> None:
    assert printed_labels(texts) == expected


def test_labels_are_taken_off_only_where_the_choices_carry_them() -> None:
    layout = PLAIN.model_copy(update={"labels": "printed_if_any"})
    bare = read_row(row(choices=["Eat. Drink.", "U.S. law", "none"]), [layout], "new")
    assert [choice.text for choice in bare.choices] == ["Eat. Drink.", "U.S. law", "none"]
    carried = read_row(row(choices=["C.one", "A.two", "B.three"]), [layout], "new")
    assert carried.gold_choice.text == "three"


@pytest.mark.parametrize(
    "form",
    [
        "{}? {}",
        "{}．{}",
        "{}、{}",
        "{}：{}",
        "（{}）{}",
        "{} - {}",
        "[{}] {}",
        "{}] {}",
        "**{}** – {}",
        "{}; {}",
    ],
)
@pytest.mark.parametrize("mode", ["printed", "printed_if_any"])
def test_any_mark_may_stand_behind_a_label(form: str, mode: str) -> None:
    layout = PLAIN.model_copy(update={"labels": mode})
    choices = [form.format(label, text) for label, text in zip("BAC", ("two", "a one", "three"), strict=True)]
    question = read_row(row(choices=choices, gold="a"), [layout], "new")
    assert [(choice.label, choice.text) for choice in question.choices] == [
        ("B", "two"),
        ("A", "a one"),
        ("C", "three"),
    ]
    assert question.gold == "A"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        # Some labels are damaged; those in order say where the others stand.
        (
            ["A? I am", "B? A is", "C.All", "D.None"],
            [("A", "I am"), ("B", "A is"), ("C", "All"), ("D", "None")],
        ),
        (["A.one", "two", "three", "D.four"], [("A", "one"), ("B", "two"), ("C", "three"), ("D", "four")]),
        (["A) - 3", "B) 4, or 5", "five"], [("A", "- 3"), ("B", "4, or 5"), ("C", "five")]),
    ],
)
def test_the_printed_order_decides_where_labels_cannot_be_told(
    texts: list[str], expected: list[tuple[str, str]]
) -> None:
    assert printed_labels(texts) == expected


@pytest.mark.parametrize(
    "texts", [["B.one", "two", "three"], ["one", "two", "three"], ["B? one", "A, two", "C"]]
)
def test_no_order_decides_against_the_labels_or_without_any(texts: list[str]) -> None:
    with pytest.raises(RowError, match="which label"):
        printed_labels(texts)


@given(st.permutations(string.ascii_uppercase[:5]), st.data())
def test_printed_labels_survive_any_order(order: list[str], data: st.DataObject) -> None:
    digits = st.text("0123456789 ", max_size=5)
    texts = [data.draw(digits).strip() for _ in order]
    printed = [f"{label}){text}" for label, text in zip(order, texts, strict=True)]
    assert printed_labels(printed) == list(zip(order, texts, strict=True))


NAN = float("nan")
COLUMNS = Layout(question="question", choices=("x", "y", "z"), gold="gold")


@pytest.mark.parametrize(
    ("changes", "layout"),
    [
        ({"choices": ["one", None, "three"]}, PLAIN),
        ({"choices": ["one", "two", NAN]}, PLAIN),
        ({"choices": {"label": ["A", "B"], "text": ["one", None]}}, PLAIN),
        ({"choices": {"label": ["A", NAN], "text": ["one", "two"]}}, PLAIN),
        ({"choices": [{"label": "A", "text": "one"}, {"label": None, "text": "two"}]}, PLAIN),
        ({"choices": {"A": None, "B": "two", "C": "three"}}, PLAIN),
        ({"x": "one", "y": NAN, "z": "three"}, COLUMNS),
    ],
)
def test_a_choice_that_is_not_there_is_no_choice_without_text(
    changes: dict[str, Any], layout: Layout
) -> None:
    with pytest.raises(RowError, match="is null"):
        read_row(row(**changes), [layout], "new")


def test_tables_fill_short_rows_up_with_nulls() -> None:
    columns = read_row(row(x="one", y="two", z=None), [COLUMNS], "new")
    mapping = read_row(row(choices={"A": "one", "B": "two", "C": NAN}), [PLAIN], "new")
    assert columns.labels == mapping.labels == ("A", "B")
    with pytest.raises(RowError, match="none of the labels A, B"):
        read_row(row(x="one", y="two", z=None, gold="C"), [COLUMNS], "new")


@pytest.mark.parametrize("nothing", [None, NAN])
def test_nothing_is_no_gold_no_question_and_no_id(nothing: float | None) -> None:
    with pytest.raises(RowError, match="none of the labels"):
        read_row(row(gold=nothing), [PLAIN], "new")
    with pytest.raises(RowError, match="'question' is empty"):
        read_row(row(question=nothing), [PLAIN], "new")
    assert read_row(row(n=nothing), [PLAIN.model_copy(update={"id": "n"})], "new").id == "new"
