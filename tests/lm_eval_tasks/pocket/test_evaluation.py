"""The shipped model and the ground-truth judge from the command line, as a first user meets them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.calling import call

TASKS = ("pocket_explain", "pocket_explain_refined")


def test_the_pocket_model_is_evaluated_by_its_name(fork_server: None, tmp_path: Path) -> None:
    size = ("--limit", 6, "--repeats", 2, "--batch-size", 12)
    judge = ("--judge", "pocket-oracle:ground-truth")
    arguments = ("run", "--model", "pocket", "--tasks", ",".join(TASKS), *size, *judge)
    done = call("anchor-eval", *arguments, "-o", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    for task in TASKS:
        (judgements,) = (tmp_path / "run").rglob(f"judgements_{task}_pocket-oracle*.json")
        summary = json.loads(judgements.read_text(encoding="utf-8"))
        assert (summary["questions"], summary["judged"]) == (6, 12)
        assert summary["judge"]["backend"] == "pocket-oracle"
        assert ("mended" in summary["metrics"]) == task.endswith("_refined")
