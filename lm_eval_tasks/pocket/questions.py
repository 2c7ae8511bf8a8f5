"""Pocket questions: drawn from a seed, as many as are wanted, with choices in fixed, ordered ranges.

The split that a story belongs to is decided by a hash of its words, so no story is ever in two splits,
whatever the seeds: the corpus that the pocket model grew up on, the questions to train an explainer on and
those to test it on have nothing in common but the language.
"""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal, TypeAlias

from lm_eval_tasks.pocket.stories import (
    ENDINGS,
    EVENTS,
    NAMES,
    OPENINGS,
    THINGS,
    Ending,
    Event,
    Opening,
    Story,
    calculation,
)
from lm_eval_tasks.records import Choice, Question

Split: TypeAlias = Literal["corpus", "train", "validation", "test"]
Mix: TypeAlias = Literal["easy", "mixed", "even", "hard"]

LARGEST = 47
# Lower ends of the ranges after the first.
EDGES = (8, 16, 24, 32)
CHOICES = (
    Choice("A", f"less than {EDGES[0]}"),
    *(
        Choice(label, f"{low} to {high - 1}")
        for label, (low, high) in zip("BCD", itertools.pairwise(EDGES), strict=True)
    ),
    Choice("E", f"{EDGES[-1]} or more"),
)
# Share of all stories, in sixteenths of the hash's first digit.
_SPLIT_OF_DIGIT: tuple[Split, ...] = ("corpus",) * 8 + ("train",) * 5 + ("validation",) + ("test",) * 2
# How often a story of 1, 2, 3, 4 steps is drawn. The pocket model grew up on `mixed`; `even` is the task.
STEP_WEIGHTS: dict[Mix, tuple[int, ...]] = {
    "easy": (6, 4, 0, 0),
    "mixed": (3, 4, 2, 1),
    "even": (1, 1, 1, 1),
    "hard": (0, 2, 4, 4),
}


def range_of(amount: int) -> str:
    """Label of the range that holds an amount."""
    return CHOICES[sum(amount >= edge for edge in EDGES)].label


def story_id(story: Story) -> str:
    """A name for a story that depends on its words alone."""
    return "pocket-" + hashlib.sha256(story.text.encode()).hexdigest()[:12]


def split_of(story: Story) -> Split:
    """The one split that a story belongs to."""
    return _SPLIT_OF_DIGIT[int(hashlib.sha256(story.text.encode()).hexdigest()[-1], 16)]


def question_of(story: Story) -> Question:
    """The multiple-choice question that a story asks."""
    return Question(id=story_id(story), question=story.text, choices=CHOICES, gold=range_of(story.answer))


def draw_stories(split: Split, seed: int, mix: Mix = "even") -> Iterator[Story]:
    """Draws different stories of one split without end; the right ranges are equally frequent.

    Args:
        split: Only stories of this split are drawn.
        seed: Two seeds give two streams of the same kind.
        mix: How long the calculations are.
    """
    rng = random.Random(f"pocket/{split}/{seed}/{mix}")
    seen: set[str] = set()
    while True:
        label = rng.choice(CHOICES).label
        steps = rng.choices((1, 2, 3, 4), STEP_WEIGHTS[mix])[0]
        while True:
            # Hundreds are drawn for one that is kept: most go by their numbers, before anything is written.
            who, other = rng.sample(NAMES, 2)
            opening, start, events, ending = _plot(rng, steps)
            thing = rng.choice(_THINGS)
            if not _fits(start, events, label):
                continue
            story = Story(opening, start, events, ending, who, other, thing)
            if split_of(story) == split and story.text not in seen:
                break
        seen.add(story.text)
        yield story


def questions(split: Split, count: int, seed: int = 0, mix: Mix = "even") -> list[Question]:
    """The first ``count`` questions of a stream; see :func:`draw_stories`."""
    return [question_of(story) for story in itertools.islice(draw_stories(split, seed, mix), count)]


def _fits(start: int, events: Sequence[Event], label: str) -> bool:
    """Whether a calculation stays among the numbers of the language and ends in the range of a label."""
    lines, amount = set(), start
    for event, (left, right, result) in zip(events, calculation(start, events), strict=True):
        operand = left if event.kind.operand_first else right
        if not (0 <= result <= LARGEST and 0 < operand <= LARGEST):
            return False
        lines.add((left, event.kind.operation, right))
        amount = result
    # No line of the calculation twice, so that a repeated sentence is always a flaw.
    return len(lines) == len(events) and range_of(amount) == label


_Plot: TypeAlias = tuple[Opening, int, tuple[Event, ...], Ending]
_CHANGES = ("buys", "finds", "gives", "loses", "doubles")
_THINGS = tuple(THINGS)


def _plot(rng: random.Random, steps: int) -> _Plot:
    # Comparisons stop at two steps; the other families go on as long as they are asked to.
    families = (_changes, _boxes, _purchase, _comparison) if steps <= 2 else (_changes, _boxes, _purchase)
    return rng.choice(families)(rng, steps)


def _event(rng: random.Random, key: str) -> Event:
    kind = EVENTS[key]
    if kind.operand != "told":
        return _told(key, None)
    largest = 9 if kind.operation == "×" else 20
    return _told(key, rng.randint(30, LARGEST) if kind.operand_first else rng.randint(2, largest))


@cache
def _told(key: str, number: int | None) -> Event:
    return Event(EVENTS[key], number)


def _changes(rng: random.Random, steps: int) -> _Plot:
    events = tuple(_event(rng, rng.choice(_CHANGES)) for _ in range(steps))
    return OPENINGS["has"], rng.randint(3, 30), events, ENDINGS["now"]


def _boxes(rng: random.Random, steps: int) -> _Plot:
    keys = ["fills", *(rng.choice(_CHANGES) for _ in range(steps - 1))]
    return OPENINGS["box"], rng.randint(2, 9), tuple(_event(rng, key) for key in keys), ENDINGS["now"]


def _purchase(rng: random.Random, steps: int) -> _Plot:
    keys = (
        ["orders", "postage", "pays"][:steps] if steps != 2 else ["orders", rng.choice(("postage", "pays"))]
    )
    if steps == 4:
        return _changes(rng, steps)
    ending = ENDINGS["change"] if keys[-1] == "pays" else ENDINGS["bill"]
    return OPENINGS["cost"], rng.randint(2, 9), tuple(_event(rng, key) for key in keys), ending


def _comparison(rng: random.Random, steps: int) -> _Plot:
    keys = [rng.choice(("more_than", "fewer_than", "told_more", "told_fewer"))]
    ending = ENDINGS["other"]
    if steps == 2:
        keys.append("together")
        ending = ENDINGS["both"]
    return OPENINGS["has"], rng.randint(3, 30), tuple(_event(rng, key) for key in keys), ending
