"""``anchor-train groups``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "groups",
    "Tell better replies from worse ones, question by question (strategies aft, rrhf, pro, rft).",
)
