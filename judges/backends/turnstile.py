"""How many requests may be under way at an endpoint: fewer while it says that it is overloaded."""

from __future__ import annotations

import asyncio
from collections import deque

_SECONDS_BETWEEN_CUTS = 1.0


class Turnstile:
    """Lets at most ``limit`` requests through at once; for one event loop.

    The limit is halved when the endpoint says that it gets too many requests, at most once a second, since
    one burst is refused many times over. Every success raises it a little: by 2 for ``limit`` successes.

    Args:
        most: The limit when all is well.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = float(most)
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._next_cut = float("-inf")

    async def enter(self) -> None:
        """Waits for a place."""
        while self._inside >= int(self.limit):
            place = asyncio.get_running_loop().create_future()
            self._line.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self._wake(1)  # our turn passes on
                raise
        self._inside += 1

    def leave(self) -> None:
        """Gives the place back."""
        self._inside -= 1
        self._wake(int(self.limit) - self._inside)

    def success(self) -> None:
        """The endpoint answered."""
        if self.limit < self._most:
            self.limit = min(float(self._most), self.limit + 2 / self.limit)

    def overload(self, now: float) -> None:
        """The endpoint said that it gets too many requests."""
        if now >= self._next_cut:
            self.limit = max(1.0, self.limit / 2)
            self._next_cut = now + _SECONDS_BETWEEN_CUTS

    def _wake(self, places: int) -> None:
        while places > 0 and self._line:
            waiting = self._line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                places -= 1
