"""``anchor-train sample``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "sample",
    "Draw N replies a question from the model in training.",
    asks=True,
)
