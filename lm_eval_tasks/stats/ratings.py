"""Ratings of many models from their pairwise outcomes: Bradley-Terry with ties.

Davidson's model (1970, "On extending the Bradley-Terry model to accommodate ties"): with strengths s and a
tie parameter v, a beats b : they tie : b beats a = s_a : v sqrt(s_a s_b) : s_b. Fitted by maximum likelihood
to the N x N win, tie and loss shares, each question weighing the same.

Intervals are percentiles of a bootstrap by question. It draws from the questions and, beside them, from
pseudo-observations as the intervals of means have them (:mod:`lm_eval_tasks.stats.estimation.intervals`): for
each model one that it wins against all others, and one that it loses. Percentiles are those of Student's t
for so many questions (Hesterberg 2015, "What teachers should know about the bootstrap").
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, Floats, pseudo_weight
from lm_eval_tasks.stats.estimation.resampling import resampled_means
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import pair_counts

POINTS_PER_UNIT = 400 / math.log(10)
"""Ratings are printed as in chess: 400 points are odds of 10 : 1."""
CENTRE = 1000.0
DRAWS = 1000
_PRIOR = 0.1
_STEPS = 50


@dataclass(frozen=True, slots=True)
class Rating:
    """A model's rating, higher is better.

    Attributes:
        name: The model's name.
        value: On the scale on which 400 points are odds of 10 : 1; the baseline (or the mean) has 1000.
        low: Lower end of the percentile interval.
        high: Upper end.
    """

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Mean outcomes of all pairs of models on one task, with their bootstrap replicates.

    Attributes:
        shares: Win, tie and loss of the pair's first model, shape (pairs, 3), in the order of
            ``itertools.combinations``; NaN where two models share no scored question.
        replicates: The same on resampled questions, shape (draws, pairs, 3).
        questions: Questions of the task.
    """

    shares: Floats
    replicates: Floats
    questions: int


def outcomes(marks: Sequence[Marks], *, draws: int = DRAWS, seed: int = 0) -> Outcomes:
    """Compares all pairs of models on one task; a question counts for those pairs that both answered it.

    Args:
        marks: Of each model.
        draws: Bootstrap draws; all pairs share them.
        seed: Of the draws.
    """
    place: dict[str, int] = {}
    for model in marks:
        for question in model.ids:
            place.setdefault(question, len(place))
    columns = []
    for first, second in combinations(marks, 2):
        known = set(second.ids)
        shared = [question for question in first.ids if question in known]
        counts = pair_counts(first.rows(shared).scores, second.rows(shared).scores)
        rows = np.array([place[question] for question in shared], dtype=np.intp)[counts.pairs > 0]
        cells = np.zeros((len(place), 4))
        cells[rows, :3] = counts.shares()
        cells[rows, 3] = 1
        columns.append(cells)
    table = np.concatenate(columns, axis=1)
    values = table.mean(axis=0).reshape(-1, 4)
    added, weights = _pseudo_questions(table.reshape(len(place), -1, 4), len(marks))
    resampled = resampled_means(table, draws, seed, added, weights).reshape(draws, -1, 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Outcomes(values[:, :3] / values[:, 3:], resampled[..., :3] / resampled[..., 3:], len(place))


def ratings(
    names: Sequence[str],
    tasks: Sequence[Outcomes],
    *,
    baseline: str | None = None,
    confidence: float = CONFIDENCE,
) -> list[Rating]:
    """Rates models by their outcomes on one or several tasks, each task weighing the same.

    Args:
        names: The models, in the order of the outcomes.
        tasks: Outcomes on each task, all with as many draws.
        baseline: The model that has 1000; without one the mean has.
        confidence: Coverage of the intervals.

    Returns:
        The ratings, best first.

    Raises:
        ValueError: If two groups of models share no question, so that nothing links their ratings.
    """
    pairs = list(combinations(range(len(names)), 2))
    counts = sum(task.questions for task in tasks)
    shares = _mean_over_tasks(np.stack([task.shares for task in tasks]))
    replicates = _mean_over_tasks(np.stack([task.replicates for task in tasks]))
    known = ~np.isnan(shares[:, 0])
    _refuse_unlinked(names, [pair for pair, there in zip(pairs, known, strict=True) if there])
    everything = np.concatenate([shares[None], replicates])[:, known]
    # A pair that no question of a draw belongs to says nothing in it.
    strengths = _fit(np.nan_to_num(everything * counts), np.array(pairs)[known], len(names))
    anchor = strengths.mean(axis=1) if baseline is None else strengths[:, list(names).index(baseline)]
    points = CENTRE + POINTS_PER_UNIT * (strengths - anchor[:, None])
    tails = _tails(counts, confidence)
    low, high = np.quantile(points[1:], tails, axis=0)
    found = [Rating(name, float(points[0, i]), float(low[i]), float(high[i])) for i, name in enumerate(names)]
    return sorted(found, key=lambda rating: -rating.value)


def groups(names: Sequence[str], different: Set[frozenset[str]]) -> list[tuple[str, ...]]:
    """Largest groups of models no two of which can be told apart; a model may be in several.

    Args:
        names: The models, best first.
        different: The pairs that can be told apart.

    Returns:
        The groups in the order of their best models (a compact letter display, Piepho 2004).
    """
    found: list[frozenset[str]] = [frozenset(names)]
    for pair in different:
        first, second = pair
        split = [(group - {first}, group - {second}) if pair <= group else (group,) for group in found]
        found = [part for parts in split for part in parts]
        found = [group for i, group in enumerate(found) if not _covered(group, found, i)]
    order = {name: place for place, name in enumerate(names)}
    ordered = [tuple(sorted(group, key=order.__getitem__)) for group in found]
    return sorted(ordered, key=lambda group: [order[name] for name in group])


def _pseudo_questions(table: Floats, models: int) -> tuple[Floats, list[float]]:
    """For each model a question that it wins against all and one that it loses, and how much they weigh.

    Args:
        table: Win, tie, loss and 1 of each pair's first model on each question, 0 where there is no pair;
            shape (questions, pairs, 4).
        models: How many models.
    """
    rows, weights = [], []
    pairs = list(combinations(range(models), 2))
    for model in range(models):
        signs = np.array([(model == first) - (model == second) for first, second in pairs])
        margins = ((table[:, :, 0] - table[:, :, 2]) * signs).sum(axis=1)
        opponents = (table[:, :, 3] * np.abs(signs)).sum(axis=1)
        own = margins[opponents > 0] / opponents[opponents > 0]
        if not len(own):
            continue
        deviations = own - own.mean()
        squares = float(np.square(deviations).sum())
        skew = float(np.power(deviations, 3).sum()) / squares if squares > 0 else 0.0
        for end in (1, -1):
            row = np.zeros((len(pairs), 4))
            row[signs == end, 0] = row[signs == -end, 2] = 1
            row[signs != 0, 3] = 1
            rows.append(row.ravel())
            # A pair has those of both its models; with many models a rating rests on its own ones alone.
            share = 1 - 1 / models
            weights.append(share * pseudo_weight(abs(end - float(own.mean())), squares, skew))
    return np.array(rows).reshape(len(rows), -1), weights


def _tails(questions: int, confidence: float) -> list[float]:
    """The percentiles that take the place of (1 - confidence) / 2 and its counterpart."""
    from scipy.special import ndtr, stdtrit

    if questions < 2:
        return [(1 - confidence) / 2, (1 + confidence) / 2]
    quantile = stdtrit(questions - 1, (1 + confidence) / 2) * math.sqrt(questions / (questions - 1))
    return [float(ndtr(-quantile)), float(ndtr(quantile))]


def _covered(group: frozenset[str], others: Sequence[frozenset[str]], place: int) -> bool:
    return any(group < other or (group == other and i < place) for i, other in enumerate(others))


def _mean_over_tasks(values: Floats) -> Floats:
    """Mean over the first axis, of the tasks that have the pair; NaN where none has."""
    there = ~np.isnan(values)
    counts = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)


def _refuse_unlinked(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> None:
    linked = {0}
    for _ in names:
        linked |= {b for pair in pairs if set(pair) & linked for b in pair}
    apart = [name for i, name in enumerate(names) if i not in linked]
    if apart:
        raise ValueError(f"no shared question links {', '.join(apart)} to {names[0]}")


def _fit(counts: Floats, pairs: NDArray[np.intp], models: int) -> Floats:
    """Maximum likelihood of Davidson's model for many tables at once, by Newton's method.

    A tenth of a question of each outcome is added to every pair: a model that never lost has a rating, too.

    Args:
        counts: Questions won, tied and lost by each pair's first model, shape (tables, pairs, 3).
        pairs: The two models of each pair.
        models: How many models.

    Returns:
        ln strength of each model, shape (tables, models); the last model has 0.
    """
    first, second = pairs.T
    counts = counts + _PRIOR
    won, tied, lost = (np.ascontiguousarray(counts[..., outcome]) for outcome in range(3))
    totals = won + tied + lost
    # Each pair touches two models and the tie parameter: sums over pairs are products with these two.
    of_first, of_second = np.eye(models)[first], np.eye(models)[second]
    strengths, tie = np.zeros((len(counts), models)), np.zeros((len(counts), 1))
    free = [model for model in range(models + 1) if model != models - 1]  # the last model's stays 0
    for _ in range(_STEPS):
        ahead = (strengths[:, first] - strengths[:, second]) / 2
        odds = np.exp(np.stack([ahead, np.broadcast_to(tie, ahead.shape), -ahead]))
        win, draw, _ = odds / odds.sum(axis=0)
        score = win + draw / 2  # the first model's, a tie being half a win
        missing = won + tied / 2 - totals * score
        gradient = np.zeros((len(counts), models + 1))
        gradient[:, :models] = missing @ (of_first - of_second)
        gradient[:, models] = (tied - totals * draw).sum(axis=1)
        spread = np.zeros((len(counts), models + 1, models + 1))
        between = totals * (win + draw / 4 - score * score)
        spread[:, first, second] = spread[:, second, first] = -between
        spread[:, range(models), range(models)] = between @ (of_first + of_second)
        with_tie = (totals * draw * (0.5 - score)) @ (of_first - of_second)
        spread[:, :models, models] = spread[:, models, :models] = with_tie
        spread[:, models, models] = (totals * draw * (1 - draw)).sum(axis=1)
        step = np.linalg.solve(spread[:, free][:, :, free], gradient[:, free, None])[..., 0].clip(-1, 1)
        strengths[:, :-1] += step[:, :-1]
        tie += step[:, -1:]
        if np.abs(step).max() < 1e-9:
            break
    return strengths
