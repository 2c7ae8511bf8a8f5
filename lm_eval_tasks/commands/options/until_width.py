"""``--until-width`` of ``anchor-eval compare``: a judge that is asked until it is enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from lm_eval_tasks.commands.options.budget import budget, budget_options
from lm_eval_tasks.commands.options.executor import executor, executor_options
from lm_eval_tasks.commands.options.judge import rubric_options
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.number import Number
from lm_eval_tasks.commands.options.tasks import include_path_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lm_eval_tasks.comparison.reports.until_width import WidthReport
    from lm_eval_tasks.runs.discovery import Run

_Command = TypeVar("_Command", bound=Callable[..., Any])
_JUDGING = (
    *("rubric", "verdict_form", "max_calls", "max_tokens", "max_cost", "executor", "workers"),
    *("include_path", "dry_run", "verbose"),
)
_COMPARING = ("refined", "correct_with", "details", "latex", "draws", "track")


def until_width_options(command: _Command) -> _Command:
    """Adds the options; the command gets them in ``options``."""
    for option in (
        verbose_option,
        click.option("--dry-run", is_flag=True, help="Say what it would take at least and at most."),
        include_path_option,
        executor_options,
        budget_options,
        rubric_options,
        click.option(
            "--until-width",
            type=Number(0, 2, min_open=True),
            help="Have --judge (BACKEND:MODEL or judge.yaml) asked about question after question of two "
            "runs, until the interval of win - loss is narrower than this, e.g. 0.06 for six points.",
        ),
    ):
        command = option(command)
    return command


def width_asked_for(options: dict[str, Any]) -> float | None:
    """``--until-width``; refuses options that don't go with it, or without it."""
    width: float | None = options.pop("until_width")
    context = click.get_current_context()
    refused, why = (_COMPARING, "doesn't go with") if width is not None else (_JUDGING, "goes with")
    for name in refused:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(one.opts[-1] for one in context.command.params if one.name == name)
            raise click.UsageError(f"{option} {why} --until-width")
    return width


def compare_until(
    new: Run,
    base: Run,
    tasks: Sequence[str],
    width: float,
    judge: str | None,
    *,
    confidence: float,
    seed: int,
    options: dict[str, Any],
) -> WidthReport | None:
    """Judges two runs until win - loss is known well enough; None for a dry run."""
    from judges.config import load_judge
    from judges.output.notices import tell
    from judges.output.run_log import FILE, quiet
    from judges.rubrics.load import load_rubric
    from lm_eval_tasks.comparison.gate import Rule, alone, judge_notes, outlook, shared_tasks, sides_of
    from lm_eval_tasks.comparison.reports.until_width import WidthReport, width_line
    from lm_eval_tasks.comparison.until_width import judged_until
    from lm_eval_tasks.tasks.load import find_tasks

    if judge is None:
        raise click.UsageError("--until-width needs --judge: BACKEND:MODEL or judge.yaml")
    limits, where = budget(options), executor(options)
    rubric, dry_run = options["rubric"], options["dry_run"]
    names = shared_tasks(new, base, tasks)
    sources = {name: source for name in names if (source := new.task(name).source) is not None}
    specs = find_tasks(names, options["include_path"], sources)
    rule = Rule(0.0, confidence, seed=seed)
    read = [sides_of(new.task(name), base.task(name), rule, judged=False) for name in names]
    with (
        quiet(new.path / FILE, verbose=options["verbose"] or dry_run),
        load_judge(
            judge,
            rubric=load_rubric(rubric) if rubric else None,
            budget=limits,
            verdict_form=options["verdict_form"],
            executor=where,
        ) as asked,
    ):
        for sides, spec in zip(read, specs, strict=True):
            tell(str(outlook(sides, rule, spec, asked, "compare --until-width")))
        if dry_run:
            return None
        before = asked.accounts
        with alone(asked, [run.task(name) for run in (new, base) for name in names]):
            found = [
                judged_until(
                    sides,
                    width,
                    (asked, spec),
                    confidence=confidence,
                    on_look=lambda sides, found: tell(width_line(sides, found)),
                )
                for sides, spec in zip(read, specs, strict=True)
            ]
        return WidthReport(
            new.name,
            base.name,
            width,
            confidence,
            found,
            asked.info,
            asked.accounts.since(before),
            judge_notes(asked, [new.model, base.model]),
        )
