"""Rows -> questions: every row read or named, ids that stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.errors import DataError
from lm_eval_tasks.questions.layouts import Layout
from lm_eval_tasks.questions.load import questions_of
from lm_eval_tasks.questions.rows import Row
from lm_eval_tasks.tasks.load import load_task

LAYOUT = Layout(question="question", choices="choices", gold="gold")
GOOD = {"question": "Which?", "choices": ["one", "two"], "gold": "B"}


def rows(*values: dict[str, object]) -> list[Row]:
    return [Row(value, f"a.jsonl, line {number}") for number, value in enumerate(values, 1)]


def test_a_repeated_row_keeps_its_own_place() -> None:
    first, other, second = questions_of(rows(GOOD, {**GOOD, "gold": "A"}, GOOD), [LAYOUT]).questions
    assert second.id == f"{first.id}#2"
    assert "#" not in other.id
    assert other.id != first.id


def test_unreadable_rows_are_all_named_and_none_is_left_out() -> None:
    with pytest.raises(DataError) as caught:
        questions_of(rows({**GOOD, "gold": "C"}, GOOD, {"text": "?"}), [LAYOUT])
    message = str(caught.value)
    assert message.startswith(
        "2 of 3 rows can't be read: a.jsonl, line 1: 'gold' = 'C' is none of the labels"
    )
    assert "a.jsonl, line 3: expected the fields (question, choices, gold), found (text)" in message


def test_unreadable_rows_are_left_out_only_if_asked_for_and_told() -> None:
    mixed = rows({**GOOD, "gold": "C"}, GOOD, {"text": "?"}, {**GOOD, "question": "What?"})
    loaded = questions_of([*mixed, Row({}, "a.jsonl, line 9", "not JSON")], [LAYOUT], skip_unreadable=True)
    assert [question.question for question in loaded.questions] == ["Which?", "What?"]
    assert [place.partition(":")[0] for place in loaded.left_out] == [
        "a.jsonl, line 1", "a.jsonl, line 3", "a.jsonl, line 9",
    ]  # fmt: skip
    assert loaded.note is not None
    assert loaded.note.startswith(
        "3 rows of the data left out that can't be read: a.jsonl, line 1: 'gold' = 'C'"
    )
    assert questions_of(rows(GOOD), [LAYOUT], skip_unreadable=True).note is None


def test_a_file_of_which_nothing_can_be_read_is_refused_all_the_same() -> None:
    with pytest.raises(DataError, match="2 of 2 rows can't be read"):
        questions_of(rows({"text": "?"}, {"text": "!"}), [LAYOUT], skip_unreadable=True)


@given(st.text(" \n\t", max_size=3), st.text(" \n\t", min_size=1, max_size=3))
def test_an_id_does_not_depend_on_white_space(around: str, inside: str) -> None:
    plain = {**GOOD, "question": "Which one?"}
    spaced = {**GOOD, "question": f"{around}Which{inside}one?{around}"}
    (one,) = questions_of(rows(plain), [LAYOUT]).questions
    (other,) = questions_of(rows(spaced), [LAYOUT]).questions
    assert one.id == other.id


@pytest.mark.parametrize("name", ["aqua_rat", "arc_challenge", "openbookqa", "logiqa"])
def test_both_layouts_of_a_data_set_give_the_same_questions(
    name: str, original_questions: Path, hub_questions: Path
) -> None:
    task = load_task(f"{name}_explain")
    original = task.load_questions("test", original_questions)
    hub = task.load_questions("test", hub_questions)
    assert [question.id for question in original] == [question.id for question in hub]
    for one, other in zip(original, hub, strict=True):
        assert one.gold_choice == other.gold_choice
        assert set(one.choices) == set(other.choices)


def test_logiqa_from_a_copy_with_other_names(original_questions: Path, mirror_questions: Path) -> None:
    task = load_task("logiqa_explain")
    original = task.load_questions("test", original_questions)
    mirror = task.load_questions("test", mirror_questions)
    assert [question.gold_choice for question in original] == [question.gold_choice for question in mirror]


def test_odd_rows_are_read_right(original_questions: Path) -> None:
    lamp = load_task("arc_challenge_explain").load_questions("test", original_questions)[1]
    assert (lamp.labels, lamp.gold_choice.text) == (("1", "2", "3", "4"), "a lamp")
    _, bakery, town = load_task("logiqa_explain").load_questions("test", original_questions)
    assert [choice.label for choice in bakery.choices] == ["B", "A", "C", "D"]
    assert bakery.gold_choice.text == "The bakery closes at noon."
    assert town.gold_choice.text == "Mr K is wrong about H town."
    assert [choice.text for choice in town.choices][:2] == ["Mr K lives in H town.", "In H town nobody lies."]
    _, empty_choice, _, repeated = load_task("aqua_rat_explain").load_questions("test", original_questions)
    assert [choice.text for choice in empty_choice.choices][2:] == ["", "-3", "None of these"]
    assert repeated.id.endswith("#2")
