"""Choosing within the tag of a reply: what fine-tuning on the form learns, read by the reader of replies."""

from __future__ import annotations

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.prompts.choose import choice_part
from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.tasks.load import load_task, spec_from, task_names

QUESTION = Question("q", "Which?", (Choice("A", "one"), Choice("B", "two")), gold="B")


@pytest.mark.parametrize("name", [name for name in task_names() if not name.endswith("_refined")])
def test_the_target_is_the_end_of_a_reply_and_reads_back(name):
    spec = load_task(name)
    target = spec.choose_target(QUESTION)
    assert spec.format_response("So it is.", "B").endswith(target)
    assert read_response(QUESTION, target).choice == "B"
    assert "explanation" not in target


def test_it_is_asked_for_by_the_tags_that_replies_have():
    spec = load_task("aqua_rat_explain")
    system, user = spec.choose_conversation(QUESTION)
    assert "<choice>\nthe label\n</choice>" in system.content
    assert "<explanation>" not in system.content
    assert user.content == spec.shown_question(QUESTION)


def test_no_other_text_changes_with_it():
    """Runs of before stay comparable."""
    spec = load_task("aqua_rat_explain")
    assert set(type(spec.prompts).model_fields) == {
        "introduction",
        "question",
        "explain_system",
        "explain_user",
        "response",
        "answer_system",
        "answer_user",
        "answer_target",
        "consultant_system",
        "consultant_user",
    }


def test_a_reply_of_a_tasks_own_without_the_tag_is_refused():
    values = {
        "task": "mine",
        "fields": {"question": "q", "choices": "c", "gold": "g"},
        "prompt": {"introduction": "A question.", "response": "{{ label }}: {{ explanation }}"},
    }
    with pytest.raises(ConfigError, match="no <choice> behind the explanation"):
        choice_part(spec_from(values, "mine").prompts, "A")
