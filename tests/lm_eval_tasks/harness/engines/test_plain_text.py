"""Where a base model's reply ends: with its own choice, not with that of a question it made up."""

from __future__ import annotations

import pytest

from lm_eval_tasks.harness.engines.plain_text import ended, stops
from lm_eval_tasks.tasks.load import load_task

REPLY = "<explanation>\nIt is so.\n</explanation>\n<choice>\nA\n</choice>"
MORE = "\n\nQuestion:\nWho?\n\n<explanation>\nNobody.\n</explanation>\n<choice>\nB\n</choice>"
PLAIN, REFINED = load_task("arc_challenge_explain"), load_task("arc_challenge_explain_refined")
PRINCIPLE = "\n<principle>\nSay why.\n</principle>\n"


@pytest.mark.parametrize("text", [REPLY, REPLY + MORE, REPLY.removesuffix("</choice>")])
def test_a_reply_ends_with_its_choice(text: str) -> None:
    assert ended(PLAIN, text) == REPLY


def test_a_refined_reply_ends_with_its_second_choice() -> None:
    whole = REPLY + PRINCIPLE + REPLY
    assert ended(REFINED, whole + MORE) == whole
    assert ended(REFINED, REPLY + PRINCIPLE) == REPLY + PRINCIPLE


@pytest.mark.parametrize("text", ["", "It is A.", "<explanation>\nIt is", "</choice> A"])
def test_what_has_no_choice_is_left_as_it_is(text: str) -> None:
    assert ended(PLAIN, text) == text


def test_stop_strings_spare_the_engine_what_would_be_cut_off() -> None:
    assert stops(PLAIN) == ["</choice>"]
    assert not any(stop in REPLY + PRINCIPLE + REPLY for stop in stops(REFINED))
