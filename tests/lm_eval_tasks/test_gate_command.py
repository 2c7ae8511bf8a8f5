"""``anchor-eval gate`` as continuous integration calls it: its exit codes, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.judges.endpoint import GOOD_FORM, Endpoint
from tests.lm_eval_tasks.comparison.test_gate import pocket_run
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval, make_run

__all__ = ["anchor_eval"]

ORACLE = ("--judge", "pocket-oracle:ground-truth")


def runs(folder: Path, *, questions: int = 60) -> None:
    pocket_run(folder / "whole", whole=1.0, questions=questions, seed=1)
    pocket_run(folder / "half", whole=0.1, questions=questions, seed=2)
    pocket_run(folder / "half2", whole=0.1, questions=questions, seed=3)


def test_exit_codes_tell_pass_fail_and_undecided(anchor_eval: AnchorEval) -> None:
    runs(anchor_eval.folder)
    passed = anchor_eval("gate", "whole", "--baseline", "half", "--margin", "-0.02", *ORACLE)
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.splitlines()[0] == "whole against half: win - loss above -2.0 points?"
    assert passed.stdout.splitlines()[-1] == "pass"
    assert "pocket_explain: at least 20 of 60 shared questions: " in passed.stderr
    assert "pocket_explain: 20 questions of 60, win - loss +" in passed.stderr
    failed = anchor_eval("gate", "half", "--baseline", "whole", "--margin", "-0.02", *ORACLE, "--json")
    assert failed.returncode == 1
    result = json.loads(failed.stdout)
    assert (result["verdict"], result["margin"]) == ("fail", -0.02)
    (task,) = result["tasks"]
    assert task["high"] < -0.02
    assert task["questions"] < task["shared"] == 60
    assert result["accounts"]["asked"] == 0  # the same explanations as before, the other way round
    undecided = anchor_eval("gate", "half2", "--baseline", "half", "--margin", "0", *ORACLE)
    assert undecided.returncode == 4
    assert undecided.stdout.splitlines()[-1].startswith("undecided: ")


def test_a_dry_run_asks_nothing_and_a_spent_budget_is_taken_up(anchor_eval: AnchorEval) -> None:
    runs(anchor_eval.folder)
    gate = ("gate", "whole", "--baseline", "half", "--margin", "-0.02", *ORACLE)
    planned = anchor_eval(*gate, "--dry-run")
    assert (planned.returncode, planned.stdout) == (0, "")
    assert anchor_eval.stored_replies() == 0
    spent = anchor_eval(*gate, "--max-calls", 7)
    assert spent.returncode == 3, spent.stderr
    assert "the next call may break the budget of 7 calls" in spent.stderr
    assert anchor_eval.stored_replies() == 7
    done = anchor_eval(*gate, "--json")
    assert done.returncode == 0
    accounts = json.loads(done.stdout)["accounts"]
    assert accounts["asked"] + 7 == anchor_eval.stored_replies() < 240


def test_an_endpoint_that_goes_down_is_no_failure_of_the_run(anchor_eval: AnchorEval) -> None:
    runs(anchor_eval.folder, questions=30)
    judge = anchor_eval.folder / "judge.yaml"
    gate = ("gate", "whole", "--baseline", "half", "--margin", "-0.5", "--judge", judge)
    with Endpoint(
        lambda k, b, h: h.reply(GOOD_FORM) if k < 20 else h.error(500, "out of memory")
    ) as endpoint:
        settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 4}
        judge.write_text(json.dumps(settings | {"patience": 0.2, "backoff": 0.01}))
        broken = anchor_eval(*gate)
        assert broken.returncode == 2, broken.stderr
        assert "every request fails" in broken.stderr.splitlines()[-1]
        assert "Traceback" not in broken.stderr
        stored = anchor_eval.stored_replies()
        endpoint.behave = lambda k, b, h: h.reply(GOOD_FORM)
        mended = anchor_eval(*gate, "--json")
    assert mended.returncode == 0, mended.stderr  # all alike: ties, so surely not half of them lost
    assert json.loads(mended.stdout)["accounts"]["cached"] >= stored == 20


def test_a_judge_that_writes_no_verdicts_decides_nothing(anchor_eval: AnchorEval) -> None:
    runs(anchor_eval.folder, questions=25)
    with Endpoint(lambda k, b, h: h.reply("I'd rather not.")) as endpoint:
        spec = f"openai:m@{endpoint.url}"
        done = anchor_eval("gate", "whole", "--baseline", "half", "--margin", "0", "--judge", spec)
    assert done.returncode == 5
    assert done.stdout == ""
    assert (
        "on none of 25 questions do both runs have an explanation with a verdict"
        in done.stderr.splitlines()[-1]
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (["--margin", "nan"], "'--margin': 'nan' is not a finite number"),
        (["--margin", "2"], "margin 2.0: a win - loss lies between -1 and 1"),
        (["--task", "pocket_explian"], "task 'pocket_explian' isn't in both runs: did you mean"),
        (["--baseline", "nowhere"], "nowhere: no such folder"),
        (["--judge", "opnai:m"], "opnai"),
        (["--rubric", "nowhere.yaml"], "go with --judge"),
        (["--max-calls", "3"], "go with --judge"),
    ],
)
def test_mistakes_are_one_line_and_no_verdict(
    anchor_eval: AnchorEval, change: list[str], complaint: str
) -> None:
    for name, seed in (("new", 1), ("old", 2)):
        make_run(anchor_eval.folder / name, better=0, seed=seed, questions=5, task="pocket_explain")
    done = anchor_eval("gate", "new", "--baseline", "old", "--margin", "0", *change)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_a_log_that_was_cut_off_is_named(anchor_eval: AnchorEval) -> None:
    for name, seed in (("new", 1), ("old", 2)):
        make_run(anchor_eval.folder / name, better=0, seed=seed, questions=30)
    (log,) = (anchor_eval.folder / "new").rglob("samples_*.jsonl")
    log.write_bytes(log.read_bytes()[:-30])
    done = anchor_eval("gate", "new", "--baseline", "old", "--margin", "0")
    assert done.returncode == 2
    assert f"{log.name}:30" in done.stderr.splitlines()[-1]
