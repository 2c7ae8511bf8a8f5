"""Conversations on their way to workers: pulled lazily, kept with their neighbours, and never lost."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import islice

from judges.backends.ray_worker import Numbered
from judges.records import Conversation

# Neighbours often share the beginning of their prompt (the explanations of one question), which an engine
# that gets them all reads once.
RUN = 16


class Supply:
    """What is still to be asked.

    Args:
        conversations: Numbered in the order in which they are pulled, a run ahead for each worker.
    """

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        self._source = enumerate(conversations)
        self._shares: defaultdict[int, deque[Numbered]] = defaultdict(deque)
        self._again: deque[Numbered] = deque()
        self._ended = False

    def fill(self) -> None:
        """Pulls the first run, so that it is known whether there is anything to ask."""
        self._share(0)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left; what comes back from a lost worker is a new supply."""
        return self._ended and not self._again and not any(self._shares.values())

    def take(self, worker: int, most: int) -> list[Numbered]:
        """The next conversations for a worker; none only if nothing is left or wanted."""
        taken: list[Numbered] = []
        while len(taken) < most and (share := self._share(worker)):
            taken.append(share.popleft())
        return taken

    def again(self, conversations: Iterable[Numbered]) -> None:
        """Takes back what was under way at a lost worker; it comes first."""
        self._again.extend(conversations)

    def _share(self, worker: int) -> deque[Numbered]:
        if self._again:
            return self._again
        share = self._shares[worker]
        if not share and not self._ended:
            share.extend(islice(self._source, RUN))
            self._ended = len(share) < RUN
        # Nothing new: what another worker hasn't begun is this one's, too.
        return share or max(self._shares.values(), key=len)
