"""A batch on disk, from the moment that its requests are known until the last of its replies is taken.

``requests.jsonl``  what is uploaded, as OpenAI's batch interface and vLLM's ``run-batch`` read it
``lines.jsonl``     of each line its key, and what reading its reply takes
``batch.json``      how far it is; a folder without it was never finished, and nothing of it was sent
``results.jsonl``   what came back, once it is there
``taken.txt``       keys whose replies were handed on
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from judges.backends.openai.batch.lines import Line, answered
from judges.errors import DataError
from judges.storage.files import read_object, read_rows, replacing, write_json

MOST_LINES = 50_000
MOST_BYTES = 190_000_000  # of 200 MB that a file may have
PATH = "/v1/chat/completions"
_REQUESTS, _LINES, _STATE = "requests.jsonl", "lines.jsonl", "batch.json"
_RESULTS, _TAKEN = "results.jsonl", "taken.txt"


@dataclass(frozen=True, slots=True)
class State:
    """How far a batch is.

    Attributes:
        name: By which it is found at the provider if the answer to its making was lost.
        lines: Requests in it.
        file: The provider's id of the uploaded requests; None before.
        asked: Whether the provider may have been asked to make the batch.
        batch: The provider's id of the batch; None before.
        ended: How it ended; empty before.
    """

    name: str
    lines: int
    file: str | None = None
    asked: bool = False
    batch: str | None = None
    ended: str = ""


class Draft:
    """Requests of a batch on their way to disk.

    Args:
        home: Folder of all batches; made if absent.
    """

    def __init__(self, home: Path) -> None:
        self.name = f"anchor-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
        self._path = home / self.name
        try:
            self._path.mkdir(parents=True)
            self._requests: IO[bytes] = (self._path / _REQUESTS).open("wb")
            self._lines: IO[bytes] = (self._path / _LINES).open("wb")
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._size = 0
        self.keys: dict[str, int] = {}

    def has_room(self, body: Mapping[str, Any]) -> bool:
        """Whether a further line fits."""
        # Of any character JSON makes six bytes at most, and around the texts there is little.
        texts = sum(len(turn["content"]) for turn in body["messages"])
        return len(self.keys) < MOST_LINES and self._size + 6 * texts + 10_000 <= MOST_BYTES

    def add(self, line: Line, body: Mapping[str, Any], index: int) -> None:
        """Adds a request; ``index`` is what its outcome is handed on by."""
        row = {"custom_id": line.key, "method": "POST", "url": PATH, "body": body}
        text = json.dumps(row).encode() + b"\n"
        try:
            self._requests.write(text)
            self._lines.write(json.dumps(asdict(line)).encode() + b"\n")
        except OSError as error:
            raise _unwritable(self._path, error) from None
        self._size += len(text)
        self.keys[line.key] = index

    def finish(self) -> BatchFolder:
        """Makes sure that all of it is on disk."""
        try:
            for file in (self._requests, self._lines):
                file.flush()
                os.fsync(file.fileno())
                file.close()
        except OSError as error:
            raise _unwritable(self._path, error) from None
        folder = BatchFolder(self._path)
        folder.note(State(self.name, len(self.keys)))
        return folder

    def drop(self) -> None:
        """Leaves nothing of it."""
        self._requests.close()
        self._lines.close()
        shutil.rmtree(self._path, ignore_errors=True)


@dataclass(frozen=True, order=True)
class BatchFolder:
    """A batch whose requests are on disk."""

    path: Path

    @property
    def requests(self) -> Path:
        """The file to upload."""
        return self.path / _REQUESTS

    @property
    def exists(self) -> bool:
        """Whether it is still there; another process may have taken all of it."""
        return (self.path / _STATE).is_file()

    @property
    def state(self) -> State:
        """How far it is."""
        values = read_object(self.path / _STATE)
        try:
            return State(**values)
        except TypeError:
            raise DataError(f"{self.path / _STATE}: not the state of a batch") from None

    def note(self, state: State) -> None:
        """Writes down how far it is; on return it is on disk."""
        write_json(self.path / _STATE, asdict(state))

    def update(self, **changes: Any) -> State:
        """Notes a change."""
        state = replace(self.state, **changes)
        self.note(state)
        return state

    def lines(self) -> dict[str, Line]:
        """Its lines, by key."""
        return {row["key"]: Line(**row) for _, row in read_rows(self.path / _LINES)}

    @property
    def has_results(self) -> bool:
        """Whether what came back is on disk."""
        return (self.path / _RESULTS).is_file()

    def keep_results(self, *texts: str) -> None:
        """Puts on disk what came back: the contents of the provider's files."""
        with replacing(self.path / _RESULTS) as file:
            for text in texts:
                file.write(text if text.endswith("\n") else f"{text}\n")

    def results(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What came back: key and line, of each key the first; a damaged line costs itself alone."""
        seen: set[str] = set()
        with (self.path / _RESULTS).open("rb") as file:
            for line in file:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                key = row.get("custom_id") if isinstance(row, dict) else None
                if isinstance(key, str) and key not in seen:
                    seen.add(key)
                    yield key, row

    def take(self, key: str) -> None:
        """Notes that a line's outcome was handed on, and stored if it was a reply."""
        with (self.path / _TAKEN).open("a", encoding="ascii") as file:
            file.write(key + "\n")

    def waiting(self) -> set[str]:
        """Keys whose replies are still to be taken; once results are there, those alone that have a reply."""
        taken = set()
        if (self.path / _TAKEN).is_file():
            taken = set((self.path / _TAKEN).read_text(encoding="ascii").split())
        if self.has_results:
            return {key for key, row in self.results() if answered(row)} - taken
        return set(self.lines()) - taken

    def remove(self) -> None:
        """Leaves nothing of it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.with_name(f".{self.path.name}.lock").unlink(missing_ok=True)


def pending_in(home: Path) -> dict[str, BatchFolder]:
    """Key -> the batch that has, or will have, its reply; what was never finished is removed."""
    found: dict[str, BatchFolder] = {}
    for path in sorted(home.glob("anchor-*")):
        folder = BatchFolder(path)
        if folder.exists:
            found |= dict.fromkeys(folder.waiting(), folder)
        elif path.is_dir() and time.time() - path.stat().st_mtime > _ABANDONED:
            folder.remove()
    return found


_ABANDONED = 86_400.0
"""Seconds after which requests that were never finished, and never sent, aren't being written any more."""


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: can't be written: {error.strerror or error}; nothing was sent")
