from __future__ import annotations

import json

import pytest

from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.browsing import FILTERS, as_text, excerpt, pick, printable, replies
from tests.lm_eval_tasks.run_folders import RUBRIC, level, question, reply

UNREADABLE = ScoredResponse(Response("I think it is four.", None, None, "no_tag", "no_tag"), correct=False)
ASKED = [
    ScoredQuestion(question(1), (level(0), level(3, choice="A"))),
    ScoredQuestion(question(2), (UNREADABLE, reply(None), level(1))),
]


def shown(*only: str, ids: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    every = replies("some_task", ASKED, RUBRIC.max_score, RUBRIC.units)
    return [(one.question.id, one.number) for one in pick(every, only, ids)]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ((), [("q1", 0), ("q1", 1), ("q2", 0), ("q2", 1), ("q2", 2)]),
        (("right",), [("q1", 0), ("q2", 1), ("q2", 2)]),
        (("wrong",), [("q1", 1)]),
        (("unreadable",), [("q2", 0)]),
        (("unjudged",), [("q2", 1)]),
        (("top",), [("q1", 0), ("q2", 2), ("q1", 1)]),
        (("bottom",), [("q1", 1), ("q2", 2), ("q1", 0)]),
        (("bottom", "right"), [("q2", 2), ("q1", 0)]),
        (("unreadable", "right"), []),
    ],
)
def test_filters_and_their_order(only: tuple[str, ...], expected: list[tuple[str, int]]):
    assert shown(*only) == expected


def test_one_question():
    assert shown(ids=("q2",)) == [("q2", 0), ("q2", 1), ("q2", 2)]


def test_a_reply_without_a_choice_is_unreadable_and_not_wrong():
    assert FILTERS["unreadable"](UNREADABLE)
    assert not FILTERS["wrong"](UNREADABLE)


def test_a_reply_that_failed_is_neither_wrong_nor_unreadable():
    lost = ScoredResponse(
        Response("", None, None, "empty_reply", "empty_reply", failure="502"), correct=False
    )
    assert [name for name in FILTERS if FILTERS[name](lost)] == ["failed"]
    (one,) = replies("some_task", [ScoredQuestion(question(1), (lost,))], None, 1)
    assert "sample 0: no reply arrived: 502" in as_text(one)


def test_what_is_shown_of_a_judged_and_of_an_unreadable_reply():
    first, second, lost, *_ = replies("some_task", ASKED, RUBRIC.max_score, RUBRIC.units)
    text = as_text(first)
    assert " * B. four" in text
    assert "chose B, right; score 5.0 of 5" in text
    assert "factual accuracy EXCELLENT" in text
    assert "chose A, wrong; score 1.0 of 5" in as_text(second, whole_question=False)
    assert "explanation unreadable (no_tag); choice unreadable (no_tag)\n  | I think it is four." in as_text(
        lost
    )


def test_no_reply_can_drive_the_terminal():
    assert printable("a\x1b[2Jb\u202ec\x9bd\nf\r\n\tg") == "a<U+001B>[2Jb<U+202E>c<U+009B>d\nf\n    g"
    assert "\x1b" not in excerpt("red \x1b[31m text")


def test_a_reply_as_json_has_everything():
    (first, *_) = replies("some_task", ASKED, RUBRIC.max_score, RUBRIC.units)
    row = json.loads(json.dumps(first.to_json()))
    assert row["question"]["gold"] == "B"
    assert row["reply"]["score"] == 25
