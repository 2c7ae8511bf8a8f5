"""The vocabulary of judging: what is asked of a model, what comes back, and what it is taken to mean.

Two layers, and nothing else crosses the border of this package:

* a chat backend turns ``Conversation`` + ``Sampling`` into ``Reply | Failure``;
* a judge turns ``Statement`` into ``Assessment`` (a ``Judgement``, or ``Unjudged`` with its reason).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Conversation: TypeAlias = tuple[Message, ...]


VerdictForm: TypeAlias = Literal["full", "compact"]
"""How a judge writes its verdicts: a ``Criterion: VERDICT`` line each, or one letter each (rubrics/forms)."""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """The exact form that a reply must have, in the two spellings that engines understand.

    Attributes:
        regex: A regular expression that the whole reply matches.
        json_schema: A JSON schema (as JSON text) for endpoints that can only be held to JSON.
            A backend that uses it returns the JSON text as the reply; parsers read both spellings.
    """

    regex: str
    json_schema: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn; one setting for a whole batch.

    Attributes:
        n: Completions per conversation.
        temperature: 0 is greedy; with ``n > 1`` it must be positive.
        top_p: Nucleus mass.
        max_tokens: Most tokens a completion may have; of a model that thinks, most tokens of its reply.
        seed: If set, the completions of a conversation depend on this seed and on that conversation alone,
            not on what else is in the batch, so that an interrupted batch can be taken up again.
        stop: Strings that end a completion (left out of its text).
        form: If set, the reply is constrained to this form where the backend can do that.
        thinking_tokens: Further tokens for the thought before the reply. No engine bounds the two apart, so
            what one doesn't use is the other's.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512
    seed: int | None = None
    stop: tuple[str, ...] = ()
    form: OutputForm | None = None
    thinking_tokens: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ValueError(f"n must be at least 1, not {self.n}")
        if self.n > 1 and self.temperature <= 0:
            raise ValueError(f"n={self.n} completions at temperature 0 would all be the same")
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], not {self.top_p}")
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")
        if self.thinking_tokens < 0:
            raise ValueError(f"thinking_tokens must not be negative, not {self.thinking_tokens}")

    @property
    def most_tokens(self) -> int:
        """Most tokens of a whole completion, thought and reply."""
        return self.max_tokens + self.thinking_tokens


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and written. ``cached_prompt_tokens`` is the part of ``prompt_tokens`` an engine reused."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_prompt_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_prompt_tokens + other.cached_prompt_tokens,
        )


FinishReason: TypeAlias = Literal["stop", "length", "refused"]


@dataclass(frozen=True, slots=True)
class Completion:
    """One text that a model wrote, and why it ended: by itself, at ``max_tokens``, or by a refusal."""

    text: str
    finish_reason: FinishReason = "stop"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend answers to one conversation: ``Sampling.n`` completions.

    Attributes:
        completions: In sample order.
        usage: Tokens of this conversation, all completions together; None where the backend doesn't tell.
        attempts: Requests it took, the good one included.
        seconds: From the first attempt to the reply; for a batch engine the time inside the engine.
    """

    completions: tuple[Completion, ...]
    usage: Usage | None = None
    attempts: int = 1
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """The first completion's text."""
        return self.completions[0].text


@dataclass(frozen=True, slots=True)
class Failure:
    """A conversation that got no reply, or none that can be used, and why. The rest of the batch goes on.

    Attributes:
        message: The reason.
        attempts: Requests it took.
        seconds: From the first attempt to the last.
        usage: Tokens of replies that came and can't be used; None if there was none, or it isn't known.
    """

    message: str
    attempts: int = 1
    seconds: float = 0.0
    usage: Usage | None = None


Outcome: TypeAlias = Reply | Failure


@dataclass(frozen=True, slots=True)
class BackendIdentity:
    """Everything about a backend that its answers depend on; part of every cache key and of every result.

    Attributes:
        kind: Name of the backend in the registry, e.g. ``openai``.
        model: Model name or path as the user gave it.
        details: Further settings in a fixed order, e.g. ``(("base_url", "http://..."),)``. Never a key.
    """

    kind: str
    model: str
    details: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        address = dict(self.details).get("base_url")
        return f"{self.kind}:{self.model}" + (f"@{address}" if address else "")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a judge is shown.

    Attributes:
        question: The question as the evaluated model saw it: context, question and choices.
        explanation: The text under judgement.
        repeat: Which of several askings about the same texts this is. Each is asked by itself, and its reply
            kept as its own, so that it can be seen how much a judge varies.
        choice: The choice that the explanation is for, label and text; None if the question has no choices.
            This and what follows is shown only by a rubric that says so (``shows``).
        right_answer: The right choice, label and text; None if none is known.
        reference: A reason for it that the data set gives; None where it has none.
    """

    question: str
    explanation: str
    repeat: int = 0
    choice: str | None = None
    right_answer: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict for each criterion: criterion key -> verdict name, in the rubric's order."""

    verdicts: Mapping[str, str]


UnjudgedReason: TypeAlias = Literal["unparsable", "truncated", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Unjudged:
    """No verdict, and why. Never a number: what is unjudged is counted, not scored."""

    reason: UnjudgedReason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a judge made of one statement, with what it cost.

    Attributes:
        outcome: The verdicts, or why there are none.
        raw: The judge's reply, unparsed; None if there was no reply.
        attempts: Requests this took; those of the original call if it came from the cache.
        usage: Tokens of the original call; None if its backend didn't tell.
        seconds: Seconds of the original call.
        cached: True if no request was made for it in this run.
        price: What the original call cost, in the currency of the configured prices; None without prices, or
            if its tokens aren't known.
        flagged: What in the explanation addresses the judge (``rubrics.suspicion``); no score depends on it.
    """

    outcome: Judgement | Unjudged
    raw: str | None = None
    attempts: int = 0
    usage: Usage | None = field(default_factory=Usage)
    seconds: float = 0.0
    cached: bool = False
    price: float | None = None
    flagged: tuple[str, ...] = ()
