"""Worked examples: shown with as many choices as the question has, and readable as replies themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.prompts.examples import WorkedExample, load_examples
from lm_eval_tasks.prompts.reply_form import ASKED, SHOWN, SHOWN_AND_HELD, ReplyForm
from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.replies.responses import read_refined, read_response
from lm_eval_tasks.tasks.load import load_task

EXAMPLES = load_examples(None, "the shared ones")


def asked(labels: str) -> Question:
    return Question("q", "Which?", tuple(Choice(label, f"the {label}") for label in labels), labels[0])


@pytest.mark.parametrize("labels", ["AB", "ABC", "1234", "ABCDE", "ABCDEFG"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.right)
def test_an_example_takes_the_labels_of_the_question(example: WorkedExample, labels: str) -> None:
    shown = example.like(asked(labels))
    assert shown.labels == tuple(labels)[:5]
    assert shown.gold_choice.text == example.right
    assert len({choice.text for choice in shown.choices}) == len(shown.choices)


def test_examples_of_a_task_don_t_all_point_to_one_label() -> None:
    for labels in ("ABC", "ABCD", "ABCDE"):
        golds = [example.like(asked(labels)).gold for example in EXAMPLES[:2]]
        assert len(set(golds)) == 2


@pytest.mark.parametrize("task", ["arc_challenge_explain", "aqua_rat_explain", "logiqa_explain"])
def test_what_is_shown_is_what_can_be_read(task: str) -> None:
    question = asked("ABCD")
    turns = load_task(task).in_form(ReplyForm(5)).asked_conversation(question)
    assert [turn.role for turn in turns] == ["system", *["user", "assistant"] * 5, "user"]
    for example, turn in zip(EXAMPLES, turns[2::2], strict=True):
        like = example.like(question)
        read = read_response(like, turn.content)
        assert (read.explanation, read.choice) == (example.explanation, like.gold)


def test_a_refined_task_shows_refined_replies() -> None:
    question = asked("ABCDE")
    turns = load_task("arc_challenge_explain_refined").in_form(SHOWN).asked_conversation(question)
    for example, turn in zip(EXAMPLES, turns[2::2], strict=False):
        read = read_refined(example.like(question), turn.content)
        assert (read.first.explanation, read.principle) == (example.draft, example.principle)
        assert read.refined.explanation == example.explanation


@pytest.mark.parametrize("task", ["arc_challenge_explain", "pocket_explain_refined"])
def test_held_replies_are_those_that_are_shown(task: str) -> None:
    import re

    spec, question = load_task(task).in_form(SHOWN_AND_HELD), asked("ABC")
    regex = spec.held_regex(question)
    for turn in spec.asked_conversation(question)[2::2]:
        assert re.fullmatch(regex, turn.content)


def test_the_form_is_part_of_the_fingerprint_and_asked_leaves_it_as_it_was() -> None:
    spec = load_task("openbookqa_explain")
    assert spec.fingerprint == spec.prompts.fingerprint
    forms = [ASKED, SHOWN, SHOWN_AND_HELD, ReplyForm(3), ReplyForm(0, held=True)]
    assert len({spec.in_form(form).fingerprint for form in forms}) == len(forms)


def own_task(folder: Path, more: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(
        "task: mine\nfields: {id: id, question: question, choices: choices, gold: gold}\n"
        f"prompt: {{introduction: One is right.}}\n{more}\n",
        encoding="utf-8",
    )
    return path


OWN = """
examples:
  - {question: 'Is snow warm?', right: "no", wrong: ["yes"], explanation: Snow is frozen and so it is cold.}
"""


def test_a_task_has_examples_of_its_own(tmp_path: Path) -> None:
    spec = load_task(own_task(tmp_path, OWN)).in_form(ReplyForm(1))
    turns = spec.asked_conversation(asked("AB"))
    assert "Is snow warm?" in turns[1].content
    with pytest.raises(ConfigError, match=r"2 examples are to be shown, it has 1.*under examples"):
        spec.in_form(SHOWN)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (OWN.replace("right", "rigth"), r"examples, 1: .*rigth.*did you mean 'right'"),
        ("examples: [3]", r"examples, 1: expected keys"),
        ("gen_prefix: <explanation>", r"gen_prefix.*reply_form"),
    ],
)
def test_what_is_wrong_with_a_task_s_form_is_told(tmp_path: Path, more: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_task(own_task(tmp_path, more))


def test_num_fewshot_of_a_task_s_file_is_how_many_are_shown(tmp_path: Path) -> None:
    assert load_task(own_task(tmp_path, "num_fewshot: 3")).form == ReplyForm(3)
    assert load_task(own_task(tmp_path, "num_fewshot: 0")).form == ASKED


def test_unreadable_examples_are_never_shown(tmp_path: Path) -> None:
    values: dict[str, Any] = {"question": "?", "right": "a", "wrong": [], "explanation": "x"}
    with pytest.raises(ConfigError, match="wrong"):
        load_examples([values], "here")
