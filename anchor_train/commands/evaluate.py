"""``anchor-train evaluate``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "evaluate",
    "Let base and trained models answer the task, have them judged, and print the paper's Table 1.",
    asks=True,
)
