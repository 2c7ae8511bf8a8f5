"""``anchor-eval score``: judge what a run has logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from lm_eval_tasks.judgement_files import JudgementSummary


@click.command("score")
@click.argument("run", type=click.Path())
@click.option(
    "--judge", required=True, help="BACKEND:MODEL (openai:MODEL@URL, vllm:MODEL, ...) or judge.yaml."
)
@click.option(
    "--task", "tasks", multiple=True, help="Only this task; may be repeated. Default: all of the run."
)
@click.option("--rubric", help="A built-in rubric or a .yaml file, instead of the judge's own.")
@click.option("--as", "name", help="Name to keep the judgements under; default: the judge's.")
@click.option("--force", is_flag=True, help="Replace another judge's judgements of the same name.")
@click.option("--no-cache", is_flag=True, help="Ask everything anew, e.g. to see how much a judge varies.")
@click.option(
    "--include-path", type=click.Path(), help="Folder with task files of your own, as given to lm_eval."
)
@click.option("--json", "as_json", is_flag=True, help="Print the summaries as JSON.")
def command(
    run: str,
    judge: str,
    tasks: tuple[str, ...],
    rubric: str | None,
    name: str | None,
    force: bool,
    no_cache: bool,
    include_path: str | None,
    as_json: bool,
) -> None:
    """Judge (again) what RUN has logged; generates nothing.

    Judgements are written beside the samples, one file for each task and judge. A run that was cut short goes
    on where it stopped: replies are kept in a cache (see anchor-eval cache).

    \b
    anchor-eval score runs/m1 --judge judge.yaml
    anchor-eval score runs/m1 --judge openai:JUDGE@http://localhost:8000/v1 --task aqua_rat_explain
    """
    from judges.config import DEFAULT, load_judge
    from judges.rubric import load_rubric
    from lm_eval_tasks.rescoring import score_task, workload
    from lm_eval_tasks.runs import load_run
    from lm_eval_tasks.specs import find_task

    found = load_run(run)
    chosen = [found.task(task) for task in tasks] if tasks else list(found.tasks.values())
    specs = {task.task: find_task(task.task, include_path) for task in chosen}
    own_rubric = load_rubric(rubric) if rubric else None
    for task in chosen:
        click.echo(f"{task.samples_file.name}: {workload(task)}", err=True)
    with load_judge(judge, cache=None if no_cache else DEFAULT, rubric=own_rubric) as ready:
        summaries = [score_task(task, specs[task.task], ready, name=name, force=force) for task in chosen]
    if as_json:
        click.echo(json.dumps([summary.to_json() for summary in summaries], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_report(summary) for summary in summaries))


def _report(summary: JudgementSummary) -> str:
    from lm_eval_tasks.tables import number, text_table

    rows = [
        (name, number(found.value), number(found.stderr), str(found.questions))
        for name, found in summary.metrics.items()
    ]
    lost = {**summary.unreadable, **summary.unjudged}
    reasons = ", ".join(f"{count} {reason}" for reason, count in lost.items())
    return "\n".join(
        [
            f"{summary.task}, model {summary.model}",
            f"judge {summary.judge.name}, rubric {summary.judge.rubric}",
            text_table(("metric", "value", "stderr", "questions"), rows),
            f"judged: {summary.judged} of {summary.responses} responses" + (f" ({reasons})" if lost else ""),
            f"tokens: {summary.prompt_tokens} read, {summary.completion_tokens} written"
            + ("" if summary.price is None else f"; price {summary.price:.4f}"),
            *(f"note: {note}" for note in summary.notes),
        ]
    )
