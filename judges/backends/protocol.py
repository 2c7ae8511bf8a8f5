"""What every chat backend is: the one contract behind sampler, judge, consultant and refiner.

A third-party backend is a callable registered in the entry-point group ``judges.backends``; it takes the
backend's settings (a mapping: the judge file's keys without rubric, sampling and prices) and returns an
object with the members of :class:`ChatBackend`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, TypeAlias, runtime_checkable

from judges.records import BackendIdentity, Conversation, Failure, Outcome, Sampling

IndexedOutcome: TypeAlias = tuple[int, Outcome]


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


def answer_all(
    backend: ChatBackend, conversations: Iterable[Conversation], sampling: Sampling
) -> list[Outcome]:
    """Collects ``backend.replies`` in the order of the conversations."""
    found = dict(backend.replies(conversations, sampling))
    return [found.get(i, Failure("the backend gave no answer")) for i in range(max(found, default=-1) + 1)]
