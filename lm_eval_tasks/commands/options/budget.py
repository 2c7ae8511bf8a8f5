"""``--max-calls``, ``--max-tokens`` and ``--max-cost``: what a command may spend on its judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lm_eval_tasks.commands.options.number import Number

if TYPE_CHECKING:
    from judges.spending.budget import Budget

F = TypeVar("F", bound=Callable[..., Any])


def budget_options(command: F) -> F:
    """Adds the options; the command gets them as ``max_calls``, ``max_tokens`` and ``max_cost``."""
    options = (
        click.option(
            "--max-calls",
            type=click.IntRange(0),
            help="Most explanations to ask the judge about in this run.",
        ),
        click.option(
            "--max-tokens", type=click.IntRange(0), help="Most tokens for the judge to read and write."
        ),
        click.option("--max-cost", type=Number(0), help="Most to spend; the judge's file must have prices."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def budget(options: dict[str, Any]) -> Budget:
    """The limits, taken out of a command's options."""
    from judges.spending.budget import Budget

    return Budget(options.pop("max_calls"), options.pop("max_tokens"), options.pop("max_cost"))
