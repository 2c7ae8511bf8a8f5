"""``anchor-eval cache``: what judges answered before."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("cache")
def command() -> None:
    """What judges answered before.

    One file for all runs: ANCHOR_CACHE=FILE, or the user's cache folder.
    """


@command.command("stats")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def stats(as_json: bool) -> None:
    """How many replies are stored, by judge."""
    from judges.storage.cache import ReplyCache, default_cache_path
    from lm_eval_tasks.tables import text_table

    path = default_cache_path()
    if not path.exists():
        click.echo(json.dumps({"path": str(path), "replies": 0}) if as_json else f"{path}: no replies yet")
        return
    with ReplyCache(path) as cache:
        found = cache.stats()
    if as_json:
        judges = [{"backend": b, "rubric": r, "replies": n} for b, r, n in found.by_judge]
        totals = {"replies": found.replies, "with_verdict": found.with_verdict, "bytes": found.bytes}
        click.echo(json.dumps({"path": str(path), **totals, "judges": judges}, indent=2))
        return
    click.echo(
        f"{path}: {found.replies} replies ({found.with_verdict} with verdicts), {found.bytes / 1e6:.1f} MB"
    )
    if found.by_judge:
        rows = [(backend, rubric, str(count)) for backend, rubric, count in found.by_judge]
        click.echo(text_table(("judge", "rubric", "replies"), rows, left=2))


@command.command("clear")
@click.option("--yes", is_flag=True, help="Don't ask.")
def clear(yes: bool) -> None:
    """Delete all stored replies; judging them again costs what it cost."""
    from judges.storage.cache import ReplyCache, default_cache_path

    path: Path = default_cache_path()
    if not path.exists():
        click.echo(f"{path}: no replies yet")
        return
    with ReplyCache(path) as cache:
        count = cache.stats().replies
        if not yes:
            click.confirm(f"Delete {count} replies in {path}?", abort=True, err=True)
        click.echo(f"{path}: {cache.clear()} replies deleted")
