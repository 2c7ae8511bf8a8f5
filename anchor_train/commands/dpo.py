"""``anchor-train dpo``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "dpo",
    "Train on the preference pairs, from the model that was sampled.",
)
