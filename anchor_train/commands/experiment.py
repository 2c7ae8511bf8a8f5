"""``anchor-train experiment``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import say, set_option

MIXES = ("easy", "mixed", "even", "hard")


@click.group("experiment")
def command() -> None:
    """Experiments that tell whether the method works, with intervals over seeds.

    \b
    anchor-train experiment pocket --seeds 5
    """


@command.command("pocket")
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True)
@click.option(
    "--mix",
    "mixes",
    type=click.Choice(MIXES),
    multiple=True,
    default=("even",),
    show_default=True,
    help="How long the calculations are; several mixes vary lambda (figure 2).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("experiment"),
    show_default=True,
    help="Gets a run folder for each trial, the report and the figures.",
)
@set_option
def pocket(seeds: int, mixes: tuple[str, ...], output: Path, overrides: tuple[str, ...]) -> None:
    """Base, SFT, Rank and Anchor from the pocket model, seed by seed.

    Stopped, it goes on where it was. The report covers every trial that is finished below the folder.

    \b
    anchor-train experiment pocket --seeds 5
    anchor-train experiment pocket --seeds 5 --mix easy --mix even --mix hard
    """
    from anchor_train.pocket.experiment import read_trials, run_trials
    from anchor_train.pocket.experiment_report import experiment_report
    from anchor_train.pocket.figures import draw_figures
    from lm_eval_tasks.judgement_files import replacing

    for _ in run_trials(output, seeds, mixes, overrides, say):  # type: ignore[arg-type]
        trials = read_trials(output)
        text = experiment_report(trials)
        with replacing(output / "report.md") as file:
            file.write(text)
    figures = draw_figures(trials, output)
    click.echo(text)
    click.echo(f"report: {output / 'report.md'}; figures: {', '.join(map(str, figures))}")
