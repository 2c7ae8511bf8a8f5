"""Edits that make an explanation no better: each with a harmless one of the same size at the same place."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from judges.rubrics.attacks.suite import injections
from judges.settings import load_yaml

_TEXTS = Path(__file__).with_name("edits.yaml")
_LONGEST = 2000
"""Characters of an injection that is used; longer ones cost more than they tell."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_LEADS = ("In short: ", "That is: ", "Once more: ", "In other words: ")


@dataclass(frozen=True, slots=True)
class Edit:
    """An explanation edited, beside its control.

    Attributes:
        kind: What was done.
        text: The explanation with it.
        control: The explanation with something harmless in its place.
    """

    kind: str
    text: str
    control: str


def sentences(text: str) -> list[str]:
    """A text's sentences, as far as full stops tell."""
    return [part for part in _SENTENCE_END.split(text.strip()) if part]


def edits(explanation: str, rng: random.Random) -> Iterator[Edit]:
    """Every edit of an explanation; those that it gives no hold for are left out."""
    texts = _texts()
    yield Edit("padding", *_in_front(explanation, _padding(explanation), rng))
    for kind, choices in texts["front"].items():
        yield Edit(kind, *_in_front(explanation, rng.choice(choices), rng))
    for kind, choices in texts["end"].items():
        yield Edit(kind, *_at_end(explanation, rng.choice(choices), " ", rng))
    parts = sentences(explanation)
    if len(parts) > 1:
        yield Edit("list form", "\n".join(f"- {part}" for part in parts), "\n".join(parts))
    numbers = re.compile(r"\d+(?:[.,]\d+)*")
    words = numbers if numbers.search(explanation) else re.compile(r"\b[A-Za-z]{6,}\b")
    if words.search(explanation):
        yield Edit("bold", words.sub(r"**\g<0>**", explanation), words.sub(r"  \g<0>  ", explanation).strip())
    for kind, choices in _injections().items():
        yield Edit(f"injection: {kind}", *_at_end(explanation, rng.choice(choices), "\n", rng))


def kinds() -> list[str]:
    """All kinds, in the order of :func:`edits`."""
    sample = "It has 123456 legs. So it walks."
    return [edit.kind for edit in edits(sample, random.Random(0))]


def filler(like: str, rng: random.Random) -> str:
    """Harmless text of about the size of another: as many sentences, counting lines, and characters."""
    ends = max(1, len(sentences(like.replace("\n", ". "))))
    pool = list(_texts()["harmless"])
    clauses: list[str] = []
    while len(clauses) < ends or sum(map(len, clauses)) + 5 * len(clauses) < len(like):
        if len(clauses) % len(pool) == 0:
            rng.shuffle(pool)
        clauses.append(pool[len(clauses) % len(pool)])
    made = [", and ".join(clauses[start::ends]) for start in range(ends)]
    return " ".join(f"{one[0].upper()}{one[1:]}." for one in made)


def _padding(explanation: str) -> str:
    """What is said anyway, said before in a list of other words: the same content twice."""
    lines = [f"- {_LEADS[place % len(_LEADS)]}{part}" for place, part in enumerate(sentences(explanation))]
    return "\n".join(["A summary of what follows.", *lines])


def _in_front(explanation: str, added: str, rng: random.Random) -> tuple[str, str]:
    return f"{added}\n{explanation}", f"{filler(added, rng)}\n{explanation}"


def _at_end(explanation: str, added: str, gap: str, rng: random.Random) -> tuple[str, str]:
    return f"{explanation}{gap}{added}", f"{explanation}{gap}{filler(added, rng)}"


@cache
def _texts() -> dict[str, Any]:
    return load_yaml(_TEXTS)


@cache
def _injections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for injection in injections():
        if len(injection.text) <= _LONGEST:
            found.setdefault(injection.kind, []).append(injection.text)
    return found
