"""What is being written at this moment: the state of a folder of runs, and runs that have no log yet.

Nothing is opened to be written to; a run that grows meanwhile is not disturbed.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

REPLIES = "replies.sqlite"
"""Replies as they were finished, in the run folder: what a run that broke off doesn't ask for again."""
_READ = re.compile(r"(samples_|judgements_|results_|probe_).*\.jsonl?|(table|report)\.json")

State: TypeAlias = frozenset[tuple[str, int, int]]
"""Path, size and time of change of each file that pages are made of."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run whose model is still writing.

    Attributes:
        name: Path below the folder.
        replies: How many replies are on disk.
    """

    name: str
    replies: int

    def __str__(self) -> str:
        """``m1: 640 replies so far``."""
        return f"{self.name}: {self.replies:,} {'reply' if self.replies == 1 else 'replies'} so far"


def state_of(folder: Path) -> State:
    """What changes when something changes that pages show; a folder that isn't there has no files."""
    return frozenset(_files(folder))


def _files(folder: Path) -> Iterator[tuple[str, int, int]]:
    for place, _, names in os.walk(folder):
        for name in names:
            if _READ.fullmatch(name):
                path = os.path.join(place, name)
                try:
                    found = os.stat(path)
                except FileNotFoundError:  # replaced meanwhile: the next look finds what stands there then
                    continue
                yield path, found.st_size, found.st_mtime_ns


def begun(folder: Path) -> list[Begun]:
    """Runs below a folder whose replies are on disk while no samples log is there yet, by name."""
    return [
        Begun(path.parent.relative_to(folder).as_posix(), _count(path))
        for path in sorted(folder.rglob(REPLIES))
        if next(path.parent.rglob("samples_*.jsonl"), None) is None
    ]


def _count(path: Path) -> int:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            return int(store.execute("SELECT count(*) FROM replies").fetchone()[0])
    except sqlite3.Error:  # being made at this moment, or nothing of ours: no reply that could be told
        return 0
