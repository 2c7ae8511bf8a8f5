"""Looks after every question: how often a confidence sequence ever leaves the truth out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage.populations import LOSS, TIE, WIN, Population, judged, mixed
from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.intervals import MARGIN
from lm_eval_tasks.stats.sequence import confidence_sequence


@dataclass(frozen=True)
class Cell:
    """A population looked at after each of many questions.

    Attributes:
        population: Its name.
        questions: At most.
        wrong: Share of runs in which any look left the truth out.
        half_width: Mean half-width at 100, 300 and 1,000 questions, where there are so many.
    """

    population: str
    questions: int
    wrong: float
    half_width: tuple[float, ...]


def populations() -> list[Population]:
    """Win - loss of single questions: plain, with few values, and with rare or one-sided differences."""
    return [
        mixed("plain, even", (1.0, [1.0, 1.0, 1.0])),
        judged("judged, 16 samples", 14, 1),
        mixed("won, tied or lost outright", (1 / 3, WIN), (1 / 3, TIE), (1 / 3, LOSS)),
        mixed("5% differ", (0.025, WIN), (0.95, TIE), (0.025, LOSS)),
        mixed("3% differ, all one way", (0.03, WIN), (0.97, TIE)),
        mixed("1% differ, all one way", (0.01, WIN), (0.99, TIE)),
        mixed("won, but for 5% lost", (0.95, WIN), (0.05, LOSS)),
    ]


def measure(population: Population, questions: int, runs: int, expected: int = 500, seed: int = 0) -> Cell:
    """Runs a sequence to its end again and again."""
    random = np.random.default_rng([seed, questions])
    marks = [mark for mark in (100, 300, 1000) if mark <= questions]
    wrong, widths = 0, np.zeros(len(marks))
    for _ in range(runs):
        shares = population.draw(random, questions)
        low, high = confidence_sequence(shares[:, 0] - shares[:, 2], MARGIN, expected=expected)
        wrong += bool(((low > population.margin + 1e-9) | (high < population.margin - 1e-9)).any())
        widths += [(high[mark - 1] - low[mark - 1]) / 2 for mark in marks]
    return Cell(population.name, questions, wrong / runs, tuple(widths / runs))


def cells(runs: int, sizes: Sequence[int]) -> list[Cell]:
    """All populations, looked at up to each of the sizes."""
    return [measure(population, size, runs) for population in populations() for size in sizes]


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rows = [
        (
            cell.population,
            str(cell.questions),
            percent(cell.wrong),
            *(f"{half:.3f}" for half in cell.half_width),
        )
        for cell in found
    ]
    head = ("questions", "looks up to", "ever wrong", "± at 100", "± at 300", "± at 1,000")
    return markdown(head, rows)
