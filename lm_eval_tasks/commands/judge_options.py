"""How a judge writes its verdicts, for the commands that judge."""

from __future__ import annotations

import click

verdict_form_option = click.option(
    "--verdict-form",
    type=click.Choice(("full", "compact")),
    help="How the judge writes its verdicts, instead of as its file says: by name, or a letter each.",
)
