"""What judging is about to take, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

from judges.records import Conversation, Sampling, Usage
from judges.spending.accounts import Prices, Source

CHARACTERS_A_TOKEN = 4.0
"""Of English text, roughly."""

_EXAMPLES = 500  # more don't make an average much better


@dataclass(frozen=True, slots=True)
class Estimate:
    """What judging some statements would take, before it starts.

    Attributes:
        statements: Statements.
        cached: Of these, known from the cache.
        copies: Of these, identical to another one.
        too_long: Of these, longer than a judge is shown.
        calls: Of these, to be asked.
        prompt_tokens: About as many are read for ``calls``.
        completion_tokens: About as many are written.
        measured: Whether tokens follow from replies to the same request in the cache; else from a rule of
            thumb: four characters a token, and a reply in the form.
        most_completion_tokens: If every reply went on to ``max_tokens``.
        price: Of the tokens; None without prices.
    """

    statements: int
    cached: int
    copies: int
    too_long: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    measured: bool
    most_completion_tokens: int
    price: float | None

    def __str__(self) -> str:
        """One line for a person."""
        known = [(self.cached, "in the cache"), (self.copies, "copies"), (self.too_long, "too long")]
        parts = [f"{count} {what}" for count, what in known if count]
        if not self.statements:
            return "nothing to judge"
        if not self.calls:
            return f"nothing to ask: {', '.join(parts)}"
        head = f"{self.calls} of {self.statements} to ask" + (f" ({', '.join(parts)})" if parts else "")
        basis = "as replies in the cache took" if self.measured else "at 4 characters a token"
        return (
            f"{head}; about {self.prompt_tokens} tokens to read and {self.completion_tokens} to write, "
            f"{basis} (at most {self.most_completion_tokens} to write)"
            + ("" if self.price is None else f"; price about {self.price:.4f}")
        )


class Estimator:
    """Adds up an :class:`Estimate`.

    Args:
        prices: To put a price on it.
        sampling: How the judge replies.
        reply_tokens: About how many tokens a reply in the form has.
    """

    def __init__(self, prices: Prices | None, sampling: Sampling, reply_tokens: float) -> None:
        self._prices = prices
        self._sampling = sampling
        self._reply_tokens = reply_tokens
        self._counts = {"cached": 0, "copies": 0, "too_long": 0, "calls": 0}
        self._characters = 0
        self._known_characters = 0
        self._known_replies = 0
        self._known_usage = Usage()

    def ask(self, conversation: Conversation) -> None:
        """A statement would be asked."""
        self._counts["calls"] += 1
        self._characters += _length(conversation)

    def know(self, source: Source) -> None:
        """A statement would not be asked: ``cached``, ``copies`` or ``too_long``."""
        self._counts[source] += 1

    @property
    def curious(self) -> bool:
        """Whether further examples of what a request takes are welcome."""
        return self._known_replies < _EXAMPLES

    def learn(self, conversation: Conversation, usage: Usage | None) -> None:
        """What a request to the same judge took."""
        if usage is not None and usage.prompt_tokens:
            self._known_characters += _length(conversation)
            self._known_replies += 1
            self._known_usage += usage

    def estimate(self) -> Estimate:
        """The sum."""
        calls = self._counts["calls"]
        if measured := self._known_replies > 0:
            a_character = self._known_usage.prompt_tokens / self._known_characters
            a_reply = self._known_usage.completion_tokens / self._known_replies
        else:
            a_character = 1 / CHARACTERS_A_TOKEN
            a_reply = self._reply_tokens
        usage = Usage(round(self._characters * a_character), round(calls * a_reply))
        return Estimate(
            statements=sum(self._counts.values()),
            **self._counts,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            measured=measured,
            most_completion_tokens=calls * self._sampling.most_tokens,
            price=None if self._prices is None else self._prices.of(usage),
        )


def _length(conversation: Conversation) -> int:
    return sum(len(turn.content) for turn in conversation)
