"""``anchor-eval score``: judge what a run has logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from lm_eval_tasks.commands.options.budget import budget, budget_options
from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.executor import executor, executor_options
from lm_eval_tasks.commands.options.explanations import explanation_options, make_run
from lm_eval_tasks.commands.options.judge import rubric_options
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.tasks import include_path_option, task_option
from lm_eval_tasks.commands.options.track import sample_options, tracking

if TYPE_CHECKING:
    from judges.records import VerdictForm
    from lm_eval_tasks.runs.discovery import Run


@click.command("score")
@click.argument("run", type=click.Path(), shell_complete=runs)
@click.option("--judge", help="BACKEND:MODEL (openai:MODEL@URL, vllm:MODEL, ...) or judge.yaml.")
@click.option(
    "--ratings",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Instead of --judge: what people rated (anchor-eval annotate); may be repeated.",
)
@task_option
@rubric_options
@click.option("--as", "name", help="Name to keep the judgements under; default: the judge's.")
@click.option("--force", is_flag=True, help="Replace another judge's judgements of the same name.")
@click.option("--no-cache", is_flag=True, help="Ask everything anew, e.g. to see how much a judge varies.")
@include_path_option
@budget_options
@executor_options
@click.option("--dry-run", is_flag=True, help="Say what it would take, and ask nothing.")
@explanation_options
@sample_options
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print the summaries as JSON.")
def command(
    run: str,
    judge: str | None,
    ratings: tuple[Path, ...],
    tasks: tuple[str, ...],
    rubric: str | None,
    verdict_form: VerdictForm | None,
    name: str | None,
    force: bool,
    no_cache: bool,
    include_path: str | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Judge (again) what RUN has logged; generates nothing.

    Judgements are written beside the samples, one file for each task and judge. A run that was cut short goes
    on where it stopped: replies are kept in a cache (see anchor-eval cache). So does one that had spent what
    it may (--max-calls, --max-tokens, --max-cost), which ends with exit code 3.

    \b
    anchor-eval score runs/m1 --judge judge.yaml
    anchor-eval score runs/m1 --judge openai:JUDGE@http://localhost:8000/v1 --task aqua_rat_explain
    anchor-eval score runs/m1 --judge judge.yaml --max-cost 5
    anchor-eval score runs/m1 --judge judge.yaml --rubric constitution.yaml --as by-principles
    anchor-eval score runs/m1 --judge vllm:JUDGE --executor ray --workers 8
    anchor-eval score runs/m1 --judge panel.yaml
    anchor-eval score runs/theirs --explanations theirs.csv --question-field q --explanation-field e \
        --judge judge.yaml
    anchor-eval score runs/m1 --ratings ratings-ann.jsonl --ratings ratings-ben.jsonl
    """
    if (judge is None) == (not ratings):
        raise click.UsageError("give --judge, or --ratings of people")
    if judge is None:
        _refuse_options_of_judges()
        _import(run, tasks, ratings, rubric, include_path, as_json)
        return
    tasks = make_run(run, tasks, options)
    from judges.config import DEFAULT, load_judge
    from judges.output.notices import tell
    from judges.output.run_log import FILE, quiet
    from judges.rubrics.load import load_rubric
    from lm_eval_tasks.comparison.reports.score import mean_text, summary_text
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.runs.judging.panel import Member, combine, read_panel
    from lm_eval_tasks.runs.judging.rescoring import estimate, require_judgements, score_task, workload
    from lm_eval_tasks.runs.reply_account import account, account_text
    from lm_eval_tasks.tasks.load import find_tasks

    own_rubric = load_rubric(rubric) if rubric else None
    found = load_run(run)
    chosen = [found.task(task) for task in tasks] if tasks else list(found.tasks.values())
    sources = {task.task: task.source for task in chosen if task.source is not None}
    specs = find_tasks([task.task for task in chosen], include_path, sources)
    cache = None if no_cache else DEFAULT
    limits, where, to = budget(options), executor(options), tracking(options)
    panel = read_panel(judge)
    members: list[list[Member]] = [[] for _ in chosen]
    with quiet(found.path / FILE, verbose=verbose or dry_run):
        for task in chosen:
            tell(f"{task.samples_file.name}: {workload(task)}")
        for one in (judge,) if panel is None else panel.panel:
            with load_judge(
                one, cache=cache, rubric=own_rubric, budget=limits, verdict_form=verdict_form, executor=where
            ) as ready:
                for task, spec in zip(chosen, specs, strict=True):
                    by = "" if panel is None else f", by {ready.info.name}"
                    tell(f"{task.task}{by}: {estimate(task, spec, ready)}")
                if dry_run:
                    continue
                summaries = [
                    score_task(task, spec, ready, name=name if panel is None else None, force=force)
                    for task, spec in zip(chosen, specs, strict=True)
                ]
                for of_task, summary in zip(members, summaries, strict=True):
                    of_task.append(Member(summary.name, summary.judge))
                by_rubric = ready.rubric
        if dry_run:
            return
        if panel is not None:
            summaries = [
                combine(task, panel, of_task, by_rubric, name=name)
                for task, of_task in zip(chosen, members, strict=True)
            ]
    if as_json:
        click.echo(json.dumps([summary.to_json() for summary in summaries], indent=2, ensure_ascii=False))
    else:
        accounts = [account(task.read_samples()) for task in chosen]
        texts = [
            summary_text(summary) + ("" if of is None else f"\n{account_text(of, run, task.reply_form)}")
            for summary, of, task in zip(summaries, accounts, chosen, strict=True)
        ]
        if len(summaries) > 1:
            texts.append(mean_text([summary.metrics for summary in summaries]))
        click.echo("\n\n".join(texts))
        echo_agreement(load_run(run), [task.task for task in chosen])
    if to is not None:
        to.run(load_run(run, judge=summaries[0].name), [task.task for task in chosen])
    require_judgements(summaries)


_WITH_RATINGS = {"run", "ratings", "tasks", "rubric", "include_path", "as_json"}


def _refuse_options_of_judges() -> None:
    context = click.get_current_context()
    for option in context.command.params:
        given = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if given and option.name not in _WITH_RATINGS:
            raise click.UsageError(f"{option.opts[-1]} goes with --judge, not with --ratings")


def _import(
    path: str,
    tasks: tuple[str, ...],
    files: tuple[Path, ...],
    rubric: str | None,
    include_path: str | None,
    as_json: bool,
) -> None:
    """Reads what people rated into a run."""
    from judges.rubrics.load import load_rubric
    from lm_eval_tasks.people.ratings import read_ratings
    from lm_eval_tasks.people.scoring import import_ratings
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.tasks.load import find_tasks

    by = load_rubric(rubric) if rubric else load_rubric()
    run = load_run(path)
    chosen = [run.task(task) for task in tasks] if tasks else list(run.tasks.values())
    names = [task.task for task in chosen]
    sources = {task.task: task.source for task in chosen if task.source is not None}
    specs = dict(zip(names, find_tasks(names, include_path, sources), strict=True))
    found = import_ratings(run, specs, read_ratings(files, by), by)
    if as_json:
        rows = [summary.to_json() for summary in found.summaries]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    click.echo("\n".join(found.lines()))
    echo_agreement(load_run(path), names)


def echo_agreement(run: Run, tasks: Iterable[str]) -> None:
    """Prints how much the judgements of a run agree, where there are several."""
    from lm_eval_tasks.comparison.agreement import judge_agreements, stand_ins
    from lm_eval_tasks.comparison.reports.score import agreement_text, stand_in_text

    for task in tasks:
        for found in judge_agreements(run.task(task)):
            click.echo(f"\n{run.name}, {task}: {agreement_text(found)}")
        for test in stand_ins(run.task(task)):
            click.echo(f"\n{run.name}, {task}: {stand_in_text(test)}")
