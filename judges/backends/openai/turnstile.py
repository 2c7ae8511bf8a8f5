"""How many requests may be under way at an endpoint: fewer while it says that it is overloaded."""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """Lets at most ``limit`` requests through at once; for one event loop.

    A request that is refused because there are too many was one too many, and lowers the limit by one: a
    burst of 64 of which 61 are refused leaves 3. ``limit`` successes raise it by two. So an endpoint that
    refuses now and then, a share of p, still gets 2 / p requests at once.

    Args:
        most: The limit when all is well.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.limit = float(most)
        self._inside = 0
        self._line: deque[asyncio.Future[None]] = deque()

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

    def overload(self) -> None:
        """The endpoint said that it gets too many requests."""
        self.limit = max(1.0, self.limit - 1)

    def _wake(self, places: int) -> None:
        while places > 0 and self._line:
            waiting = self._line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                places -= 1
