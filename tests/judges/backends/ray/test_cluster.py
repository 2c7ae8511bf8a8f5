"""A cluster of a process's own, and what is left of it when that process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")

ROOT = Path(__file__).parents[4]
PROGRAM = """
from judges import Message, Sampling, load_backend
spec = {"backend": "scripted", "replies": REPLIES}
with load_backend(spec, executor={"ray": {"workers": 2}}) as backend:
    asked = ((Message("user", str(number)),) for number in range(10**6))
    for _ in backend.replies(asked, Sampling()):
        print("answered", flush=True)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_when_the_first_one_ends(tmp_path: Path, end: signal.Signals) -> None:
    replies = tmp_path / "replies.yaml"
    replies.write_text("replies: [{reply: hello, delay: 0.2}]\n")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("REPLIES", repr(str(replies)))],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "answered\n"
    family = psutil.Process(process.pid).children(recursive=True)
    assert sum("ray::RayWorker" in " ".join(child.cmdline()) for child in family) == 2
    # After kill -9 Ray's agents try for a minute to report it to those that are gone.
    lasting = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"} if end == signal.SIGKILL else set()
    ending = [child for child in family if child.name() not in lasting]
    assert len(ending) >= len(family) - len(lasting)
    process.send_signal(end)
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(ending, timeout=20 if end == signal.SIGKILL else 60)
    assert alive == []
