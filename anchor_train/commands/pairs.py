"""``anchor-train pairs``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "pairs",
    "Make preference pairs of the judged replies, with the consultant's help (stages consult and pairs).",
    asks=True,
)
