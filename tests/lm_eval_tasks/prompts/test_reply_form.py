"""The setting ``reply_form``: how it is written, and the expression that replies are held to."""

from __future__ import annotations

import re

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.prompts.reply_form import (
    ASKED,
    LABEL_MARK,
    SHOWN,
    SHOWN_AND_HELD,
    TEXT_MARK,
    ReplyForm,
    form_regex,
    read_reply_form,
)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("asked", ASKED),
        ("shown", SHOWN),
        ("shown:3", ReplyForm(3)),
        ({"shown": 3}, ReplyForm(3)),
        ({"shown": True, "held": True}, SHOWN_AND_HELD),
        ("held", ReplyForm(0, held=True)),
        ("shown+held", SHOWN_AND_HELD),
        (" Shown:1+held ", ReplyForm(1, held=True)),
        ("auto", "auto"),
    ],
)
def test_all_spellings_are_read(value: object, form: object) -> None:
    assert read_reply_form(value, "--reply-form") == form


@pytest.mark.parametrize("form", [ASKED, SHOWN, SHOWN_AND_HELD, ReplyForm(5), ReplyForm(0, held=True)])
def test_a_form_is_written_as_it_is_read(form: ReplyForm) -> None:
    assert read_reply_form(str(form), "here") == form


@pytest.mark.parametrize(
    "value",
    [
        *("", "show", "shown:0", "shown:", "heldshown", "shownheld", "shown+", "+held", "shown:-1"),
        *(2, None, True, {"shown": -1}, {"held": "yes"}, {"examples": 2}, {"shown": "2"}),
    ],
)
def test_anything_else_is_refused_with_what_there_is(value: object) -> None:
    with pytest.raises(ConfigError, match=r"--reply-form.*(expected|unknown key|shown is a number)"):
        read_reply_form(value, "--reply-form")


FORM = f"<explanation>\n{TEXT_MARK}\n</explanation>\n<choice>\n{LABEL_MARK}\n</choice>"


@pytest.mark.parametrize("text", ["Ice melts.", "3 < 5, so it is.\nThat is all.", "a <= b (and c)"])
@pytest.mark.parametrize("label", ["A", "10", "(i)", "a.b"])
def test_whole_replies_in_the_form_match(text: str, label: str) -> None:
    regex = form_regex(FORM, ["A", "10", "(i)", "a.b"])
    assert re.fullmatch(regex, f"<explanation>\n{text}\n</explanation>\n<choice>\n{label}\n</choice>")


@pytest.mark.parametrize(
    "reply",
    [
        "<explanation>\nIce melts.\n</explanation>\n<choice>\nE\n</choice>",  # no such label
        "<explanation>\nIce melts.\n</explanation>\n<choice>\naxb\n</choice>",  # a dot is a dot
        "<explanation>\n\n</explanation>\n<choice>\nA\n</choice>",  # nothing said
        "<explanation>\n<choice>\nA\n</choice>\n</explanation>\n<choice>\nA\n</choice>",  # tags in the text
        "<explanation>\nIce melts.\n\nIce melts.\n</explanation>\n<choice>\nA\n</choice>",  # two paragraphs
        "Sure! <explanation>\nIce melts.\n</explanation>\n<choice>\nA\n</choice>",
        "<explanation>\nIce melts.\n</explanation>\n<choice>\nA\n</choice> or B",
    ],
)
def test_nothing_else_does(reply: str) -> None:
    assert not re.fullmatch(form_regex(FORM, ["A", "10", "(i)", "a.b"]), reply)
