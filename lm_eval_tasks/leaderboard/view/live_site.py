"""The site of a folder of runs as it is now: built, and built again when the runs have changed."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from judges.errors import AnchorError
from lm_eval_tasks.runs.under_way import State, begun, state_of

PATIENCE = 10.0
"""Times as long as a build took (a second, at least): so long runs may go on changing until they are shown
all the same."""

Build: TypeAlias = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class Status:
    """What an open page asks for.

    Attributes:
        version: Name of the site that is shown; another one means: load the page again.
        note: What the reader must know of runs that aren't on the pages, or not in their present state.
    """

    version: str
    note: str


class LiveSite:
    """The newest site that could be built, in a folder of its own; the one before stays until then.

    Args:
        runs: The folder that is watched.
        place: Folder for the sites; emptied as newer ones are made.
        build: Writes the site to a folder that isn't there yet; gets the folder and a name for this state.
    """

    def __init__(self, runs: Path, place: Path, build: Build) -> None:
        self.runs = runs
        self._place = place
        self._build = build
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._started = secrets.token_hex(4)
        self._number = 0
        self._problem = ""
        self._under_way: tuple[str, ...] = ()
        self._shown: State | None = None
        self._seen: State | None = None
        self._changing_since = 0.0
        self._seconds = 0.0

    @property
    def folder(self) -> Path | None:
        """Where the site lies now; None while none could be built."""
        return self._folder

    @property
    def status(self) -> Status:
        """For pages that are open."""
        with self._lock:
            waiting = "; ".join(self._under_way)
            return Status(self._version(self._number), ". ".join(filter(None, (self._problem, waiting))))

    def refresh(self) -> bool:
        """Looks at the runs, and builds the site if they have changed and have come to rest.

        A log that grows all the time is shown all the same, once it has changed for :data:`PATIENCE` times as
        long as building takes.

        Returns:
            Whether there is another site now.
        """
        now, state = time.monotonic(), state_of(self.runs)
        with self._lock:
            self._under_way = tuple(map(str, begun(self.runs)))
        if state == self._shown:
            return False
        if self._seen in (None, self._shown):
            self._changing_since = now
        rests = state == self._seen or self._shown is None
        self._seen = state
        if not rests and now - self._changing_since < PATIENCE * max(self._seconds, 1.0):
            return False
        self._shown = self._seen = state
        return self._rebuild()

    def _version(self, number: int) -> str:
        # Pages of an earlier server at the same address are older than all of this one's.
        return f"{self._started}-{number}"

    def _rebuild(self) -> bool:
        started = time.monotonic()
        target = self._place / str(self._number + 1)
        shutil.rmtree(target, ignore_errors=True)
        try:
            self._build(target, self._version(self._number + 1))
        except AnchorError as error:
            with self._lock:
                self._problem = " ".join(str(error).split())
            return False
        self._seconds = time.monotonic() - started
        with self._lock:
            old, self._folder = self._folder, target
            self._number += 1
            self._problem = ""
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        return True
