"""Which runs a new one may be compared with while it is evaluated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from judges.errors import ConfigError, DataError
from lm_eval_tasks.harness.baseline import load_baseline
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.run_folders import JUDGE, level, question, write_run

TASK = load_task("demo_explain")
QUESTIONS = [ScoredQuestion(question(number), (level(number), level(0))) for number in range(3)]


@pytest.fixture
def run(tmp_path: Path) -> str:
    """A judged run folder."""
    write_run(tmp_path / "base", {"demo_explain": QUESTIONS}, fingerprint=TASK.fingerprint)
    return str(tmp_path / "base")


def test_a_baseline_of_the_same_judge(run: str) -> None:
    baseline = load_baseline(run, TASK, JUDGE)
    assert baseline["q1"] == QUESTIONS[1]


def test_another_judge_or_none_cannot_be_compared(run: str) -> None:
    with pytest.raises(ConfigError, match=r"judged by scripted:replies\.yaml .* the new run by other"):
        load_baseline(run, TASK, replace(JUDGE, name="other"))
    with pytest.raises(ConfigError, match="with my_rubric"):
        load_baseline(run, TASK, replace(JUDGE, rubric="my_rubric", rubric_fingerprint="x"))
    with pytest.raises(ConfigError, match="comparing needs a judge for the new run"):
        load_baseline(run, TASK, None)


def test_a_baseline_that_nobody_judged(tmp_path: Path) -> None:
    write_run(tmp_path / "base", {"demo_explain": QUESTIONS}, judged=False)
    with pytest.raises(ConfigError, match="is not judged yet; anchor-eval score"):
        load_baseline(str(tmp_path / "base"), TASK, JUDGE)


def test_other_prompts_or_other_tasks(run: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no samples of task 'logiqa_explain'"):
        load_baseline(run, load_task("logiqa_explain"), JUDGE)
    write_run(tmp_path / "old", {"demo_explain": QUESTIONS}, fingerprint="0123456789abcdef")
    with pytest.raises(ConfigError, match="with other prompts"):
        load_baseline(str(tmp_path / "old"), TASK, JUDGE)
