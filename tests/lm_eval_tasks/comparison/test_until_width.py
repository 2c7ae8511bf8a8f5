"""Judging until win - loss is known well enough: where it stops, and what it then says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lm_eval_tasks.cli import main
from lm_eval_tasks.stats.estimation.intervals import MARGIN
from lm_eval_tasks.stats.estimation.sequence import FIRST_LOOK, Narrowed, narrow
from tests.lm_eval_tasks.comparison.test_gate import pocket_run

ORACLE = ("--judge", "pocket-oracle:ground-truth")


def test_it_stops_at_the_first_look_that_is_narrow_enough_and_later_values_change_nothing() -> None:
    values = np.random.default_rng(31).normal(0.1, 0.3, 400).clip(-1, 1)
    found = narrow(values, MARGIN, width=0.3, expected=100)
    assert found.reached
    assert FIRST_LOOK < found.questions < 400
    assert found.high - found.low < 0.3
    assert found.value == pytest.approx(values[: found.questions].mean())
    assert not narrow(values[: found.questions - 1], MARGIN, width=0.3, expected=100).reached
    turned = np.concatenate([values[: found.questions], np.ones(500)])
    assert narrow(turned, MARGIN, width=0.3, expected=100) == found
    assert narrow([], MARGIN, width=0.3, expected=100) == Narrowed(False, 0, None, -1.0, 1.0)


def test_the_interval_at_which_it_stops_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(32)
    wrong = 0
    for _ in range(400):
        # Rare differences, all one way: samples without any have no spread, and look narrow.
        values = 1.0 * (random.random(600) < 0.05)
        found = narrow(values, MARGIN, width=0.25, expected=200)
        wrong += not found.low <= 0.05 <= found.high
    assert wrong / 400 <= 0.05


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.chdir(tmp_path)
    pocket_run(tmp_path / "whole", whole=0.9, questions=120, seed=1)
    pocket_run(tmp_path / "half", whole=0.6, questions=120, seed=2)
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", "whole", "half", *map(str, arguments)])


def test_a_wide_interval_takes_fewer_questions_than_a_narrow_one(runs: Path) -> None:
    dry = call(*ORACLE, "--until-width", 0.8, "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "")
    assert "pocket_explain: at least 20 of 120 shared questions" in dry.stderr
    wide = call(*ORACLE, "--until-width", 0.8, "--json")
    assert wide.exit_code == 0, wide.output
    first = json.loads(wide.stdout)
    (task,) = first["tasks"]
    assert (task["reached"], first["reached"]) == (True, True)
    assert task["width"] == task["high"] - task["low"] < 0.8
    assert task["low"] < task["win_minus_loss"] < task["high"]
    assert task["win"] - task["loss"] == pytest.approx(task["win_minus_loss"])
    assert task["win"] + task["tie"] + task["loss"] == pytest.approx(1)
    assert 20 <= task["questions"] < 120
    # Narrower goes on where that stopped, on the same questions in the same order.
    more = json.loads(call(*ORACLE, "--until-width", 0.5, "--json").stdout)
    (further,) = more["tasks"]
    assert task["questions"] < further["questions"]
    assert more["accounts"]["cached"] >= first["accounts"]["asked"] > 0
    # From the other side it is the same with the other sign.
    turned = json.loads(call(*ORACLE, "--until-width", 0.8, "--baseline", "whole", "--json").stdout)
    assert (turned["new"], turned["baseline"]) == ("half", "whole")
    assert turned["tasks"][0]["win_minus_loss"] == pytest.approx(-task["win_minus_loss"])
    assert turned["accounts"]["asked"] == 0


def test_where_questions_run_out_it_says_how_wide_the_interval_is_left(runs: Path) -> None:
    done = call(*ORACLE, "--until-width", 0.01)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith(
        "whole against half, judged by pocket-oracle:ground-truth (rubric explanation_quality 1)"
    )
    assert lines[-1].startswith("pocket_explain: all 120 shared questions are judged, and the interval is ")
    assert call(*ORACLE, "--until-width", 0.01, "--max-calls", 3).exit_code == 0, "all is in the cache"


def test_what_does_not_go_together_is_said(runs: Path) -> None:
    for given, said in (
        (("--until-width", 0.1), "--until-width needs --judge"),
        ((*ORACLE, "--until-width", 0.1, "--details"), "--details doesn't go with --until-width"),
        (("--max-calls", 3), "--max-calls goes with --until-width"),
        ((*ORACLE, "--until-width", "nan"), "not a finite number"),
        ((*ORACLE, "--until-width", 0.1, "half"), "--until-width takes two runs"),
        ((*ORACLE, "--until-width", 0.1, "--baseline", "hal"), "did you mean 'half'"),
    ):
        refused = call(*given)
        assert refused.exit_code in (1, 2)
        assert said in refused.output
    spent = call(*ORACLE, "--until-width", 0.1, "--max-calls", 3)
    assert spent.exit_code == 3
