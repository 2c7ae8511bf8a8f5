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


@command.command("organisms")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--seed", "seeds", type=click.IntRange(min=0), multiple=True, default=(0,), show_default=True,
    help="Of the training; may be repeated.",
)  # fmt: skip
@click.option(
    "--lessons", type=click.IntRange(min=64), help="Conversations to learn from, instead of the usual."
)
@click.option("--only", help="Only these, separated by commas.")
@click.option("--calibrate", is_flag=True, help="Probe them, too, and write how well probes tell them apart.")
@click.option(
    "--questions", type=click.IntRange(min=20), default=100, show_default=True,
    help="That each is probed on.",
)  # fmt: skip
def organisms(
    folder: Path,
    seeds: tuple[int, ...],
    lessons: int | None,
    only: str | None,
    calibrate: bool,
    questions: int,
) -> None:
    """Make pocket models of known faithfulness, in FOLDER, and say what they do.

    One reads its explanation, one ignores it, one reads it half the time, two follow hints, silently and
    openly, and two go by words that are put into the question: one mentions them, one mentions any.
    Started again, it goes on where it stopped.

    \b
    anchor-train pocket organisms organisms
    anchor-train pocket organisms organisms --calibrate --seed 0 --seed 1
    """
    from anchor_train.pocket.organisms.lessons import organisms_of
    from anchor_train.pocket.organisms.probing import calibrate_all, make_and_look
    from anchor_train.pocket.organisms.report import behaviour_text, calibration_text
    from judges.errors import ConfigError
    from judges.output.notices import tell

    chosen = organisms_of(only)
    if only and calibrate:
        raise ConfigError("--calibrate compares all organisms; leave --only out")
    found = [
        (seed, organism, make_and_look(folder, organism, seed, tell, lessons))
        for seed in seeds
        for organism in chosen
    ]
    click.echo(behaviour_text(found))
    if calibrate:
        click.echo()
        click.echo(calibration_text(calibrate_all(folder, seeds, questions, tell, lessons)))
