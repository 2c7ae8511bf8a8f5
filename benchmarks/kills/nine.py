"""``kill -9`` at random moments: no reply that arrived is lost, and none is asked for twice.

    python -m benchmarks.kills.nine --kills 200
    python -m benchmarks.kills.nine --kills 200 --only sample

``anchor-eval score`` and the stages ``sample`` and ``judge`` of ``anchor-train`` each ask a loopback endpoint
about numbered things. Each is killed, with all processes that it started, again and again, then left to
finish. After each kill its files tell which replies are stored, and the endpoint which it was asked for and
which it had sent. Prints a line of JSON for each command; exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kills.victims import CONCURRENCY, TOKENS, VICTIMS, Victim, processes_of
from tests.judges.endpoint import Endpoint

REPOSITORY = Path(__file__).parents[2]


@dataclass
class Report:
    """What happened.

    Attributes:
        command: What was killed.
        kills: How often.
        things: How many there were to ask about.
        stored_at_kills: Replies on disk after each kill.
        lost: Replies that were on disk and then weren't: must be none.
        asked_again: Things that were asked about although their reply was on disk: must be none.
        requests: Requests that the endpoint counted.
        unanswered: Requests that it had not answered when the command died.
        on_the_way: Replies that it had sent, but that were not on disk when the command died: in the socket
            or in the hands of the one thread that reads and stores.
        oldest_on_the_way: Milliseconds from the sending of the oldest of these to the kill.
        wrong: What isn't as it must be in what the last one says, or in the counts here.
    """

    command: str
    kills: int
    things: int
    stored_at_kills: list[int] = field(default_factory=list)
    lost: int = 0
    asked_again: int = 0
    requests: int = 0
    unanswered: int = 0
    on_the_way: int = 0
    oldest_on_the_way: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """What is wrong, if anything."""
        wrong = list(self.wrong)
        if self.asked_again or self.lost:
            wrong.append(f"{self.asked_again} stored replies asked for again, {self.lost} lost")
        if (extra := self.requests - self.things) != self.unanswered + self.on_the_way:
            wrong.append(f"{extra} requests too many, not {self.unanswered} + {self.on_the_way}")
        return wrong


class Watcher:
    """An endpoint that notes what it is asked for and what it has sent, and kills when it is told to."""

    def __init__(self, victim: Victim, dice: random.Random) -> None:
        self.asked: list[int] = []
        self.sent: dict[int, float] = {}  # number -> when its reply was sent, since the last start
        self.kill_at: int | None = None
        self.killed_at = 0.0
        self.process: subprocess.Popen[str] | None = None
        self._victim = victim
        self._dice = dice
        self._lock = threading.Lock()

    def behave(self, _: int, body: dict[str, Any], handler: Any) -> None:
        number = self._victim.number_in(body["messages"][-1]["content"])
        with self._lock:
            self.asked.append(number)
            if self.kill_at is not None and len(self.asked) >= self.kill_at:
                threading.Timer(self._dice.uniform(0, 0.01), self.kill).start()
                self.kill_at = None
        time.sleep(0.005)
        with suppress(OSError):  # the one who asked is dead
            handler.reply(*self._victim.replies(number), tokens=TOKENS)
            self.sent[number] = time.monotonic()

    def kill(self) -> None:
        """Kills the running one, with all that it started."""
        assert self.process is not None
        if self.process.poll() is not None:
            return
        processes = processes_of(self.process.pid)
        self.killed_at = time.monotonic()
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def kill_and_resume(folder: Path, kills: int, things: int, command: str = "score", seed: int = 0) -> Report:
    """Kills a command at random moments, then lets it finish.

    Args:
        folder: Empty folder to work in.
        kills: How often.
        things: Things to ask about; a multiple of 4.
        command: Which: ``score``, ``sample`` or ``judge``.
        seed: Of the moments.
    """
    dice = random.Random(seed)
    report = Report(command, kills, things)
    kept: set[int] = set()
    with Endpoint(owned_by=None) as endpoint:
        victim = prepared(command, folder, endpoint, things)
        watcher = Watcher(victim, dice)
        endpoint.behave = watcher.behave
        for left in range(kills, 0, -1):
            asked_before = len(watcher.asked)
            watcher.sent.clear()
            with start(victim) as watcher.process:
                # Of what is left, a random part that leaves something for the kills to come; every eighth
                # dies at a moment of its start instead.
                share = max(1, 2 * (things - len(kept)) // (left + 1))
                if left % 8:
                    watcher.kill_at = asked_before + dice.randint(1, share)
                else:
                    threading.Timer(dice.uniform(0, 1), watcher.kill).start()
                output, errors = printed_by(watcher.process)
            if watcher.process.returncode != -signal.SIGKILL:
                raise SystemExit(f"{command} ended by itself: {output}{errors}")
            victim.wait_until_gone()
            endpoint.wait_for_rest()
            stored = victim.stored()
            asked = watcher.asked[asked_before:]
            report.asked_again += len(kept & set(asked))
            report.lost += len(kept - stored)
            count_unstored(report, set(asked) - stored, watcher)
            if len(asked) > len(set(asked)):
                report.wrong.append(f"kill {kills - left + 1}: one process asked for the same thing twice")
            report.stored_at_kills.append(len(stored))
            kept = stored
        asked_before = len(watcher.asked)
        with start(victim) as last:
            output, errors = printed_by(last)
        if last.returncode:
            raise SystemExit(f"the last {command} failed: {errors}")
    report.asked_again += len(kept & set(watcher.asked[asked_before:]))
    report.wrong += victim.wrong(json.loads(output), len(kept))
    report.lost += len(set(range(things)) - victim.stored())
    report.requests = len(watcher.asked)
    return report


def count_unstored(report: Report, unstored: set[int], watcher: Watcher) -> None:
    """What was asked for and isn't on disk after a kill."""
    if len(unstored) > CONCURRENCY:
        report.wrong.append(f"{len(unstored)} replies not stored; only {CONCURRENCY} were under way")
    for number in unstored:
        age = watcher.killed_at - watcher.sent.get(number, watcher.killed_at)
        if age > 0:
            report.on_the_way += 1
            report.oldest_on_the_way = max(report.oldest_on_the_way, round(1000 * age, 1))
        else:
            report.unanswered += 1


def prepared(command: str, folder: Path, endpoint: Endpoint, things: int) -> Victim:
    """A command with everything that must be there before it runs."""
    from benchmarks.kills.victims import last_number, sampled

    def samples(k: int, body: dict[str, Any], handler: Any) -> None:
        handler.reply(*sampled(last_number(body["messages"][-1]["content"])), tokens=TOKENS)

    endpoint.behave = samples
    return VICTIMS[command](folder, endpoint.url, things)


def start(victim: Victim) -> subprocess.Popen[str]:
    """Starts it."""
    return subprocess.Popen(
        victim.command,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | victim.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed_by(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Waits for its end; it doesn't outlive this process."""
    try:
        return process.communicate()
    except BaseException:
        process.kill()
        raise


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--things", type=int, default=4000)
    arguments.add_argument("--only", choices=list(VICTIMS))
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    wrong = False
    for command in [given.only] if given.only else VICTIMS:
        with tempfile.TemporaryDirectory() as folder:
            report = kill_and_resume(Path(folder), given.kills, given.things, command, given.seed)
        wrong = wrong or bool(report.problems)
        print(json.dumps({**asdict(report), "problems": report.problems}), flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()
