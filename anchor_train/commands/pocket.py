"""``anchor-train pocket``: the pocket model."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.group("pocket")
def command() -> None:
    """The pocket model: where it is, and how to make it again.

    \b
    anchor-train pocket path
    """


@command.command("path")
def path() -> None:
    """Print the folder of the shipped model, for any tool that loads Hugging Face models."""
    from lm_eval_tasks.pocket import model_folder

    click.echo(model_folder())


@command.command("build")
@click.argument("output", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--lessons", type=click.IntRange(min=64), help="Conversations to learn from, instead of the usual."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def build(output: Path, lessons: int | None, seed: int) -> None:
    """Make a pocket model from nothing, in the folder OUTPUT.

    \b
    anchor-train pocket build my-pocket
    """
    from anchor_train.pocket.making.build import build as build_model
    from anchor_train.pocket.making.growth import GrowthSettings, Progress
    from judges.settings import parse

    def show(progress: Progress) -> None:
        left = progress.seconds / progress.step * (progress.steps - progress.step)
        line = f"step {progress.step} of {progress.steps}, loss {progress.loss:.3f}, {left / 60:.0f} min left"
        click.echo(f"\r{line}   ", err=True, nl=progress.step == progress.steps)
        sys.stderr.flush()

    given = {"seed": seed} if lessons is None else {"seed": seed, "lessons": lessons}
    made = build_model(output, parse(GrowthSettings, given, "pocket build"), show)
    click.echo(f"{output}: trained on {made.tokens:,} tokens in {made.seconds / 60:.0f} min")
