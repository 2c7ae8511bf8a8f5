"""Processes that share a model's work end in order: after success, after a failure, after Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from lm_eval_tasks.harness.ranks import is_first_rank, on_first_rank
from tests.lm_eval_tasks.running_lm_eval import environment

# What an evaluation does around its tasks: a process group, one gathering, then the interpreter's end.
PROGRAM = """
import sys, time
from pathlib import Path
import torch.distributed as group
from judges.errors import DataError
from lm_eval_tasks.harness.ranks import is_first_rank, on_first_rank

what, folder, rank = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
group.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)

def work(parts):
    (folder / "worked").write_text(repr(parts))
    if what == "fails":
        raise DataError("the disk is full")
    return sum(parts)

on_first_rank(0, sum)
(folder / f"ready-{rank}").touch()
if what == "is interrupted" and not is_first_rank():
    time.sleep(300)  # generates on; the first process waits for it
print(on_first_rank(rank + 1, work))
"""


def start(folder: Path, what: str) -> list[subprocess.Popen[str]]:
    """Both processes."""
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, what, str(folder), str(rank)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def endings(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each."""
    return [(process.wait(), *process.communicate(timeout=120)) for process in processes]


def test_the_work_is_done_once_and_both_processes_end_well(tmp_path: Path) -> None:
    ended = endings(start(tmp_path, "succeeds"))
    assert [(code, out) for code, out, _ in ended] == [(0, "3\n"), (0, "3\n")]
    assert (tmp_path / "worked").read_text() == "[1, 2]"


def test_a_failure_in_the_first_process_is_raised_in_both(tmp_path: Path) -> None:
    for code, out, errors in endings(start(tmp_path, "fails")):
        assert (code, out) == (1, "")
        assert errors.strip().endswith("judges.errors.DataError: the disk is full")


def test_ctrl_c_ends_both_although_one_waits_for_the_other(tmp_path: Path) -> None:
    processes = start(tmp_path, "is interrupted")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes), endings(processes)
        time.sleep(0.05)
    time.sleep(0.5)  # so that the first process waits
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        assert process.wait(timeout=60) == -signal.SIGINT
        _, errors = process.communicate()
        assert "terminate called" not in errors
    assert not (tmp_path / "worked").exists()


def test_a_single_process_is_the_first() -> None:
    assert is_first_rank()
    assert on_first_rank(7, lambda parts: [*parts, 1]) == [7, 1]
