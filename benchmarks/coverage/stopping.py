"""Looks after every question: how often a confidence sequence leaves the truth out, and a gate errs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.coverage.populations import LOSS, TIE, WIN, Population, judged, mixed
from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.estimation.intervals import MARGIN
from lm_eval_tasks.stats.estimation.sequence import FIRST_LOOK, confidence_sequence, decide


@dataclass(frozen=True)
class Cell:
    """A population looked at after each of many questions.

    Attributes:
        population: Its name.
        questions: At most.
        wrong: Share of runs in which any look left the truth out.
        by_t: The same of plain t intervals, from as many questions on.
        half_width: Mean half-width at 100, 300 and 1,000 questions, where there are so many.
    """

    population: str
    questions: int
    wrong: float
    by_t: float
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
    wrong, by_t, widths = 0, 0, np.zeros(len(marks))
    seen = np.arange(1, questions + 1)
    quantiles = stats.t.ppf(0.975, np.maximum(seen - 1, 1))
    for _ in range(runs):
        shares = population.draw(random, questions)
        margins = shares[:, 0] - shares[:, 2]
        low, high = confidence_sequence(margins, MARGIN, expected=expected)
        means = np.cumsum(margins) / seen
        squares = np.maximum(np.cumsum(margins**2) - seen * means**2, 0.0)
        half = quantiles * np.sqrt(squares / np.maximum(seen - 1, 1) / seen)
        by_t += bool((np.abs(means - population.margin) > half + 1e-9)[FIRST_LOOK - 1 :].any())
        wrong += bool(((low > population.margin + 1e-9) | (high < population.margin - 1e-9)).any())
        widths += [(high[mark - 1] - low[mark - 1]) / 2 for mark in marks]
    return Cell(population.name, questions, wrong / runs, by_t / runs, tuple(widths / runs))


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
            percent(cell.by_t),
            *(f"{half:.3f}" for half in cell.half_width),
        )
        for cell in found
    ]
    head = (
        "questions",
        "looks up to",
        "ever wrong",
        "ever wrong, plain t",
        "± at 100",
        "± at 300",
        "± at 1,000",
    )
    return markdown(head, rows)


@dataclass(frozen=True)
class GateCell:
    """A gate held again and again on runs of one population.

    Attributes:
        population: Its name.
        questions: At most.
        distance: The true win - loss minus the gate's margin.
        passed: Share of gates that passed.
        failed: Share that failed.
        looked: Mean number of questions until it was told, or all.
    """

    population: str
    questions: int
    distance: float
    passed: float
    failed: float
    looked: float

    @property
    def wrong(self) -> float:
        """Share that told a wrong side; on the margin itself either side is wrong."""
        return (
            self.failed
            if self.distance > 0
            else self.passed
            if self.distance < 0
            else self.passed + self.failed
        )


def hold_gates(population: Population, questions: int, distance: float, runs: int, seed: int = 1) -> GateCell:
    """As ``anchor-eval gate`` decides, with a look after every question."""
    random = np.random.default_rng([seed, questions, round(1000 * abs(distance))])
    sides = {"above": 0, "below": 0, "open": 0}
    looked = 0
    for _ in range(runs):
        shares = population.draw(random, questions)
        found = decide(
            shares[:, 0] - shares[:, 2],
            MARGIN,
            threshold=population.margin - distance,
            expected=max(FIRST_LOOK, questions // 2),
        )
        sides[found.side] += 1
        looked += found.questions
    return GateCell(
        population.name,
        questions,
        distance,
        sides["above"] / runs,
        sides["below"] / runs,
        looked / runs,
    )


def gates(runs: int, sizes: Sequence[int]) -> list[GateCell]:
    """All populations, with the margin at the truth, and below and above it by 5 and 10 points."""
    return [
        hold_gates(population, size, distance, runs)
        for population in populations()
        for size in sizes
        for distance in (0.0, 0.05, 0.1, -0.05)
        if -1 < population.margin - distance < 1
    ]


def gate_table(found: Sequence[GateCell]) -> str:
    """As Markdown."""
    rows = [
        (
            cell.population,
            str(cell.questions),
            f"{100 * cell.distance:+.0f}",
            percent(cell.passed),
            percent(cell.failed),
            percent(cell.wrong),
            f"{cell.looked:.0f}",
        )
        for cell in found
    ]
    head = (
        "questions",
        "at most",
        "true win - loss - margin",
        "passed",
        "failed",
        "wrong",
        "questions judged",
    )
    return markdown(head, rows)
