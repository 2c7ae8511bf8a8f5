"""``anchor-eval score`` where things go wrong: real processes, servers and full or read-only disks."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kills.nine import kill_and_resume
from benchmarks.kills.victims import write_log
from judges import ReplyCache
from tests.judges.endpoint import GOOD_FORM, Endpoint, Handler
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval

__all__ = ["anchor_eval"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own; yields a function that mounts it again with other options."""
    folder.mkdir()
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root may mount a small disk")

    def mount(options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"a small disk can't be mounted here: {done.stderr.decode().strip()}")

    mount(f"size={size}")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def write_judge_file(folder: Path, endpoint: Endpoint, **more: object) -> Path:
    path = folder / "judge.yaml"
    settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 8}
    path.write_text(json.dumps(settings | more))
    return path


@pytest.mark.parametrize(("command", "kills"), [("score", 5), ("sample", 1), ("judge", 1)])
def test_kills_lose_nothing_and_ask_nothing_twice(tmp_path: Path, command: str, kills: int) -> None:
    report = kill_and_resume(tmp_path, kills, 40 * kills, command)
    assert report.problems == []
    assert report.stored_at_kills == sorted(report.stored_at_kills)
    assert report.stored_at_kills[-1] < report.things


@pytest.mark.parametrize("names", [("mine", "mine"), ("mine", "yours")])
def test_two_scorers_of_one_run_ask_everything_once(anchor_eval: AnchorEval, names: tuple[str, str]) -> None:
    run = write_log(anchor_eval.folder / "run", 120)

    def slowly(k: int, body: Any, handler: Handler) -> None:
        time.sleep(0.02)
        handler.reply(GOOD_FORM)

    with Endpoint(slowly) as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint)
        both = [anchor_eval.start("score", run, "--judge", judge, "--as", name, "--json") for name in names]
        done = [process.communicate(timeout=120) for process in both]
        assert len(endpoint.bodies) == 120
    assert [process.returncode for process in both] == [0, 0], done
    assert sum("another process is making it; waiting" in errors for _, errors in done) <= 1
    accounts = [json.loads(output)[0]["accounts"] for output, _ in done]
    assert sorted(found["asked"] for found in accounts) == [0, 120]
    assert sorted(found["cached"] for found in accounts) == [0, 120]
    assert len(list(run.rglob("judgements_*"))) == 2 * len(set(names))


@pytest.mark.parametrize("signals", [1, 2])
def test_ctrl_c_ends_scoring_soon_and_cleanly(anchor_eval: AnchorEval, signals: int) -> None:
    run = write_log(anchor_eval.folder / "run", 40)
    with Endpoint(lambda k, b, h: h.reply(GOOD_FORM) if k < 10 else h.hang()) as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint)
        process = anchor_eval.start("score", run, "--judge", judge)
        while len(endpoint.bodies) < 18 or anchor_eval.stored_replies() < 10:
            assert process.poll() is None
            time.sleep(0.05)
        for _ in range(signals):
            process.send_signal(signal.SIGINT)
            time.sleep(0.02)
        output, errors = process.communicate(timeout=20)
        assert process.returncode == 130, errors
        assert output == ""
        assert "Traceback" not in errors
        assert errors.splitlines()[-1] == "stopped; what was done is kept: run again to go on"
        assert not list(run.rglob("judgements_*"))
        assert not list(run.rglob("*.part"))
        assert anchor_eval.stored_replies() == 10
        endpoint.behave = lambda k, b, h: h.reply(GOOD_FORM)
        (summary,) = json.loads(anchor_eval("score", run, "--judge", judge, "--json").stdout)
    assert (summary["accounts"]["cached"], summary["accounts"]["asked"]) == (10, 30)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (
            lambda h: h.error(500, "out of memory"),
            "every request fails, the last one so: the endpoint answered 500",
        ),
        (lambda h: h.send(200, "text/html", b"<html>log in</html>"), "no JSON: <html>log in"),
        (lambda h: h.drop(), "every request fails, the last one so: the connection failed"),
        (lambda h: h.error(400, "gone"), "every request fails, the last one so: the endpoint refused"),
        (lambda h: h.error(401, "expired"), "refused a request without a key"),
    ],
)
def test_an_endpoint_that_fails_everything_stops_a_run_that_can_be_taken_up(
    anchor_eval: AnchorEval, fault: Callable[[Handler], None], complaint: str
) -> None:
    run = write_log(anchor_eval.folder / "run", 400)
    with Endpoint(lambda k, b, h: h.reply(GOOD_FORM) if k < 60 else fault(h)) as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint, patience=0.2, backoff=0.01)
        message = anchor_eval.refused("score", run, "--judge", judge)
        assert complaint in message
        assert "Traceback" not in message
        assert anchor_eval.stored_replies() == 60
        assert len(endpoint.bodies) < 400
        asked = len(endpoint.bodies)
        endpoint.behave = lambda k, b, h: h.reply(GOOD_FORM)
        (summary,) = json.loads(anchor_eval("score", run, "--judge", judge, "--json").stdout)
        assert len(endpoint.bodies) - asked == 340
    assert (summary["accounts"]["cached"], summary["judged"]) == (60, 400)


def test_a_judge_that_only_writes_what_is_cut_is_given_up(anchor_eval: AnchorEval) -> None:
    run = write_log(anchor_eval.folder / "run", 1200)
    with Endpoint(lambda k, b, h: h.reply("Let me think", finish_reason="length")) as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint, form="none")
        message = anchor_eval.refused("score", run, "--judge", judge)
        assert "none of its first 100 replies has verdicts" in message
        assert "truncated (the reply was cut at max_tokens)" in message
        assert len(endpoint.bodies) < 200


def test_a_full_disk_under_the_cache_loses_nothing_that_was_stored(anchor_eval: AnchorEval) -> None:
    run = write_log(anchor_eval.folder / "run", 1200)
    disk = anchor_eval.folder / "disk"
    with small_disk(disk, "600k") as remount, Endpoint() as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint)
        (anchor_eval.folder / "cache.sqlite").symlink_to(disk / "cache.sqlite")
        message = anchor_eval.refused("score", run, "--judge", judge)
        assert "the disk is full; free some space and run again" in message
        stored = anchor_eval.stored_replies()
        assert 0 < stored < 1200
        assert len(endpoint.bodies) - stored <= 8
        remount("size=8m")
        before = len(endpoint.bodies)
        (summary,) = json.loads(anchor_eval("score", run, "--judge", judge, "--json").stdout)
        assert len(endpoint.bodies) - before == 1200 - stored
    assert (summary["accounts"]["cached"], summary["judged"]) == (stored, 1200)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("size=20k", "No space left on device; what the judge answered is stored"),
        ("ro", "Read-only file system"),  # seen before anything is asked
    ],
)
def test_a_run_folder_that_cannot_be_written_is_said_in_one_line(
    anchor_eval: AnchorEval, options: str, complaint: str
) -> None:
    with small_disk(anchor_eval.folder / "disk", "400k") as remount, Endpoint() as endpoint:
        run = write_log(anchor_eval.folder / "disk" / "run", 40)
        judge = write_judge_file(anchor_eval.folder, endpoint)
        remount(options)
        message = anchor_eval.refused("score", run, "--judge", judge)
        assert complaint in message
        assert bool(endpoint.bodies) == ("is stored" in message)
        assert not list(run.rglob("*.part"))
        remount("rw,size=400k")
        asked, stored = len(endpoint.bodies), anchor_eval.stored_replies()
        assert asked - stored <= 8
        assert anchor_eval("score", run, "--judge", judge).returncode == 0
        assert len(endpoint.bodies) - asked == 40 - stored


def test_a_cache_that_another_program_holds_locked_is_waited_for(anchor_eval: AnchorEval) -> None:
    run = write_log(anchor_eval.folder / "run", 20)
    path = anchor_eval.folder / "cache.sqlite"
    ReplyCache(path).close()
    with Endpoint() as endpoint, closing(sqlite3.connect(path, isolation_level=None)) as other:
        judge = write_judge_file(anchor_eval.folder, endpoint)
        other.execute("BEGIN IMMEDIATE")
        process = anchor_eval.start("score", run, "--judge", judge)
        time.sleep(2)
        assert process.poll() is None
        other.execute("ROLLBACK")
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert anchor_eval.stored_replies() == 20


def test_a_damaged_cache_is_said_before_anything_is_asked(anchor_eval: AnchorEval) -> None:
    run = write_log(anchor_eval.folder / "run", 400)
    path = anchor_eval.folder / "cache.sqlite"
    with Endpoint() as endpoint:
        judge = write_judge_file(anchor_eval.folder, endpoint)
        assert anchor_eval("score", run, "--judge", judge).returncode == 0
        content = bytearray(path.read_bytes())
        content[4096:] = b"\xde\xad" * ((len(content) - 4096) // 2)
        path.write_bytes(content)
        assert "it is damaged; move it away" in anchor_eval.refused("score", run, "--judge", judge)
        assert len(endpoint.bodies) == 400
