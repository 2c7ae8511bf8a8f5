"""Win rates at equal length: how much of a margin is explained by one model writing more.

Over all pairs of samples, whether the first loses, ties or wins is explained by x = ln(words of the first /
words of the second), by an ordered probit; its rates at x = 0 are those of explanations of the same length.
A straight line through the outcomes would do where lengths overlap, but wins can't exceed 100%: where one
model writes much more, the curve that they follow is flat, and a line drawn on from there to x = 0 leaves an
advantage that isn't there. Pairs nearer to equal length count for more (a normal kernel), so that the curve's
shape far from there matters little. On the user's own data, each question with the same weight before that;
errors are clustered by question.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.stats import ordered_probit
from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN, SHARE, UNBOUNDED, Bounds, Floats
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.ordered_probit import LOSS, TIE, WIN, OrderedProbit
from lm_eval_tasks.stats.win_rate import UNSCORED

FAR = 1.5
"""Standard deviations of x between its mean and 0 from which figures are extrapolated."""
_NEAR = 0.7
"""Standard deviation of the kernel, in those of x."""
_LEAST_KERNEL = 1 / 3
"""And in distances of the mean from 0, so that hardly any overlap still leaves something to fit."""
_CELLS = 25
"""Cells of the grid in a standard deviation of x."""
_MOST_CELLS = 4096
_PRIOR = 0.1
"""Questions of each outcome added at the lengths seen: a model that never lost has a figure, too."""
_BLOCK_PAIRS = 1 << 20


@dataclass(frozen=True, slots=True)
class EqualLength:
    """Rates at equal length, in shares of 1.

    Attributes:
        win: Win rate of the first model at equal length.
        loss: Loss rate.
        margin: Win - loss.
        slope: Change of the margin per unit of ln(words of the first / words of the second), at equal length.
        length_ratio: Geometric mean of words of the first / words of the second.
        extrapolated: True if few pairs are of equal length (its mean is more than ``FAR`` standard deviations
            of x away): then the figures rest on the shape of the curve.
    """

    win: Estimate
    loss: Estimate
    margin: Estimate
    slope: Estimate
    length_ratio: float
    extrapolated: bool


def equal_length(first: Marks, second: Marks, *, confidence: float = CONFIDENCE) -> EqualLength | None:
    """Controls the comparison of two models for length.

    Args:
        first: Marks of the first model.
        second: Marks of the second, rows in the same order of questions.
        confidence: Coverage of the intervals.

    Returns:
        None if there are fewer than two questions with pairs, if length never differs, or if it differs in
        too few of them to tell what it does.
    """
    pairs = _Pairs.of(first, second)
    if len(pairs.questions) < 2:
        return None
    mean, deviation = pairs.spread()
    if deviation < 1e-6:
        return None
    grid = _Grid.over(pairs, max(deviation / _CELLS, 1e-9))
    kernel = np.exp(-np.square(grid.values / max(_NEAR * deviation, _LEAST_KERNEL * abs(mean))) / 2)
    counts = pairs.counts(grid)
    lengths = counts.sum(axis=0)
    prior = _PRIOR * lengths / len(pairs.questions)
    model = ordered_probit.fit(kernel * (counts + prior), grid.values)
    if model is None:
        return None
    win, loss = model.rates()
    by_win, by_loss = model.rate_gradients()
    figures = (
        (win, by_win, SHARE),
        (loss, by_loss, SHARE),
        (win - loss, by_win - by_loss, MARGIN),
        (model.margin_slope(), model.slope_gradient(), UNBOUNDED),
    )
    # What one pair adds to each figure, by outcome and place on the grid; and the kernel, summed alike.
    tables = np.stack(
        [
            *(_changes(model, gradient) * kernel for _, gradient, _ in figures),
            np.broadcast_to(kernel, (3, len(kernel))),
        ]
    )
    *influences, weights = pairs.sums(grid, tables)
    effective = float(weights.sum() ** 2 / np.square(weights).sum())
    rates = [
        _mean(value, influence, effective, table, lengths, bounds).estimate(confidence)
        for (value, _, bounds), influence, table in zip(figures, influences, tables[:-1], strict=True)
    ]
    of_win, of_loss, of_margin, of_slope = rates
    return EqualLength(
        of_win,
        of_loss,
        of_margin,
        of_slope,
        length_ratio=math.exp(mean),
        extrapolated=abs(mean) > FAR * deviation,
    )


def rank_correlation(marks: Marks) -> float | None:
    """Spearman's correlation of score and length over all scored samples; None if one never varies."""
    scored = marks.scores != UNSCORED
    scores, words = marks.scores[scored], marks.words[scored]
    if len(scores) < 3 or np.ptp(scores) == 0 or np.ptp(words) == 0:
        return None
    return float(np.corrcoef(_ranks(scores), _ranks(words))[0, 1])


def _ranks(values: NDArray[Any]) -> Floats:
    """Ranks from 1, ties averaged; scipy.stats has them too, but takes a second to import."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    average: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return average


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Equally wide cells over x; ``values`` are their middles."""

    start: float
    width: float
    values: Floats

    @staticmethod
    def over(pairs: _Pairs, width: float) -> _Grid:
        low, high = pairs.extent()
        width = max(width, (high - low) / _MOST_CELLS)
        # A cell's middle lies on 0, so that no figure depends on which model is the first.
        start = (math.floor(low / width + 0.5) - 0.5) * width
        cells = int((high - start) / width) + 1
        return _Grid(start, width, start + (np.arange(cells, dtype=np.float64) + 0.5) * width)

    def places(self, x: Floats) -> NDArray[np.intp]:
        return np.clip(((x - self.start) / self.width).astype(np.intp), 0, len(self.values) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The scored samples of questions with pairs; ``questions`` are their rows."""

    questions: NDArray[np.intp]
    scores: tuple[NDArray[np.int32], NDArray[np.int32]]
    words: tuple[Floats, Floats]

    @staticmethod
    def of(first: Marks, second: Marks) -> _Pairs:
        kept = (first.scores != UNSCORED).any(axis=1) & (second.scores != UNSCORED).any(axis=1)
        return _Pairs(
            np.flatnonzero(kept),
            (first.scores[kept], second.scores[kept]),
            (_log_words(first)[kept], _log_words(second)[kept]),
        )

    def spread(self) -> tuple[float, float]:
        """Mean and standard deviation of x over pairs, each question weighing the same."""
        moments = []
        for scores, words in zip(self.scores, self.words, strict=True):
            counts = (scores != UNSCORED).sum(axis=1)
            moments.append([(words**power).sum(axis=1) / counts for power in (1, 2)])
        (mean1, square1), (mean2, square2) = moments
        mean = float((mean1 - mean2).mean())
        square = float((square1 - 2 * mean1 * mean2 + square2).mean())
        return mean, math.sqrt(max(0.0, square - mean**2))

    def extent(self) -> tuple[float, float]:
        """No x lies outside."""
        one, other = (
            words[scores != UNSCORED] for scores, words in zip(self.scores, self.words, strict=True)
        )
        return float(one.min() - other.max()), float(one.max() - other.min())

    def counts(self, grid: _Grid) -> Floats:
        """Losses, ties and wins on the grid, each question counting 1; shape (3, grid)."""
        found = np.zeros(3 * len(grid.values))
        for _, index, weights in self._blocks(grid):
            found += np.bincount(index.ravel(), weights=weights.ravel(), minlength=len(found))
        return found.reshape(3, -1)

    def sums(self, grid: _Grid, tables: Floats) -> Floats:
        """Means over each question's pairs.

        Args:
            grid: The cells.
            tables: Figures by outcome and cell, shape (figures, 3, grid).

        Returns:
            Shape (figures, questions).
        """
        flat = tables.reshape(len(tables), -1)
        found = np.empty((len(tables), len(self.questions)))
        for rows, index, weights in self._blocks(grid):
            for place, table in enumerate(flat):
                found[place, rows] = (table[index] * weights).sum(axis=(1, 2))
        return found

    def _blocks(self, grid: _Grid) -> Iterator[tuple[slice, NDArray[np.intp], Floats]]:
        """Rows; each pair's outcome and cell as one index; its weight, 0 for what isn't scored."""
        block = max(1, _BLOCK_PAIRS // (self.scores[0].shape[1] * self.scores[1].shape[1]))
        for start in range(0, len(self.questions), block):
            rows = slice(start, start + block)
            one, other = self.scores[0][rows, :, None], self.scores[1][rows, None, :]
            outcome = np.where(one > other, WIN, np.where(one < other, LOSS, TIE))
            there = (one != UNSCORED) & (other != UNSCORED)
            x = self.words[0][rows, :, None] - self.words[1][rows, None, :]
            weights = there / there.sum(axis=(1, 2), keepdims=True)
            yield rows, outcome * len(grid.values) + grid.places(x), weights


def _changes(model: OrderedProbit, gradient: Floats) -> Floats:
    """First-order change of a figure by one pair, shape (outcomes, grid)."""
    direction = np.linalg.solve(model.information, gradient)
    changes: Floats = np.einsum("kib,i->kb", model.scores, direction)
    return changes


def _mean(
    value: float, influence: Floats, effective: float, table: Floats, lengths: Floats, bounds: Bounds
) -> Mean:
    """A figure whose pseudo-observations are questions of the lengths seen, won or lost throughout.

    Args:
        value: The figure.
        influence: Of each question, shape (questions,).
        effective: Questions that bear on it.
        table: Change of the figure by one pair, kernel included, by outcome and grid.
        lengths: Pairs on the grid, all in all one a question.
        bounds: Of the figure.
    """
    ends = UNBOUNDED
    if bounds != UNBOUNDED:
        extremes = [value + float((table[outcome] * lengths).sum()) for outcome in (LOSS, WIN)]
        if min(extremes) < value < max(extremes):
            ends = Bounds(min(extremes), max(extremes))
    centred = influence - influence.mean()
    factor = effective / (effective - 1) if effective > 1 + 1e-9 else math.nan
    variance = factor * float(np.square(centred).sum())
    return Mean(value, centred, variance, effective, effective - 1, ends, bounds)


def _log_words(marks: Marks) -> Floats:
    """ln(words) of scored samples, 0 elsewhere; an explanation of no words counts as one."""
    words: NDArray[np.float64] = np.log(np.maximum(marks.words, 1))
    return np.where(marks.scores != UNSCORED, words, 0.0)
