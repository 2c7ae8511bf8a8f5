"""``anchor-eval judges``: a leaderboard of judges."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("judges")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--gold", help="Judgements that are taken for true, e.g. human.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(folder: Path, gold: str | None, as_json: bool) -> None:
    """Compare the judges of all runs below FOLDER: what each is worth, its price and speed; asks nobody.

    Figures come from the judgements themselves, from anchor-eval audit, and from people (--gold human).

    \b
    anchor-eval judges runs/
    anchor-eval judges runs/ --gold human --json
    """
    from lm_eval_tasks.comparison.judges.board import board_text, judge_board
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.runs.discovery import find_runs

    board = judge_board(find_runs(folder), gold, Settings())
    click.echo(json.dumps(board.to_json(), indent=2, ensure_ascii=False) if as_json else board_text(board))
