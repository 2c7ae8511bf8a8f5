"""Questions as two models might answer them: win, tie and loss shares whose true means are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.stats.win_rate import pair_counts

Floats = NDArray[np.float64]
WIN, TIE, LOSS = np.eye(3)
SAMPLES = 16
"""Of each model a question, where scores are drawn."""
_MANY = 200_000
"""Questions that a truth without a formula is taken from."""


@dataclass(frozen=True)
class Population:
    """Where questions come from.

    Attributes:
        name: In a few words.
        draw: Generator and number of questions -> win, tie and loss share of each, shape (questions, 3).
        truth: The true means.
        plain: Whether an interval without any precautions would hold here.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Floats]
    truth: tuple[float, float, float]
    plain: bool = False

    @property
    def margin(self) -> float:
        """True win - loss."""
        return self.truth[0] - self.truth[2]

    def mirrored(self, name: str) -> Population:
        """The same, seen from the other model."""
        win, tie, loss = self.truth
        return Population(name, lambda random, size: self.draw(random, size)[:, ::-1], (loss, tie, win))


def mixed(name: str, *parts: tuple[float, Any], plain: bool = False) -> Population:
    """Questions of several kinds.

    Args:
        name: Of the population.
        parts: Share of each kind, and its shares of win, tie and loss: three fixed ones, or the three
            parameters of a Dirichlet distribution in a list.
        plain: As in :class:`Population`.
    """
    chances = np.array([chance for chance, _ in parts])
    kinds = [kind for _, kind in parts]
    means = np.array([np.array(kind) / np.sum(kind) for kind in kinds])

    def draw(random: np.random.Generator, size: int) -> Floats:
        found = np.empty((size, 3))
        which = random.choice(len(kinds), size, p=chances)
        for place, kind in enumerate(kinds):
            rows = which == place
            found[rows] = random.dirichlet(kind, rows.sum()) if isinstance(kind, list) else kind
        return found

    win, tie, loss = (float(share) for share in chances @ means)
    return Population(name, draw, (win, tie, loss), plain)


def judged(name: str, level: float, better: float = 0.0, plain: bool = False) -> Population:
    """Scores of 0 to 25 as a judge gives them: 16 samples a model, some questions harder than others.

    Args:
        name: Of the population.
        level: Mean score before it is cut at 25.
        better: By how much the first model is better.
        plain: As in :class:`Population`.
    """

    def draw(random: np.random.Generator, size: int) -> Floats:
        about = random.normal(level, 4, (size, 1))
        sides = [
            random.normal(about + shift + random.normal(0, 2, (size, 1)), 3, (size, SAMPLES))
            for shift in (better, 0.0)
        ]
        first, second = (side.round().clip(0, 25).astype(np.int32) for side in sides)
        return pair_counts(first, second).shares()

    win, tie, loss = (float(share) for share in draw(np.random.default_rng(9), _MANY).mean(axis=0))
    return Population(name, draw, (win, tie, loss), plain)


@cache
def populations() -> tuple[Population, ...]:
    """Plain ones, and those in which few questions differ or nearly all are at an end of the range."""
    near_one = mixed("near 1 (win - loss .9)", (0.9, WIN), (0.1, [1.0, 1.0, 1.0]))
    lost = mixed("won, but for 5% lost", (0.95, WIN), (0.05, LOSS))
    return (
        mixed("plain, even", (1.0, [1.0, 1.0, 1.0]), plain=True),
        mixed("plain, ahead", (1.0, [2.0, 1.5, 1.0]), plain=True),
        judged("judged, 16 samples", 14, 1, plain=True),
        judged("judged, ceiling", 27),
        mixed("ceiling, 70% all ties", (0.7, TIE), (0.3, [0.5, 2.0, 0.4])),
        mixed("5% differ", (0.035, WIN), (0.95, TIE), (0.015, LOSS)),
        mixed("5% differ, in part", (0.95, TIE), (0.05, [1.0, 1.0, 1.0])),
        mixed("3% differ, all one way", (0.03, WIN), (0.97, TIE)),
        near_one,
        near_one.mirrored("near -1 (win - loss -.9)"),
        lost,
        lost.mirrored("lost, but for 5% won"),
    )
