"""``anchor-train demo``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import json_option, print_json, set_option
from lm_eval_tasks.commands.options.log import verbose_option


@click.command("demo")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="The run folder.",
)
@set_option
@verbose_option
@json_option
def command(output: Path, overrides: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """The paper's experiment on the pocket model: offline, in minutes.

    Trains SFT, Rank and Anchor models from the shipped base model and prints the paper's Table 1, judged by
    the ground truth and by the pocket model itself. Stopped, it goes on where it was.

    \b
    anchor-train demo
    anchor-train demo -o my-demo --set seed=7
    anchor-train demo -o groups --set 'strategies=[anchor, aft, rft]'
    """
    from anchor_train.pocket.demo import demonstrate
    from judges.output.notices import tell

    shown = demonstrate(output, overrides, tell, verbose=verbose)
    if as_json:
        print_json({"report": str(shown.report), **shown.outcome.to_json()})
    else:
        click.echo(shown.text)
        click.echo(f"report: {shown.report}")
