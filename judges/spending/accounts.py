"""What judging took: statements, requests, verdicts, tokens and money, to the last one."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

from judges.records import Assessment, Failure, Outcome, Reply, Unjudged, UnjudgedReason, Usage

REASONS: tuple[UnjudgedReason, ...] = ("unparsable", "truncated", "refused", "failed")

Source: TypeAlias = Literal["cached", "copies", "too_long"]
"""Where an assessment came from, if not from a request of its own."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices per million tokens, in any one currency.

    Attributes:
        prompt: Of tokens read.
        completion: Of tokens written.
        cached_prompt: Of tokens read that the endpoint had cached; None if they cost as much as the others.
    """

    prompt: float
    completion: float
    cached_prompt: float | None = None

    def of(self, usage: Usage) -> float:
        """What the tokens cost."""
        cached = usage.cached_prompt_tokens if self.cached_prompt is not None else 0
        return (
            (usage.prompt_tokens - cached) * self.prompt
            + cached * (self.cached_prompt or 0.0)
            + usage.completion_tokens * self.completion
        ) / 1e6


@dataclass(frozen=True, slots=True)
class Accounts:
    """What a judge has done so far in this run.

    When no call is under way or was broken off: ``statements == cached + copies + asked + too_long``,
    ``statements == judged + all unjudged``, ``asked == answered + failed``, ``requests == asked + retried``.

    Attributes:
        statements: Statements assessed.
        cached: Of these, answered from the cache.
        copies: Of these, identical to another one of the same call and judged with it.
        too_long: Of these, left unjudged because a judge isn't shown that much text.
        asked: Of these, put to the backend.
        answered: Of those asked, replies that arrived.
        failed: Of those asked, without a reply.
        requests: Requests made, retries included.
        retried: Requests beyond the first of a statement.
        judged: Statements with verdicts.
        unjudged: Statements without, by reason.
        unmetered: Of those answered, replies whose tokens the backend didn't tell.
        usage: Tokens of the other replies that arrived in this run.
        seconds: Wall-clock seconds in which assessing was under way.
        price: Price of ``usage``; None without prices, or if some replies are unmetered.
        priced: Whether there are prices.
    """

    statements: int = 0
    cached: int = 0
    copies: int = 0
    too_long: int = 0
    asked: int = 0
    answered: int = 0
    failed: int = 0
    requests: int = 0
    retried: int = 0
    unmetered: int = 0
    judged: int = 0
    unjudged: Mapping[UnjudgedReason, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    price: float | None = None
    priced: bool = False

    @property
    def coverage(self) -> float | None:
        """Share of the statements that have verdicts; None if there were no statements."""
        return self.judged / self.statements if self.statements else None

    @property
    def prefix_reuse(self) -> float | None:
        """Share of the tokens read that the engine had in its prefix cache; None if it didn't tell of any."""
        usage = self.usage
        return usage.cached_prompt_tokens / usage.prompt_tokens if usage.cached_prompt_tokens else None

    def since(self, earlier: Accounts) -> Accounts:
        """What came after an earlier state of the same judge."""
        counts = (f.name for f in fields(self) if f.type == "int")
        return Accounts(
            **{name: getattr(self, name) - getattr(earlier, name) for name in counts},
            unjudged={reason: self.unjudged[reason] - earlier.unjudged[reason] for reason in REASONS},
            usage=Usage(
                self.usage.prompt_tokens - earlier.usage.prompt_tokens,
                self.usage.completion_tokens - earlier.usage.completion_tokens,
                self.usage.cached_prompt_tokens - earlier.usage.cached_prompt_tokens,
            ),
            seconds=self.seconds - earlier.seconds,
            price=None if self.price is None else self.price - (earlier.price or 0.0),
            priced=self.priced,
        )

    def __add__(self, other: Accounts) -> Accounts:
        """Of two stretches of work of one judge."""
        counts = (f.name for f in fields(self) if f.type == "int")
        known = [price for price in (self.price, other.price) if price is not None]
        priced = self.priced or other.priced
        return Accounts(
            **{name: getattr(self, name) + getattr(other, name) for name in counts},
            unjudged={reason: self.unjudged[reason] + other.unjudged[reason] for reason in REASONS},
            usage=self.usage + other.usage,
            seconds=self.seconds + other.seconds,
            price=sum(known) if priced and not (self.unmetered or other.unmetered) else None,
            priced=priced,
        )

    def after(self, ahead: Accounts, verdicts: int) -> Accounts:
        """These accounts with those of an earlier pass over some of the same statements, as of one pass.

        What the earlier pass got verdicts on, this one found in the cache; the rest it asked for again.

        Args:
            ahead: Of the earlier pass.
            verdicts: Statements that it asked about and got verdicts on.
        """
        asked, requests = self.asked + verdicts, self.requests + ahead.requests
        known = self.price is not None and ahead.price is not None
        return replace(
            self,
            cached=self.cached - verdicts,
            asked=asked,
            answered=self.answered + verdicts,
            requests=requests,
            retried=requests - asked,
            unmetered=self.unmetered + ahead.unmetered,
            usage=self.usage + ahead.usage,
            seconds=self.seconds + ahead.seconds,
            price=(self.price or 0.0) + (ahead.price or 0.0) if known else None,
        )

    def to_json(self) -> dict[str, Any]:
        """For summary files."""
        return {
            "statements": self.statements,
            "cached": self.cached,
            "copies": self.copies,
            "too_long": self.too_long,
            "asked": self.asked,
            "answered": self.answered,
            "failed": self.failed,
            "requests": self.requests,
            "retried": self.retried,
            "judged": self.judged,
            "unjudged": dict(self.unjudged),
            "coverage": self.coverage,
            "unmetered": self.unmetered,
            "prompt_tokens": None if self.unmetered else self.usage.prompt_tokens,
            "completion_tokens": None if self.unmetered else self.usage.completion_tokens,
            "cached_prompt_tokens": None if self.unmetered else self.usage.cached_prompt_tokens,
            "prefix_reuse": self.prefix_reuse,
            "seconds": round(self.seconds, 3),
            "price": self.price,
            "priced": self.priced,
        }

    def __str__(self) -> str:
        """One line for a person."""
        unjudged = sum(self.unjudged.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.unjudged.items() if count)
        parts = [
            f"{self.judged} of {self.statements} judged" + (f" ({reasons})" if unjudged else ""),
            f"{self.asked} asked, {self.cached} from the cache, {self.copies} copies",
            f"{self.retried} retries" if self.retried else "",
            self._tokens
            + ("" if self.prefix_reuse is None else f" ({self.prefix_reuse:.0%} of the prompts reused)"),
            f"price {self.price:.4f}" if self.price is not None else "price unknown" if self.priced else "",
            f"{self.seconds:.1f} s",
        ]
        return "; ".join(part for part in parts if part)

    @property
    def _tokens(self) -> str:
        read, written = self.usage.prompt_tokens, self.usage.completion_tokens
        if not self.unmetered:
            return f"{read} + {written} tokens"
        known = f"; {read} + {written} of the others" if self.unmetered < self.answered else ""
        replies = f"{self.unmetered} of {self.answered} replies"
        return f"tokens unknown (the endpoint doesn't tell for {replies}{known})"


class Ledger:
    """Adds up what a judge does, in whichever thread; ``accounts()`` is the state at a moment."""

    def __init__(self, prices: Prices | None) -> None:
        self._prices = prices
        self._counts: Counter[str] = Counter()
        self._unjudged: Counter[UnjudgedReason] = Counter()
        self._usage = Usage()
        self._seconds = 0.0
        self._fruitless = 0
        self._lock = threading.Lock()

    def ask(self) -> None:
        """A statement was put to the backend."""
        with self._lock:
            self._counts["asked"] += 1

    def receive(self, outcome: Outcome) -> None:
        """The backend came back with a reply or a failure."""
        with self._lock:
            self._counts["requests"] += outcome.attempts
            self._counts["retried"] += outcome.attempts - 1
            match outcome:
                case Reply(usage=usage):
                    self._counts["answered"] += 1
                    self._counts["unmetered"] += usage is None
                    self._usage += usage or Usage()
                case Failure(usage=usage):
                    self._counts["failed"] += 1
                    self._usage += usage or Usage()

    def hand_out(self, assessment: Assessment, source: Source | None = None) -> None:
        """An assessment goes to the caller; no source means that it was asked for."""
        with self._lock:
            self._counts["statements"] += 1
            if source is not None:
                self._counts[source] += 1
            if isinstance(assessment.outcome, Unjudged):
                self._unjudged[assessment.outcome.reason] += 1
                self._fruitless += source is None and assessment.outcome.reason != "failed"
            else:
                self._counts["judged"] += 1

    @property
    def fruitless(self) -> int:
        """Replies handed out without verdicts, as long as no statement has any; else 0."""
        return 0 if self._counts["judged"] else self._fruitless

    def spend(self, seconds: float) -> None:
        """Time passed while assessing."""
        self._seconds += seconds

    def accounts(self) -> Accounts:
        """The state now."""
        with self._lock:
            return Accounts(
                **self._counts,
                unjudged={reason: self._unjudged[reason] for reason in REASONS},
                usage=self._usage,
                seconds=self._seconds,
                price=None
                if self._prices is None or self._counts["unmetered"]
                else self._prices.of(self._usage),
                priced=self._prices is not None,
            )
