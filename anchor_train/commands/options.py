"""What several commands share: arguments, options, and the pipeline that they work on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lm_eval_tasks.commands.options.executor import executor

if TYPE_CHECKING:
    from anchor_train.pipeline.pipeline import Pipeline

F = TypeVar("F", bound=Callable[..., Any])

run_argument = click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Another setting for this call, e.g. dpo.beta=0.2.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Results as JSON on standard output.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Say what would be done, with examples as tokens; do nothing."
)
measure_option = click.option(
    "--measure", is_flag=True, help="With --dry-run: make a few steps with the model, to estimate by them."
)
redo_option = click.option(
    "--redo",
    is_flag=True,
    help="Do finished trainings anew whose settings or data have changed; their old folders are kept.",
)
save_set_option = click.option(
    "--save-set", is_flag=True, help="Write what --set says into the recipe, so that later calls know it."
)
retry_option = click.option(
    "--retry-failed", is_flag=True, help="In finished stages too, ask again where there was no good reply."
)


def executor_override(options: dict[str, Any]) -> tuple[str, ...]:
    """``--executor`` and ``--workers``, taken out of a command's options, as settings of the recipe."""
    chosen = executor(options)
    return () if chosen is None else (f"executor={json.dumps(chosen)}",)


def open_pipeline(
    run_folder: Path, overrides: Sequence[str], *, warn: bool = True, looks: bool = False
) -> Pipeline:
    """The pipeline of a run folder, its recipe and its model's files checked.

    Args:
        run_folder: The folder.
        overrides: ``dotted.key=value``.
        warn: Print warnings; what only looks at finished work needn't repeat them.
        looks: Whether it only looks at what is there: then with what the command line said when it was made,
            unless it says something else now.

    Raises:
        ConfigError: Naming everything that is wrong with the recipe.
    """
    from anchor_train.inspection.preflight import check
    from anchor_train.pipeline.pipeline import Pipeline
    from anchor_train.run.run_folder import RunFolder
    from judges.output.notices import tell

    run = RunFolder.open(run_folder)
    if looks and not overrides and run.last_overrides:
        overrides = run.last_overrides
        tell(f"with the settings of the last run: {' '.join(f'--set {one}' for one in overrides)}")
    recipe = run.recipe(overrides)
    for warning in check(recipe):
        if warn:
            tell(f"warning: {warning}")
    return Pipeline(run, recipe, tell, overrides)


def print_json(value: Any) -> None:
    """A result for machines."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
