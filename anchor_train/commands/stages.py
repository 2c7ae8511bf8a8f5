"""``anchor-train run``, and the commands of single stages, which the kinds of stages name."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anchor_train.commands.options import (
    dry_run_option,
    executor_override,
    json_option,
    measure_option,
    open_pipeline,
    print_json,
    redo_option,
    retry_option,
    run_argument,
    save_set_option,
    set_option,
)
from anchor_train.stages.registry import KINDS, commands
from lm_eval_tasks.commands.options.executor import executor_options
from lm_eval_tasks.commands.options.log import verbose_option

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
    @measure_option
    @save_set_option
    @redo_option
    @retry_option
    @verbose_option
    @json_option
    def command(
        run_folder: Path,
        overrides: tuple[str, ...],
        dry_run: bool,
        measure: bool,
        save_set: bool,
        redo: bool,
        retry_failed: bool,
        verbose: bool,
        as_json: bool,
        **options: Any,
    ) -> None:
        if save_set and overrides:
            _save(run_folder, overrides, dry_run)
            overrides = overrides if dry_run else ()
        elsewhere = executor_override(options) if asks else ()
        if measure and not dry_run:
            raise click.UsageError("--measure estimates: give it with --dry-run")
        how = _How(dry_run, measure, redo, retry_failed, verbose, as_json)
        try:
            _do(kinds, run_folder, (*overrides, *elsewhere), how)
        except KeyboardInterrupt:
            from judges.output.notices import tell

            given = "".join(f" --set {shlex.quote(one)}" for one in overrides)
            tell(f"to go on from here: anchor-train {name} {run_folder}{given}")
            raise

    return executor_options(command) if asks else command


def _save(run_folder: Path, overrides: tuple[str, ...], dry_run: bool) -> None:
    from anchor_train.run.run_folder import RunFolder
    from judges.output.notices import tell

    run = RunFolder.open(run_folder)
    if dry_run:
        tell(f"{run.recipe_path}: left as it is by --dry-run; give --save-set to the run itself, too")
        return
    run.save_settings(overrides)
    tell(f"{run.recipe_path}: {', '.join(overrides)}")


@dataclass(frozen=True)
class _How:
    dry_run: bool
    measure: bool
    redo: bool
    retry_failed: bool
    verbose: bool
    as_json: bool


def _do(kinds: Collection[str] | None, run_folder: Path, overrides: tuple[str, ...], how: _How) -> None:
    from anchor_train.inspection.dry_run import describe
    from anchor_train.inspection.status import as_rows, results_text
    from anchor_train.inspection.trial import try_rendering
    from anchor_train.stages.parts.lengths import check_lengths
    from judges.output.notices import tell
    from judges.output.run_log import quiet

    pipeline = open_pipeline(run_folder, overrides)

    def statuses() -> list[StageStatus]:
        return [status for status in pipeline.status() if kinds is None or status.stage.kind in kinds]

    # Stages that only ask an endpoint are there in milliseconds, and need no tokenizer.
    renders = kinds is None or any(KINDS[kind].trains or KINDS[kind].makes_data for kind in kinds)
    if renders and any(status.state != "finished" for status in statuses()):
        trial = try_rendering(pipeline.recipe)
        check_lengths(pipeline.run, pipeline.recipe)
        if trial.thinks and not how.dry_run:
            tell(trial.note)
    if how.dry_run:
        description = describe(pipeline, kinds, measured=how.measure)
        if how.as_json:
            print_json(description.to_json())
        else:
            click.echo(description.to_text())
        return
    with quiet(pipeline.run.log, verbose=how.verbose):
        pipeline.do(kinds, retry_failed=how.retry_failed, redo=how.redo)
    if how.as_json:
        print_json(as_rows(statuses(), pipeline.run))
    else:
        click.echo(results_text(statuses(), pipeline.run))
