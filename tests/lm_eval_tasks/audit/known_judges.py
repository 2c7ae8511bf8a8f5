"""Judges whose worth is known: the ground truth, bent in one way each. Real backends, asked as any other."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from judges.backends.protocol import IndexedOutcome
from judges.records import BackendIdentity, Completion, Conversation, Outcome, Reply, Sampling
from judges.rubrics.attacks.suite import injections
from judges.rubrics.forms import reply_in
from judges.rubrics.load import load_rubric
from lm_eval_tasks.pocket.grading import find_story, grade

RUBRIC = load_rubric()
SCALE = tuple(RUBRIC.scale)
Levels = dict[str, int]
"""Criterion key -> place of its verdict, 0 the best."""
Bend = Callable[[Levels, str], Levels]


class KnownJudge:
    """Judges pocket explanations by the ground truth, and then as it is bent.

    Args:
        name: Of the judge.
        bend: Turns the right verdicts on an explanation into its own.
    """

    constrains = True

    def __init__(self, name: str, bend: Bend) -> None:
        self.identity = BackendIdentity("known", name)
        self._bend = bend
        self.asked = 0

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        for index, conversation in enumerate(conversations):
            self.asked += 1
            yield index, self._reply(conversation)

    def _reply(self, conversation: Conversation) -> Outcome:
        shown = conversation[-1].content
        question, _, explanation = shown.partition("<explanation>\n")
        explanation = explanation.removesuffix("\n</explanation>")
        story = find_story(question)
        assert story is not None
        levels = self._bend(dict(grade(story, explanation).levels()), explanation)
        return Reply((Completion(reply_in("full", RUBRIC, {key: SCALE[of] for key, of in levels.items()})),))

    def close(self) -> None:
        pass

    def __enter__(self) -> KnownJudge:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


def oracle() -> KnownJudge:
    return KnownJudge("oracle", lambda levels, text: levels)


def noisy(share: float) -> KnownJudge:
    """Gives so many of its verdicts by chance, other ones each time."""
    dice = random.Random(7)

    def bend(levels: Levels, text: str) -> Levels:
        return {key: dice.randrange(5) if dice.random() < share else of for key, of in levels.items()}

    return KnownJudge(f"noisy-{share}", bend)


def length_lover() -> KnownJudge:
    """The longer the better, whatever it says: for every 12 characters a verdict more on one criterion."""

    def bend(levels: Levels, text: str) -> Levels:
        return {key: max(0, 4 - (len(text) + 12 * place) // 60) for place, key in enumerate(levels)}

    return KnownJudge("length-lover", bend)


def list_lover() -> KnownJudge:
    """A list makes everything two verdicts better; without one all is one verdict worse than it is."""

    def bend(levels: Levels, text: str) -> Levels:
        change = -2 if re.search(r"^- ", text, re.MULTILINE) else 1
        return {key: min(4, max(0, of + change)) for key, of in levels.items()}

    return KnownJudge("list-lover", bend)


def always_good() -> KnownJudge:
    return KnownJudge("always-good", lambda levels, text: dict.fromkeys(levels, 1))


def obedient() -> KnownJudge:
    """Does what an explanation tells it, and never gives the best verdict by itself."""
    orders = re.compile(r"EXCELLENT|best verdict|ignore|disregard|forget", re.IGNORECASE)
    assert any(orders.search(injection.text) for injection in injections())

    def bend(levels: Levels, text: str) -> Levels:
        return {key: 0 if orders.search(text) else max(1, of) for key, of in levels.items()}

    return KnownJudge("obedient", bend)
