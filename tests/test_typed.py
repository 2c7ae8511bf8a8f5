"""A program built on the packages has its types checked: mypy, run outside, finds `py.typed`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A line that is wrong says what mypy must find there.
PROGRAM = """\
from pathlib import Path
from typing import assert_type

import datasets
import pandas

from anchor_train.api import load_pairs
from anchor_train.rewards import explanation_reward, question_set
from anchor_train.watching import WinRateCallback
from judges import Assessment, Judge, Judgement, Sampling, Statement, Unjudged, load_judge
from lm_eval_tasks.api import Comparison, Fields, Replies, Run
from lm_eval_tasks.api import compare, leaderboard, run_of_explanations, score

with load_judge("judge.yaml") as judge:
    assert_type(judge, Judge)
    found = judge.assess_all([Statement(question="Why?", explanation="So.")])
    assert_type(found, list[Assessment])
    outcome = found[0].outcome
    assert_type(outcome, Judgement | Unjudged)
    if isinstance(outcome, Judgement):
        assert_type(judge.rubric.score(outcome), int)
    judge.rubric.score(outcome)  # E: arg-type
    judge.assess_all("Why?")  # E: arg-type
Statement(question="Why?", explanation=3)  # E: arg-type
Statement("Why?", "So.", weight=2)  # E: call-arg
found[0].outcome = outcome  # E: misc
Sampling(temperature="cold")  # E: arg-type

run = Run.load("runs/m1")
assert_type(run, Run)
assert_type(run.replies, Replies)
assert_type(run.replies.to_pandas(), pandas.DataFrame)
assert_type(run.replies.to_dataset(), datasets.Dataset)
assert_type(score("runs/m1", judge, tasks=["pocket_explain"]), Run)
score(run, judge, tasks=3)  # E: arg-type
run.answers  # E: attr-defined
result = compare(run, "runs/base", baseline="base")
assert_type(result, Comparison)
assert_type(result.to_latex(), str)
compare(run, "runs/base", baseline=run)  # E: arg-type
leaderboard("runs", "site", figures="all").index.read_text()
leaderboard("runs", "site", figures="some")  # E: arg-type
fields = Fields("q", ("why",))
assert_type(run_of_explanations(Path("theirs.csv"), fields, Path("theirs"), task="t", model="m"), Path)
run_of_explanations("theirs.csv", fields, Path("theirs"), task="t", model="m")  # E: arg-type

assert_type(load_pairs("my-run"), datasets.Dataset)
load_pairs("my-run", round="last")  # E: arg-type
explanation_reward(judge, "pocket_explain", parts=["form"])
explanation_reward(judge, "pocket_explain", parts=["shape"])  # E: list-item
question_set("pocket_explain", limit=4.5)  # E: arg-type
WinRateCallback(object(), judge, "pocket_explain", every=50)
WinRateCallback(object(), judge, "pocket_explain", every="epoch")  # E: arg-type
"""
# What others publish isn't looked at: it would take half a minute, and isn't ours to hold.
SETTINGS = """\
[mypy]
strict = True
follow_imports = skip
ignore_missing_imports = True
[mypy-numpy.*]
follow_imports_for_stubs = True
[mypy-judges.*,lm_eval_tasks.*,anchor_train.*]
follow_imports = silent
ignore_missing_imports = False
"""


def test_a_program_outside_sees_our_types(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mypy.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--no-incremental", "program.py"]
    # A folder of PYTHONPATH is to mypy what site-packages are: without `py.typed` it takes nothing there.
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = set(re.findall(r"^program\.py:(\d+): error: .*\[([a-z-]+)\]$", done.stdout, re.MULTILINE))
    expected = {
        (str(number), line.partition("  # E: ")[2])
        for number, line in enumerate(PROGRAM.splitlines(), start=1)
        if "  # E: " in line
    }
    assert said == expected, done.stdout + done.stderr
    assert f"Found {len(expected)} errors in 1 file" in done.stdout
