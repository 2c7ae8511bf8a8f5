"""One line a phase that says how far it is, how fast it goes and how long it will take.

A terminal gets one moving line, with a bar; a notebook a bar in its cell; a file a whole line every half
minute, and the last one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

from judges.output.notices import stream

_ON_TERMINAL = "{desc}: {percentage:3.0f}%|{bar:20}| {n_fmt} of {total_fmt}{pace}"
_IN_FILE = "{desc}: {n_fmt} of {total_fmt}{pace}"
_WITHOUT_TOTAL = "{desc}: {n_fmt}{pace}"
_SECONDS_BETWEEN_LINES = 30.0
_SECONDS_BETWEEN_STATES = 0.2
_COLUMNS, _ROWS = 80, 24  # where a terminal doesn't tell its size


def progress(total: int | None, phase: str, *, initial: int = 0, shown: bool = True) -> Progress:
    """A phase's line on the user's channel; to be closed, or used in a ``with`` block.

    Args:
        total: How many there are in all; None if that isn't known.
        phase: What is being done, in a word or two.
        initial: How many were there already.
        shown: Whether the user sees it. Where there is nothing to do, nothing is shown.
    """
    from judges.output.notebook import NotebookProgress, in_notebook

    disable = not shown or total == initial
    if in_notebook():
        form = _WITHOUT_TOTAL if total is None else _IN_FILE
        return NotebookProgress(
            total=total,
            desc=phase,
            initial=initial,
            disable=disable,
            bar_format=form,
            mininterval=_SECONDS_BETWEEN_STATES,
        )
    file = stream()
    terminal = file.isatty()
    wide = terminal and os.get_terminal_size(file.fileno()).columns > 0
    form = _WITHOUT_TOTAL if total is None else _ON_TERMINAL if terminal else _IN_FILE
    return Progress(
        total=total,
        desc=phase,
        initial=initial,
        disable=disable,
        file=file if terminal else _WholeLines(file),
        bar_format=form,
        mininterval=_SECONDS_BETWEEN_STATES if terminal else _SECONDS_BETWEEN_LINES,
        ncols=_COLUMNS if terminal and not wide else None,
        nrows=None if wide else _ROWS,
        dynamic_ncols=wide,
    )


class Progress(tqdm):  # type: ignore[misc]
    """A bar of tqdm's that names rate and time as a person would."""

    @property
    def format_dict(self) -> Mapping[str, Any]:
        """What the line is made of, with ``pace``: rate and time left, or the time it took."""
        found = dict(super().format_dict)
        done, seconds, total = found["n"] - found["initial"], found["elapsed"], found["total"]
        rate = found["rate"] or (done / seconds if seconds else 0.0)
        parts = []
        if done and rate:
            parts.append(_rate(rate))
            if total is not None and found["n"] < total:
                parts.append(f"{duration((total - found['n']) / rate)} left")
            else:
                parts.append(f"{duration(seconds)} in all")
        if found["postfix"]:
            parts.append(found["postfix"].lstrip(", "))
        found["pace"] = "".join(f", {part}" for part in parts)
        return found


def duration(seconds: float) -> str:
    """A time in the two largest units that it has."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _rate(a_second: float) -> str:
    for unit, factor in (("s", 1), ("min", 60), ("h", 3600)):
        speed = a_second * factor
        if speed >= 1 or unit == "h":
            return f"{speed:,.0f}/{unit}" if speed >= 100 else f"{speed:.2g}/{unit}"
    raise AssertionError


class _WholeLines:
    """A file that gets a line for each state of a bar, without what moves the cursor.

    Its first state says only that it begins, and is left out.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._last: str | None = None

    def write(self, text: str) -> None:
        state = text.strip("\r\n ")
        if not state or state == self._last:
            return
        if self._last is not None:
            self._file.write(f"{state}\n")
        self._last = state

    def flush(self) -> None:
        self._file.flush()
