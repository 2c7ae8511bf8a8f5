"""``anchor-eval tasks-path``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("tasks-path")
def command() -> None:
    """Print the folder of task files, for lm_eval's --include_path.

    \b
    lm_eval run --include_path "$(anchor-eval tasks-path)" --tasks self_explanation ...
    """
    click.echo(Path(__file__).parents[2] / "tasks")
