"""What every ``publish`` takes: where to, who may see it, and what may go up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def publish_options(command: F) -> F:
    """Adds ``to``, ``public``, ``replace``, ``allowed``, ``licence``, ``dry_run`` and ``as_json``."""
    for option in reversed(
        (
            click.option("--to", metavar="ORG/NAME", required=True, help="The repository; made if absent."),
            click.option("--public", is_flag=True, help="Everybody may see it.  [default: private]"),
            click.option("--replace", is_flag=True, help="Put it in the place of other content."),
            click.option(
                "--allow",
                "allowed",
                metavar="TEXT",
                multiple=True,
                help="An address or path that may go up; may be given again. Keys never may.",
            ),
            click.option(
                "--license", "licence", metavar="ID", help="Licence, as the hub names it: apache-2.0, mit ..."
            ),
            click.option("--dry-run", is_flag=True, help="List the files and show the card; send nothing."),
            click.option("--json", "as_json", is_flag=True, help="What went up, or would, as JSON."),
        )
    ):
        command = option(command)
    return command
