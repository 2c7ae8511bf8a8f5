"""``anchor-train sft``."""

from __future__ import annotations

from anchor_train.commands.stage_commands import stage_command

command = stage_command(
    "sft",
    "Fine-tune the base model of RUN on answers alone (stages questions and sft).",
)
