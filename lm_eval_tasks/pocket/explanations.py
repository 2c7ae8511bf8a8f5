"""Explanations of pocket stories: sentences of known kinds, written and read with the same templates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from lm_eval_tasks.pocket.stories import (
    ENDINGS,
    EVENTS,
    NAMES,
    OPENINGS,
    THINGS,
    EventKind,
    Operation,
    Story,
    pattern,
    sentences,
)

SHORT_CONCLUSION = "The answer is {n}."
# Sentences that say nothing about the question.
PADDING = (
    "Let us think about this carefully.",
    "Numbers can be added or taken away.",
    "It helps to read every word twice.",
    "This is a nice little question.",
    "Now we are almost there.",
)


@dataclass(frozen=True, slots=True)
class Start:
    """States the start amount."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of calculation, with the words that give its reason if there are any.

    Attributes:
        left: Number before the sign.
        operation: The sign.
        right: Number after the sign.
        result: What it is said to make.
        reason: What is said to happen, and with which number; None if the line stands alone or its words
            are none of the language's.
        text: The sentence.
    """

    left: int
    operation: Operation
    right: int
    result: int
    reason: tuple[EventKind, int | None] | None
    text: str


@dataclass(frozen=True, slots=True)
class Conclusion:
    """States the answer."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Filler:
    """A sentence without a claim: padding, or words that aren't of the language."""

    text: str


Sentence: TypeAlias = Start | Line | Conclusion | Filler

_SIGNS: dict[str, Operation] = {"+": "+", "-": "-", "−": "-", "×": "×", "x": "×", "*": "×"}
_EQUATION = re.compile(r"(\d+) ([+\-−×x*]) (\d+) = (\d+)")
_LINE = re.compile(rf"(?:(?P<clause>[^.]+), so )?{_EQUATION.pattern}\.")


def full_explanation(story: Story) -> str:
    """The perfect explanation: start, every step with its reason, conclusion."""
    lines = [
        f"{story.fill(step.event.kind.clause, step.operand)}, so "
        f"{step.left} {step.operation} {step.right} = {step.result}."
        for step in story.steps
    ]
    opening = story.fill(story.opening.reason, story.start)
    return " ".join([opening, *map(_capital, lines), story.fill(story.ending.conclusion, story.answer)])


def read_explanation(text: str) -> list[Sentence]:
    """Sorts the sentences of any text into the kinds above; nothing is left out."""
    return [_read(sentence) for sentence in sentences(text)]


def people_in(text: str) -> list[str]:
    """Every mention of a name of the language, in order."""
    return re.findall(rf"\b(?:{'|'.join(NAMES)})\b", text)


def goods_in(text: str) -> list[str]:
    """Every mention of a thing of the language or of coins, as its plural, in order."""
    found = re.findall(rf"\b({'|'.join(THINGS)}|coin)(?:s)?\b", text)
    return [f"{singular}s" for singular in found]


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _read(sentence: str) -> Sentence:
    for opening in OPENINGS.values():
        if match := pattern(opening.reason).fullmatch(sentence):
            return Start(int(match["n"]), sentence)
    for template in (SHORT_CONCLUSION, *(ending.conclusion for ending in ENDINGS.values())):
        if match := pattern(template).fullmatch(sentence):
            return Conclusion(int(match["n"]), sentence)
    if match := _LINE.fullmatch(sentence):
        left, sign, right, result = match.group(2, 3, 4, 5)
        reason = None if match["clause"] is None else _reason(match["clause"], EVENTS.values())
        return Line(int(left), _SIGNS[sign], int(right), int(result), reason, sentence)
    return Filler(sentence)


def _reason(clause: str, kinds: Iterable[EventKind]) -> tuple[EventKind, int | None] | None:
    for kind in kinds:
        if match := pattern(_capital(kind.clause)).fullmatch(_capital(clause)):
            fields = match.groupdict()
            return kind, int(fields["n"]) if "n" in fields else None
    return None
