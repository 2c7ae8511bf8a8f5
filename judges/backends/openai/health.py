"""Whether an endpoint is worth asking on: waits that it asks for, back-off, and when to give up on it."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_BACKOFF = 30.0
LONGEST_WAIT = 600.0
"""An endpoint that asks for a longer wait than this (seconds) is taken as down for now."""

_FEWEST_FAILURES = 5
_FAILURES_IN_A_ROW = 20
_PATIENCE_BEFORE_FIRST_REPLY = 5.0


@dataclass(slots=True)
class EndpointHealth:
    """Keeps count of what an endpoint does. Times are seconds of any one steady clock.

    An endpoint is given up when

    * requests went on failing, at least 5 of them and none answered, for ``patience`` seconds (5 if it never
      answered at all), not counting waits that it asked for; or
    * 20 conversations in a row ended without a reply; where they were refused, only if a short question is
      refused as well.

    Attributes:
        patience: Seconds.
        backoff: First wait after a failed request, in seconds; doubles with each further one.
        answered: Whether it ever answered.
        resume_at: No request before this time.
    """

    patience: float
    backoff: float
    answered: bool = False
    resume_at: float = 0.0
    _failing_since: float | None = None
    _failed_requests: int = 0
    _lost_conversations: int = 0

    def success(self) -> None:
        """A reply arrived."""
        self.answered = True
        self._failing_since = None
        self._failed_requests = 0
        self._lost_conversations = 0

    def failure(self, now: float) -> bool:
        """A request failed in a way that tells against the endpoint; returns whether to give up on it."""
        self._failed_requests += 1
        if self._failing_since is None:
            self._failing_since = now
        patience = self.patience if self.answered else min(self.patience, _PATIENCE_BEFORE_FIRST_REPLY)
        return self._failed_requests >= _FEWEST_FAILURES and now - self._failing_since > patience

    def lost(self) -> bool:
        """A conversation ended without a reply; returns whether that tells against the endpoint."""
        self._lost_conversations += 1
        return self._lost_conversations >= _FAILURES_IN_A_ROW

    def hold(self, now: float, seconds: float) -> None:
        """The endpoint asks to be left alone: for everybody, not only for the request that was told."""
        self.resume_at = max(self.resume_at, now + seconds)
        self._failing_since = self.resume_at

    def pause_before(self, now: float) -> float:
        """Seconds to wait before the next request; spread out a little, so that not all come at once."""
        if self.resume_at <= now:
            return 0.0
        return self.resume_at - now + random.uniform(0, self.backoff)

    def backoff_after(self, attempts: int) -> float:
        """Seconds to wait after so many failed requests of one conversation, with jitter."""
        longest = min(LONGEST_BACKOFF, self.backoff * 2.0 ** (attempts - 1))
        return longest * random.uniform(0.5, 1.0)
