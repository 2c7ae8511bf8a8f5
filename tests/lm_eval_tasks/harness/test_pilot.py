"""``reply_form: auto``: what a pilot chooses, and what it says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.harness.pilot import FEW, ChosenForm, choose, in_parts, questions_each, store, stored
from lm_eval_tasks.prompts.reply_form import ASKED, SHOWN, SHOWN_AND_HELD, ReplyForm
from lm_eval_tasks.records import Choice, Question, ScoredResponse
from lm_eval_tasks.runs.judging.scoring import read_replies

QUESTION = Question("q", "Which?", (Choice("A", "this"), Choice("B", "that")), "A")
GOOD = "<explanation>\nIt is so.\n</explanation>\n<choice>\nA\n</choice>"
HALF = "<explanation>\nIt is so.\n</explanation>\nA"


def attempts(good_of_ten: Mapping[ReplyForm, int], tried: list[ReplyForm]) -> object:
    """Ten replies in each form, so many of them good."""

    def attempt(form: ReplyForm) -> Iterator[Sequence[ScoredResponse]]:
        tried.append(form)
        good = good_of_ten[form]
        replies = read_replies(QUESTION, [GOOD] * good + [HALF] * (10 - good)).responses
        yield replies[:FEW]
        yield replies

    return attempt


@pytest.mark.parametrize(
    ("good", "form", "tries"),
    [((5, 0, 0), ASKED, 1), ((4, 5, 0), SHOWN, 2), ((0, 4, 10), SHOWN_AND_HELD, 3)],
)
def test_the_first_form_that_half_of_the_replies_follow_is_taken(
    good: tuple[int, int, int], form: ReplyForm, tries: int
) -> None:
    tried: list[ReplyForm] = []
    scores = dict(zip((ASKED, SHOWN, SHOWN_AND_HELD), good, strict=True))
    chosen = choose(attempts(scores, tried), has_template=True)  # type: ignore[arg-type]
    assert (chosen.form, len(tried), chosen.warning) == (form, tries, False)
    assert f"reply form {form}" in chosen.why
    for one in tried:
        share, of = f"{10 * scores[one]}%", 10 if scores[one] else FEW
        assert f"{one} {share} of {of} (explanation 100%, choice {share})" in chosen.why


def test_a_form_of_which_nothing_can_be_read_is_not_asked_further() -> None:
    asked: list[tuple[ReplyForm, int]] = []

    def attempt(form: ReplyForm) -> Iterator[Sequence[ScoredResponse]]:
        texts = {ASKED: [HALF] * 40, SHOWN: [HALF] * 7 + [GOOD] * 33}[form]
        replies: list[ScoredResponse] = []
        for part in in_parts(texts):
            asked.append((form, len(part)))
            replies += read_replies(QUESTION, part).responses
            yield replies

    chosen = choose(attempt, has_template=True)
    assert chosen.form == SHOWN
    assert asked == [(ASKED, FEW), (SHOWN, FEW), (SHOWN, 40 - FEW)]


def test_where_none_will_do_the_best_is_taken_with_a_warning() -> None:
    scores = {ASKED: 0, SHOWN: 4, SHOWN_AND_HELD: 3}
    chosen = choose(attempts(scores, []), has_template=True)  # type: ignore[arg-type]
    assert (chosen.form, chosen.warning) == (SHOWN, True)
    assert "less than half" in chosen.why


def test_a_model_without_a_template_is_shown_the_form_at_once() -> None:
    tried: list[ReplyForm] = []
    choose(attempts({SHOWN: 9}, tried), has_template=False)  # type: ignore[arg-type]
    assert tried == [SHOWN]


def test_an_engine_that_can_t_hold_leaves_two_to_choose_from() -> None:
    def attempt(form: ReplyForm) -> Iterator[Sequence[ScoredResponse]]:
        if form.held:
            raise ConfigError("can't be held to a form")
        yield read_replies(QUESTION, [HALF]).responses

    chosen = choose(attempt, has_template=True)
    assert chosen.form == ASKED
    assert "can't be held" in chosen.why


def test_the_choice_lies_in_the_run_folder(tmp_path: Path) -> None:
    assert stored(tmp_path) is None
    chosen = ChosenForm(SHOWN, "reply form shown:2 (auto: because)", warning=True)
    store(tmp_path / "run", chosen)
    assert stored(tmp_path / "run") == chosen


def test_a_pilot_asks_some_dozens_of_questions_however_many_tasks_there_are() -> None:
    assert [questions_each(tasks) for tasks in (1, 3, 4, 8)] == [40, 14, 10, 5]
