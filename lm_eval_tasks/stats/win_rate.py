"""Win, tie and loss between two models, exactly: every sample of one against every sample of the other.

With few samples the N1 x N2 cells of thousands of questions are compared at a time, a byte each; with many,
a question's pairs are counted from a histogram of the possible totals (26 for the built-in rubric). Scores
are whole numbers in the rubric's units, so equal explanations tie (method section 3; arXiv 2410.13216,
section 4.2).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

UNSCORED = -1
"""Stands in score arrays for a sample without a score (unreadable or unjudged). It is in no pair."""

Scores: TypeAlias = NDArray[np.signedinteger[Any]]
Counts: TypeAlias = NDArray[np.int64]

_BLOCK_CELLS = 1 << 18  # fits a core's cache: several times as fast as one large block
_FEW_LEVELS = 127  # with a value below all scores and one above them they fit a signed byte
_FEW_SAMPLES = 32  # up to here comparing the cells beats the histogram; their number fits two bytes


@dataclass(frozen=True, slots=True)
class Rates:
    """How the pairs of one question (or of many) came out for the first model.

    Attributes:
        wins: Pairs in which the first model's score is higher.
        ties: Pairs with equal scores.
        losses: Pairs in which it is lower.
    """

    wins: int
    ties: int
    losses: int

    @property
    def pairs(self) -> int:
        """All pairs; at least one, or there are no shares."""
        return self.wins + self.ties + self.losses

    @property
    def win(self) -> Fraction:
        """Share of wins."""
        return Fraction(self.wins, self.pairs)

    @property
    def tie(self) -> Fraction:
        """Share of ties."""
        return Fraction(self.ties, self.pairs)

    @property
    def loss(self) -> Fraction:
        """Share of losses."""
        return Fraction(self.losses, self.pairs)

    @property
    def margin(self) -> Fraction:
        """Win - loss."""
        return Fraction(self.wins - self.losses, self.pairs)


def rates(scores1: Sequence[int], scores2: Sequence[int]) -> Rates:
    """Compares the scored samples of two models on one question, each with each.

    Args:
        scores1: Scores of the first model, whole numbers in the rubric's units; unjudged ones left out.
        scores2: Scores of the second; there may be another number of them.
    """
    ordered = sorted(scores2)
    wins = sum(bisect_left(ordered, score) for score in scores1)
    losses = sum(len(ordered) - bisect_right(ordered, score) for score in scores1)
    return Rates(wins, len(scores1) * len(ordered) - wins - losses, losses)


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """:class:`Rates` of many questions as columns, each of shape (questions,)."""

    wins: Counts
    ties: Counts
    losses: Counts

    @property
    def pairs(self) -> Counts:
        """Pairs of each question; 0 where a model has no scored sample."""
        return self.wins + self.ties + self.losses

    def shares(self) -> NDArray[np.float64]:
        """Win, tie and loss share of each question that has pairs: shape (questions with pairs, 3)."""
        kept = self.pairs > 0
        cells = np.stack([self.wins[kept], self.ties[kept], self.losses[kept]], axis=1)
        return cells / self.pairs[kept, None]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Each sample of the first model against all samples of the second on the same question.

    Attributes:
        below: How many of the other's scores are lower, shape (questions, N1); 0 for an unscored sample.
        equal: How many are equal.
        above: How many are higher.
    """

    below: NDArray[np.int32]
    equal: NDArray[np.int32]
    above: NDArray[np.int32]


def standing(scores1: Scores, scores2: Scores) -> Standing:
    """Ranks each sample of one model among the other's samples on the same question.

    Args:
        scores1: Shape (questions, N1), ``UNSCORED`` where there is no score.
        scores2: Shape (questions, N2), rows in the same order of questions.
    """
    if len(scores1) != len(scores2):
        raise ValueError(f"{len(scores1)} and {len(scores2)} questions can't be paired")
    scores1, scores2, levels = _levels(scores1, scores2)
    below = np.zeros(scores1.shape, dtype=np.int32)
    equal = np.zeros(scores1.shape, dtype=np.int32)
    above = np.zeros(scores1.shape, dtype=np.int32)
    block = max(1, _BLOCK_CELLS // (levels + 1))
    for start in range(0, len(scores1), block):
        rows = slice(start, start + block)
        mine = scores1[rows].astype(np.int64)
        scored = mine != UNSCORED
        up_to = np.cumsum(_histogram(scores2[rows], levels), axis=1)
        at_most = np.take_along_axis(up_to, mine + 1, axis=1)
        less = np.take_along_axis(up_to, mine.clip(min=0), axis=1)
        below[rows] = less * scored
        equal[rows] = (at_most - less) * scored
        above[rows] = (up_to[:, -1:] - at_most) * scored
    return Standing(below, equal, above)


def pair_counts(scores1: Scores, scores2: Scores) -> PairCounts:
    """Counts the N1 x N2 pairs of each question.

    Args:
        scores1: Shape (questions, N1), ``UNSCORED`` where there is no score.
        scores2: Shape (questions, N2), rows in the same order of questions.
    """
    if len(scores1) != len(scores2):
        raise ValueError(f"{len(scores1)} and {len(scores2)} questions can't be paired")
    scores1, scores2, levels = _levels(scores1, scores2)
    most_samples = max(scores1.shape[1], scores2.shape[1])
    if most_samples <= _FEW_SAMPLES and levels <= _FEW_LEVELS:
        count, width = _count_cells, most_samples
    else:
        count, width = partial(_count_by_level, levels=levels), levels + 1
    wins, ties, losses = (np.empty(len(scores1), dtype=np.int64) for _ in range(3))
    block = max(1, _BLOCK_CELLS // max(1, width))
    for start in range(0, len(scores1), block):
        rows = slice(start, start + block)
        wins[rows], losses[rows], pairs = count(scores1[rows], scores2[rows])
        ties[rows] = pairs - wins[rows] - losses[rows]
    return PairCounts(wins, ties, losses)


def _count_cells(scores1: Scores, scores2: Scores) -> tuple[Any, Any, Any]:
    """Wins, losses and pairs of each question, comparing sample with sample."""
    # A question a column, so that the inner loops run over questions, a byte each.
    mine, theirs = (np.ascontiguousarray(scores.T.astype(np.int8)) for scores in (scores1, scores2))
    pairs = _sum_bytes(mine != UNSCORED) * _sum_bytes(theirs != UNSCORED)
    return _cells_above(mine, theirs), _cells_above(theirs, mine), pairs


def _cells_above(mine: NDArray[np.int8], theirs: NDArray[np.int8]) -> NDArray[np.uint16]:
    # -1 is below all scores as it stands, and above them as 127: an unscored sample wins and loses nothing.
    others = theirs & 127
    found = np.zeros(mine.shape[1], dtype=np.uint16)
    for sample in mine:
        found += _sum_bytes(sample > others)
    return found


def _sum_bytes(cells: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """The number of true cells in each column; there are at most _FEW_SAMPLES."""
    few: NDArray[np.uint8] = np.add.reduce(cells.view(np.uint8), axis=0, dtype=np.uint8)
    return few.astype(np.uint16)


def _count_by_level(scores1: Scores, scores2: Scores, levels: int) -> tuple[Any, Any, Any]:
    """The same from histograms."""
    mine = _histogram(scores1, levels)[:, 1:]
    up_to = np.cumsum(_histogram(scores2, levels), axis=1)
    pairs = mine.sum(axis=1) * up_to[:, -1]
    wins = np.einsum("qk,qk->q", mine, up_to[:, :-1])
    return wins, pairs - np.einsum("qk,qk->q", mine, up_to[:, 1:]), pairs


def _histogram(scores: Scores, levels: int) -> Counts:
    """Counts of each score a row, shape (rows, levels + 1); column 0 is left empty for cumulative sums."""
    rows = np.broadcast_to(np.arange(len(scores))[:, None], scores.shape)
    scored = scores != UNSCORED
    cells = rows[scored] * (levels + 1) + scores[scored].astype(np.int64) + 1
    return np.bincount(cells, minlength=len(scores) * (levels + 1)).reshape(len(scores), levels + 1)


def _levels(scores1: Scores, scores2: Scores) -> tuple[Scores, Scores, int]:
    """The scores as small whole numbers in the same order, and how many levels there are.

    A rubric with odd weights may have thousands of possible totals; then the totals that occur are ranked.
    """
    if min(scores1.min(initial=0), scores2.min(initial=0)) < UNSCORED:
        raise ValueError("a score must not be negative")
    top = int(max(scores1.max(initial=0), scores2.max(initial=0)))
    if top < _FEW_LEVELS:
        return scores1, scores2, top + 1
    found = np.unique(np.concatenate([scores1.ravel(), scores2.ravel(), [UNSCORED]]))
    return np.searchsorted(found, scores1) - 1, np.searchsorted(found, scores2) - 1, len(found) - 1
