"""The shipped model and the ground-truth judge from the command line, as a first user meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_pocket_model_is_evaluated_by_its_name(tmp_path: Path) -> None:
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
        "pocket_explain",
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
    (judgements,) = (tmp_path / "run").rglob("judgements_pocket_explain_*.json")
    summary = json.loads(judgements.read_text(encoding="utf-8"))
    assert (summary["questions"], summary["judged"]) == (6, 12)
    assert summary["judge"]["backend"] == "pocket-oracle"
