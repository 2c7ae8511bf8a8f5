"""``anchor-eval show``: questions and replies of a run, in the terminal."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING

import click

from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.tasks import task_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lm_eval_tasks.runs.browsing import Shown
    from lm_eval_tasks.runs.discovery import Run

_FILTERS = ("right", "wrong", "unreadable", "failed", "unjudged", "top", "bottom")


@click.command("show")
@click.argument("run", type=click.Path(), shell_complete=runs)
@click.option("--only", multiple=True, type=click.Choice(_FILTERS), help="Which replies; may be repeated.")
@task_option
@click.option("--id", "ids", multiple=True, help="Only this question; may be repeated.")
@click.option("--judge", help="Whose judgements, where there are several.")
@click.option("-n", "count", type=click.IntRange(1), help="At most so many replies.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a reply, a line each.")
def command(
    run: str,
    only: tuple[str, ...],
    tasks: tuple[str, ...],
    ids: tuple[str, ...],
    judge: str | None,
    count: int | None,
    as_json: bool,
) -> None:
    """Page through questions and replies of RUN.

    The right choice is marked with a star. A reply that couldn't be read is shown as the model wrote it,
    after a bar. Filters are combined: --only wrong --only top is what convinced the judge though it is wrong.

    \b
    anchor-eval show runs/m1
    anchor-eval show runs/m1 --only unreadable -n 5
    anchor-eval show runs/m1 --only wrong --only top -n 10
    anchor-eval show runs/m1 --json | jq .reply.choice
    """
    from judges.errors import ConfigError
    from lm_eval_tasks.runs.browsing import pick
    from lm_eval_tasks.runs.discovery import load_run

    if {"top", "bottom"} <= set(only):
        raise ConfigError("--only top and --only bottom exclude each other: one sorts up, the other down")
    found = load_run(run, judge=judge)
    names = [found.task(name).task for name in tasks] if tasks else list(found.tasks)
    chosen = islice(pick(_replies(found, names), only, ids), count)
    if as_json:
        for one in chosen:
            click.echo(json.dumps(one.to_json(), ensure_ascii=False))
        return
    first = next(chosen, None)
    if first is None:
        asked = " and ".join([*only, *(f"question {name}" for name in ids)]) or "any"
        click.echo(f"{run}: no reply is {asked}", err=True)
        return
    click.echo_via_pager(_texts(first, chosen))


def _replies(run: Run, tasks: list[str]) -> Iterator[Shown]:
    from lm_eval_tasks.runs.browsing import replies

    for name in tasks:
        task = run.tasks[name]
        judge = task.judge
        best, units = (judge.max_score, judge.units) if judge else (None, 1)
        yield from replies(name, task.read(), best, units)


def _texts(first: Shown, rest: Iterator[Shown]) -> Iterator[str]:
    from lm_eval_tasks.runs.browsing import as_text

    yield as_text(first) + "\n"
    before = first
    for one in rest:
        new = (one.task, one.question.id) != (before.task, before.question.id)
        yield ("\n" if new else "") + as_text(one, whole_question=new) + "\n"
        before = one
