"""``anchor-train experiment``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import set_option
from lm_eval_tasks.commands.options.log import verbose_option

MIXES = ("easy", "mixed", "even", "hard")


@click.group("experiment")
def command() -> None:
    """Experiments that tell whether the method works, with intervals over seeds.

    \b
    anchor-train experiment pocket --seeds 5
    """


def _seeds(context: click.Context, option: click.Parameter, value: str) -> range:
    """A count (``5`` for 1 to 5) or a range (``4-6``)."""
    first, dash, last = value.partition("-")
    try:
        found = range(int(first), int(last) + 1) if dash else range(1, int(first) + 1)
    except ValueError:
        found = range(0)
    if not found or found[0] < 1:
        raise click.BadParameter(f"{value!r}: expected a count such as 5, or a range such as 4-6")
    return found


@command.command("pocket")
@click.option(
    "--seeds",
    metavar="N|A-B",
    callback=_seeds,
    default="5",
    show_default=True,
    help="How many, or which: 4-6. Two processes may share them.",
)
@click.option(
    "--strategies",
    metavar="NAME,...",
    help="What is compared: strategies, or variants of the recipe. Default: rank,anchor.",
)
@click.option("--all-methods", is_flag=True, help="All strategies, and the recipe's variants of them.")
@click.option(
    "--own-judge",
    type=click.Choice(["paper", "all", "none"]),
    default="paper",
    show_default=True,
    help="Whose replies the pocket base model judges, too; paper: those of base, sft, rank and anchor.",
)
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
@verbose_option
def pocket(
    seeds: range,
    strategies: str | None,
    all_methods: bool,
    own_judge: str,
    mixes: tuple[str, ...],
    output: Path,
    overrides: tuple[str, ...],
    verbose: bool,
) -> None:
    """Base, SFT and aligned models from the pocket model, seed by seed: by default Rank and Anchor.

    Stopped, it goes on where it was. The report covers every trial that is finished below the folder.

    \b
    anchor-train experiment pocket --seeds 5
    anchor-train experiment pocket --seeds 5 --all-methods
    anchor-train experiment pocket --seeds 2 --strategies anchor,aft,aft-none
    anchor-train experiment pocket --seeds 5 --mix easy --mix even --mix hard
    """
    from anchor_train.pocket.experiment import EVERY, PAPERS, read_trials, run_trials
    from anchor_train.pocket.experiment_report import experiment_report
    from anchor_train.pocket.figures import draw_figures
    from judges.output.notices import tell
    from judges.storage.files import replacing

    if all_methods and strategies is not None:
        raise click.UsageError("--all-methods and --strategies exclude each other")
    names = None if strategies is None else [name.strip() for name in strategies.split(",")]
    trials_run = run_trials(
        output,
        seeds,
        mixes,  # type: ignore[arg-type]
        overrides,
        tell,
        verbose=verbose,
        strategies=EVERY if all_methods else names,
        own_judge={"paper": PAPERS, "all": None, "none": ()}[own_judge],
    )
    for _ in trials_run:
        trials = read_trials(output)
        text = experiment_report(trials)
        with replacing(output / "report.md") as file:
            file.write(text)
    figures = draw_figures(trials, output)
    click.echo(text)
    click.echo(f"report: {output / 'report.md'}; figures: {', '.join(map(str, figures))}")
