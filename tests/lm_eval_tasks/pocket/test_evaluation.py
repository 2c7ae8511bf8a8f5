"""The shipped model and the ground-truth judge from the command line, as a first user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("task", ["pocket_explain", "pocket_explain_refined"])
def test_the_pocket_model_is_evaluated_by_its_name(tmp_path: Path, task: str) -> None:
    options = [
        "--limit",
        "6",
        "--repeats",
        "2",
        "--batch-size",
        "12",
        "--judge",
        "pocket-oracle:ground-truth",
    ]
    arguments = [
        "run",
        "--model",
        "pocket",
        "--tasks",
        task,
        *options,
        "-o",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval_tasks", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (judgements,) = (tmp_path / "run").rglob(f"judgements_{task}_pocket-oracle*.json")
    summary = json.loads(judgements.read_text(encoding="utf-8"))
    assert (summary["questions"], summary["judged"]) == (6, 12)
    assert summary["judge"]["backend"] == "pocket-oracle"
    assert ("mended" in summary["metrics"]) == task.endswith("_refined")
