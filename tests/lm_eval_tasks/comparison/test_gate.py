"""A gate stops as soon as it is told, whoever judges; on real logs, judged by the ground truth."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from judges.config import load_judge
from judges.errors import ConfigError, DataError, NothingJudgedError
from judges.judge import Judge
from lm_eval_tasks.comparison.gate import (
    Rule,
    Sides,
    TaskGate,
    gate_task,
    outlook,
    overall,
    shared_tasks,
    sides_of,
)
from lm_eval_tasks.comparison.reports.gate import GateReport
from lm_eval_tasks.pocket.explanations import full_explanation
from lm_eval_tasks.pocket.questions import draw_stories, question_of
from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.run_folders import level, question, write_run

TASK = "pocket_explain"
SPEC = load_task(TASK)


def pocket_run(
    folder: Path, *, whole: float, questions: int = 60, samples: int = 2, seed: int = 0
) -> TaskRun:
    """A run that explains pocket questions: whole in this share of the replies, and by half in the others."""
    dice = random.Random(seed)
    rows = []
    for story in islice(draw_stories("test", 0), questions):
        asked = question_of(story)
        replies = []
        for _ in range(samples):
            explanation = full_explanation(story)
            if dice.random() >= whole:
                sentences = explanation.split(". ")
                explanation = ". ".join(sentences[: len(sentences) // 2]) + "."
            text = f"<explanation>{explanation}</explanation><choice>{asked.gold}</choice>"
            replies.append(ScoredResponse(Response(text, explanation, asked.gold), correct=True))
        rows.append(ScoredQuestion(asked, tuple(replies)))
    return load_run(write_run(folder, {TASK: rows}, judged=False)).task(TASK)


def oracle(cache: Path | None = None) -> Judge:
    return load_judge("pocket-oracle:ground-truth", cache=cache)


def gate(new: TaskRun, base: TaskRun, rule: Rule, judge: Judge) -> TaskGate:
    return gate_task(sides_of(new, base, rule, judged=False), rule, (judge, SPEC))


def judged_run(folder: Path, places: Sequence[int | None], samples: int = 2) -> TaskRun:
    """A judged run: each question's replies have this place on the scale, or no verdict."""
    rows = [
        ScoredQuestion(question(number), tuple([_reply(place)] * samples))
        for number, place in enumerate(places)
    ]
    return load_run(write_run(folder, {TASK: rows})).task(TASK)


def _reply(place: int | None) -> ScoredResponse:
    if place is None:
        return ScoredResponse(Response("?", None, None, "no_tag", "no_tag"), correct=False)
    return level(place)


def test_a_better_run_passes_and_a_worse_one_fails_long_before_all_is_judged(tmp_path: Path) -> None:
    better = pocket_run(tmp_path / "better", whole=0.9, questions=200, seed=1)
    worse = pocket_run(tmp_path / "worse", whole=0.3, questions=200, seed=2)
    rule = Rule(-0.02)
    with oracle() as judge:
        passed = gate(better, worse, rule, judge)
        assert (passed.verdict, passed.shared) == ("pass", 200)
        assert passed.low > -0.02
        assert judge.accounts.statements == 4 * -(-passed.questions // 20) * 20 < 800
    with oracle() as judge:
        failed = gate(worse, better, rule, judge)
    assert failed.verdict == "fail"
    assert failed.high < -0.02
    assert failed.win_minus_loss == pytest.approx(-(passed.win_minus_loss or 0), abs=0.2)


def test_runs_alike_are_undecided_about_a_thin_margin(tmp_path: Path) -> None:
    new, base = (
        pocket_run(tmp_path / name, whole=0.6, seed=seed) for name, seed in (("new", 3), ("base", 4))
    )
    with oracle() as judge:
        found = gate(new, base, Rule(-0.01), judge)
    assert (found.verdict, found.questions) == ("undecided", 60)
    assert found.low < -0.01 < found.high


def test_started_again_it_asks_for_nothing_twice_and_says_the_same(tmp_path: Path) -> None:
    new = pocket_run(tmp_path / "new", whole=0.8, seed=5)
    base = pocket_run(tmp_path / "base", whole=0.5, seed=6)
    cache = tmp_path / "cache.sqlite"
    with oracle(cache) as judge:
        first = gate(new, base, Rule(-0.1), judge)
    with oracle(cache) as judge:
        assert (
            outlook(sides_of(new, base, Rule(-0.1), judged=False), Rule(-0.1), SPEC, judge).first.calls == 0
        )
        again = gate(new, base, Rule(-0.1), judge)
        assert judge.accounts.asked == 0
    assert again == first


def test_what_it_takes_is_told_before(tmp_path: Path) -> None:
    new, base = (
        pocket_run(tmp_path / name, whole=0.6, seed=seed) for name, seed in (("new", 7), ("base", 8))
    )
    rule = Rule(0.0, look_every=15)
    with oracle() as judge:
        found = outlook(sides_of(new, base, rule, judged=False), rule, SPEC, judge)
        assert judge.accounts.statements == 0
    assert (found.least, found.questions) == (30, 60)
    assert (found.first.statements, found.whole.statements) == (120, 240)
    assert str(found).startswith("pocket_explain: at least 30 of 60 shared questions: ")


def test_the_order_is_the_questions_own_and_neither_files(tmp_path: Path) -> None:
    places = [number % 5 for number in range(40)]
    base = judged_run(tmp_path / "base", places)
    new = judged_run(tmp_path / "new", places[::-1])
    rule = Rule(0.0)
    sides = sides_of(new, base, rule, judged=True)
    ids = [scored.question.id for scored in sides.new]
    assert ids == [scored.question.id for scored in sides.base]
    assert ids not in ([f"q{n}" for n in range(40)], sorted(ids))
    other = sides_of(new, base, Rule(0.0, seed=1), judged=True)
    assert [scored.question.id for scored in other.new] != ids


def test_the_judgements_that_are_there_do(tmp_path: Path) -> None:
    new, base = judged_run(tmp_path / "new", [0] * 50), judged_run(tmp_path / "base", [2] * 50)
    rule = Rule(0.0)
    found = gate_task(sides_of(new, base, rule, judged=True), rule, None)
    assert (found.verdict, found.win_minus_loss) == ("pass", 1.0)
    assert found.questions < 50


def test_a_run_that_can_be_judged_much_less_often_is_not_passed(tmp_path: Path) -> None:
    base = judged_run(tmp_path / "base", [2] * 60)
    new = judged_run(tmp_path / "new", [0 if number % 3 else None for number in range(60)])
    rule = Rule(-0.02)
    found = gate_task(sides_of(new, base, rule, judged=True), rule, None)
    assert found.low > -0.02
    assert found.verdict == "undecided"
    assert found.unscored > 0
    assert found.doubt is not None
    assert "of the new run's replies could be judged, and 100.0% of the baseline's" in found.doubt
    assert "undecided, for only" in GateReport("new", "base", rule, [found]).text()


def test_several_tasks_share_the_error_and_one_failure_is_enough() -> None:
    assert Rule(-0.02).shared_by(4).confidence == pytest.approx(0.9875)
    one = TaskGate("a", "pass", 20, 50, 0, 0.5, 0.1, 0.9, 1.0, 1.0, None, ())
    assert overall([one, replace(one, task="b")]) == "pass"
    assert overall([one, replace(one, verdict="undecided")]) == "undecided"
    assert overall([replace(one, verdict="undecided"), replace(one, verdict="fail")]) == "fail"


@pytest.mark.parametrize("margin", [1.0, -1.0, 2.0, float("nan"), float("inf")])
def test_a_margin_lies_between_the_ends(margin: float) -> None:
    with pytest.raises(ConfigError, match="a win - loss lies between -1 and 1"):
        Rule(margin)


def test_what_cannot_be_gated_is_refused(tmp_path: Path) -> None:
    base = judged_run(tmp_path / "base", [2] * 30)
    rule = Rule(0.0)
    bare = pocket_run(tmp_path / "bare", whole=1.0, questions=5)
    with pytest.raises(DataError, match="not judged; name a judge with --judge"):
        sides_of(bare, base, rule, judged=True)
    with pytest.raises(DataError, match="share no question"):
        sides_of(bare, base, rule, judged=False)
    other = [
        ScoredQuestion(replace(question(number), question="Something else?"), (level(0),))
        for number in range(3)
    ]
    changed = load_run(write_run(tmp_path / "changed", {TASK: other})).task(TASK)
    with pytest.raises(DataError, match=r"question 'q\d' isn't the same in"):
        sides_of(changed, base, rule, judged=True)
    nothing = judged_run(tmp_path / "nothing", [None] * 30)
    with pytest.raises(NothingJudgedError, match="on none of 30 questions do both runs have an explanation"):
        gate_task(sides_of(nothing, base, rule, judged=True), rule, None)
    runs = load_run(tmp_path / "base"), load_run(tmp_path / "bare")
    with pytest.raises(ConfigError, match="task 'pocket' isn't in both runs"):
        shared_tasks(*runs, ["pocket"])


def test_runs_that_were_asked_differently_are_noted(tmp_path: Path) -> None:
    new, base = judged_run(tmp_path / "new", [1] * 20, samples=3), judged_run(tmp_path / "base", [1] * 25)
    sides = sides_of(replace(new, prompt_fingerprint="4567"), base, Rule(0.0), judged=True)
    assert isinstance(sides, Sides)
    assert sides.notes == (
        "pocket_explain: the runs were asked differently: prompts 4567 instead of 0123; "
        "samples a question 3 instead of 2",
        "pocket_explain: left out: 5 questions that only one of the runs has",
    )
