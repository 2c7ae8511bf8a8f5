"""``anchor-eval annotate``: a page on which people rate explanations."""

from __future__ import annotations

from pathlib import Path

import click

from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.tasks import include_path_option, task_option


@click.command("annotate")
@click.argument("runs", nargs=-1, required=True, type=click.Path(), shell_complete=runs)
@click.option(
    "-n",
    "--statements",
    default=120,
    show_default=True,
    type=click.IntRange(1),
    help="About how many explanations to rate, of all runs together.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of the page; made if absent.",
)
@task_option
@click.option("--judge", help="Draw by the judgements of this name, where a run has several.")
@click.option("--rubric", help="Rate by this one: built-in, or a .yaml file. Default: the built-in one.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@include_path_option
def command(
    runs: tuple[str, ...],
    statements: int,
    output: Path,
    tasks: tuple[str, ...],
    judge: str | None,
    rubric: str | None,
    seed: int,
    include_path: str | None,
) -> None:
    """Write a page on which people rate explanations of RUNS, without knowing whose they are.

    One file, for any browser, also without a network. Raters export what they entered; give it to
    anchor-eval score --ratings. Of one run right and wrong explanations with high and low scores are drawn
    equally often; of several runs explanations to the same questions, for anchor-eval compare
    --correct-with human.

    \b
    anchor-eval annotate runs/m1 -n 120 -o rating/
    anchor-eval annotate runs/m1 runs/base -n 120 -o rating/
    anchor-eval score runs/m1 --ratings rating/ratings-ann.jsonl --ratings rating/ratings-ben.jsonl
    """
    from judges.errors import ConfigError
    from judges.rubrics.load import load_rubric
    from lm_eval_tasks.people.page import write_page
    from lm_eval_tasks.people.statements import draw
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.tasks.load import find_tasks

    loaded = [load_run(path, judge=judge) for path in runs]
    if len({run.path.resolve() for run in loaded}) < len(loaded):
        raise ConfigError(f"a run is given twice: {', '.join(runs)}")
    by = load_rubric(rubric) if rubric else load_rubric()
    names = list(dict.fromkeys(tasks)) or list(loaded[0].tasks)
    sources: dict[str, Path] = {}
    for run in loaded:
        chosen = [run.task(task) for task in names if tasks or task in run.tasks]
        sources |= {task.task: task.source for task in chosen if task.source is not None}
    specs = dict(zip(names, find_tasks(names, include_path, sources), strict=True))
    drawn = draw(loaded, specs, statements, seed=seed)
    page = write_page(output, drawn, by)
    questions = len({(shown.task, shown.question_id) for shown in drawn})
    click.echo(f"{page}: {len(drawn)} explanations to {questions} questions, and a few of them twice")
