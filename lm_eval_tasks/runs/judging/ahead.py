"""Judging at an endpoint while replies are still being written, so that the two don't wait for each other.

The process that generates adds what a judge is shown of each reply to a file, once the reply is safe. A
thread of the process that judges reads on there and has it judged; what comes of it lies in the judge's
cache, where scoring finds it when the samples log is complete. So the order in which things are done changes,
and nothing else: whatever stops the one who judges ahead, scoring asks for the rest and says what is wrong.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from judges.errors import AnchorError
from judges.judge import Judge
from judges.output.notices import tell
from judges.records import Judgement, Statement
from judges.spending.accounts import Accounts
from lm_eval_tasks.stats.metrics import metric_names

_ENDPOINT = "openai"
"""Kind of backend that judges elsewhere. An engine on this machine would take the memory of the other one."""
_LOOK_AGAIN = 0.05
"""Seconds between two looks at the file."""


@dataclass(slots=True)
class Ahead:
    """What was judged ahead of a task.

    Attributes:
        accounts: What it took.
        verdicts: Statements that were asked about and got verdicts.
    """

    accounts: Accounts = field(default_factory=Accounts)
    verdicts: int = 0


class Report:
    """The file of finished replies, for the one who generates.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def add(self, task: str, statement: Statement) -> None:
        """Adds a reply whose explanation can be judged."""
        self._file.write(json.dumps({"task": task, "statement": asdict(statement)}) + "\n")
        self._file.flush()


class JudgingAhead:
    """Judges finished replies in a thread of its own.

    Args:
        judge: Nobody else asks it before this has ended.
        path: File that the one who generates adds replies to.
    """

    def __init__(self, judge: Judge, path: Path) -> None:
        self.path: Path | None = path
        self._judge = judge
        self._read = 0
        self._waiting: dict[str, deque[Statement]] = defaultdict(deque)
        self._found: dict[str, Ahead] = defaultdict(Ahead)
        self._over = threading.Event()
        self._dropped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="judging ahead", daemon=True)

    def of(self, task: str) -> Ahead | None:
        """What was judged ahead of a task; None if nothing was."""
        return self._found.get(task)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def finish(self) -> None:
        """Returns when what is being judged is done; the rest of the file is left to scoring."""
        self._over.set()
        self._thread.join()

    def drop(self) -> None:
        """Asks for nothing more, and waits for nobody."""
        self._over.set()
        self._dropped.set()

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                self._look()
                # What waits longest in one task is judged first, and with it what is added meanwhile.
                task = max(self._waiting, key=lambda name: len(self._waiting[name]), default=None)
                if task is None or not self._waiting[task]:
                    self._over.wait(_LOOK_AGAIN)
                else:
                    self._assess(task)
        except AnchorError as error:
            if not self._dropped.is_set():
                tell(f"judging while generating has stopped: {error}; replies are judged when all are there")

    def _assess(self, task: str) -> None:
        """Judges a task's replies as they are finished, until only other tasks' are."""
        found, before = self._found[task], self._judge.accounts
        try:
            with closing(self._judge.assess(self._stream(task), read_ahead=1)) as assessed:  # type: ignore[type-var]
                for _, assessment in assessed:
                    found.verdicts += not assessment.cached and isinstance(assessment.outcome, Judgement)
                    if self._dropped.is_set():
                        return
        finally:
            found.accounts += self._judge.accounts.since(before)

    def _stream(self, task: str) -> Iterator[Statement]:
        """A task's statements; waits for more, for no request is under way in its place.

        So the endpoint always has as many requests as it takes: none waits for the slowest of others.
        """
        while not self._over.is_set():
            if self._waiting[task]:
                yield self._waiting[task].popleft()
                continue
            self._look()
            if not self._waiting[task]:
                if any(self._waiting.values()):
                    return
                self._over.wait(_LOOK_AGAIN)

    def _look(self) -> None:
        """Takes in what was added to the file since the last look."""
        if self.path is None or not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                row = json.loads(line)
                self._waiting[row["task"]].append(Statement(**row["statement"]))


class _Nobody(JudgingAhead):
    """In the place of one that judges, where nothing is judged ahead."""

    def __init__(self) -> None:
        self.path = None
        self._found = {}


@contextmanager
def judging_ahead(judge: Judge | None) -> Iterator[JudgingAhead]:
    """Has what is added to ``path`` judged while the block runs, if the judge is at an endpoint.

    Args:
        judge: The judge, if there is one.

    Raises:
        ConfigError: If the judge's rubric can't be used for a task.
    """
    if judge is None or judge.backend.identity.kind != _ENDPOINT or judge.in_batches:
        yield _Nobody()
        return
    metric_names(judge.rubric, compared=True)
    with TemporaryDirectory() as folder:
        ahead = JudgingAhead(judge, Path(folder) / "finished.jsonl")
        ahead.start()
        try:
            yield ahead
        except BaseException:
            ahead.drop()
            raise
        ahead.finish()
