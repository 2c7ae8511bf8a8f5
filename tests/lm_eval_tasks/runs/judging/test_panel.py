"""Several judges as one: the median of their verdicts, members missing, members that don't go together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judges.errors import ConfigError
from judges.records import Unjudged
from lm_eval_tasks.cli import main
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.panel import read_panel
from tests.lm_eval_tasks.run_folders import RUBRIC, level, question, write_run

TASK = "aqua_rat_explain"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def scripted(path: Path, verdict: str, *, silent_on: str | None = None) -> None:
    """A judge that gives one verdict on everything, and writes nonsense about one question."""
    lines = "\n".join(f"{criterion.name}: {verdict}" for criterion in RUBRIC.criteria)
    replies: list[dict[str, str]] = [{"reply": lines}]
    if silent_on is not None:
        replies.insert(0, {"match": silent_on, "reply": "no idea"})
    script = path.with_suffix(".replies.yaml")
    script.write_text(json.dumps({"replies": replies}), encoding="utf-8")
    path.write_text(json.dumps({"backend": "scripted", "replies": script.name}), encoding="utf-8")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    rows = [ScoredQuestion(question(number), (level(2, words=number + 3),)) for number in range(4)]
    return write_run(tmp_path / "m1", {TASK: rows}, judged=False)


def panel(folder: Path, *verdicts: str, silent_on: str | None = None) -> Path:
    names = [f"judge{place}.yaml" for place in range(len(verdicts))]
    for place, (name, verdict) in enumerate(zip(names, verdicts, strict=True)):
        scripted(folder / name, verdict, silent_on=silent_on if place == 0 else None)
    path = folder / "panel.yaml"
    path.write_text(json.dumps({"panel": names, "name": "three"}), encoding="utf-8")
    return path


def test_the_median_verdict_counts_and_members_stay_beside_it(run: Path, tmp_path: Path) -> None:
    path = panel(tmp_path, "EXCELLENT", "GOOD", "UNSATISFACTORY")
    done = call("score", run, "--judge", path, "--no-cache")
    assert done.exit_code == 0, done.output
    task = load_run(run, judge="three").task(TASK)
    assert task.judge is not None
    assert (task.judge.name, task.judge.backend) == ("panel:three", "panel")
    assert {sample.score for scored in task.read() for sample in scored.responses} == {20}
    assert len(load_run(run).task(TASK).judgements) == 4
    # What is newest stands for the run: the panel, written after its members.
    newest = load_run(run).task(TASK)
    assert newest.judge is not None
    assert newest.judge.backend == "panel"
    assert call("score", run, "--judge", path, "--no-cache").exit_code == 0


def test_a_statement_that_a_member_left_out_has_no_verdicts_of_the_panel(run: Path, tmp_path: Path) -> None:
    path = panel(tmp_path, "GOOD", "GOOD", "GOOD", silent_on="the 2th time")
    done = call("score", run, "--judge", path, "--no-cache")
    assert done.exit_code == 0, done.output
    task = load_run(run, judge="three").task(TASK)
    outcomes = {
        scored.question.id: sample.assessment.outcome
        for scored in task.read()
        for sample in scored.responses
        if sample.assessment is not None
    }
    left = outcomes["q2"]
    assert isinstance(left, Unjudged)
    assert left.detail == "2 of 3 members gave verdicts"
    assert task.summary is not None
    assert task.summary.judged == 3
    assert "1 explanations lack a member's verdicts" in " ".join(task.summary.notes)


def test_an_even_panel_takes_the_worse_of_the_two_middle_verdicts(run: Path, tmp_path: Path) -> None:
    path = panel(tmp_path, "EXCELLENT", "SATISFACTORY")
    assert call("score", run, "--judge", path, "--no-cache").exit_code == 0
    task = load_run(run, judge="three").task(TASK)
    assert {sample.score for scored in task.read() for sample in scored.responses} == {15}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"panel": ["one.yaml"]}, "at least 2"),
        ({"panel": ["one.yaml", "one.yaml"]}, "a member twice"),
        ({"panel": ["a:b", "c:d"], "combine": "mean"}, "unknown key 'combine'"),
    ],
)
def test_a_wrong_file_is_said(tmp_path: Path, values: dict[str, object], message: str) -> None:
    path = tmp_path / "panel.yaml"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_panel(str(path))


def test_a_plain_judge_is_no_panel(tmp_path: Path) -> None:
    scripted(tmp_path / "judge.yaml", "GOOD")
    assert read_panel(str(tmp_path / "judge.yaml")) is None
    assert read_panel("openai:model@http://localhost:1/v1") is None
