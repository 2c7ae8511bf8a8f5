"""JSON Lines files from anywhere: read a line at a time, refused with file and line number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judges.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that is read; a question with 16 long samples has about 100 KB."""


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Reads the rows of a file; blank lines are passed over.

    Yields:
        Where the row stands (``file:line``, for messages) and the row.

    Raises:
        DataError: If the file can't be opened, or a line is too long, not UTF-8, not JSON, not an object, or
            holds NaN or an infinity.
    """
    try:
        with path.open("rb") as file:
            for number in range(1, 1 << 62):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                where = f"{path}:{number}"
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(f"{where}: a line of more than {MAX_LINE_BYTES // 1024**2} MiB")
                if line.strip():
                    yield where, parse_object(line, where)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from None


def read_object(path: Path) -> dict[str, Any]:
    """Reads a file that holds one JSON object.

    Raises:
        DataError: As :func:`read_rows`.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from None
    return parse_object(text, str(path))


def parse_object(text: bytes | str, where: str) -> dict[str, Any]:
    """Reads one JSON object from text.

    Raises:
        DataError: If it is something else; the message starts with ``where``.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataError(f"{where}: expected an object, found {type(value).__name__}")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number that can be worked with")
