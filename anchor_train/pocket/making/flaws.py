"""Explanations with chosen flaws: what the pocket model grows up on, and what the oracle is tested with."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from lm_eval_tasks.pocket.explanations import PADDING, SHORT_CONCLUSION
from lm_eval_tasks.pocket.stories import NAMES, Operation, Step, Story, calculate


@dataclass(frozen=True, slots=True)
class Flaws:
    """What is wrong with an explanation; without arguments it is perfect. Steps are counted from 0.

    Attributes:
        slips: Step -> by how much its result is off. Later steps go on from the wrong result.
        misread: Steps whose event is taken for its opposite.
        misquoted: Step -> the number that is used instead of the story's.
        skipped: So many of the first steps are left out, and the start with them.
        bare: Calculations stand alone, without reasons.
        short: The conclusion names the number only.
        no_start: The start amount isn't stated.
        shuffled: Steps are told in reverse order.
        leap: By how much the conclusion differs from the last result.
        stranger: The name that stands in for the right person.
        repeated: Place of a sentence that is said twice.
        padding: Sentences that say nothing, spread from the beginning.
    """

    slips: Mapping[int, int] = field(default_factory=dict)
    misread: frozenset[int] = frozenset()
    misquoted: Mapping[int, int] = field(default_factory=dict)
    skipped: int = 0
    bare: bool = False
    short: bool = False
    no_start: bool = False
    shuffled: bool = False
    leap: int = 0
    stranger: str | None = None
    repeated: int | None = None
    padding: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """An explanation and the amount that it concludes with."""

    text: str
    conclusion: int


@dataclass(frozen=True, slots=True)
class Habits:
    """How often each flaw happens: rates from 0 to 1, per step where a step is meant.

    ``misread`` has a rate for each kind of event that can be misread, by its key.
    """

    slip: float = 0.0
    slip_product: float = 0.0
    misread: Mapping[str, float] = field(default_factory=dict)
    misquote: float = 0.0
    skip: float = 0.0
    bare: float = 0.0
    short: float = 0.0
    no_start: float = 0.0
    shuffle: float = 0.0
    leap: float = 0.0
    stranger: float = 0.0
    repeat: float = 0.0
    pad: float = 0.0

    def draw(self, story: Story, rng: random.Random) -> Flaws:
        """Draws the flaws of one explanation."""
        steps = story.steps
        slips = {
            place: rng.choice((-10, -3, -2, -1, 1, 2, 3, 10))
            for place, step in enumerate(steps)
            if rng.random() < (self.slip_product if step.operation == "×" else self.slip)
        }
        misread = frozenset(
            place
            for place, step in enumerate(steps)
            if rng.random() < self.misread.get(step.event.kind.key, 0.0)
        )
        misquoted = {place: rng.randint(2, 20) for place in range(len(steps)) if rng.random() < self.misquote}
        several = len(steps) > 1
        return Flaws(
            slips=slips,
            misread=misread,
            misquoted=misquoted,
            skipped=rng.randint(1, len(steps) - 1) if several and rng.random() < self.skip else 0,
            bare=rng.random() < self.bare,
            short=rng.random() < self.short,
            no_start=rng.random() < self.no_start,
            shuffled=several and rng.random() < self.shuffle,
            leap=rng.choice((-9, -5, -2, 2, 5, 9)) if rng.random() < self.leap else 0,
            stranger=rng.choice(NAMES) if rng.random() < self.stranger else None,
            repeated=rng.randint(0, len(steps)) if rng.random() < self.repeat else None,
            padding=tuple(rng.sample(PADDING, rng.randint(1, 2))) if rng.random() < self.pad else (),
        )


def explain(story: Story, flaws: Flaws) -> Written:
    """Writes the explanation of a story with the given flaws."""
    teller = _renamed(story, flaws.stranger)
    lines = []
    amount = story.start
    for place, step in enumerate(story.steps):
        line, amount = _line(teller, step, amount, place, flaws)
        lines.append(line)
    lines = lines[flaws.skipped :]
    if flaws.shuffled:
        lines.reverse()
    conclusion = max(0, amount + flaws.leap)
    start = [] if flaws.skipped or flaws.no_start else [teller.fill(teller.opening.reason, story.start)]
    ending = SHORT_CONCLUSION if flaws.short else teller.ending.conclusion
    sentences = [*start, *lines, teller.fill(ending, conclusion)]
    if flaws.repeated is not None:
        place = min(flaws.repeated, len(sentences) - 1)
        sentences.insert(place + 1, sentences[place])
    for place, padding in enumerate(flaws.padding):
        sentences.insert(2 * place, padding)
    return Written(" ".join(sentences), conclusion)


def _line(story: Story, step: Step, amount: int, place: int, flaws: Flaws) -> tuple[str, int]:
    kind = step.event.kind
    operand = flaws.misquoted.get(place, step.operand)
    operation: Operation = kind.operation
    if place in flaws.misread and kind.confused_with is not None:
        operation = kind.confused_with
    left, right = (operand, amount) if kind.operand_first else (amount, operand)
    result = max(0, calculate(left, operation, right) + flaws.slips.get(place, 0))
    equation = f"{left} {operation} {right} = {result}."
    if flaws.bare:
        return equation, result
    clause = story.fill(kind.clause, operand)
    return f"{clause[0].upper()}{clause[1:]}, so {equation}", result


def _renamed(story: Story, stranger: str | None) -> Story:
    if stranger is None:
        return story
    return Story(story.opening, story.start, story.events, story.ending, stranger, story.other, story.thing)
