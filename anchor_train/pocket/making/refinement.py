"""Principles of the pocket language: what they say, which flaws they name, and how well they are followed.

A principle is told in many wordings, so that there is something to cluster. Each family of wordings is about
some of the flaws that an explanation can have (:class:`anchor_train.pocket.making.flaws.Flaws`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from anchor_train.pocket.making.flaws import Flaws, Habits
from lm_eval_tasks.pocket.stories import Story


@dataclass(frozen=True)
class Family:
    """Wordings of one principle.

    Attributes:
        key: Its name in code.
        about: The fields of ``Flaws`` that it is about.
        parts: The wordings: one of each, put together.
    """

    key: str
    about: frozenset[str]
    parts: tuple[tuple[str, ...], ...]

    @cached_property
    def wordings(self) -> tuple[str, ...]:
        """All of them."""
        return tuple("".join(chosen) for chosen in itertools.product(*self.parts))


_EVERY = (" every", " each")
FAMILIES = (
    Family(
        "steps",
        frozenset({"skipped"}),
        (("Show", "Write down", "Spell out"), _EVERY, (" step.", " step of the way.")),
    ),
    Family(
        "links",
        frozenset({"shuffled", "leap"}),
        (
            ("Go on", "Carry on", "Continue"),
            (" from the last", " from the previous"),
            (" result.", " amount."),
        ),
    ),
    Family(
        "question",
        frozenset({"stranger", "misquoted"}),
        (
            ("Use only", "Keep to", "Stay with"),
            (" the names", " the names and numbers"),
            (" of the story.", " of the question."),
        ),
    ),
    Family(
        "sums",
        frozenset({"slips"}),
        (("Check", "Test", "Verify"), _EVERY, (" sum.", " calculation.", " sum twice.")),
    ),
    Family(
        "once",
        frozenset({"repeated", "padding"}),
        (("Say", "State", "Mention"), (" what matters", " only what matters"), (" once.", " just once.")),
    ),
    Family(
        "reading",
        frozenset({"misread"}),
        (
            ("Ask", "Find out", "Think about"),
            (" which way", " in which direction"),
            (" every change goes.", " each change goes."),
        ),
    ),
    Family(
        "reasons",
        frozenset({"bare", "short", "no_start"}),
        (("Give", "Tell", "Name"), (" a reason", " the reason"), (" for every number.", " for each number.")),
    ),
)
# What nobody finds without a hint: who misreads an event doesn't know that it is misread.
BLIND = frozenset({"reading"})
PERFECT = Flaws()
_FLAWS = tuple(field.name for field in fields(Flaws))


@dataclass(frozen=True, slots=True)
class Skill:
    """How well flaws are named and mended.

    Attributes:
        name: How often a principle is about a flaw that is there; otherwise it is any.
        mend: How often a flaw that the principle is about is gone afterwards.
        anew: How often any other part is written anew, with flaws of its own, instead of kept.
    """

    name: float
    mend: float
    anew: float


def faults(flaws: Flaws) -> list[Family]:
    """The families that are about a flaw that is there."""
    there = {name for name in _FLAWS if getattr(flaws, name) != getattr(PERFECT, name)}
    return [family for family in FAMILIES if family.about & there]


def choose(flaws: Flaws, skill: Skill, hinted: bool, rng: random.Random) -> Family:
    """Chooses the family of the principle that a flawed explanation gets."""
    seen = [family for family in faults(flaws) if hinted or family.key not in BLIND]
    return rng.choice(seen) if seen and rng.random() < skill.name else rng.choice(FAMILIES)


def mended(
    story: Story, flaws: Flaws, family: Family, skill: Skill, own: Habits, rng: random.Random
) -> Flaws:
    """The flaws of the refined explanation: those that the principle is about are mostly gone."""
    fresh = own.draw(story, rng)
    after: dict[str, Any] = {}
    for name in _FLAWS:
        if name in family.about:
            source = PERFECT if rng.random() < skill.mend else flaws
        else:
            source = fresh if rng.random() < skill.anew else flaws
        after[name] = getattr(source, name)
    return Flaws(**after)


def fragments() -> Iterator[str]:
    """The pieces that all wordings are made of."""
    for family in FAMILIES:
        for part in family.parts:
            yield from part
