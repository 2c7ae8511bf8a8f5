"""``--task`` and ``--include-path``: which tasks of runs a command takes, and where those of your own are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lm_eval_tasks.commands.options.completion import tasks_of_runs

F = TypeVar("F", bound=Callable[..., Any])


def task_option(command: F) -> F:
    """Adds ``--task``; the command gets what was given as ``tasks``."""
    return click.option(
        "--task",
        "tasks",
        multiple=True,
        help="Only this task; may be repeated. Default: all of the runs.",
        shell_complete=tasks_of_runs,
    )(command)


def include_path_option(command: F) -> F:
    """Adds ``--include-path``."""
    return click.option(
        "--include-path",
        type=click.Path(),
        help="Folder with task files of your own; default: those that the runs were made with.",
    )(command)
