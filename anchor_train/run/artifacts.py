"""Files of a run folder: whole or not at all, and known by their content.

A finished artifact appears by one rename. While replies arrive, they are kept in a :class:`Journal`, a line
each, so that whatever ends the process, at most the line in flight is lost, and whatever ends the machine, at
most the lines of the last second.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from judges.errors import DataError
from lm_eval_tasks.json_lines import read_rows
from lm_eval_tasks.records import Json
from lm_eval_tasks.runs.judgement_files import replacing, sha256_of

R = TypeVar("R")

_SECONDS_BETWEEN_SYNCS = 1.0


def write_records(path: Path, rows: Iterable[Json]) -> None:
    """Writes JSON Lines; the file appears whole or not at all."""
    with replacing(path) as file:
        for row in rows:
            file.write(json_line(row))


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON value for people and machines; the file appears whole or not at all."""
    with replacing(path) as file:
        json.dump(value, file, ensure_ascii=False, allow_nan=False, indent=2)
        file.write("\n")


def read_records(path: Path, from_json: Callable[[Mapping[str, Any]], R]) -> Iterator[R]:
    """Reads JSON Lines into records.

    Raises:
        DataError: Naming file and line of what can't be read.
    """
    for where, row in read_rows(path):
        try:
            yield from_json(row)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: not a record of this artifact ({error!r})") from None


def json_line(row: Json) -> str:
    """One line of JSON Lines."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(found for found in path.rglob("*") if found.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\n{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def text_hash(*parts: str) -> str:
    """SHA-256 of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class Journal:
    """An artifact in the making: rows appended as they arrive, each out of this process before the next.

    The first line says what the rows belong to; the rows of anything else don't count. A torn last line is
    dropped. Use it as a context manager.

    Attributes:
        rows: What is on disk, by key.
        discarded: Rows on disk that belonged to something else.
    """

    def __init__(self, path: Path, belongs_to: str, key: Callable[[Json], str]) -> None:
        """Opens or makes it.

        Args:
            path: The file.
            belongs_to: Hash of all that the rows depend on.
            key: What tells rows apart; a later row replaces an earlier one.
        """
        self.path = path
        self.rows: dict[str, Json] = {}
        self.discarded = 0
        self._key = key
        self._synced = 0.0
        self._file = self._open(belongs_to)

    def append(self, row: Json) -> None:
        """Adds a row; on return no ``kill -9`` can take it away."""
        self._write(row)
        self.rows[self._key(row)] = row

    def close(self) -> None:
        """Closes the file; the rows stay on disk."""
        if not self._file.closed:
            with self._one_line_errors():
                os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, belongs_to: str) -> IO[bytes]:
        header, rows, whole = self._read()
        file: IO[bytes]
        if header == {"belongs_to": belongs_to}:
            self.rows = {self._key(row): row for row in rows}
            file = self.path.open("r+b")
            file.truncate(whole)
            file.seek(whole)
            return file
        self.discarded = len(rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = self.path.open("wb")
        self._file = file
        self._write({"belongs_to": belongs_to})
        return file

    def _read(self) -> tuple[Json | None, list[Json], int]:
        """Header, rows, and the length in bytes of all whole lines."""
        if not self.path.is_file():
            return None, [], 0
        found: list[Json] = []
        whole = 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                row = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n") or not isinstance(row, dict):
                break
            found.append(row)
            whole += len(line)
        return (found[0] if found else None), found[1:], whole

    def _write(self, row: Json) -> None:
        with self._one_line_errors():
            self._file.write(json_line(row).encode())
            self._file.flush()
            # A disk may take milliseconds to make sure, so it is asked once a second and not for each row.
            if (now := time.monotonic()) - self._synced >= _SECONDS_BETWEEN_SYNCS:
                os.fsync(self._file.fileno())
                self._synced = now

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"{self.path}: can't be written: {error.strerror}") from None
