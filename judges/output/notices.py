"""What the user sees while something works: lines that are told, and one progress line a phase.

Both go to the user's channel. That is standard error, until everything else that is printed goes to a log
(:mod:`judges.output.run_log`): then it is what standard error was before, in processes that are started, too.
A backend whose process has no such channel has its lines told by the one that started it (``listen``).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# Tells a process that is started where the user's channel is.
_VARIABLE = "ANCHOR_CHANNEL"


@dataclass(frozen=True, slots=True)
class Channel:
    """The way to the user beside standard error, which goes to a log.

    Attributes:
        stream: What is told is written here.
        descriptor: The same place, as processes that are started take it up.
        log: The file that everything else goes to.
    """

    stream: TextIO
    descriptor: int
    log: Path

    def variable(self) -> dict[str, str]:
        """Environment that tells a process of it which has the same descriptor."""
        found = os.fstat(self.descriptor)
        place = (self.descriptor, found.st_dev, found.st_ino, os.getpid())
        return {_VARIABLE: ":".join([*map(str, place), str(self.log)])}


_channel: Channel | None = None


def current() -> Channel | None:
    """The channel; None while standard error is the user's."""
    return _channel


def stream() -> TextIO:
    """Where the user reads along."""
    return sys.stderr if _channel is None else _channel.stream


def use(channel: Channel | None) -> None:
    """Has the user's lines go there from now on; None for standard error."""
    global _channel
    _channel = channel


def take_up() -> None:
    """Uses the channel of the process that started this one, if it has one."""
    given = os.environ.pop(_VARIABLE, None)
    if given is None:
        return
    *numbers, log = given.split(":", 4)
    number, device, inode, owner = map(int, numbers)
    descriptor = number if _is(number, device, inode) else _of_process(owner, number)
    if descriptor is not None:  # otherwise what is told goes to the log
        open_channel(descriptor, Path(log))


def open_channel(descriptor: int, log: Path) -> None:
    """Uses the channel behind a descriptor that this process was given."""
    os.set_inheritable(descriptor, False)
    opened = os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    use(Channel(opened, descriptor, log))


def tell(line: str) -> None:
    """Tells the user."""
    _listener(line)


def listen(listener: Callable[[str], None]) -> None:
    """Has everything told to somebody else from now on: where stderr isn't the user's, as at a Ray worker."""
    global _listener
    _listener = listener


def _to_user(line: str) -> None:
    if "tqdm" not in sys.modules:
        print(line, file=stream())
        return
    from tqdm import tqdm

    tqdm.write(line, file=stream())  # moves a progress line out of the way


_listener: Callable[[str], None] = _to_user


def _is(descriptor: int, device: int, inode: int) -> bool:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (device, inode)


def _of_process(owner: int, descriptor: int) -> int | None:
    """A descriptor that a launcher has closed on the way, opened anew where there is /proc."""
    try:
        return os.open(f"/proc/{owner}/fd/{descriptor}", os.O_WRONLY | os.O_APPEND)
    except OSError:
        return None
