"""Sampling until more replies hardly narrow the interval: whether intervals still hold, and what is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.estimation.estimates import means
from lm_eval_tasks.stats.estimation.intervals import Bounds
from lm_eval_tasks.stats.sampling_budget import FIRST, precision_of

FIXED = 16
"""The paper's number of replies, which a fixed budget has."""
POPULATIONS = {
    # Accuracies of questions: beta distributed, (mean, share of the variance that lies between questions).
    "questions alike, 30% right": (0.3, 0.1),
    "half between questions, 50% right": (0.5, 0.5),
    "mostly known or not, 70% right": (0.7, 0.8),
    "nearly always right": (0.95, 0.5),
}
RULES = {"auto": 0.0, "until 12 points": 0.12, "until 6 points": 0.06}


@dataclass(frozen=True)
class Cell:
    """A rule in a population.

    Attributes:
        population: Its name.
        rule: Its name.
        questions: In one evaluation.
        held: Share of the 95% intervals that hold the true accuracy.
        replies: Mean number of replies a question.
        wider: Mean length of the intervals over that of intervals from 16 replies to the same questions.
    """

    population: str
    rule: str
    questions: int
    held: float
    replies: float
    wider: float


def measure(population: str, rule: str, questions: int, runs: int, seed: int = 0) -> Cell:
    """Makes evaluations with the rule and with a fixed number of replies."""
    mean, share = POPULATIONS[population]
    size = (1 - share) / share
    random = np.random.default_rng([seed, questions, list(POPULATIONS).index(population)])
    held, replies, wider = [], [], []
    for _ in range(runs):
        accuracies = random.beta(mean * size, (1 - mean) * size, (questions, 1))
        right = random.random((questions, FIXED)) < accuracies
        number = FIRST
        while True:
            found = precision_of([list(row) for row in right[:, :number]])
            assert found is not None
            if number == FIXED or found.enough(RULES[rule]):
                break
            number *= 2
        low, high = _interval(right[:, :number])
        first, last = _interval(right)
        held.append(low <= mean <= high)
        replies.append(number)
        wider.append((high - low) / (last - first))
    return Cell(
        population, rule, questions, float(np.mean(held)), float(np.mean(replies)), float(np.mean(wider))
    )


def _interval(right: np.ndarray) -> tuple[float, float]:
    found = means(right.mean(axis=1), Bounds(0.0, 1.0))[0].estimate()
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def cells(runs: int, sizes: Sequence[int]) -> list[Cell]:
    """All populations and rules."""
    return [measure(name, rule, size, runs) for name in POPULATIONS for rule in RULES for size in sizes]


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rows = [
        (
            cell.population,
            cell.rule,
            str(cell.questions),
            percent(cell.held),
            f"{cell.replies:.1f}",
            f"{FIXED / cell.replies:.1f}",
            f"{cell.wider:.2f}",
        )
        for cell in found
    ]
    return markdown(
        ("questions", "rule", "n", "held", "replies", "times fewer than 16", "interval against 16"), rows
    )
