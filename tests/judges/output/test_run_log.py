"""What goes to the log of a run, what the user still sees, and what is told of a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from judges.errors import BackendError, ConfigError, explained_by_log
from judges.output.notices import tell
from judges.output.run_log import quiet, reasons

# A program as a command is one: it is chatty, as are its children and their children.
CHILD = """
import os
from judges.child_process import end_with_parent
from judges.output.notices import tell
from judges.output.progress import progress
end_with_parent()
print("chatter of a child")
tell("told by a child")
with progress(2, "generating") as bar:
    bar.update(2)
os.system("echo chatter of an engine core >&2; env | grep -c ANCHOR_CHANNEL")
"""
# As those of torch and accelerate: it closes what it doesn't know.
LAUNCHER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], stdin=0, check=True)"
PROGRAM = f"""
import os, sys
from pathlib import Path
from judges.child_process import run_command
from judges.errors import BackendError, explained_by_log
from judges.output.notices import tell
from judges.output.run_log import quiet

log, how = Path(sys.argv[1]), sys.argv[2]
print("before")
try:
    with quiet(log, verbose=how == "verbose"):
        print("chatter of this process", file=sys.stderr)
        os.write(1, b"chatter of a C library\\n")
        tell("told here")
        run_command([sys.executable, "-c", {LAUNCHER!r} if how == "launched" else {CHILD!r}])
        if how == "fail":
            raise explained_by_log(BackendError("the engine died"))
except BackendError as error:
    print(f"Error: {{error}}", file=sys.stderr)
print("result")
"""


def run(log: Path, how: str = "quiet") -> tuple[list[str], list[str]]:
    """The lines on standard output and error."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(log), how],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_the_user_sees_what_is_told_and_the_log_has_the_rest(tmp_path: Path) -> None:
    log = tmp_path / "new" / "run" / "log.txt"
    shown, told = run(log)
    assert shown == ["before", "result"]
    assert told[:2] == ["told here", "told by a child"]
    assert told[2].startswith("generating: 2 of 2, ")
    assert len(told) == 3
    text = log.read_text()
    for chatter in ("this process", "a C library", "a child", "an engine core"):
        assert f"chatter of {chatter}\n" in text
    assert "told" not in text
    assert text.endswith("core\n0\n")  # the channel isn't handed on to strangers


def test_verbose_shows_everything_and_writes_no_log(tmp_path: Path) -> None:
    shown, told = run(tmp_path / "log.txt", "verbose")
    assert "chatter of a C library" in shown
    assert {"told by a child", "chatter of an engine core"} <= set(told)
    assert not (tmp_path / "log.txt").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc")
def test_workers_of_a_launcher_still_reach_the_user(tmp_path: Path) -> None:
    _, told = run(tmp_path / "log.txt", "launched")
    assert told[:2] == ["told here", "told by a child"]
    assert told[2].startswith("generating: 2 of 2, ")


def test_a_second_run_writes_behind_the_first(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    run(log)
    run(log)
    text = log.read_text()
    assert text.count("chatter of a child") == 2
    assert text.count("--- 20") == 2


def test_a_failure_that_the_log_explains_is_told_with_its_lines(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("RuntimeError: of yesterday\n")
    _, told = run(log, "fail")
    assert told[-1] == "Error: the engine died"
    assert f"{log}, the last lines that say why:" in told
    assert "  chatter of an engine core" in told
    assert not any("yesterday" in line for line in told)


def test_an_error_of_the_user_leaves_nothing_behind(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError), quiet(tmp_path / "a" / "b" / "log.txt"):
        raise ConfigError("no such judge")
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log.txt").mkdir()
    with quiet(tmp_path / "log.txt"):
        os.write(2, b"chatter\n")
        tell("told")
    warning, told = capfd.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {tmp_path / 'log.txt'} can't be written (Is a directory)")
    assert told == "told"


def test_nothing_printed_leaves_a_log_as_it_was(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("of before\n")
    with quiet(log):
        tell("told")
    assert log.read_text() == "of before\n"


def test_a_file_for_standard_error_keeps_the_order_of_what_is_told(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w") as err:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "log.txt"), "fail"],
            stderr=err,
            timeout=60,
        )
    assert done.returncode == 0
    lines = (tmp_path / "err").read_text().splitlines()
    assert lines[:2] == ["told here", "told by a child"]
    assert lines[-1] == "Error: the engine died"


def test_the_lines_that_say_why_are_found_among_the_chatter() -> None:
    log = "\n".join(
        [
            "INFO loading",
            "Loading weights:  50%|#####     | 1/2 [00:01<00:01, 1.00it/s]",
            "Traceback (most recent call last):",
            '  File "engine.py", line 3, in load',
            "    raise ValueError(reason)",
            "ValueError: Available memory (13.38/21.96 GiB) is less than desired",
            "During handling of the above exception, another exception occurred:",
            "RuntimeError: Engine core initialization failed. See root cause above.",
            *(f"INFO shutting down {k}" for k in range(20)),
        ]
    )
    assert reasons(log) == ["ValueError: Available memory (13.38/21.96 GiB) is less than desired"]
    assert reasons("one\ntwo\r\x1b[Kthree\n\n") == ["one", "\x1b[Kthree"]
    assert reasons("") == []


def test_lines_of_an_engines_processes_are_read_without_what_stands_before_each() -> None:
    before = "(VllmWorker-0 pid=424) ERROR 01-31 10:36:41 [executor.py:953] "
    log = "\n".join(
        before + line
        for line in (
            "WorkerProc failed to start.",
            "Traceback (most recent call last):",
            '  File "worker.py", line 9, in init',
            "    raise ValueError(",
            "ValueError: less memory than desired",
        )
    )
    log += "\n(EngineCore pid=7) RuntimeError: Engine core initialization failed. See root cause above."
    assert reasons(log) == ["ValueError: less memory than desired"]


@pytest.mark.parametrize(
    ("error", "shown"), [(BackendError("refused"), False), (explained_by_log(BackendError("died")), True)]
)
def test_only_errors_that_the_log_explains_show_it(
    error: BackendError, shown: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        with quiet(tmp_path / "log.txt"):
            os.write(2, b"torch.OutOfMemoryError: CUDA out of memory\n")
            tell("asking")
            raise error

    with pytest.raises(BackendError):
        work()
    assert ("OutOfMemoryError" in capsys.readouterr().err) == shown
