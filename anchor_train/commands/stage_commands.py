"""What ``run`` and the commands of single stages have in common."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anchor_train.commands.options import (
    dry_run_option,
    executor_override,
    json_option,
    open_pipeline,
    print_json,
    retry_option,
    run_argument,
    say,
    set_option,
)
from lm_eval_tasks.commands.executor_options import executor_options

if TYPE_CHECKING:
    from anchor_train.pipeline.pipeline import Pipeline, StageStatus
    from anchor_train.run.stage import StageKind


def stage_command(name: str, description: str, *, asks: bool = False) -> click.Command:
    """The command that does the stages of one name (see ``anchor_train.pipeline.pipeline.COMMANDS``).

    Args:
        name: The name.
        description: The first lines of its help.
        asks: Whether one of its stages asks a model through a chat backend, which can run elsewhere.
    """

    @click.command(name.split()[-1], help=f"{description}\n\n\b\nanchor-train {name} my-run")
    @run_argument
    @set_option
    @dry_run_option
    @retry_option
    @json_option
    def command(
        run_folder: Path,
        overrides: tuple[str, ...],
        dry_run: bool,
        retry_failed: bool,
        as_json: bool,
        **options: Any,
    ) -> None:
        overrides += executor_override(options) if asks else ()
        do_stages(name, run_folder, overrides, dry_run, retry_failed, as_json)

    return executor_options(command) if asks else command


def do_stages(
    name: str | None,
    run_folder: Path,
    overrides: tuple[str, ...],
    dry_run: bool,
    retry_failed: bool,
    as_json: bool,
) -> None:
    """Does the stages of a command, or all of them for None, and prints what came out."""
    from anchor_train.inspection.status import as_rows, results_text
    from anchor_train.inspection.trial import try_rendering
    from anchor_train.pipeline.pipeline import COMMANDS

    pipeline = open_pipeline(run_folder, overrides)
    kinds = None if name is None else COMMANDS[name]
    if any(status.state != "finished" for status in _statuses(pipeline, kinds)):
        trial = try_rendering(pipeline.recipe)
        if trial.thinks and not dry_run:
            say(trial.note)
    if dry_run:
        from anchor_train.inspection.dry_run import describe

        description = describe(pipeline, kinds)
        if as_json:
            print_json(description.to_json())
        else:
            click.echo(description.to_text())
        return
    pipeline.do(kinds, retry_failed=retry_failed)
    statuses = _statuses(pipeline, kinds)
    if as_json:
        print_json(as_rows(statuses, pipeline.run))
    else:
        click.echo(results_text(statuses, pipeline.run))


def _statuses(pipeline: Pipeline, kinds: Collection[StageKind] | None) -> list[StageStatus]:
    return [status for status in pipeline.status() if kinds is None or status.stage.kind in kinds]
