"""A cheap judge corrected by people (PPI++): how often intervals hold, and how much narrower they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.estimation.corrected import corrected, summary_of
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import MARGIN

Floats = NDArray[np.float64]
QUESTIONS = 500
"""That the judge has seen; so many of them are labelled."""
LIKENESS = (0.0, 0.5, 0.8, 1.0)
"""How much of what a judge sees is what people see: from nothing to all."""


@dataclass(frozen=True)
class Margins:
    """Win - loss of questions: what people and a judge see, before either of them is rounded.

    Attributes:
        name: Of the population.
        draw: Draws the true tendency of so many questions.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Floats]

    def seen(self, random: np.random.Generator, questions: int, likeness: float) -> tuple[Floats, Floats]:
        """People's win - loss (one pair a question) and the judge's (four by four)."""
        truth, other = self.draw(random, questions), self.draw(random, questions)
        alike = np.where(random.random(questions) < likeness, truth, other)
        people = np.sign(np.round(truth + random.normal(0, 0.25, questions)))
        judge = np.clip(np.round((alike + random.normal(0, 0.1, questions)) * 16) / 16, -1, 1)
        return people, judge


def populations() -> list[Margins]:
    """Plain, with few questions that differ, and near an end of the range."""
    return [
        Margins("plain", lambda random, n: random.normal(0.2, 0.6, n)),
        Margins(
            "10% differ", lambda random, n: np.where(random.random(n) < 0.1, random.choice([-1, 1], n), 0)
        ),
        Margins("5% differ, all one way", lambda random, n: (random.random(n) < 0.05).astype(float)),
        Margins("won, but for 8% lost", lambda random, n: np.where(random.random(n) < 0.08, -1.0, 1.0)),
    ]


@dataclass(frozen=True)
class Cell:
    """One population with one judge and so many labels.

    Attributes:
        population: Its name.
        likeness: Of the judge to people.
        labelled: Questions with labels.
        held: Share of runs whose interval held the truth.
        alone: The same of the labels' own interval.
        trust: Mean lambda.
        width: Mean width / mean width with labels alone.
    """

    population: str
    likeness: float
    labelled: int
    held: float
    alone: float
    trust: float
    width: float


def measure(
    population: Margins, likeness: float, labelled: int, runs: int, questions: int = QUESTIONS, seed: int = 0
) -> Cell:
    """Corrects again and again."""
    random = np.random.default_rng([seed, labelled, round(100 * likeness)])
    truth = float(population.seen(np.random.default_rng(1), 1_000_000, 1.0)[0].mean())
    held = alone = 0
    trust = widths = widths_alone = 0.0
    for _ in range(runs):
        people, judge = population.seen(random, questions, likeness)
        parts = corrected(people[:labelled], judge[:labelled], judge[labelled:], MARGIN)
        found = summary_of([parts])
        trust += found.trust
        for estimate, mine in ((found.corrected, True), (found.labels, False)):
            low, high = _ends(estimate)
            if mine:
                held, widths = held + (low <= truth <= high), widths + high - low
            else:
                alone, widths_alone = alone + (low <= truth <= high), widths_alone + high - low
    return Cell(
        population.name, likeness, labelled, held / runs, alone / runs, trust / runs, widths / widths_alone
    )


def cells(runs: int, labelled: Sequence[int]) -> Iterator[Cell]:
    """Every population with every judge and number of labels."""
    for population in populations():
        for likeness in LIKENESS:
            for number in labelled:
                yield measure(population, likeness, number, runs)


def table(found: Iterator[Cell]) -> str:
    """As Markdown."""
    head = [
        "values",
        "judge's likeness",
        "labels",
        "holds",
        "labels alone hold",
        "lambda",
        "width / labels alone",
    ]
    return markdown(
        head,
        [
            [
                cell.population,
                f"{cell.likeness:.1f}",
                str(cell.labelled),
                percent(cell.held),
                percent(cell.alone),
                f"{cell.trust:.2f}",
                f"{cell.width:.2f}",
            ]
            for cell in found
        ],
    )


def _ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high
