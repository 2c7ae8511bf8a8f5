"""Files as all packages write and read them: whole or not at all, bad JSON refused with its place, hashes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

from judges.errors import DataError
from judges.output.notices import tell

Json: TypeAlias = dict[str, Any]
R = TypeVar("R")

MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest line that is read; a question with 16 long samples has about 100 KB."""


@contextmanager
def replacing(path: Path, kept: str = "") -> Iterator[IO[str]]:
    """Opens a text file that takes ``path``'s place when it is complete.

    Args:
        path: The file.
        kept: What isn't lost if it can't be written; ends the error's message.

    Raises:
        DataError: If it can't be written: disk full, folder read-only.
    """
    try:
        with _replacing(path) as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error, kept) from None


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        # UTF-8 knows no lone surrogates; Python's escape of one is JSON's as well.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """An empty folder that takes ``path``'s place, whatever stood there, once the block has ended well."""
    new = path.with_name(path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if path.exists():
            shutil.rmtree(path)
        os.replace(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keeps other processes from making the same file; waits for one that does.

    The lock ends with this process, however it ends. A file system that knows no locks gives none.

    Raises:
        DataError: If the folder can't be written to.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    try:
        file = path.with_name(f".{path.name}.lock").open("a")
    except OSError as error:
        raise _unwritable(path, error) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"{path.name}: another process is making it; waiting for its end")
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}:
                raise _unwritable(path, error) from None
        yield


def write_records(path: Path, rows: Iterable[Json], kept: str = "") -> None:
    """Writes JSON Lines; the file appears whole or not at all (``kept``: as :func:`replacing` has it)."""
    with replacing(path, kept) as file:
        for row in rows:
            file.write(json_line(row))


def write_json(path: Path, value: Any, kept: str = "") -> None:
    """Writes one JSON value for people and machines; the file appears whole or not at all."""
    with replacing(path, kept) as file:
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
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash of a file's content."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from None
    return digest.hexdigest()


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


def _unwritable(path: Path, error: OSError, kept: str = "") -> DataError:
    return DataError(f"{path}: can't be written: {error.strerror or error}" + (kept and f"; {kept}"))
