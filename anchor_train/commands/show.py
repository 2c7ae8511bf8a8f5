"""``anchor-train show``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import json_option, open_pipeline, print_json, run_argument, set_option


@click.command("show")
@run_argument
@click.option("--stage", default="pairs", show_default=True, help="Stage name, or its key from status.")
@click.option("-n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many.")
@click.option("--id", "ids", multiple=True, help="Only this question; may be repeated.")
@set_option
@json_option
def command(
    run_folder: Path,
    stage: str,
    count: int,
    ids: tuple[str, ...],
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show examples of what a stage of RUN made, and where each came from.

    \b
    anchor-train show my-run --stage pairs -n 3
    anchor-train show my-run --stage round-1/rank/pairs
    anchor-train show my-run --stage judge --id 12ab34cd
    """
    from anchor_train.show import examples

    pipeline = open_pipeline(run_folder, overrides)
    shown = examples(pipeline, stage, count, ids)
    if as_json:
        print_json([example.row for example in shown])
    else:
        click.echo("\n\n".join(example.text for example in shown))
