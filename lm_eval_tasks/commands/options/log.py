"""``-v``: whether the user sees what engines and libraries print, or a log in the run folder gets it."""

from __future__ import annotations

import click

verbose_option = click.option(
    "-v", "--verbose", is_flag=True, help="Show what engines and libraries print; else log.txt in RUN has it."
)
