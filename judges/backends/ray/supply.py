"""Conversations on their way to workers: pulled lazily, kept with their neighbours, and never lost."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from itertools import islice

from judges.backends.ray.worker import Numbered
from judges.records import Conversation

# Neighbours often share the beginning of their prompt (the explanations of one question), which an engine
# that gets them all reads once.
RUN = 16
# Lost workers -> how many conversations that were under way at so many of them are asked at once, and nothing
# beside them. One that kills its workers is found in this way, and costs the others nothing.
APART = {2: 8, 3: 1}
MOST_LOSSES = max(APART) + 1


class Supply:
    """What is still to be asked.

    Args:
        conversations: Numbered in the order in which they are pulled, a run ahead for each worker.
    """

    def __init__(self, conversations: Iterable[Conversation]) -> None:
        self._source = enumerate(conversations)
        self._shares: defaultdict[int, deque[Numbered]] = defaultdict(deque)
        self._again: deque[Numbered] = deque()
        self._apart: dict[int, deque[Numbered]] = {losses: deque() for losses in APART}
        self._losses: Counter[int] = Counter()  # number of a conversation -> lost workers
        self._ended = False

    def fill(self) -> None:
        """Pulls the first run, so that it is known whether there is anything to ask."""
        self._share(0)

    @property
    def exhausted(self) -> bool:
        """Whether ``take`` has nothing left; what comes back from a lost worker is a new supply."""
        return self._ended and not self._again and not any(self._shares.values())

    @property
    def empty(self) -> bool:
        """Whether nothing is left at all."""
        return self.exhausted and not any(self._apart.values())

    def take(self, worker: int, most: int) -> list[Numbered]:
        """The next conversations for a worker; none only if nothing is left or wanted."""
        taken: list[Numbered] = []
        while len(taken) < most and (share := self._share(worker)):
            taken.append(share.popleft())
        return taken

    def take_apart(self) -> list[Numbered]:
        """Suspects, for a worker that has nothing under way and gets nothing more until they are answered."""
        for losses, suspects in self._apart.items():
            if suspects:
                return [suspects.popleft() for _ in range(min(len(suspects), APART[losses]))]
        return []

    def lost(self, conversations: Iterable[Numbered]) -> dict[int, int]:
        """Takes back what was under way at a lost worker.

        Returns:
            What is given up, since it was lost with nothing beside it: number and lost workers.
        """
        given_up: dict[int, int] = {}
        for number, conversation in conversations:
            self._losses[number] += 1
            losses = self._losses[number]
            if losses >= MOST_LOSSES:
                given_up[number] = self._losses.pop(number)
            else:
                self._apart.get(losses, self._again).append((number, conversation))
        return given_up

    def answered(self, number: int) -> int:
        """Forgets a conversation; the number of workers that were lost with it."""
        return self._losses.pop(number, 0)

    def _share(self, worker: int) -> deque[Numbered]:
        if self._again:
            return self._again
        share = self._shares[worker]
        if not share and not self._ended:
            share.extend(islice(self._source, RUN))
            self._ended = len(share) < RUN
        # Nothing new: what another worker hasn't begun is this one's, too.
        return share or max(self._shares.values(), key=len)
