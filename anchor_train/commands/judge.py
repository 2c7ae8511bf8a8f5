"""``anchor-train judge``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "judge",
    "Have the explanations of the sampled replies judged.",
    asks=True,
)
