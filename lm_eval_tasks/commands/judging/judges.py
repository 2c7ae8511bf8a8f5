"""``anchor-eval judges``: a leaderboard of judges."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("judges")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--gold", help="Judgements that are taken for true, e.g. human.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the site of these runs there, as anchor-eval leaderboard does, with this on the page Judges.",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(folder: Path, gold: str | None, output: Path | None, as_json: bool) -> None:
    """Compare the judges of all runs below FOLDER: what each is worth, its price and speed; asks nobody.

    Figures come from the judgements themselves, from anchor-eval audit, and from people (--gold human). Says
    which judge to take for which budget, and of panels how each member agrees with the others.

    \b
    anchor-eval judges runs/
    anchor-eval judges runs/ --gold human --json
    anchor-eval judges runs/ --gold human -o site/
    """
    from lm_eval_tasks.comparison.judges.board import judge_board
    from lm_eval_tasks.comparison.judges.choice import choices
    from lm_eval_tasks.comparison.judges.panels import panel_reports
    from lm_eval_tasks.comparison.judges.text import board_text, panel_text
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.runs.discovery import find_runs

    settings = Settings()
    runs = find_runs(folder)
    board = judge_board(runs, gold, settings)
    panels = panel_reports(runs, settings.confidence)
    if output is not None:
        _write_site(folder, output, gold)
    if as_json:
        found = {
            **board.to_json(),
            "for_price": [one.to_json() for one in choices(board, "price")],
            "for_seconds": [one.to_json() for one in choices(board, "seconds")],
            "panels": [one.to_json() for one in panels],
        }
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    click.echo("\n\n".join([board_text(board), *map(panel_text, panels)]))


def _write_site(folder: Path, output: Path, gold: str | None) -> None:
    from judges.output.notices import tell
    from lm_eval_tasks.comparison.boards import collect
    from lm_eval_tasks.leaderboard.pages.judges import PAGE
    from lm_eval_tasks.leaderboard.pages.site import write_site
    from lm_eval_tasks.leaderboard.pages.training import runs_below

    write_site(collect(runs_below(folder, None)), output, gold=gold)
    tell(f"{output / PAGE}: open it in a browser")
