"""Asking a chat backend many things, so that no answer is lost and none is asked for twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from anchor_train.run.roles import RoleSpec
from judges.backends.protocol import ChatBackend, stored_replies
from judges.config import load_backend
from judges.errors import BackendError
from judges.output.progress import progress
from judges.records import Conversation, Failure, Outcome, Sampling
from judges.storage.journal import Journal
from lm_eval_tasks.records import Json

T = TypeVar("T")


def ask_missing(
    what: str,
    items: Sequence[T],
    conversation: Callable[[T], Conversation],
    sampling: Sampling,
    role: RoleSpec,
    journal: Journal,
    row: Callable[[T, Outcome], Json],
    executor: Any = None,
    done: int = 0,
) -> None:
    """Asks for each item and writes every answer to the journal the moment it arrives.

    Args:
        what: What is being done, for the progress line.
        items: What is not answered yet; without any, no backend is loaded.
        conversation: What to ask for an item.
        sampling: How replies are drawn.
        role: Backend settings.
        journal: Where answers go.
        row: The journal's row for an item's outcome.
        executor: Where the backend runs, over what its settings say (``judges.backends.executor``).
        done: Items that an earlier attempt had answered already: where the bar begins.

    Raises:
        BackendError: If the backend can't serve, or none of several items got a reply.
    """
    if not items:
        return
    with load_backend(role, executor=executor) as backend:
        ask(what, items, conversation, sampling, backend, journal, row, done)


def ask(
    what: str,
    items: Sequence[T],
    conversation: Callable[[T], Conversation],
    sampling: Sampling,
    backend: ChatBackend,
    journal: Journal,
    row: Callable[[T, Outcome], Json],
    done: int = 0,
    seen: Callable[[Json], None] = lambda row: None,
) -> None:
    """As :func:`ask_missing`, of a backend that is loaded already; ``seen`` is told each row on disk."""
    failures: list[Failure] = []

    def store(index: int, outcome: Outcome) -> None:
        journal.append(row(items[index], outcome))

    with progress(done + len(items), what, initial=done) as bar:
        for index, outcome in stored_replies(backend, map(conversation, items), sampling, store):
            if isinstance(outcome, Failure):
                failures.append(outcome)
            bar.update()
            seen(row(items[index], outcome))
    if items and len(failures) == len(items):
        raise BackendError(
            f"{what}: none of {len(items)} got a reply; the first failed: {failures[0].message}"
        )
