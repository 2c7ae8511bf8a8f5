"""An artifact in the making: rows kept on disk as they arrive, a line each.

Whatever ends the process, at most the line in flight is lost, and whatever ends the machine, at most the
lines of the last second.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from judges.errors import DataError
from judges.storage.files import Json, json_line

_SECONDS_BETWEEN_SYNCS = 1.0


class Journal:
    """An artifact in the making: rows appended as they arrive, each out of this process before the next.

    The first line says what the rows belong to; the rows of anything else don't count. A torn last line is
    dropped. Use it as a context manager.

    Attributes:
        rows: What is on disk, by key.
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
