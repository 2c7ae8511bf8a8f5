"""``anchor-eval gate``: is a new run no worse than its baseline? For continuous integration."""

from __future__ import annotations

import errno
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from lm_eval_tasks.commands.options.budget import budget, budget_options
from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.executor import executor, executor_options
from lm_eval_tasks.commands.options.judge import rubric_options
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.number import Number
from lm_eval_tasks.commands.options.tasks import include_path_option, task_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judges.judge import Judge
    from judges.records import VerdictForm
    from lm_eval_tasks.comparison.gate import Rule, Sides
    from lm_eval_tasks.comparison.reports.gate import GateReport
    from lm_eval_tasks.runs.discovery import Run
    from lm_eval_tasks.stats.estimation.sequence import Decision
    from lm_eval_tasks.tasks.spec import TaskSpec

EXIT_CODES = {"pass": 0, "fail": 1, "undecided": 4}
BROKEN = 2
"""Exit code where the gate couldn't be held, for errors that other commands end with 1."""


@click.command("gate")
@click.argument("run", type=click.Path(), shell_complete=runs)
@click.option(
    "--baseline", required=True, type=click.Path(), help="Run to compare RUN with.", shell_complete=runs
)
@click.option(
    "--margin",
    required=True,
    type=Number(),
    help="What win - loss must be above, in shares of 1: -0.02 lets RUN be worse by two points.",
)
@click.option(
    "--judge",
    help="BACKEND:MODEL or judge.yaml, asked until it is decided. Default: the judgements that are there.",
)
@task_option
@rubric_options
@click.option(
    "--confidence",
    default=0.95,
    show_default=True,
    type=Number(0, 1, min_open=True, max_open=True),
    help="Probability of no wrong answer, over all tasks and looks together.",
)
@click.option(
    "--look-every",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="Questions to judge before stopping is thought of again.",
)
@click.option("--seed", default=0, show_default=True, help="Of the order of the questions.")
@click.option("--no-cache", is_flag=True, help="Ask everything anew; then nothing is taken up again.")
@include_path_option
@budget_options
@executor_options
@click.option("--dry-run", is_flag=True, help="Say what it would take at least and at most, and ask nothing.")
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    run: str,
    baseline: str,
    margin: float,
    judge: str | None,
    tasks: tuple[str, ...],
    rubric: str | None,
    verdict_form: VerdictForm | None,
    confidence: float,
    look_every: int,
    seed: int,
    no_cache: bool,
    include_path: str | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Pass if RUN explains no worse than the baseline, by more than a margin; judge no more than that takes.

    Both runs' explanations are judged question by question, in an order of chance, until win - loss is known
    to be above the margin or below it. Exit code: 0 pass, 1 fail, 4 undecided when all is judged; 2 if
    something is wrong, 3 if the judge has spent what it may, 5 if nothing could be judged. Started again,
    it goes on where it stopped.

    \b
    anchor-eval gate runs/new --baseline runs/old --margin -0.02 --judge judge.yaml
    anchor-eval gate runs/new --baseline runs/old --margin 0 --judge judge.yaml --max-cost 5 --json
    anchor-eval gate runs/new --baseline runs/old --margin -0.02     # judged before
    """
    from judges.errors import AnchorError, DataError

    limits, where = budget(options), executor(options)
    try:
        from judges.config import DEFAULT, load_judge
        from judges.output.run_log import FILE, quiet
        from judges.rubrics.load import load_rubric
        from judges.spending.budget import Budget
        from lm_eval_tasks.comparison.gate import Rule
        from lm_eval_tasks.runs.discovery import load_run

        rule = Rule(margin, confidence, look_every, seed)
        if judge is None and (rubric or verdict_form or where or dry_run or no_cache or limits != Budget()):
            raise click.UsageError(
                "--rubric, --verdict-form, --executor, --no-cache, --dry-run and limits go with --judge"
            )
        runs = load_run(run), load_run(baseline)
        if judge is None:
            report = _gate(runs, tasks, rule, None, include_path, dry_run)
        else:
            own_rubric = load_rubric(rubric) if rubric else None
            cache = None if no_cache else DEFAULT
            with (
                quiet(runs[0].path / FILE, verbose=verbose or dry_run),
                load_judge(
                    judge,
                    cache=cache,
                    rubric=own_rubric,
                    budget=limits,
                    verdict_form=verdict_form,
                    executor=where,
                ) as asked,
            ):
                report = _gate(runs, tasks, rule, asked, include_path, dry_run)
    except AnchorError as error:
        if error.exit_code == EXIT_CODES["fail"]:
            error.exit_code = BROKEN
        raise
    except OSError as error:
        if error.errno in (None, errno.EPIPE):
            raise
        broken = DataError(f"{error.filename or 'the machine'}: {error.strerror}")
        broken.exit_code = BROKEN
        raise broken from None
    if report is None:
        return
    click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False) if as_json else report.text())
    click.get_current_context().exit(EXIT_CODES[report.verdict])


def _gate(
    runs: tuple[Run, Run],
    tasks: Sequence[str],
    rule: Rule,
    judge: Judge | None,
    include_path: str | None,
    dry_run: bool,
) -> GateReport | None:
    """Looks at task after task; None for a dry run."""
    from judges.output.notices import tell
    from lm_eval_tasks.comparison.gate import alone, gate_task, judge_notes, outlook, shared_tasks, sides_of
    from lm_eval_tasks.comparison.reports.gate import GateReport, progress_line

    new, base = runs
    names = shared_tasks(new, base, tasks)
    of_task = rule.shared_by(len(names))
    read = [sides_of(new.task(name), base.task(name), of_task, judged=judge is None) for name in names]
    specs: list[TaskSpec | None] = [None] * len(names)
    if judge is not None:
        specs = list(_specs(new, names, include_path))
        for sides, spec in zip(read, specs, strict=True):
            assert spec is not None
            tell(str(outlook(sides, of_task, spec, judge)))
        if dry_run:
            return None

    def on_look(sides: Sides, decision: Decision) -> None:
        tell(progress_line(sides, decision))

    found = []
    before = None if judge is None else judge.accounts
    everything = [run.task(name) for run in runs for name in names]
    with nullcontext() if judge is None else alone(judge, everything):
        for sides, spec in zip(read, specs, strict=True):
            judging = None if judge is None or spec is None else (judge, spec)
            found.append(gate_task(sides, of_task, judging, on_look))
            if found[-1].verdict == "fail":
                break
    return GateReport(
        new.name,
        base.name,
        rule,
        found,
        left=names[len(found) :],
        judge=None if judge is None else judge.info,
        accounts=None if judge is None or before is None else judge.accounts.since(before),
        notes=[] if judge is None else judge_notes(judge, [new.model, base.model]),
    )


def _specs(run: Run, names: Sequence[str], include_path: str | None) -> Sequence[TaskSpec]:
    from lm_eval_tasks.tasks.load import find_tasks

    sources = {name: source for name in names if (source := run.task(name).source) is not None}
    return find_tasks(names, include_path, sources)
