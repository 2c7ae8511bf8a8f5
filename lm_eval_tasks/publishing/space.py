"""The leaderboard as a static Space."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.pages.site import MARKER, write_site
from lm_eval_tasks.publishing.cards import TAG, card, made_with, plain
from lm_eval_tasks.runs.discovery import Run


def write_space(
    runs: Sequence[Run],
    folder: Path,
    *,
    title: str,
    baseline: str | None = None,
    licence: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes the site and the card of a Space of kind ``static``.

    Args:
        runs: What is compared, as everybody may see it.
        folder: Where to; it is there already, and empty.
        title: Name of the site.
        baseline: Run that the others are measured by.
        licence: Of what is published; None says nothing.
        progress: Gets a line for each step.
    """
    settings = Settings()
    collection = collect(list(runs), baseline=baseline, settings=settings, progress=progress)
    write_site(collection, folder, title=title, settings=settings, progress=progress)
    (folder / MARKER).unlink()
    head = {
        "title": title,
        "emoji": "⚖️",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "static",
        "app_file": "index.html",
        "pinned": False,
        "license": licence,
        "tags": [TAG, "leaderboard"],
    }
    text = (
        "How well language models explain their answers: tables with intervals, a page a model and a "
        "pair, and "
        "every explanation with its verdicts. Verdicts of a model are no truth, and only comparable with "
        "those of "
        "the same judge."
    )
    parts = [f"# {plain(title)}", text, f"Made with {made_with()} (`anchor-eval publish --site`)."]
    (folder / "README.md").write_text(card(head, parts), encoding="utf-8")
