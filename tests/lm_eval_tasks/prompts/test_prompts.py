"""What models are shown, and what a task's YAML may change in it."""

from __future__ import annotations

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.prompts import load_prompts
from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.tasks.load import load_task, task_names
from tests.lm_eval_tasks.examples import QUESTION

WITH_CONTEXT = Question(
    "c", "Who is first?", (Choice("1", "Ana"), Choice("2", "Ben")), "2", "Ben stands in front."
)


def test_the_question_as_it_is_shown() -> None:
    task = load_task("demo_explain")
    assert task.shown_question(QUESTION) == (
        "Question:\nWhat does ice do in warm water?\n\nChoices:\nA) It melts.\nB) It sinks.\nC) It burns."
    )
    assert task.shown_question(WITH_CONTEXT).startswith(
        "Context:\nBen stands in front.\n\nQuestion:\nWho is first?"
    )


@pytest.mark.parametrize("name", task_names())
def test_every_task_explains_first_and_then_chooses(name: str) -> None:
    system, user = load_task(name).explain_conversation(WITH_CONTEXT)
    assert (system.role, user.role) == ("system", "user")
    tags = ["<explanation>", "</explanation>", "<choice>", "</choice>"]
    places = [system.content.index(tag) for tag in tags]
    assert places == sorted(places)
    assert user.content == load_task(name).shown_question(WITH_CONTEXT)
    assert "Ben stands" in user.content


def test_the_answer_prompt_asks_for_no_explanation_and_its_target_is_the_gold_choice() -> None:
    task = load_task("arc_challenge_explain")
    system, user = task.answer_conversation(WITH_CONTEXT)
    assert "expla" not in system.content
    assert user.content == task.shown_question(WITH_CONTEXT)
    assert task.answer_target(WITH_CONTEXT) == "2) Ben"


def test_the_consultant_is_told_the_right_choice() -> None:
    task = load_task("logiqa_explain")
    system, user = task.consultant_conversation(WITH_CONTEXT)
    assert "2) Ben" in user.content.split("right choice is")[1]
    guided, _ = task.consultant_conversation(WITH_CONTEXT, guide="Give an example.")
    assert guided.content == f"{system.content}\n\nGive an example."


def test_a_model_that_writes_template_code_is_not_obeyed() -> None:
    odd = Question("odd", "{{ 7 * 7 }} {% raw %}", (Choice("A", "{{ choices }}"), Choice("B", "b")), "A")
    assert "{{ 7 * 7 }} {% raw %}" in load_task("demo_explain").shown_question(odd)
    assert "{{ 1 }}" in load_task("demo_explain").format_response("{{ 1 }}", "A")


def test_the_fingerprint_changes_with_every_text() -> None:
    base = load_prompts({"introduction": "Look."}, "task.yaml")
    assert base.fingerprint == load_prompts({"introduction": "Look."}, "task.yaml").fingerprint
    changed = {
        load_prompts({"introduction": "Look.", name: f"{text} Please."}, "task.yaml").fingerprint
        for name, text in base.model_dump().items()
    }
    assert len(changed) == len(base.model_dump())
    assert base.fingerprint not in changed


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, "'introduction' is missing"),
        ({"introduction": "x", "explain_sytem": "y"}, "did you mean 'explain_system'"),
        ({"introduction": "x", "question": "{{ question "}, "not a valid template"),
        ({"introduction": "x", "question": "{{ passage }}"}, "'passage' is undefined"),
        ({"introduction": "x", "explain_system": "{{ question }}"}, "'question' is undefined"),
    ],
)
def test_mistakes_in_prompt_texts_are_found_when_the_task_is_loaded(
    own: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_prompts(own, "task.yaml")
