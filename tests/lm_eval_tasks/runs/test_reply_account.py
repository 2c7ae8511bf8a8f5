from __future__ import annotations

import pytest

from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse, UnreadableReason
from lm_eval_tasks.runs.reply_account import account, account_text
from tests.lm_eval_tasks.run_folders import question, reply


def lost(text: str, explanation: UnreadableReason | None, choice: UnreadableReason) -> ScoredResponse:
    read = None if explanation else "because"
    return ScoredResponse(Response(text, read, None, explanation, choice), correct=False)


def test_nothing_to_count():
    assert account([]) is None
    assert account([ScoredQuestion(question(1), ())]) is None


def test_counts_accuracy_and_what_guessing_gives():
    """Three choices each, so guessing gives a third; the reply that can't be read isn't right."""
    asked = [
        ScoredQuestion(question(1), (reply(None), reply(None, choice="A"))),
        ScoredQuestion(question(2), (reply(None), lost("so B", "no_tag", "no_tag"))),
        ScoredQuestion(question(3), (reply(None), lost("<explanation>x", None, "no_tag"))),
    ]
    found = account(asked)
    assert found is not None
    assert (found.replies, found.explained) == (6, 5)
    assert dict(found.explanations) == {"no_tag": 1}
    assert dict(found.choices) == {"no_tag": 2}
    assert found.accuracy == pytest.approx(0.5)
    assert found.guessing == pytest.approx(1 / 3)
    assert found.above_guessing.value == pytest.approx(1 / 6)


def test_a_model_that_guesses_is_told_so_and_one_that_knows_is_not():
    guesses = [ScoredQuestion(question(k), (reply(None, choice="ABC"[k % 3]),)) for k in range(30)]
    knows = [ScoredQuestion(question(k), (reply(None, choice="ABBBB"[k % 5]),)) for k in range(30)]
    for asked, like_guessing in ((guesses, True), (knows, False)):
        found = account(asked)
        assert found is not None
        assert found.like_guessing is like_guessing
        assert ("told from guessing" in account_text(found, "runs/m")) is like_guessing


def test_unreadable_choices_that_pull_accuracy_below_guessing_are_named():
    unread = [lost("It is four", None, "no_tag")] * 3
    asked = [ScoredQuestion(question(k), (reply(None, choice="ABC"[k % 3]), *unread)) for k in range(30)]
    found = account(asked)
    assert found is not None
    said = account_text(found, "runs/m")
    assert "note: this is less than guessing gives" in said
    assert "a choice that can't be read counts as wrong" in said


@pytest.mark.parametrize(
    ("reasons", "form", "advice"),
    [
        (("no_tag", "no_tag"), None, "--reply-form shown"),
        (("no_tag", "no_tag"), "shown:2", "--reply-form shown+held"),
        (("no_tag", "no_tag"), "shown+held", "another model"),
        (("unclosed_tag", "no_tag"), None, "max_gen_toks"),
        (("unfinished_thinking", "unfinished_thinking"), "shown", "--thinking-tokens"),
        ((None, "unknown_choice"), "shown", "--reply-form shown+held"),
    ],
)
def test_what_to_try_depends_on_why_replies_cannot_be_read(reasons, form: str | None, advice: str):
    asked = [ScoredQuestion(question(k), (lost("It is \x1b[31mfour, I think", *reasons),)) for k in range(4)]
    found = account(asked)
    assert found is not None
    text = account_text(found, "runs/m", form)
    assert advice in text.partition("try: ")[2].splitlines()[0]
    assert text.count("It is <U+001B>[31mfour") == 2, "two examples, which can't drive the terminal"
    assert "anchor-eval show runs/m --only unreadable" in text


def test_few_unreadable_replies_are_counted_and_not_shown():
    asked = [ScoredQuestion(question(k), (reply(None),)) for k in range(9)]
    asked.append(ScoredQuestion(question(9), (lost("four", "no_tag", "no_tag"),)))
    found = account(asked)
    assert found is not None
    text = account_text(found, "runs/m")
    assert "explanations 9 of 10 (1 no_tag)" in text
    assert "try:" not in text


@pytest.mark.parametrize(
    ("length", "advice"),
    [(1.5, "longer replies"), (0.5, "--reply-form shown+held"), (9, "--reply-form shown+held")],
)
def test_more_room_is_advised_where_replies_look_cut_and_not_where_they_end_early_or_go_in_circles(
    length: float, advice: str
):
    read = reply(None)
    long = "x" * round(length * len(read.response.text))
    asked = [ScoredQuestion(question(k), (read, lost(long, "unclosed_tag", "no_tag"))) for k in range(4)]
    found = account(asked)
    assert found is not None
    assert advice in account_text(found, "runs/m", "shown:2").partition("try: ")[2].splitlines()[0]
