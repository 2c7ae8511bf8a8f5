"""``--executor`` and ``--workers``: where a command's models and judges run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def executor_options(command: F) -> F:
    """Adds the options; the command gets them as ``executor`` and ``workers``."""
    options = (
        click.option(
            "--executor",
            type=click.Choice(["local", "ray"]),
            help="Run in this process or on the workers of a Ray cluster; default: as the settings say.",
        ),
        click.option(
            "--workers", type=click.IntRange(1), help="Ray workers. Default: one on each GPU, or else node."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def executor(options: dict[str, Any]) -> Any:
    """The executor, taken out of a command's options, as ``load_judge`` takes it; None if none is given."""
    chosen, workers = options.pop("executor"), options.pop("workers")
    if workers is None:
        return chosen
    if chosen != "ray":
        raise click.UsageError("--workers goes with --executor ray")
    return {"ray": {"workers": workers}}
