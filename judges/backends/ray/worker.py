"""What runs in a Ray actor: one backend in a thread, and the talk with the process that hands out the work.

That process calls :meth:`RayWorker.exchange` again and again: it brings conversations, and takes what is
answered by then. The backend pulls conversations as it has room for them, so how many are under way is the
backend's own affair. Nothing here knows Ray.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from judges.backends.protocol import ChatBackend, IndexedOutcome
from judges.backends.registry import create_backend
from judges.errors import AnchorError, BackendError, ConfigError, DataError, EndpointDownError
from judges.output import notices
from judges.records import BackendIdentity, Conversation, Failure, Outcome, Sampling

Numbered: TypeAlias = tuple[int, Conversation]
ProblemKind: TypeAlias = Literal["settings", "endpoint", "backend"]

# Seconds after which an exchange ends though nothing was answered: a sign of life.
BEAT = 1.0
# Seconds for which an exchange waits for more after a first answer: a call costs about a millisecond.
LINGER = 0.02
# Conversations that wait here for the backend to pull them: this many, and a quarter of those under way.
RESERVE = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a worker can't go on.

    Attributes:
        kind: ``settings`` are wrong, the ``endpoint`` is down, or the ``backend`` can't serve.
        message: One line.
    """

    kind: ProblemKind
    message: str

    def error(self) -> AnchorError:
        """The error that the backend raised, as near as may be."""
        kinds = {"settings": ConfigError, "endpoint": EndpointDownError, "backend": BackendError}
        return kinds[self.kind](self.message)


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who a worker is: its node, its process, and its backend's identity or what is wrong with it."""

    node: str
    pid: int
    identity: BackendIdentity | None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What an exchange brings back.

    Attributes:
        batch: Number of the batch that the outcomes belong to.
        outcomes: Number and outcome of each conversation answered since the last exchange.
        wanted: How many more conversations the worker has room for.
        constrains: As of the backend.
        notices: What the backend has to tell the user.
        problem: Set if the backend gave up; what was under way won't be answered.
    """

    batch: int
    outcomes: tuple[IndexedOutcome, ...]
    wanted: int
    constrains: bool | None
    notices: tuple[str, ...] = ()
    problem: Problem | None = None


class RayWorker:
    """The actor.

    Args:
        kind: Name of the backend.
        settings: Its settings.
        folder: Working folder of the process that hands out the work; relative paths are meant from there.
    """

    def __init__(self, kind: str, settings: Mapping[str, Any], folder: str) -> None:
        self._notices: deque[str] = deque(maxlen=100)
        notices.listen(self._notices.append)
        with contextlib.suppress(OSError):  # another machine may not have it, and may not need it
            os.chdir(folder)
        self._backend: ChatBackend | None = None
        self._problem: Problem | None = None
        self._batch: _Batch | None = None
        try:
            self._backend = create_backend(kind, settings)
        except AnchorError as error:
            self._problem = problem_of(error)

    def introduce(self) -> Introduction:
        """Says who is here."""
        identity = None if self._backend is None else self._backend.identity
        return Introduction(socket.gethostname(), os.getpid(), identity, self._problem)

    def exchange(self, batch: int, sampling: Sampling, given: list[Numbered], more: bool) -> Delivery:
        """Takes conversations, and gives what is answered.

        Args:
            batch: Number of the call of ``replies``; with a new one, what is left of the last is dropped.
            sampling: Of this batch.
            given: Conversations with their numbers in the batch.
            more: Whether more may come; without it the backend need not wait for them.
        """
        assert self._backend is not None, "a worker with a problem is not given work"
        if self._batch is None or self._batch.number != batch:
            previous = self._batch
            if previous is not None:
                previous.drop()
            self._batch = _Batch(batch, self._backend, sampling, previous)
        outcomes, wanted, problem = self._batch.exchange(given, more)
        told = tuple(self._notices.popleft() for _ in range(len(self._notices)))
        return Delivery(batch, outcomes, wanted, self._backend.constrains, told, problem)

    def drop(self) -> None:
        """Forgets the batch: nobody waits for it any more."""
        if self._batch is not None:
            self._batch.drop()

    def stop(self) -> None:
        """Ends the backend."""
        self.drop()
        if self._backend is not None:
            self._backend.close()


def problem_of(error: Exception) -> Problem:
    """An error as it can be sent."""
    match error:
        case EndpointDownError():
            return Problem("endpoint", str(error))
        case BackendError():
            return Problem("backend", str(error))
        case ConfigError() | DataError() | AnchorError():
            return Problem("settings", str(error))
    return Problem("backend", f"{type(error).__name__}: {' '.join(str(error).split())}")


class _Batch:
    """One batch: what waits for the backend, what it has answered, and the thread between the two."""

    def __init__(
        self, number: int, backend: ChatBackend, sampling: Sampling, previous: _Batch | None
    ) -> None:
        self.number = number
        self._backend = backend
        self._sampling = sampling
        self._changed = threading.Condition()
        self._inbox: deque[Numbered] = deque()
        self._outcomes: list[IndexedOutcome] = []
        self._more = True
        self._dropped = False
        self._starved = False  # the backend waits for a conversation
        self._under_way = 0
        self._problem: Problem | None = None
        self._thread = threading.Thread(target=self._work, args=(previous,), daemon=True)
        self._thread.start()

    def exchange(
        self, given: list[Numbered], more: bool
    ) -> tuple[tuple[IndexedOutcome, ...], int, Problem | None]:
        """Outcomes since the last call, room for more, and what ended the work if anything did."""
        with self._changed:
            self._inbox.extend(given)
            self._more = more
            self._changed.notify_all()
            if self._changed.wait_for(lambda: self._outcomes or self._at_a_stop(), BEAT):
                self._changed.wait_for(self._at_a_stop, LINGER)
            outcomes, self._outcomes = tuple(self._outcomes), []
            wanted = max(0, RESERVE + self._under_way // 4 - len(self._inbox))
            return outcomes, wanted, self._problem

    def drop(self) -> None:
        """Forgets it: the backend is left at its next answer or its next wish."""
        with self._changed:
            self._dropped = True
            self._changed.notify_all()

    def _at_a_stop(self) -> bool:
        return self._problem is not None or (self._starved and self._more and not self._inbox)

    def _work(self, previous: _Batch | None) -> None:
        if previous is not None:
            previous._thread.join()
        try:
            while self._has_work():
                self._answer()
        except Exception as error:  # noqa: BLE001 -- it is told to who handed out the work
            with self._changed:
                self._problem = problem_of(error)
                self._changed.notify_all()

    def _has_work(self) -> bool:
        """Waits for a first conversation; False if there will be none."""
        with self._changed:
            self._starved = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._inbox or self._dropped)
            self._starved = False
            return not self._dropped

    def _answer(self) -> None:
        """One call of the backend: until nothing more is to come, or the batch is dropped."""
        numbers: dict[int, int] = {}
        answers = self._backend.replies(self._pulled(numbers), self._sampling)
        try:
            for index, outcome in answers:
                self._put(numbers.pop(index), outcome)
                if self._dropped:
                    return
        finally:
            close = getattr(answers, "close", None)
            if close is not None:
                close()
        for number in list(numbers.values()):
            self._put(number, Failure("the backend gave no answer"))

    def _pulled(self, numbers: dict[int, int]) -> Iterator[Conversation]:
        pulled = 0
        while True:
            with self._changed:
                if not self._inbox and self._more and not self._dropped:
                    self._starved = True
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._inbox or not self._more or self._dropped)
                    self._starved = False
                if self._dropped or not self._inbox:
                    return
                number, conversation = self._inbox.popleft()
                self._under_way += 1
            numbers[pulled] = number
            pulled += 1
            yield conversation

    def _put(self, number: int, outcome: Outcome) -> None:
        with self._changed:
            self._under_way -= 1
            self._outcomes.append((number, outcome))
            self._changed.notify_all()
