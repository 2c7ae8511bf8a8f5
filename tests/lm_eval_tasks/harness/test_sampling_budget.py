"""``--repeats auto`` with a real model: as many replies as are worth it, and none written twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.commands.measuring.run import _samples
from lm_eval_tasks.runs.discovery import load_run
from tests.lm_eval_tasks.test_cli import AnchorEval

QUESTIONS = 6


def test_a_run_asks_for_as_many_replies_as_are_worth_it(fork_server: None, tmp_path: Path) -> None:
    anchor_eval = AnchorEval(tmp_path)
    arguments = ("run", "--model", "pocket", "--tasks", "pocket_explain", "--limit", QUESTIONS, "--repeats")
    done = anchor_eval(*arguments, "auto", "--gen-kwargs", "max_gen_toks=64", "-o", "runs/auto")
    assert done.returncode == 0, done.stderr
    assert f"{QUESTIONS} questions x at most 16 samples" in done.stderr

    run = load_run(tmp_path / "runs" / "auto")
    (results,) = run.path.rglob("results_*.json")
    (budget,) = json.loads(results.read_text())["config"]["sampling_budgets"].values()
    replies, most = budget["replies"], budget["most"]
    assert [step["replies"] for step in budget["steps"]] == [n for n in (2, 4, 8, 16) if n <= replies]
    assert most == 16
    assert f"pocket_explain: {replies} replies a question of at most 16: accuracy's 95%" in done.stderr
    scored = list(run.task("pocket_explain").read())
    assert [len(question.responses) for question in scored] == [replies] * QUESTIONS
    # Each reply was asked for once, in whatever step: the run itself found all of them on disk.
    (store,) = (tmp_path / "runs" / "auto").rglob("replies.sqlite")
    with sqlite3.connect(store) as kept:
        assert kept.execute("select count(*) from replies").fetchone() == (QUESTIONS * replies,)
    again = anchor_eval(*arguments, "auto", "--gen-kwargs", "max_gen_toks=64", "-o", "runs/auto", "--json")
    assert "generated before with these settings" in again.stderr
    assert json.loads(again.stdout)["tasks"][0]["responses"] == QUESTIONS * replies


@pytest.mark.parametrize(("repeats", "width"), [("0", None), ("-2", None), ("many", None), ("1", 0.1)])
def test_what_makes_no_sense_is_refused(repeats: str, width: float | None) -> None:
    with pytest.raises(ConfigError, match=r"--repeats|--until-width"):
        _samples(repeats, width)


def test_a_width_and_a_most() -> None:
    assert _samples(None, None) == {"repeats": None, "until_width": None}
    assert _samples("8", 0.06) == {"repeats": 8, "until_width": 0.06}
    assert _samples("auto", None) == {"repeats": None, "until_width": 0.0}
    assert _samples("auto", 0.06) == {"repeats": None, "until_width": 0.06}
