"""A stage's time is that of all attempts at the same work, those that were killed too."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from anchor_train.pipeline.pipeline import CLOCK, _start_clock


def attempt(folder: Path, belongs_to: str, took: float) -> None:
    """An attempt that began so many seconds ago, wrote something now, and was killed."""
    clock = json.loads((folder / CLOCK).read_text())
    assert clock["belongs_to"] == belongs_to
    clock["started"] = time.time() - took
    (folder / CLOCK).write_text(json.dumps(clock))
    (folder / "journal.jsonl").write_text("a row")


def test_attempts_add_up_until_they_last_wrote_something(tmp_path):
    assert _start_clock(tmp_path, "this work") == 0
    attempt(tmp_path, "this work", 100)
    assert _start_clock(tmp_path, "this work") == pytest.approx(100, abs=5)
    attempt(tmp_path, "this work", 20)
    assert _start_clock(tmp_path, "this work") == pytest.approx(120, abs=5)


def test_a_pause_between_attempts_is_no_work(tmp_path):
    _start_clock(tmp_path, "this work")
    attempt(tmp_path, "this work", 100)
    long_ago = time.time() - 90
    for path in tmp_path.iterdir():
        os.utime(path, (long_ago, long_ago))
    assert _start_clock(tmp_path, "this work") == pytest.approx(10, abs=5)


def test_other_work_and_a_torn_clock_begin_at_nothing(tmp_path):
    _start_clock(tmp_path, "this work")
    attempt(tmp_path, "this work", 100)
    assert _start_clock(tmp_path, "other settings") == 0
    (tmp_path / CLOCK).write_text('{"belongs')
    assert _start_clock(tmp_path, "other settings") == 0
