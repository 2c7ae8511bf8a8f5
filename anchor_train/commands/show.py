"""``anchor-train show``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from anchor_train.commands.options import json_option, open_pipeline, print_json, run_argument, set_option


@click.command("show")
@run_argument
@click.option("--stage", help="Stage name, its key, or evaluate. Default: pairs, groups or discover.")
@click.option(
    "-n", "count", type=click.IntRange(min=1), default=3, show_default=True, help="How many of each stage."
)
@click.option("--id", "ids", multiple=True, help="Only this question; may be repeated.")
@set_option
@json_option
def command(
    run_folder: Path,
    stage: str | None,
    count: int,
    ids: tuple[str, ...],
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show examples of what a stage of RUN made, and where each came from.

    A name such as pairs stands for the stages of all strategies, in the last round that has any.

    \b
    anchor-train show my-run --stage pairs -n 3
    anchor-train show my-run --stage round-1/rank/pairs
    anchor-train show my-run --stage evaluate -n 1
    anchor-train show my-run --stage judge --id 12ab34cd
    """
    from anchor_train.inspection.show import examples

    pipeline = open_pipeline(run_folder, overrides, warn=False, looks=True)
    shown = examples(pipeline, stage, count, ids)
    if as_json:
        print_json([{"stage": example.stage, **example.row} for example in shown])
    else:
        parts = []
        for key, examples_of in groupby(shown, lambda example: example.stage):
            parts += [f"### {key}", *(example.text for example in examples_of)]
        click.echo("\n\n".join(parts))
