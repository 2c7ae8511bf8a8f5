"""``anchor-eval leaderboard``: a static site of all runs below a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import click

from lm_eval_tasks.commands.options.completion import names_of_runs


@click.command("leaderboard")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the site; an older site in it is replaced.",
)
@click.option(
    "--baseline",
    help="Run that the others are measured by (its name: the path below FOLDER).",
    shell_complete=names_of_runs,
)
@click.option("--judge", help="Use the judgements of this name, where a run has several.")
@click.option(
    "--training",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Run folder of anchor-train, for the plot over lambda; may be given again.",
)
@click.option("--title", default="Explanations compared", show_default=True, help="Name of the site.")
@click.option(
    "--figures",
    default="main",
    show_default=True,
    type=click.Choice(["none", "main", "all"]),
    help="Charts to draw as PNG and SVG files, too: the leaderboard's (main), or those of all pages.",
)
@click.option(
    "--draws",
    default=1000,
    show_default=True,
    type=click.IntRange(100),
    help="Bootstrap draws of the ratings' intervals.",
)
@click.option("--seed", default=0, show_default=True, help="Of these draws.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written, and the tables, as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    folder: Path,
    output: Path,
    baseline: str | None,
    judge: str | None,
    training: tuple[Path, ...],
    title: str,
    figures: Literal["none", "main", "all"],
    draws: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a site of all runs below FOLDER: tables, a page a model and a pair, and every explanation.

    FOLDER may be a run folder of anchor-train, too: then the site shows the models that it evaluated.

    \b
    anchor-eval leaderboard runs/ --baseline base -o site/
    """
    from lm_eval_tasks.comparison.boards import collect
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.leaderboard.pages.site import write_site
    from lm_eval_tasks.leaderboard.pages.training import read_training, runs_below

    def progress(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    settings = Settings(draws=draws, seed=seed)
    trainings = [read_training(path) for path in training]
    collection = collect(runs_below(folder, judge), baseline=baseline, settings=settings, progress=progress)
    written = write_site(
        collection,
        output,
        title=title,
        trainings=trainings,
        settings=settings,
        figures=figures,
        progress=progress,
    )
    click.echo(json.dumps(written.to_json(), indent=2) if as_json else written.text())
