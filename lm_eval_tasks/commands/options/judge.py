"""What a judge goes by and how it writes its verdicts, for the commands that judge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def rubric_options(command: _Command) -> _Command:
    """Adds ``--rubric`` and ``--verdict-form``."""
    form = click.option(
        "--verdict-form",
        type=click.Choice(("full", "compact")),
        help="How the judge writes its verdicts, instead of as its file says: by name, or a letter each.",
    )
    rubric = click.option(
        "--rubric",
        help="A built-in rubric (explanation_quality; explanation_quality_right_answer: it is told the "
        "right answer), or a .yaml file with a rubric or a constitution.",
    )
    return rubric(form(command))
