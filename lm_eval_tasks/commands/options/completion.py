"""What the shell offers at Tab: names of tasks, run folders, names of runs.

Looked up in file names alone, so that nobody waits; a folder that can't be read offers nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.shell_completion import CompletionItem

_LOG = re.compile(r"samples_(.+)_\d{4}-\d\d-\d\dT[\d.-]+\.jsonl")
_TASKS = Path(__file__).parents[2] / "tasks"


def tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tasks and groups that ship with the package; of several, the one behind the last comma."""
    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    names = sorted(path.stem for path in _TASKS.rglob("*.yaml"))
    return [
        CompletionItem(f"{before}{comma}{name}")
        for name in names
        if name.startswith(last) and name not in given
    ]


def tasks_of_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tasks of the runs that the line names; all that there are where it names none."""
    names = {task for folder in _given(ctx) for task in _logged(folder)}
    if not names:
        return tasks(ctx, param, incomplete)
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Run folders that begin like this, with their tasks; folders to go into where there are none."""
    folder, _, beginning = incomplete.rpartition("/")
    given = {str(path) for path in _given(ctx)}
    found = []
    for path in _folders(Path(folder or ("/" if incomplete.startswith("/") else "."))):
        shown = f"{folder}/{path.name}" if "/" in incomplete else path.name
        held = sorted(_logged(path)) if path.name.startswith(beginning) else []
        if held and shown not in given:
            found.append(CompletionItem(shown, help=", ".join(held)))
    return found or [CompletionItem(incomplete, type="dir")]


def names_of_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the runs that the line names, or of those below the folder that it names."""
    names: list[str] = []
    for path in _given(ctx):
        below = [] if _logged(path) else _below(path)
        names += below or [path.name]
    return [CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete)]


def _below(path: Path) -> list[str]:
    from judges.errors import DataError
    from lm_eval_tasks.runs.discovery import names_below

    try:
        return names_below(path)
    except (DataError, OSError):
        return []


def _given(ctx: click.Context) -> list[Path]:
    found: list[Path] = []
    for key in ("run", "runs", "folder"):
        value = ctx.params.get(key)
        found += [Path(one) for one in (value if isinstance(value, tuple) else (value,)) if one]
    # An option that waits for its value leaves the words before it unread.
    return found or [Path(word) for word in ctx.args if not word.startswith("-")]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _logged(folder: Path) -> set[str]:
    """Tasks whose samples lie in a run folder, where ``load_run`` looks for them."""
    try:
        logs = [*folder.glob("samples_*.jsonl"), *folder.glob("*/samples_*.jsonl")]
    except OSError:
        return set()
    return {found[1] for log in logs if (found := _LOG.fullmatch(log.name))}
