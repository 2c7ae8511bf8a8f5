"""A run's log: the file that engines, libraries and their processes print to while the user sees progress.

``quiet`` turns standard output and error of this process, and of all that it starts, into that file, and
keeps the way to the user open (:mod:`judges.output.notices`). When something fails that the log explains, the
lines that say why are told.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from judges.errors import AnchorError
from judges.output import notices
from judges.output.notices import Channel

FILE = "log.txt"
"""Its name in a run folder."""
_HEAD = 30  # bytes of the line that each command begins with
_MOST_LINES = 6
_MOST_READ = 200_000
_BAR = re.compile(r"\d+%\||[\d?]+(it|s)?/(s|it)\b|\|\s*\d+/\d+\s*\[")
_WHY = re.compile(
    r"^[\w.]*(Error|Exception|Interrupt|Exit)\b(?!\w)|\b(error|fatal|killed|out of memory|no space left)\b",
    re.IGNORECASE,
)
# What vLLM puts before each line of its processes: "(EngineCore pid=7) ERROR 01-31 12:00:00 [core.py:15] ".
_FROM_A_PROCESS = re.compile(r"^\([\w-]+ pid=\d+\)\s+(?:[A-Z]+ [\d-]+ [\d:]+ \[[^\]]*\]\s?)?")
# What the processes of an engine say when another of them failed, and the head of every traceback.
_POINTS_ELSEWHERE = re.compile(
    r"^Traceback|During handling of the above|direct cause of|root cause above|stack trace|^\s*(File|raise) "
)


@contextmanager
def quiet(log: Path, *, verbose: bool = False) -> Iterator[None]:
    """Has everything but what is told go to a log.

    Args:
        log: The file; its folder is made. What was there before stays.
        verbose: To change nothing: all is shown, and no log is written.
    """
    if verbose or notices.current() is not None:
        yield
        return
    made = [folder for folder in (log.parent, *log.parent.parents) if not folder.exists()]
    log.parent.mkdir(parents=True, exist_ok=True)
    with _begun(log) as (file, start):
        try:
            with _turned(file.fileno(), log):
                yield
        except AnchorError as error:
            if error.in_log:
                _tell_why(log, start)
            raise
        finally:
            _drop_if_empty(log, start, made)


@contextmanager
def _begun(log: Path) -> Iterator[tuple[BinaryIO, int]]:
    """The log with a head line, and where it goes on; a log that can't be written stops nobody."""
    head = f"--- {datetime.now(timezone.utc).isoformat(timespec='seconds')}\n".encode()
    assert len(head) == _HEAD
    with ExitStack() as opened:
        try:
            file = opened.enter_context(log.open("ab", buffering=0))
            file.write(head)
        except OSError as error:
            notices.tell(f"warning: {log} can't be written ({error.strerror}); what would be in it is lost")
            file = opened.enter_context(open(os.devnull, "ab", buffering=0))
        yield file, log.stat().st_size if log.exists() else 0


def _drop_if_empty(log: Path, start: int, made: Sequence[Path]) -> None:
    """Leaves nothing behind where nothing was printed: no head line, no file, no folder."""
    with suppress(OSError):  # a log that can't be written, a folder that something was put into
        if log.stat().st_size > start:
            return
        with log.open("r+b") as file:
            file.seek(max(0, start - _HEAD))
            if file.read().startswith(b"--- "):
                file.truncate(max(0, start - _HEAD))
        if log.stat().st_size == 0:
            log.unlink()
            for folder in made:
                folder.rmdir()


def reasons(text: str) -> list[str]:
    """The last lines of a log that say why something failed; its last lines if none does."""
    lines = [_FROM_A_PROCESS.sub("", line.rstrip().rpartition("\r")[2]) for line in text.split("\n")]
    lines = [line for line in lines if line.strip() and not _BAR.search(line)]
    telling = [line for line in lines if _WHY.search(line) and not _POINTS_ELSEWHERE.search(line)]
    return list(dict.fromkeys(telling or lines))[-_MOST_LINES:]


def _tell_why(log: Path, start: int) -> None:
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(max(start, file.seek(0, os.SEEK_END) - _MOST_READ))
        text = file.read().decode(errors="replace")
    if found := reasons(text):
        notices.tell(f"{log}, the last lines that say why:")
        for line in found:
            notices.tell(f"  {line}")


@contextmanager
def _turned(log: int, path: Path) -> Iterator[None]:
    """Standard output and error of this process, turned into the log."""
    _flush()
    kept = [os.dup(1), os.dup(2)]
    if stat.S_ISREG(os.fstat(kept[1]).st_mode):
        # Processes write to the same file: each behind what is there.
        fcntl.fcntl(kept[1], fcntl.F_SETFL, fcntl.fcntl(kept[1], fcntl.F_GETFL) | os.O_APPEND)
    own = _is_descriptor(sys.stderr, 2)
    stream = (
        os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
        if own
        else sys.stderr
    )
    notices.use(Channel(stream, kept[1], path.resolve()))
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        _flush()
        notices.use(None)
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        if own:
            stream.close()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError):  # one that is closed
            stream.flush()


def _is_descriptor(stream: object, number: int) -> bool:
    try:
        return bool(stream.fileno() == number)  # type: ignore[attr-defined]
    except (OSError, ValueError, AttributeError):
        return False
