"""Checkpoints that survive a kill: whole or not at all, the adapter in safetensors, one adapter only.

A checkpoint counts once its marker stands in it, which is written after everything else on every process.
Older ones go only after that, so one whole checkpoint is always there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from judges.errors import ConfigError

MARKER = "complete"
PREFIX = "checkpoint-"
# Tokenizer, configs and the small state files of a checkpoint; generous, since weights dominate.
OVERHEAD_BYTES = 32 * 2**20


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that can be gone on from, oldest first."""
    found = [path for path in folder.glob(f"{PREFIX}*") if (path / MARKER).is_file()]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """Optimiser steps that had been made when it was saved."""
    return int(checkpoint.name.removeprefix(PREFIX))


def discard_half_written(folder: Path) -> int:
    """Removes checkpoints that a killed run left unfinished; returns how many."""
    half = [path for path in folder.glob(f"{PREFIX}*") if not (path / MARKER).is_file()]
    for path in half:
        shutil.rmtree(path)
    return len(half)


def finish_checkpoint(folder: Path, step: int, keep: int) -> None:
    """Marks a checkpoint as whole, then removes all but the newest ``keep``."""
    (folder / f"{PREFIX}{step}" / MARKER).touch()
    for path in whole_checkpoints(folder)[:-keep]:
        (path / MARKER).unlink()
        shutil.rmtree(path)


def checkpoint_bytes(trainable: int, bytes_each: int) -> int:
    """Size of a checkpoint: the adapter and AdamW's two moments of each trainable number."""
    return trainable * bytes_each * 3 + OVERHEAD_BYTES


def require_room(folder: Path, checkpoint: int, keep: int) -> None:
    """Refuses to start what would fill the disk at the first checkpoints.

    Args:
        folder: Where checkpoints go; it exists.
        checkpoint: Bytes of one.
        keep: How many stay; one more is there while it is being written.

    Raises:
        ConfigError: With what is needed and what there is.
    """
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    needed = checkpoint * (keep + 1) - there
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"not enough disk for checkpoints at {folder}: {keep + 1} of {_size(checkpoint)} are needed, "
            f"{_size(free)} is free; make room, or lower keep_checkpoints or lora.r"
        )


def fingerprint(parts: Iterable[str | bytes]) -> str:
    """SHA-256 of all parts in order."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's content, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.digest()


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


class WholeCheckpoints:
    """Mixed into a transformers Trainer: its checkpoints are as this module wants them."""

    keep_checkpoints: int
    # Members of the trainer that this is mixed into.
    model: Any
    args: Any
    state: Any
    accelerator: Any
    processing_class: Any

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """Saves what is trained, adapter or all weights: no copy of the reference, nothing pickled."""
        folder = output_dir or self.args.output_dir
        model = self.accelerator.unwrap_model(self.model)
        adapters = {"selected_adapters": ["default"]} if hasattr(model, "peft_config") else {}
        model.save_pretrained(folder, state_dict=state_dict, **adapters)
        if self.args.should_save and self.processing_class is not None:
            self.processing_class.save_pretrained(folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            finish_checkpoint(Path(self.args.output_dir), self.state.global_step, self.keep_checkpoints)

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Does nothing: the card of an exported model says what it holds."""

    def _send_telemetry(self) -> None:
        """Sends nothing anywhere."""
