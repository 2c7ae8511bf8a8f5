"""Generation that is killed again and again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_kills_lose_no_finished_reply_and_change_none() -> None:
    """In a process of its own, which has computed nothing before it forks."""
    command = [sys.executable, "-m", "benchmarks.kills.generation", "--kills", "2", "--replies", "96"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert (report["lost"], report["wrong"]) == (0, [])
    assert 0 < report["stored_at_kills"][-1] < 96
    assert report["asked"] == 96 + report["under_way"]
