"""Processes of their own: how they end, what they hold, and that they end with their parent."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from judges.child_process import (
    process_ending,
    read_error,
    run_command,
    run_main,
    start_fork_server,
    write_error,
)
from judges.errors import AnchorError, ConfigError, DataError, MissingExtraError
from judges.models.rendering import RenderingError

PRELOAD = "anchor_train.run.fork_preload"

# A module with a `main`, as the stages' and the trainings' have one.
MODULE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from judges.child_process import end_with_parent

def main(arguments):
    job = Path(arguments[0])
    launched = end_with_parent()
    what = job.read_text()
    print("to standard output")
    if what.startswith("engine"):
        engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        job.with_name("engine").write_text(str(engine.pid))
    if what.endswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if what.endswith("wait"):
        job.with_name("pid").write_text(str(os.getpid()))
        time.sleep(600)
    job.with_name("found").write_text(f"{launched} {os.environ.get('COLOUR')} {os.getsid(0) == os.getpid()}")
    return 3

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_stage.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "job.json"


def test_its_exit_code_environment_and_output(
    job: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job.write_text("", encoding="utf-8")
    for colour in ("red", "green"):
        monkeypatch.setenv("COLOUR", colour)
        assert run_main("some_stage", job, preload=PRELOAD) == 3
        assert job.with_name("found").read_text() == f"True {colour} True"
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.count("to standard output") == 2


def test_what_wants_a_fresh_process_is_not_forked(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "some_stage.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "def main(arguments):\n"
        "    Path(arguments[0]).with_name('found').write_text(str('torch' in sys.modules))\n"
        "    return 0\n"
        "if __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
    )
    start_fork_server(PRELOAD)
    for fork in (False, True):
        assert run_main("some_stage", job, fork=fork) == 0
        assert job.with_name("found").read_text() == str(fork)


def test_it_works_where_its_parent_does(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_fork_server(PRELOAD)
    job.write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # the server works where it was started
    assert run_main("some_stage", Path(job.name), preload=PRELOAD) == 3
    assert job.with_name("found").is_file()


def test_a_signal_is_told_by_its_number(job: Path) -> None:
    job.write_text("die", encoding="utf-8")
    assert run_main("some_stage", job, preload=PRELOAD) == -signal.SIGKILL
    assert "killed" in process_ending(-signal.SIGKILL)
    assert run_command([sys.executable, "-c", "raise SystemExit(5)"]) == 5


STARTER = """
    import fcntl, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from judges.child_process import run_main
    lock = open(sys.argv[2], "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    job = Path(sys.argv[1]) / "job.json"
    # What its server imports makes no difference here, and this is there at once.
    run_main("some_stage", job, lock.fileno(), preload="json")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_ends_with_its_parent_and_holds_the_lock_until_then(job: Path, tmp_path: Path, how: int) -> None:
    job.write_text("wait", encoding="utf-8")
    lock = tmp_path / "lock"
    command = [sys.executable, "-c", textwrap.dedent(STARTER), str(tmp_path), str(lock)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        pid = int(_awaited(tmp_path / "pid"))
        with lock.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        parent.send_signal(how)
        parent.wait(60)
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # waits for the last holder
    assert _ends(pid), "the process outlived its parent"


@pytest.mark.parametrize("fork", [False, True])
def test_what_it_started_ends_with_it(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fork: bool
) -> None:
    """As the processes of an engine do, which end by themselves only if they are told to."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    job.write_text("engine, then die", encoding="utf-8")
    assert run_main("some_stage", job, preload=PRELOAD, fork=fork) == -signal.SIGKILL
    assert _ends(int((tmp_path / "engine").read_text()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_what_it_started_ends_with_its_parent(job: Path, tmp_path: Path, how: int) -> None:
    job.write_text("engine, then wait", encoding="utf-8")
    command = [sys.executable, "-c", textwrap.dedent(STARTER), str(tmp_path), str(tmp_path / "lock")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as parent:
        _awaited(tmp_path / "pid")
        parent.send_signal(how)
        parent.wait(60)
    assert _ends(int((tmp_path / "engine").read_text()))


def _ends(pid: int) -> bool:
    for _ in range(600):
        if not _lives(pid):
            return True
        time.sleep(0.1)
    return False


def _awaited(path: Path) -> str:
    for _ in range(1200):
        if path.is_file() and (text := path.read_text()):
            return text
        time.sleep(0.1)
    pytest.fail(f"{path.name} was never written")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "error", [ConfigError("a key"), DataError("a file"), MissingExtraError("bitsandbytes", "qlora")]
)
def test_errors_keep_kind_and_message_on_their_way(tmp_path: Path, error: AnchorError) -> None:
    write_error(tmp_path / "error.json", error)
    found = read_error(tmp_path / "error.json")
    assert (type(found), str(found)) == (type(error), str(error))


def test_an_error_of_a_kind_of_its_own_is_what_it_is_one_of(tmp_path: Path) -> None:
    write_error(tmp_path / "error.json", RenderingError("a template"))
    assert type(read_error(tmp_path / "error.json")) is ConfigError
    write_error(tmp_path / "error.json", MissingExtraError("bitsandbytes", "qlora"))
    found = read_error(tmp_path / "error.json")
    assert isinstance(found, MissingExtraError)
    assert found.extra == "qlora"
