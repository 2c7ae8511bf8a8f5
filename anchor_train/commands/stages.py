"""``anchor-train run``, and the commands of single stages, which the kinds of stages name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    set_option,
)
from anchor_train.stages.registry import KINDS, commands
from lm_eval_tasks.commands.executor_options import executor_options
from lm_eval_tasks.commands.log_options import verbose_option

if TYPE_CHECKING:
    from anchor_train.pipeline.pipeline import StageStatus

_RUN = """Do all stages of RUN that aren't finished, in order.

Finished stages are passed over while their inputs and settings are unchanged; what changed is named. A
run that was stopped, in whatever way, is taken up where it stopped.

\b
anchor-train run my-run
anchor-train run my-run --dry-run
anchor-train run my-run --set dpo.beta=0.2 --set dpo.max_steps=500
anchor-train run my-run --executor ray --workers 8
"""


def stage_command(name: str, lines: Mapping[str, str]) -> click.Command | None:
    """The command of that name, or the group of those whose names begin with it; None if there is none.

    Args:
        name: As the user writes it.
        lines: Command -> what ``--help`` says of it.
    """
    if name == "run":
        return _command(name, _RUN, None)
    found = commands()
    if name in found:
        return _command(name, _about(name, lines, found[name]), found[name])
    order = list(lines)
    parts = sorted(
        (part for part in found if part.startswith(f"{name} ")),
        key=lambda part: order.index(part) if part in lines else len(order),
    )
    if not parts:
        return None
    group = click.Group(name, help=f"{lines.get(name, name)}\n\n\b\nanchor-train {parts[0]} my-run")
    for part in parts:
        group.add_command(_command(part, _about(part, lines, found[part]), found[part]))
    return group


def _about(name: str, lines: Mapping[str, str], kinds: Collection[str]) -> str:
    stages = " and ".join(sorted(kinds))
    return f"{lines.get(name, 'Do a stage.')}\n\nStages of RUN: {stages}.\n\n\b\nanchor-train {name} my-run"


def _command(name: str, about: str, kinds: Collection[str] | None) -> click.Command:
    """Args: ``kinds``, the stages that it does; None for all."""
    asks = kinds is None or any(KINDS[kind].asks for kind in kinds)

    @click.command(name.split()[-1], help=about)
    @run_argument
    @set_option
    @dry_run_option
    @retry_option
    @verbose_option
    @json_option
    def command(
        run_folder: Path,
        overrides: tuple[str, ...],
        dry_run: bool,
        retry_failed: bool,
        verbose: bool,
        as_json: bool,
        **options: Any,
    ) -> None:
        overrides += executor_override(options) if asks else ()
        _do(kinds, run_folder, overrides, dry_run, retry_failed, verbose, as_json)

    return executor_options(command) if asks else command


def _do(
    kinds: Collection[str] | None,
    run_folder: Path,
    overrides: tuple[str, ...],
    dry_run: bool,
    retry_failed: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    from anchor_train.inspection.dry_run import describe
    from anchor_train.inspection.status import as_rows, results_text
    from anchor_train.inspection.trial import try_rendering
    from judges.notices import tell
    from judges.run_log import quiet

    pipeline = open_pipeline(run_folder, overrides)

    def statuses() -> list[StageStatus]:
        return [status for status in pipeline.status() if kinds is None or status.stage.kind in kinds]

    # Stages that only ask an endpoint are there in milliseconds, and need no tokenizer.
    renders = kinds is None or any(KINDS[kind].trains or KINDS[kind].makes_data for kind in kinds)
    if renders and any(status.state != "finished" for status in statuses()):
        trial = try_rendering(pipeline.recipe)
        if trial.thinks and not dry_run:
            tell(trial.note)
    if dry_run:
        description = describe(pipeline, kinds)
        if as_json:
            print_json(description.to_json())
        else:
            click.echo(description.to_text())
        return
    with quiet(pipeline.run.log, verbose=verbose):
        pipeline.do(kinds, retry_failed=retry_failed)
    if as_json:
        print_json(as_rows(statuses(), pipeline.run))
    else:
        click.echo(results_text(statuses(), pipeline.run))
