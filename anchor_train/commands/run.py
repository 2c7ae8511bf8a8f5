"""``anchor-train run``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from anchor_train.commands.options import (
    dry_run_option,
    executor_override,
    json_option,
    retry_option,
    run_argument,
    set_option,
)
from lm_eval_tasks.commands.executor_options import executor_options


@click.command("run")
@run_argument
@set_option
@dry_run_option
@retry_option
@executor_options
@json_option
def command(
    run_folder: Path,
    overrides: tuple[str, ...],
    dry_run: bool,
    retry_failed: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Do all stages of RUN that aren't finished: sft, sample, judge, pairs, dpo, evaluate.

    Finished stages are passed over while their inputs and settings are unchanged; what changed is named. A
    run that was stopped, in whatever way, is taken up where it stopped.

    \b
    anchor-train run my-run
    anchor-train run my-run --dry-run
    anchor-train run my-run --set dpo.beta=0.2 --set dpo.max_steps=500
    anchor-train run my-run --executor ray --workers 8
    """
    from anchor_train.commands.stage_commands import do_stages

    do_stages(None, run_folder, overrides + executor_override(options), dry_run, retry_failed, as_json)
