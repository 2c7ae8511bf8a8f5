"""``anchor-train align``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "align",
    "Train on the groups of replies, from the model that was sampled (strategies aft, rrhf, pro, rft).",
)
