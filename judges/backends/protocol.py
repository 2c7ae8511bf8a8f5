"""What every chat backend is: the one contract behind sampler, judge, consultant and refiner.

A third-party backend is a callable registered in the entry-point group ``judges.backends``; it takes the
backend's settings (a mapping: the judge file's keys without rubric, sampling and prices) and returns an
object with the members of :class:`ChatBackend`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeAlias, runtime_checkable

from judges.records import BackendIdentity, Conversation, Failure, Outcome, Sampling

IndexedOutcome: TypeAlias = tuple[int, Outcome]
Store: TypeAlias = Callable[[int, Outcome], None]
"""Takes a conversation's index and its outcome, and puts it where nothing can take it away again."""


@runtime_checkable
class ChatBackend(Protocol):
    """Answers conversations, many at a time."""

    @property
    def identity(self) -> BackendIdentity:
        """What the answers depend on."""
        ...

    @property
    def constrains(self) -> bool | None:
        """Whether ``Sampling.form`` is enforced: True, False, or None while unknown (endpoint unasked)."""
        ...

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Answers the conversations, as they are finished.

        Conversations are pulled lazily, so that a million of them need not be in memory. Closing the iterator
        early drops what is still in flight. A single conversation that can't be answered is a ``Failure``.

        Args:
            conversations: What to answer.
            sampling: One setting for all of them. A setting that the backend can't honour is a ConfigError.

        Yields:
            Index of the conversation (0-based, in the order pulled) and its outcome; each index once.

        Raises:
            BackendError: If nothing could be answered this way (wrong model, key refused, engine dead).
        """
        ...

    def close(self) -> None:
        """Frees the model, processes and connections. A second call does nothing."""
        ...

    def __enter__(self) -> ChatBackend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class BackgroundBackend(Protocol):
    """What a chat backend offers besides if its replies arrive while the caller is busy elsewhere."""

    def replies_stored(
        self, conversations: Iterable[Conversation], sampling: Sampling, store: Store
    ) -> Iterator[IndexedOutcome]:
        """As :meth:`ChatBackend.replies`, and has each outcome stored the moment it arrives.

        Args:
            conversations: What to answer.
            sampling: One setting for all of them.
            store: Called before an outcome is handed out, perhaps in another thread, one call at a time; also
                for outcomes that are then never handed out. What it raises ends the batch.
        """
        ...


@runtime_checkable
class InBatches(Protocol):
    """What a chat backend offers besides if it answers hours later, perhaps in another process."""

    def replies_in_batches(
        self,
        conversations: Iterable[Conversation],
        sampling: Sampling,
        store: Store,
        keys: Callable[[int], bytes],
        home: Path,
    ) -> Iterator[IndexedOutcome]:
        """As :meth:`BackgroundBackend.replies_stored`; what is sent is found again by the keys.

        Args:
            conversations: What to answer; all of them are pulled before most are sent.
            sampling: One setting for all of them.
            store: Called with each outcome before it is handed out.
            keys: Index of a conversation -> what its reply is known by, in later processes too.
            home: Folder for what is under way.
        """
        ...


def stored_replies(
    backend: ChatBackend, conversations: Iterable[Conversation], sampling: Sampling, store: Store
) -> Generator[IndexedOutcome, None, None]:
    """Has conversations answered by any backend, and each outcome stored before it is handed out.

    With a :class:`BackgroundBackend` an outcome is stored as soon as it arrives, however long the caller
    takes to ask for the next one; others give up an outcome only when they are asked for one.
    """
    if isinstance(backend, BackgroundBackend):
        yield from backend.replies_stored(conversations, sampling, store)
        return
    outcomes = backend.replies(conversations, sampling)
    try:
        for index, outcome in outcomes:
            store(index, outcome)
            yield index, outcome
    finally:
        if isinstance(outcomes, Generator):
            outcomes.close()


def answer_all(
    backend: ChatBackend, conversations: Iterable[Conversation], sampling: Sampling
) -> list[Outcome]:
    """Collects ``backend.replies`` in the order of the conversations."""
    found = dict(backend.replies(conversations, sampling))
    return [found.get(i, Failure("the backend gave no answer")) for i in range(max(found, default=-1) + 1)]
