"""Which of several endpoints gets the next request: balance, and leave out those that are dead for now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DROPPED_AFTER = 5
"""Requests that fail in a row before an endpoint is dropped."""

_FIRST_REST = 5.0
_LONGEST_REST = 60.0


@dataclass(slots=True)
class Standing:
    """How one of several endpoints does. Times are seconds of any one steady clock.

    Attributes:
        under_way: Requests under way at it, or in its line.
        free_at: It asked to be left alone until then.
        rests_until: It failed, and isn't tried before then if there is another.
        answered: Whether it ever answered.
    """

    under_way: int = 0
    free_at: float = 0.0
    rests_until: float = 0.0
    answered: bool = False
    _failed_in_a_row: int = 0
    _rests: int = 0

    @property
    def dropped(self) -> bool:
        """Whether it has failed so often in a row that it must prove itself, with one request at a time."""
        return self._failed_in_a_row >= DROPPED_AFTER

    def success(self) -> bool:
        """A reply arrived; returns whether it had been dropped."""
        back = self.dropped
        self.answered = True
        self.rests_until = 0.0
        self._failed_in_a_row = self._rests = 0
        return back

    def failure(self, now: float) -> bool:
        """A request failed; returns whether it is dropped with this one. Rests grow longer."""
        self._failed_in_a_row += 1
        if self.dropped and now >= self.rests_until:  # else it was under way when the rest began
            self.rests_until = now + min(_FIRST_REST * 2.0**self._rests, _LONGEST_REST)
            self._rests = min(self._rests + 1, 10)
        return self._failed_in_a_row == DROPPED_AFTER

    def usable(self, now: float) -> bool:
        """Whether it may get a request, as long as there is another endpoint."""
        if max(self.free_at, self.rests_until) > now:
            return False
        return not self.dropped or self.under_way == 0


def choose(standings: Sequence[Standing], now: float, avoid: int | None = None) -> int:
    """Index of the endpoint for the next request: the usable one with the fewest under way.

    Args:
        standings: All endpoints.
        now: Time.
        avoid: The endpoint where this conversation has just failed; taken if there is no other.

    Returns:
        If none is usable, the one that is free first, and of these the one that rested longest.
    """
    usable = [index for index, standing in enumerate(standings) if standing.usable(now)]
    if usable:
        return min(usable, key=lambda index: (index == avoid, standings[index].under_way))
    return min(
        range(len(standings)),
        key=lambda index: (max(standings[index].free_at, now), standings[index].rests_until, index),
    )
