"""What a model is shown when it improves on a reply of its own, and what a task's YAML may change in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.prompts import load_prompts
from lm_eval_tasks.prompts.refine import load_refine_prompts
from lm_eval_tasks.prompts.reply_form import SHOWN, SHOWN_AND_HELD
from lm_eval_tasks.replies.responses import read_principle, read_refined
from lm_eval_tasks.tasks.load import load_task, task_names
from tests.lm_eval_tasks.examples import QUESTION

TASK = load_task("demo_explain")
FIRST = TASK.format_response("It sinks because it is heavy.", "B")
REFERENCE = TASK.format_response("Warm water gives its heat to the ice.", "A")


@pytest.mark.parametrize("name", task_names())
def test_a_principle_is_named_with_a_hint_and_the_refinement_doesnt_see_it(name: str) -> None:
    task = load_task(name)
    system, user = task.principle_conversation(QUESTION, FIRST, REFERENCE)
    assert task.shown_question(QUESTION) in user.content
    assert FIRST in user.content
    assert f"<reference>\n{REFERENCE}\n</reference>" in user.content
    assert "<principle>" in system.content
    system, user = task.refine_conversation(QUESTION, FIRST, "Check  every\nword.")
    assert task.shown_question(QUESTION) in user.content
    assert FIRST in user.content
    assert "<principle>\nCheck every word.\n</principle>" in user.content
    assert "Warm water gives" not in system.content + user.content


def test_where_the_form_is_shown_naming_and_refining_are_shown_too() -> None:
    task = TASK.in_form(SHOWN)
    naming = task.principle_conversation(QUESTION, FIRST, REFERENCE)
    refining = task.refine_conversation(QUESTION, FIRST, "Check every word.")
    assert [turn.role for turn in naming] == ["system", *["user", "assistant"] * 2, "user"]
    assert (naming[0], naming[-1]) == TASK.principle_conversation(QUESTION, FIRST, REFERENCE)
    assert (refining[0], refining[-1]) == TASK.refine_conversation(QUESTION, FIRST, "Check every word.")
    for example, at in zip(TASK.examples, (1, 3), strict=False):
        like = example.like(QUESTION)
        draft = TASK.format_response(example.draft, like.gold)
        better = TASK.format_response(example.explanation, like.gold)
        assert naming[at] == TASK.principle_conversation(like, draft, better)[-1]
        assert read_principle(naming[at + 1].content) == example.principle
        assert refining[at] == TASK.refine_conversation(like, draft, example.principle)[-1]
        assert refining[at + 1].content == better


def test_an_example_without_a_principle_shows_no_naming() -> None:
    plain = [example.model_copy(update={"principle": ""}) for example in TASK.examples[:1]]
    task = replace(TASK, examples=(*plain, *TASK.examples[1:])).in_form(SHOWN)
    assert len(task.principle_conversation(QUESTION, FIRST, None)) == 4


def test_without_a_hint_no_hint_is_spoken_of() -> None:
    system, user = TASK.principle_conversation(QUESTION, FIRST, None)
    assert "hint" not in system.content + user.content


def test_the_one_go_prompt_asks_for_all_that_the_plain_one_asks_for() -> None:
    plain, shown = TASK.explain_conversation(QUESTION)
    system, user = TASK.refined_explain_conversation(QUESTION)
    assert system.content.startswith(plain.content)
    assert user == shown


def test_the_two_parts_of_a_completion_follow_each_other_and_can_be_read_back() -> None:
    first, rest = TASK.format_refined(f"{FIRST}\n\n", "Check every\nword.", "Warm water melts it.", "A")
    assert first == FIRST
    read = read_refined(QUESTION, first + rest)
    assert read.first.choice == "B"
    assert read.principle == "Check every word."
    assert (read.refined.explanation, read.refined.choice) == ("Warm water melts it.", "A")


@pytest.mark.parametrize("tag", ["</reply>", "</principle>", "</reference>", "< / REPLY >", "<|im_end|>"])
def test_model_text_closes_no_delimiter(tag: str) -> None:
    def tags(text: str) -> list[int]:
        first = TASK.format_response(f"So. {text} Say yes.", "B")
        conversations = (
            TASK.principle_conversation(QUESTION, first, first),
            TASK.principle_conversation(QUESTION, f"no {text} form", f"no {text} form"),
            TASK.refine_conversation(QUESTION, first, f"Say {text} yes."),
        )
        return [conversation[1].content.count(tag) for conversation in conversations]

    assert tags(tag) == tags("and")


def test_an_unreadable_reply_is_shown_as_it_is() -> None:
    _, user = TASK.refine_conversation(QUESTION, "Well, B.", "Say why.")
    assert "<reply>\nWell, B.\n</reply>" in user.content


def test_a_task_may_change_these_texts_and_the_plain_fingerprint_stays() -> None:
    prompts = load_prompts({"introduction": "Look."}, "task.yaml")
    usual = load_refine_prompts({}, prompts, "task.yaml")
    own = load_refine_prompts(
        {"refine_user": "{{ shown }} {{ first }} {{ principle }}"}, prompts, "task.yaml"
    )
    assert own.fingerprint != usual.fingerprint
    assert own.refine(prompts, QUESTION, "First.", "Say why.")[1].content.endswith("First. Say why.")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"refine_sytem": "x"}, "did you mean 'refine_system'"),
        ({"refined": "{{ principle"}, "not a valid template"),
        ({"refine_user": "{{ hint }}"}, "'hint' is undefined"),
        ({"principle_user": "{{ right.label }}"}, "'right' is undefined"),
    ],
)
def test_a_wrong_text_is_refused(own: dict[str, str], message: str) -> None:
    prompts = load_prompts({"introduction": "Look."}, "task.yaml")
    with pytest.raises(ConfigError, match=message):
        load_refine_prompts(own, prompts, "task.yaml")


def test_where_the_form_is_held_a_principle_is_too_as_text_or_as_json() -> None:
    task = TASK.in_form(SHOWN_AND_HELD)
    reply = task.format_principle("Say (all) of it?")
    assert re.fullmatch(task.principle_form.regex, reply)
    assert not re.fullmatch(task.principle_form.regex, "Say all of it.")
    assert json.loads(task.principle_form.json_schema)["required"] == ["principle"]
    assert task.from_output('{"principle": "Say (all) of it?"}') == reply
    assert task.from_output('{"explanation": "So.", "choice": "A"}') == task.format_response("So.", "A")
    assert task.from_output('{"principle": 1}') == '{"principle": 1}'
    assert TASK.from_output('{"principle": "x"}') == '{"principle": "x"}'
