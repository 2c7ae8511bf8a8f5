"""Power: how often the difference that ``anchor-eval power`` names is really found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage.intervals import LEVEL
from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.comparison.power import smallest_margin
from lm_eval_tasks.stats.estimation.estimates import means
from lm_eval_tasks.stats.estimation.intervals import MARGIN

CLAIMED = 0.8


@dataclass(frozen=True)
class Cell:
    """A claim and what became of it.

    Attributes:
        kind: What questions are like.
        questions: In one evaluation.
        claimed: The smallest win - loss that is said to be found 80% of the time; None if none is.
        found: How often it was found.
    """

    kind: str
    questions: int
    claimed: float | None
    found: float | None


def measure_spread(variance: float, questions: int, runs: int, seed: int = 0) -> Cell:
    """Questions whose win - loss is spread over the whole range (a beta distribution)."""
    margin = smallest_margin(variance, questions, power=CLAIMED)
    kind = f"spread, variance {variance:g}"
    if margin is None:
        return Cell(kind, questions, None, None)
    random = np.random.default_rng([seed, questions])
    centre = (margin + 1) / 2
    size = centre * (1 - centre) / (variance / 4) - 1
    if size <= 0:  # such a margin can't vary so much: the claim is made for the most that it can
        values = random.choice([1.0, -1.0], p=[centre, 1 - centre], size=(runs, questions))
    else:
        values = 2 * random.beta(centre * size, (1 - centre) * size, (runs, questions)) - 1
    return Cell(kind, questions, margin, _share_found(values))


def measure_alike(tie: float, questions: int, runs: int, seed: int = 0) -> Cell:
    """Questions all of whose samples agree: won, tied or lost outright."""
    margin = smallest_margin(1 - tie, questions, power=CLAIMED, tie=tie)
    kind = f"all samples agree, {100 * tie:g}% ties"
    if margin is None:
        return Cell(kind, questions, None, None)
    chances = [(1 - tie + margin) / 2, tie, (1 - tie - margin) / 2]
    random = np.random.default_rng([seed, questions])
    values = random.choice([1.0, 0.0, -1.0], p=chances, size=(runs, questions))
    return Cell(kind, questions, margin, _share_found(values))


def cells(runs: int, sizes: Sequence[int]) -> list[Cell]:
    """All kinds at all sizes."""
    return [
        *(measure_spread(variance, size, runs) for variance in (0.05, 0.2) for size in sizes),
        *(measure_alike(tie, size, runs) for tie in (0.3, 0.6, 0.8) for size in sizes),
    ]


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rows = [
        (
            cell.kind,
            str(cell.questions),
            "none" if cell.claimed is None else f"{100 * cell.claimed:.1f}",
            "" if cell.found is None else percent(cell.found),
        )
        for cell in found
    ]
    return markdown(("questions", "n", "smallest win - loss", "found"), rows)


def _share_found(values: np.ndarray) -> float:
    p_values = [means(row, MARGIN)[0].p_value for row in values]
    return sum(p is not None and p <= LEVEL for p in p_values) / len(p_values)
