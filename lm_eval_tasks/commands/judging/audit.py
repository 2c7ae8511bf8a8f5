"""``anchor-eval audit``: can this judge be trusted?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from lm_eval_tasks.commands.options.budget import budget, budget_options
from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.executor import executor, executor_options
from lm_eval_tasks.commands.options.judge import rubric_options
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.tasks import include_path_option, task_option

if TYPE_CHECKING:
    from judges.records import VerdictForm

_KINDS = "consistency,perturbation,order,length,discrimination,self-preference"


@click.command("audit")
@click.argument("runs", nargs=-1, required=True, type=click.Path(), shell_complete=runs)
@click.option(
    "--judge", required=True, help="BACKEND:MODEL (openai:MODEL@URL, vllm:MODEL, ...) or judge.yaml."
)
@click.option(
    "--kinds",
    help=f"Only these, separated by commas: {_KINDS}. Default: all; self-preference with several runs only.",
)
@click.option(
    "-n",
    "--statements",
    default=100,
    show_default=True,
    type=click.IntRange(1),
    help="Explanations for each kind of probe.",
)
@click.option(
    "--repeats",
    default=3,
    show_default=True,
    type=click.IntRange(2),
    help="How often the judge is asked about the same, for consistency.",
)
@click.option("--reference", help="Judgements that self-preference is measured against, e.g. human.")
@task_option
@rubric_options
@click.option("--seed", default=0, show_default=True, help="Of what is drawn.")
@click.option("--no-cache", is_flag=True, help="Ask everything anew.")
@include_path_option
@budget_options
@executor_options
@click.option("--dry-run", is_flag=True, help="Say what it would take, and ask nothing.")
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    runs: tuple[str, ...],
    judge: str,
    kinds: str | None,
    statements: int,
    repeats: int,
    reference: str | None,
    tasks: tuple[str, ...],
    rubric: str | None,
    verdict_form: VerdictForm | None,
    seed: int,
    no_cache: bool,
    include_path: str | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Find out what a judge is worth, on explanations of RUNS (the first; all of them for self-preference).

    No people are needed. The judge is asked the same again; asked about explanations that were padded,
    praised, made to address it, and of as harmless a text in their place; with the criteria and choices in
    another order; about right and wrong explanations of a question; and about planted errors. What comes
    out is said in words first. It is written beside the samples, and stands on the pages of anchor-eval
    leaderboard. Started again, it goes on where it was stopped.

    \b
    anchor-eval audit runs/m1 --judge judge.yaml --dry-run
    anchor-eval audit runs/m1 --judge judge.yaml --kinds consistency,discrimination
    anchor-eval audit runs/m1 runs/base --judge judge.yaml --reference human
    """
    from pathlib import Path

    from judges.config import DEFAULT, load_judge
    from judges.errors import ConfigError
    from judges.output.notices import tell
    from judges.output.run_log import FILE, quiet
    from judges.rubrics.load import load_rubric
    from lm_eval_tasks.audit.audit import (
        audit,
        audit_path,
        estimate,
        probes_of,
        reference_of,
        write_audit,
    )
    from lm_eval_tasks.audit.plan import plan_of
    from lm_eval_tasks.audit.text import as_text
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.tasks.load import find_tasks

    chosen = _chosen(kinds, len(runs))
    loaded = [load_run(path) for path in runs]
    if len({run.name for run in loaded}) < len(loaded):
        raise ConfigError(f"two runs have the same name: {', '.join(run.name for run in loaded)}")
    names = list(dict.fromkeys(tasks)) or list(loaded[0].tasks)
    sources = {name: source for name in names if (source := loaded[0].task(name).source) is not None}
    specs = dict(zip(names, find_tasks(names, include_path, sources), strict=True))
    versus = None if reference is None else reference_of([Path(path) for path in runs], reference, names)
    limits, where = budget(options), executor(options)
    with (
        quiet(loaded[0].path / FILE, verbose=verbose or dry_run),
        load_judge(
            judge,
            cache=None if no_cache else DEFAULT,
            rubric=load_rubric(rubric) if rubric else None,
            budget=limits,
            verdict_form=verdict_form,
            executor=where,
        ) as ready,
    ):
        plan = plan_of(loaded, specs, ready.rubric, statements, repeats=repeats, seed=seed)
        probes = probes_of(plan, chosen)
        for kind, found in probes.items():
            tell(f"{kind}: {len(found)} statements")
        for by, taken in estimate(probes, ready).items():
            tell(f"by {'its rubric' if by == 'rubric' else by}: {taken}")
        if dry_run:
            return
        report = audit(
            loaded[0],
            plan,
            chosen,
            ready,
            models={run.name: run.model for run in loaded},
            reference=versus,
        )
        path = audit_path(loaded[0], ready)
        write_audit(path, report)
    click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else as_text(report))
    tell(f"written to {path}")


def _chosen(kinds: str | None, runs: int) -> list[str]:
    from judges.errors import ConfigError
    from judges.settings import nearest
    from lm_eval_tasks.audit.records import KINDS

    if kinds is None:
        return [kind for kind in KINDS if kind != "self-preference" or runs > 1]
    chosen = [kind.strip() for kind in kinds.split(",") if kind.strip()]
    for kind in chosen:
        if kind not in KINDS:
            raise ConfigError(f"--kinds {kind!r}: {nearest(kind, KINDS)}")
    if not chosen:
        raise ConfigError(f"--kinds names none; known: {', '.join(KINDS)}")
    return list(dict.fromkeys(chosen))
