"""``kill -9`` of ``anchor-eval score`` at random moments: no stored reply is lost, none is asked for twice.

    python -m benchmarks.kill_nine --kills 200

A run folder of distinct explanations is scored against an endpoint that answers each with its own number.
The scorer is killed again and again, then left to finish. After each kill the cache tells which replies are
stored, and the endpoint which it was asked for. Prints a line of JSON; exit code 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.judges.endpoint import GOOD_FORM, Endpoint

REPOSITORY = Path(__file__).parents[1]
TASK = "aqua_rat_explain"
CONCURRENCY = 8
TOKENS = (100, 45)
SAMPLES = 4


@dataclass
class Report:
    """What happened.

    Attributes:
        kills: Scorers killed.
        statements: Distinct explanations.
        stored_at_kills: Replies in the cache after each kill.
        asked_again: Statements that were asked although their reply was stored: must be none.
        lost: Replies that were stored and then weren't: must be none.
        extra: Requests beyond one a statement: those whose reply was under way when the scorer died.
        accounts: What the last scorer says.
    """

    kills: int
    statements: int
    stored_at_kills: list[int] = field(default_factory=list)
    asked_again: int = 0
    lost: int = 0
    extra: int = 0
    accounts: dict[str, Any] = field(default_factory=dict)

    @property
    def problems(self) -> list[str]:
        """What is wrong, if anything."""
        last = self.stored_at_kills[-1] if self.stored_at_kills else 0
        # At a kill up to CONCURRENCY requests are under way; some replies are between two threads.
        most_extra = self.kills * (CONCURRENCY + CONCURRENCY // 4 + 1)
        exact = {
            "statements": self.statements,
            "cached": last,
            "asked": self.statements - last,
            "answered": self.statements - last,
            "requests": self.statements - last,
            "judged": self.statements,
            "prompt_tokens": TOKENS[0] * (self.statements - last),
            "completion_tokens": TOKENS[1] * (self.statements - last),
        }
        wrong = [f"{k} is {self.accounts[k]}, not {v}" for k, v in exact.items() if self.accounts[k] != v]
        if self.asked_again or self.lost:
            wrong.append(f"{self.asked_again} stored replies asked for again, {self.lost} lost")
        if self.extra > most_extra:
            wrong.append(f"{self.extra} requests too many; at most {most_extra} can have been under way")
        return wrong


class Watcher:
    """An endpoint that notes which numbers it is asked for, and kills the scorer at a request if told to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.kill_at: int | None = None
        self.kill_after = 0.0
        self.victim: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def behave(self, k: int, body: dict[str, Any], handler: Any) -> None:
        number = re.findall(r"number (\d+)", body["messages"][-1]["content"])[-1]
        with self._lock:
            self.asked.append(int(number))
            if self.kill_at is not None and len(self.asked) >= self.kill_at and self.victim:
                threading.Timer(self.kill_after, self.victim.kill).start()
                self.kill_at = None
        time.sleep(0.005)
        handler.reply(f"number {number}\n{GOOD_FORM}", tokens=TOKENS)


def kill_and_resume(folder: Path, kills: int, statements: int, seed: int = 0) -> Report:
    """Kills scorers at random moments, then lets one finish.

    Args:
        folder: Empty folder to work in.
        kills: How often.
        statements: Distinct explanations; a multiple of 4.
        seed: Of the moments.
    """
    dice = random.Random(seed)
    run = write_log(folder / "run", statements)
    cache = folder / "cache.sqlite"
    report = Report(kills, statements)
    kept: set[int] = set()
    watcher = Watcher()
    with Endpoint(watcher.behave, owned_by=None) as endpoint:
        judge = folder / "judge.yaml"
        settings = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        judge.write_text(json.dumps({**settings, "form": "none", "concurrency": CONCURRENCY}))
        for left in range(kills, 0, -1):
            asked_before = len(watcher.asked)
            # Of what is left, a random part that leaves something for the kills to come.
            share = max(1, 2 * (statements - len(kept)) // (left + 1))
            watcher.kill_after = dice.uniform(0, 0.01)
            watcher.kill_at = asked_before + dice.randint(1, share)
            with scorer(run, judge, cache) as watcher.victim:
                output, errors = watcher.victim.communicate()
            if watcher.victim.returncode != -signal.SIGKILL:
                raise SystemExit(f"the scorer ended by itself: {output}{errors}")
            stored = stored_numbers(cache)
            report.asked_again += len(kept & set(watcher.asked[asked_before:]))
            report.lost += len(kept - stored)
            report.stored_at_kills.append(len(stored))
            kept = stored
        asked_before = len(watcher.asked)
        with scorer(run, judge, cache) as last:
            output, errors = last.communicate()
        if last.returncode:
            raise SystemExit(f"the last scorer failed: {errors}")
    report.asked_again += len(kept & set(watcher.asked[asked_before:]))
    (summary,) = json.loads(output)
    report.accounts = summary["accounts"]
    counts = Counter(watcher.asked)
    report.lost += len(set(range(statements)) - set(counts))
    report.extra = counts.total() - len(counts)
    return report


@contextmanager
def scorer(run: Path, judge: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of ``anchor-eval score``."""
    command = [sys.executable, "-m", "lm_eval_tasks", "score", str(run), "--judge", str(judge), "--json"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "ANCHOR_CACHE": str(cache)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def stored_numbers(cache: Path) -> set[int]:
    """Which replies are on disk."""
    if not cache.exists():
        return set()
    with closing(sqlite3.connect(cache)) as connection:
        return {int(text.split()[1]) for (text,) in connection.execute("SELECT text FROM replies")}


def write_log(run: Path, statements: int) -> Path:
    """A samples log of distinct explanations, as the harness leaves it."""
    folder = run / "model-a"
    folder.mkdir(parents=True)
    date = "2025-03-01T10-00-00.000000"
    (folder / f"results_{date}.json").write_text(json.dumps({"model_name": "model-a", "configs": {TASK: {}}}))
    with (folder / f"samples_{TASK}_{date}.jsonl").open("w") as log:
        for first in range(0, statements, SAMPLES):
            choices = {"label": ["A", "B"], "text": ["three", "four"]}
            doc = {"id": f"q{first}", "question": f"What is {first} + 2?", "choices": choices, "gold": "B"}
            replies = [
                f"<explanation>It is so, number {k}</explanation><choice>B</choice>"
                for k in range(first, first + SAMPLES)
            ]
            log.write(json.dumps({"doc_id": first, "doc": doc, "resps": [replies]}) + "\n")
    return run


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--statements", type=int, default=4000)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = kill_and_resume(Path(folder), given.kills, given.statements, given.seed)
    print(json.dumps({**asdict(report), "problems": report.problems}))
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
