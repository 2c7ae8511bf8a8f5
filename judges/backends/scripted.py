"""Replies from a file: for dry runs, continuous integration and tests, without a model.

The file is YAML with a list ``replies``, or JSON Lines with one entry a line. The first entry whose ``match``
is found in the conversation answers::

    replies:
      - match: "capital of France"      # regular expression, searched in the last turn; without: always
        reply: "Clarity: GOOD"
      - match: "photosynthesis"
        reply: ["Clarity: GOOD", "Clarity: EXCELLENT"]   # one after the other, then again from the start
      - match: "Mars"
        reply: [A, B, C]
        order: seeded                   # drawn by the sampling's seed and the conversation instead
      - match: "too long"
        reply: "Factual Accuracy: GO"
        finish_reason: length           # or refused; stop by default
      - match: "lost"
        failure: "the network is away"  # this conversation gets no reply
      - match: "the end"
        down: "endpoint stopped"        # the whole backend stops here, as a dead endpoint does
      - reply: "Clarity: SATISFACTORY"
        delay: 0.2                      # seconds before it answers
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from judges.backends.protocol import IndexedOutcome
from judges.errors import ConfigError, EndpointDownError
from judges.records import (
    BackendIdentity,
    Completion,
    Conversation,
    Failure,
    FinishReason,
    Outcome,
    Reply,
    Sampling,
    Usage,
)
from judges.settings import Settings, load_yaml, parse


class ScriptedEntry(Settings):
    """One entry of the file: when it applies and what it answers."""

    match: str | None = None
    reply: str | list[str] | None = None
    order: Literal["cycle", "seeded"] = "cycle"
    finish_reason: FinishReason = "stop"
    failure: str | None = None
    down: str | None = None
    delay: float = Field(default=0.0, ge=0)

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _one_answer(self) -> ScriptedEntry:
        if sum(answer is not None for answer in (self.reply, self.failure, self.down)) != 1:
            raise ValueError("an entry has exactly one of reply, failure, down")
        if self.reply == []:
            raise ValueError("reply is an empty list")
        return self


class _Script(Settings):
    replies: list[ScriptedEntry] = Field(min_length=1)


class ScriptedSettings(Settings):
    """Settings of the backend: the file of replies, and the model name that results show."""

    replies: str
    model: str | None = None


class ScriptedBackend:
    """Answers from entries; conversations are answered one after the other.

    Args:
        entries: What it answers.
        identity: What results show.
    """

    constrains = False

    def __init__(self, entries: Iterable[ScriptedEntry], identity: BackendIdentity) -> None:
        self.identity = identity
        self._entries = [(re.compile(entry.match or "", re.DOTALL), entry) for entry in entries]
        self._used: Counter[int] = Counter()

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """See :meth:`judges.ChatBackend.replies`."""
        for index, conversation in enumerate(conversations):
            yield index, self._answer(conversation, sampling)

    def _answer(self, conversation: Conversation, sampling: Sampling) -> Outcome:
        last = conversation[-1].content
        found = (number for number, (sign, _) in enumerate(self._entries) if sign.search(last))
        number = next(found, None)
        if number is None:
            return Failure(f"no entry of {self.identity.model} matches")
        entry = self._entries[number][1]
        time.sleep(entry.delay)
        if entry.down is not None:
            raise EndpointDownError(f"{self.identity}: {entry.down}")
        if entry.failure is not None:
            return Failure(entry.failure, seconds=entry.delay)
        texts = [entry.reply] if isinstance(entry.reply, str) else entry.reply or []
        start = _drawn(conversation, sampling) if entry.order == "seeded" else self._used[number]
        self._used[number] += sampling.n
        chosen = [texts[(start + sample) % len(texts)] for sample in range(sampling.n)]
        usage = Usage(
            sum(len(message.content.split()) for message in conversation),
            sum(len(text.split()) for text in chosen),
        )
        completions = tuple(Completion(text, entry.finish_reason) for text in chosen)
        return Reply(completions, usage, seconds=entry.delay)

    def close(self) -> None:
        """Nothing to free."""

    def __enter__(self) -> ScriptedBackend:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def create(settings: Mapping[str, Any]) -> ScriptedBackend:
    """Makes the backend from its settings.

    Raises:
        ConfigError: If the file can't be read or an entry is wrong.
    """
    checked = parse(ScriptedSettings, settings, "scripted backend")
    path = Path(checked.replies)
    script = parse(_Script, _read(path), str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    identity = BackendIdentity("scripted", checked.model or path.name, (("sha256", digest),))
    return ScriptedBackend(script.replies, identity)


def _read(path: Path) -> dict[str, Any]:
    if path.suffix != ".jsonl":
        return load_yaml(path)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{path}: line {number} is not JSON: {error}") from None
    return {"replies": entries}


def _drawn(conversation: Conversation, sampling: Sampling) -> int:
    content = json.dumps([sampling.seed, [[m.role, m.content] for m in conversation]])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")
