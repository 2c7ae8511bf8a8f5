"""Intervals and p values of win, tie, loss and win - loss: how often they hold, and how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from benchmarks.coverage.populations import LOSS, TIE, WIN, Floats, Population, mixed, populations
from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.estimation.estimates import Mean, average, difference, holm, means, ratio
from lm_eval_tasks.stats.estimation.intervals import SHARE
from lm_eval_tasks.stats.win_rate import pair_counts

LEVEL = 0.05
FIGURES = ("win", "tie", "loss", "win - loss")
_DRAWS = 1000
_BOOTSTRAPPED = 200
"""Evaluations that the percentile bootstrap's mean width is taken from: it hardly varies."""


@dataclass(frozen=True)
class Cell:
    """A population at a number of questions.

    Attributes:
        population: Its name.
        questions: In one evaluation.
        held: Share of 95% intervals that hold the truth, by figure as in ``FIGURES``.
        wrong: Share of evaluations whose p value of "win - loss is what it truly is" is at most 5%.
        by_t: Share of plain t intervals of win - loss that hold.
        width: Mean width of the interval of win - loss.
        to_t: That width by the plain t interval's.
        to_percentile: By the percentile bootstrap's.
        plain: As in :class:`.populations.Population`.
    """

    population: str
    questions: int
    held: tuple[float, ...]
    wrong: float
    by_t: float
    width: float
    to_t: float
    to_percentile: float
    plain: bool


def four(shares: Floats) -> list[Mean]:
    """The figures of one evaluation, as ``compare`` has them."""
    win, tie, loss = means(shares, SHARE)
    return [win, tie, loss, difference(win, loss)]


def measure(population: Population, questions: int, runs: int, seed: int = 0) -> Cell:
    """Makes evaluations and looks how often their figures hold."""
    random = np.random.default_rng([seed, questions])
    truth = (*population.truth, population.margin)
    held, wrong, by_t, widths = np.zeros(4), 0, 0, np.zeros(3)
    for shares in population.draw(random, runs * questions).reshape(runs, questions, 3):
        found = four(shares)
        held += [holds(figure, true) for figure, true in zip(found, truth, strict=True)]
        wrong += rejects(found[3], population.margin)
        margins = shares[:, 0] - shares[:, 2]
        low, high = _ends(found[3])
        plain = _t_width(margins)
        by_t += abs(margins.mean() - population.margin) <= plain / 2
        widths += high - low, plain, 0
    few = min(runs, _BOOTSTRAPPED)
    for shares in population.draw(random, few * questions).reshape(few, questions, 3):
        widths[2] += _percentile_width(shares[:, 0] - shares[:, 2], random) * runs / few
    ours, t, percentile = widths / runs
    return Cell(
        population.name,
        questions,
        tuple(held / runs),
        wrong / runs,
        by_t / runs,
        ours,
        ours / t,
        ours / percentile,
        population.plain,
    )


def holds(figure: Mean, truth: float) -> bool:
    """Whether a figure's 95% interval holds the truth; rounding errors don't count."""
    low, high = _ends(figure)
    return low - 1e-9 <= truth <= high + 1e-9


def rejects(figure: Mean, null: float) -> bool:
    """Whether the test of a true value is significant."""
    student = figure.student
    return student is not None and student.p_value(null) <= LEVEL - 1e-9


def cells(runs: int, sizes: Sequence[int], seed: int = 0) -> list[Cell]:
    """All populations at all sizes."""
    return [measure(population, size, runs, seed) for population in populations() for size in sizes]


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rows = [
        (
            cell.population,
            str(cell.questions),
            *map(percent, cell.held),
            percent(cell.wrong),
            percent(cell.by_t),
            f"{cell.width:.3f}",
            f"{cell.to_t:.2f}",
            f"{cell.to_percentile:.2f}",
        )
        for cell in found
    ]
    head = ("questions", "n", *FIGURES, "p wrong", "held by plain t", "width", "/ t", "/ percentile")
    return markdown(head, rows)


@dataclass(frozen=True)
class Consumer:
    """A figure that is made of several means.

    Attributes:
        name: Which one.
        questions: In one evaluation (of each task, where there are several).
        held: Share of 95% intervals that hold; None for a family of tests.
        wrong: Share of evaluations with a wrong test among them.
    """

    name: str
    questions: int
    held: float | None
    wrong: float


def consumers(runs: int, sizes: Sequence[int], seed: int = 1) -> list[Consumer]:
    """Means of four tasks, a rate inside a stratum, and Holm's correction over the pairs of four models."""
    found = []
    rare = mixed("", (0.025, WIN), (0.95, TIE), (0.025, LOSS))
    one_way = mixed("", (0.03, WIN), (0.97, TIE))
    plain = mixed("", (1.0, [1.0, 1.0, 1.0]))
    for size in sizes:
        for name, tasks in (
            ("mean of four tasks, plain", (plain, plain, plain, plain)),
            ("mean of four tasks, 5% differ", (rare, rare, rare, rare)),
            ("mean of four tasks, 3% differ one way", (one_way, one_way, one_way, one_way)),
            ("mean of four tasks, one plain", (plain, rare, one_way, one_way)),
        ):
            found.append(_mean_of_tasks(name, tasks, size, runs, seed))
        for share in (0.8, 0.3):
            found.append(_stratum(share, size, runs, seed))
        for name, samples, chance in (
            ("four samples", 4, 1.0),
            ("four samples, 5% of the questions differ", 4, 0.05),
            ("one sample, never a tie", 1, 1.0),
        ):
            found.append(_family(name, samples, chance, size, runs, seed))
    return found


def consumer_table(found: Sequence[Consumer]) -> str:
    """As Markdown."""
    rows = [
        (one.name, str(one.questions), "" if one.held is None else percent(one.held), percent(one.wrong))
        for one in found
    ]
    return markdown(("figure", "n", "held", "p wrong"), rows)


def _mean_of_tasks(name: str, tasks: Sequence[Population], questions: int, runs: int, seed: int) -> Consumer:
    random = np.random.default_rng([seed, questions])
    truth = sum(task.margin for task in tasks) / len(tasks)
    held = wrong = 0
    for _ in range(runs):
        margin = average([four(task.draw(random, questions))[3] for task in tasks])
        held += holds(margin, truth)
        wrong += rejects(margin, truth)
    return Consumer(name, questions, held / runs, wrong / runs)


def _stratum(share: float, questions: int, runs: int, seed: int) -> Consumer:
    """Win - loss where both are right; in a question all pairs of samples, half of them, or none are."""
    random = np.random.default_rng([seed, questions, int(100 * share)])
    held = wrong = 0
    for _ in range(runs):
        inside = random.choice([1.0, 0.5, 0.0], questions, p=[share - 0.1, 0.2, 0.9 - share])
        rates = random.dirichlet([0.3, 0.8, 0.2], questions) * inside[:, None]
        part, win, loss = means(np.column_stack([inside, rates[:, 0], rates[:, 2]]), SHARE)
        if part.value == 0:
            continue
        margin = ratio(difference(win, loss), part)
        held += holds(margin, 0.1 / 1.3)
        wrong += rejects(margin, 0.1 / 1.3)
    return Consumer(f"stratum of {percent(share)}% of the pairs", questions, held / runs, wrong / runs)


def _family(name: str, samples: int, chance: float, questions: int, runs: int, seed: int) -> Consumer:
    """Four models that are equally good: any pair that is told apart after Holm's correction is wrong.

    Args:
        name: What to call it.
        samples: Of each model a question.
        chance: Of a question that the models' scores differ on it; one sample's scores never tie there.
        questions: In one evaluation.
        runs: Evaluations.
        seed: Of what is drawn.
    """
    random = np.random.default_rng([seed, questions, samples, int(100 * chance)])
    units = 1 if samples > 1 else 1_000_000
    wrong = 0
    for _ in range(runs):
        own = random.normal(0, 2, (4, questions, 1)) + random.normal(0, 3, (4, questions, samples))
        differs = random.random((questions, 1)) < chance
        scores = np.where(differs, (12 + own).clip(0, 25) * units, 0).round().astype(np.int32)
        p_values = [
            four(pair_counts(first, second).shares())[3].p_value for first, second in combinations(scores, 2)
        ]
        wrong += any(p is not None and p < LEVEL for p in holm(p_values))
    return Consumer(f"Holm over six pairs, {name}", questions, None, wrong / runs)


def _ends(figure: Mean) -> tuple[float, float]:
    found = figure.estimate()
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def _t_width(values: Floats) -> float:
    return float(2 * stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def _percentile_width(values: Floats, random: np.random.Generator) -> float:
    drawn = values[random.integers(0, len(values), (_DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(high - low)
