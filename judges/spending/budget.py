"""What a judge may spend at most."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from judges.errors import BudgetSpentError, ConfigError
from judges.records import Conversation, Outcome, Reply, Sampling, Usage
from judges.spending.accounts import Prices

_TEMPLATE_TOKENS = 32  # what a chat template may put around one turn


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits for all that one judge asks from its making to its end; None is no limit.

    Attributes:
        calls: Statements put to the judge model. Further attempts after a failure aren't counted.
        tokens: Tokens read and written.
        cost: Price, in the currency of the configured prices.
    """

    calls: int | None = None
    tokens: int | None = None
    cost: float | None = None

    def over(self, other: Budget) -> Budget:
        """These limits, and the other's where there is none."""
        return Budget(
            other.calls if self.calls is None else self.calls,
            other.tokens if self.tokens is None else self.tokens,
            other.cost if self.cost is None else self.cost,
        )


class Purse:
    """Keeps to a budget: a request under way counts as the most that it may come to.

    The most is a token for each byte of the prompt, some for the chat template, and ``max_tokens``; it holds
    for every tokenizer that never makes more than one token of a byte. What a reply really took replaces it,
    if the endpoint tells; a reply of unknown length goes on counting as the most. A request that fails
    without a reply counts as free, one that is broken off by us as the most: what it cost isn't known.
    Requests may start in one thread and end in another.

    Raises:
        ConfigError: If a price is capped and there are no prices.
    """

    def __init__(self, budget: Budget, prices: Prices | None, sampling: Sampling) -> None:
        if budget.cost is not None and prices is None:
            raise ConfigError(
                "a budget in money needs prices; put 'prices: {prompt: ..., completion: ...}' (per million "
                "tokens) into the judge's file"
            )
        self._budget = budget
        self._prices = prices
        self._sampling = sampling
        self._calls = 0
        self._spent = Usage()
        self._guessed = 0  # replies whose tokens aren't known
        self._under_way: dict[bytes, Usage] = {}
        self._held = Usage()  # the sum of those under way
        self._lock = threading.Lock()

    def affords(self, conversation: Conversation) -> bool:
        """Whether one more request stays within the budget, whatever those under way come to."""
        most = self._most(conversation)
        with self._lock:
            return self._limit_broken_by(most) is None

    def reserve(self, key: bytes, conversation: Conversation) -> None:
        """A request starts."""
        most = self._most(conversation)
        with self._lock:
            self._under_way[key] = most
            self._held += most
            self._calls += 1

    def settle(self, key: bytes, outcome: Outcome) -> None:
        """A request has ended."""
        with self._lock:
            most = self._release(key)
            if isinstance(outcome, Reply):
                self._guessed += outcome.usage is None
                self._spent += most if outcome.usage is None else outcome.usage
            elif outcome.usage is not None:
                self._spent += outcome.usage

    def refuse(self, conversation: Conversation) -> BudgetSpentError:
        """The error that says which limit a request would break."""
        limit = self._limit_broken_by(self._most(conversation))
        tokens = self._spent.prompt_tokens + self._spent.completion_tokens
        most = "at most " if self._guessed else ""
        spent = f"{self._calls} calls, {most}{tokens} tokens"
        if self._prices is not None:
            spent += f", price {most}{self._prices.of(self._spent):.4f}"
        if self._guessed:
            spent += f"; the endpoint doesn't tell what {self._guessed} of them took"
        return BudgetSpentError(
            f"the next call may break the budget of {limit} (so far {spent}); all replies are stored: run "
            "again with a larger budget, and only the rest is asked for"
        )

    def _release(self, key: bytes) -> Usage:
        most = self._under_way.pop(key)
        self._held = Usage(
            self._held.prompt_tokens - most.prompt_tokens,
            self._held.completion_tokens - most.completion_tokens,
        )
        return most

    def _most(self, conversation: Conversation) -> Usage:
        read = sum(len(turn.content.encode("utf-8", "replace")) + _TEMPLATE_TOKENS for turn in conversation)
        return Usage(read, self._sampling.most_tokens)

    def _limit_broken_by(self, request: Usage) -> str | None:
        budget = self._budget
        if budget.calls is not None and self._calls >= budget.calls:
            return f"{budget.calls} calls"
        if budget.tokens is None and budget.cost is None:
            return None
        usage = self._spent + self._held + request
        if budget.tokens is not None and usage.prompt_tokens + usage.completion_tokens > budget.tokens:
            return f"{budget.tokens} tokens"
        if budget.cost is not None and self._prices is not None and self._prices.of(usage) > budget.cost:
            return f"{budget.cost:g} in money"
        return None
