"""``anchor-eval compare``: win, tie and loss between runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lm_eval_tasks.commands.options.completion import names_of_runs, runs
from lm_eval_tasks.commands.options.number import Number
from lm_eval_tasks.commands.options.tasks import task_option
from lm_eval_tasks.commands.options.track import track_options, tracking
from lm_eval_tasks.commands.options.until_width import (
    compare_until,
    until_width_options,
    width_asked_for,
)

if TYPE_CHECKING:
    from lm_eval_tasks.comparison.judges.correction import CorrectedPair
    from lm_eval_tasks.comparison.named import Report
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.runs.discovery import Run
    from lm_eval_tasks.tracking.track import Tracking


@click.command("compare")
@click.argument("runs", nargs=-1, type=click.Path(), shell_complete=runs)
@click.option(
    "--baseline",
    help="Compare each run with this one only; its rating is 1000.",
    shell_complete=names_of_runs,
)
@task_option
@click.option(
    "--judge",
    help="Use the judgements of this name, where a run has several; with --until-width: the judge to ask.",
)
@click.option(
    "--refined",
    multiple=True,
    metavar="RUN",
    help="Take this run's replies to the *_refined tasks as its replies to the plain tasks; "
    "may be given again.",
    shell_complete=names_of_runs,
)
@click.option(
    "--correct-with",
    metavar="NAME",
    help="Correct win - loss with these judgements of fewer explanations, e.g. human.",
)
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Instead of several RUNS: the runs below this folder whose models are checkpoints of a training, "
    "over its steps; RUN is then the baseline, or without one the first checkpoint.",
)
@click.option(
    "--figures", type=click.Path(path_type=Path), help="With --checkpoints: draw the curves into this folder."
)
@click.option("--details", is_flag=True, help="Add rates by correctness and at equal length.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--latex", is_flag=True, help="Print a LaTeX table with the columns of the paper's Table 1.")
@click.option("--seed", default=0, show_default=True, help="Of these draws.")
@click.option(
    "--draws",
    default=1000,
    show_default=True,
    type=click.IntRange(100),
    help="Bootstrap draws of the ratings' intervals.",
)
@click.option(
    "--confidence",
    default=0.95,
    show_default=True,
    type=Number(0, 1, min_open=True, max_open=True),
    help="Coverage of the intervals.",
)
@track_options
@until_width_options
def command(
    runs: tuple[str, ...],
    baseline: str | None,
    tasks: tuple[str, ...],
    judge: str | None,
    refined: tuple[str, ...],
    correct_with: str | None,
    checkpoints: Path | None,
    figures: Path | None,
    details: bool,
    as_json: bool,
    latex: bool,
    seed: int,
    draws: int,
    confidence: float,
    **options: Any,
) -> None:
    """Compare RUNS: every sample of one with every sample of the other, question by question.

    With --until-width two runs that nobody has judged yet are judged in an order of chance, and no further
    than it takes to know win - loss that well; started again, it goes on where it stopped.

    \b
    anchor-eval compare runs/m1 runs/base
    anchor-eval compare runs/m1 runs/m2 runs/base --baseline base --json
    anchor-eval compare runs/m1 runs/m2 runs/base --baseline base --latex > table.tex
    anchor-eval compare runs/refining runs/plain --refined refining
    anchor-eval compare runs/m1 runs/base --judge cheap --correct-with human
    anchor-eval compare runs/m1 runs/base --judge judge.yaml --until-width 0.06 --max-cost 5
    anchor-eval compare runs/base --checkpoints runs/training --figures curves/
    """
    from judges.errors import ConfigError
    from judges.settings import nearest
    from lm_eval_tasks.comparison.judges.correction import correct
    from lm_eval_tasks.comparison.named import compare_runs, names_of
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.runs.discovery import load_run

    width = width_asked_for(options)
    to = tracking(options)
    if to is not None and width is not None:
        raise click.UsageError(
            "--track and --until-width exclude each other: track a comparison of judged runs"
        )
    if checkpoints is not None:
        _refuse_beside_checkpoints(runs, width)
        settings = Settings(draws=draws, seed=seed, confidence=confidence)
        _over_training(runs, checkpoints, judge, tasks, settings, figures, to, as_json=as_json)
        return
    if figures is not None:
        raise click.UsageError(
            "--figures goes with --checkpoints; anchor-eval leaderboard draws other figures"
        )
    if len(runs) < 2:
        raise click.UsageError("a comparison takes at least two runs")
    if width is not None:
        if len(runs) > 2:
            raise click.UsageError(
                "--until-width takes two runs: what is narrow enough for one pair isn't for others"
            )
        new, base = (load_run(path) for path in runs)
        if baseline is not None and baseline not in (new.name, base.name):
            raise ConfigError(f"--baseline {baseline!r}: {nearest(baseline, [new.name, base.name])}")
        if baseline == new.name != base.name:
            new, base = base, new
        report = compare_until(
            new, base, tasks, width, judge, confidence=confidence, seed=seed, options=options
        )
        if report is not None:
            told = json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.text()
            click.echo(told)
        return
    if latex and as_json:
        raise click.UsageError("--latex and --json exclude each other")
    if latex and correct_with:
        raise click.UsageError("--latex and --correct-with exclude each other")
    if latex and baseline is None:
        raise click.UsageError("--latex needs --baseline: its columns compare with one model")
    settings = Settings(draws=draws, seed=seed, confidence=confidence)
    loaded = [load_run(path, judge=judge) for path in runs]
    names = [run.name for run in loaded]
    for name in refined:
        if name not in names:
            raise ConfigError(f"--refined {name!r} is none of the runs: {nearest(name, names)}")
    loaded = [run.refined() if run.name in refined else run for run in loaded]
    found = compare_runs(loaded, tasks=tasks, baseline=baseline, settings=settings)
    mended = () if correct_with is None else correct(found.table, correct_with, settings)
    how = _How(details, as_json, latex, correct_with)
    _echo(found, mended, loaded, settings, how)
    if to is not None:
        to.comparison(found, dict(zip(names_of(loaded), loaded, strict=True)))


_WITH_CHECKPOINTS = {
    "runs",
    "checkpoints",
    "figures",
    "tasks",
    "judge",
    "as_json",
    "seed",
    "draws",
    "confidence",
}


def _refuse_beside_checkpoints(runs: Sequence[str], width: float | None) -> None:
    if len(runs) > 1:
        raise click.UsageError("--checkpoints takes one RUN at most: the baseline")
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and option.name not in _WITH_CHECKPOINTS | {"track"}:
            raise click.UsageError(f"{option.opts[-1]} and --checkpoints exclude each other")


def _over_training(
    runs: Sequence[str],
    folder: Path,
    judge: str | None,
    tasks: tuple[str, ...],
    settings: Settings,
    figures: Path | None,
    to: Tracking | None,
    *,
    as_json: bool,
) -> None:
    """Compares a training's checkpoints with what they are measured by."""
    from lm_eval_tasks.comparison.checkpoints import in_order, over_steps, steps_text
    from lm_eval_tasks.comparison.named import compare_runs, names_of
    from lm_eval_tasks.leaderboard.charts.figures import write_figures
    from lm_eval_tasks.leaderboard.charts.pictures import over_training
    from lm_eval_tasks.runs.discovery import find_runs, load_run

    baseline = [load_run(path, judge=judge) for path in runs]
    own = {run.path.resolve() for run in baseline}
    found = in_order([run for run in find_runs(folder, judge=judge) if run.path.resolve() not in own])
    loaded = [*found, *baseline]
    names = names_of(loaded)
    by_name = dict(zip(names, loaded, strict=True))
    measured_by = names[-1] if baseline else names[0]
    report = compare_runs(loaded, tasks=tasks, baseline=measured_by, settings=settings)
    rows = over_steps(report, by_name, settings.confidence)
    if as_json:
        click.echo(json.dumps({"baseline": measured_by, "steps": [row.to_json() for row in rows]}, indent=2))
    else:
        click.echo(steps_text(rows, measured_by))
        for note in report.notes:
            click.echo(f"note: {note}")
    if figures is not None:
        for path in write_figures(over_training(rows, measured_by), figures):
            click.echo(str(path), err=True)
    if to is not None:
        to.comparison(report, by_name)


@dataclass(frozen=True)
class _How:
    details: bool
    as_json: bool
    latex: bool
    correct_with: str | None


def _echo(
    found: Report, mended: Sequence[CorrectedPair], loaded: Sequence[Run], settings: Settings, how: _How
) -> None:
    """Prints the comparison in the form that was asked for."""
    from lm_eval_tasks.commands.judging.score import echo_agreement
    from lm_eval_tasks.comparison.judges.correction import correction_text
    from lm_eval_tasks.comparison.reports.paper_table import paper_table
    from lm_eval_tasks.comparison.reports.text import as_json, as_text

    if how.as_json:
        rows = as_json(found, settings)
        if how.correct_with is not None:
            rows["corrected"] = {"with": how.correct_with, "pairs": [pair.to_json() for pair in mended]}
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if how.latex:
        for note in found.notes:
            click.echo(note, err=True)
        click.echo(paper_table([found.table]) or "", nl=False)
        return
    click.echo(as_text(found, settings, details=how.details))
    for pair in mended:
        click.echo("\n" + correction_text(pair, str(how.correct_with), settings))
    if how.details:
        for run in loaded:
            echo_agreement(run, run.tasks)
