"""One line a phase: what a terminal and what a file gets."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import textwrap

import pytest

from judges.output.progress import duration, progress


def test_a_file_gets_whole_lines_and_the_last_says_how_long_it_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress(3, "judging") as bar:
        for _ in range(3):
            bar.update()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("judging: 3 of 3, ")
    assert line.endswith(" s in all")
    assert "\r" not in line


def test_a_phase_that_breaks_off_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with progress(40, "judging", initial=10) as bar:
            bar.update(5)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("judging: 15 of 40, ")
    assert line.endswith(" left")


@pytest.mark.parametrize(("total", "initial"), [(0, 0), (7, 7)])
def test_where_nothing_is_to_be_done_nothing_is_shown(
    total: int, initial: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(total, "judging", initial=initial):
        pass
    assert capsys.readouterr().err == ""


def test_an_unknown_total_is_not_made_up(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(None, "reading") as bar:
        bar.update(12)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("reading: 12, ")
    assert "?" not in line


def test_a_terminal_gets_one_moving_line_and_told_lines_stay_whole() -> None:
    script = """
        from judges.output.notices import tell
        from judges.output.progress import progress
        with progress(2, "judging") as bar:
            bar.update()
            tell("the endpoint takes no seed")
            bar.update()
    """
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stderr=theirs, env={**os.environ, "COLUMNS": "100"}
    ) as process:
        os.close(theirs)
        shown = _read(mine)
    assert process.returncode == 0, shown
    lines = [line.rpartition("\r")[2].strip() for line in shown.split("\r\n")]
    assert "the endpoint takes no seed" in lines
    assert "judging:   0%|" in shown
    assert "| 2 of 2, " in shown
    assert "[" not in shown.replace("\x1b[", "")  # no "[00:00<?, ?it/s]"


def _read(descriptor: int) -> str:
    found = io.BytesIO()
    while True:
        try:
            piece = os.read(descriptor, 4096)
        except OSError:  # the other end of a terminal is closed
            piece = b""
        if not piece:
            os.close(descriptor)
            return found.getvalue().decode()
        found.write(piece)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (1500, "25 min"),
        (3600, "1 h"),
        (9000, "2 h 30 min"),
    ],
)
def test_times_are_told_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
