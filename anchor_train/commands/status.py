"""``anchor-train status``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import json_option, open_pipeline, print_json, run_argument, set_option


@click.command("status")
@run_argument
@set_option
@json_option
def command(run_folder: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show the stages of RUN: sizes, behaviours, cost, what would run next and why.

    \b
    anchor-train status my-run
    """
    from anchor_train.inspection.status import as_rows, status_text

    pipeline = open_pipeline(run_folder, overrides, looks=True)
    statuses = list(pipeline.status())
    if as_json:
        print_json(as_rows(statuses, pipeline.run))
    else:
        click.echo(status_text(statuses, pipeline.run))
