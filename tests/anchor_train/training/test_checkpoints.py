"""Checkpoints count when they are whole, and never fill the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.training.checkpoints import (
    checkpoint_bytes,
    discard_half_written,
    fingerprint,
    finish_checkpoint,
    require_room,
    step_of,
    whole_checkpoints,
)
from judges.errors import ConfigError


def _checkpoint(folder: Path, step: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    return path


def test_the_newest_whole_checkpoint_is_the_one_with_the_highest_step(tmp_path: Path) -> None:
    for step in (9, 10, 100):
        _checkpoint(tmp_path, step)
    finish_checkpoint(tmp_path, 9, keep=5)
    finish_checkpoint(tmp_path, 10, keep=5)
    assert [step_of(path) for path in whole_checkpoints(tmp_path)] == [9, 10]
    assert discard_half_written(tmp_path) == 1
    assert sorted(step_of(path) for path in tmp_path.iterdir()) == [9, 10]


def test_older_checkpoints_go_only_when_a_newer_one_is_whole(tmp_path: Path) -> None:
    _checkpoint(tmp_path, 2)
    finish_checkpoint(tmp_path, 2, keep=1)
    _checkpoint(tmp_path, 4)
    assert [step_of(path) for path in whole_checkpoints(tmp_path)] == [2]
    finish_checkpoint(tmp_path, 4, keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-4"]


def test_a_disk_that_is_too_small_is_named_before_training(tmp_path: Path) -> None:
    require_room(tmp_path, checkpoint_bytes(1000, 4), keep=2)
    with pytest.raises(ConfigError, match=r"not enough disk .*: 3 of 1073741824\.00 GiB are needed"):
        require_room(tmp_path, 2**60, keep=2)


def test_a_fingerprint_tells_parts_apart() -> None:
    assert fingerprint(["ab", "c"]) != fingerprint(["a", "bc"])
    assert fingerprint(["a", b"b"]) == fingerprint(["a", "b"])
