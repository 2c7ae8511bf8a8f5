"""Bootstrap by question of means, for what has no closed form: ratings.

Questions with the same values are interchangeable, so a draw is one multinomial over the distinct rows: the
ordinary bootstrap, at a price that doesn't grow with the number of questions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.stats.estimation.intervals import Floats

_BLOCK_CELLS = 1 << 22
_FEW_VALUES = 1 << 12


def resampled_means(
    table: Floats, draws: int, seed: int, added: Floats | None = None, weights: Sequence[float] = ()
) -> Floats:
    """Means of the columns on resampled questions.

    Args:
        table: Shape (questions, values).
        draws: How often the questions are drawn.
        seed: Of the draws.
        added: Pseudo-observations, shape (any, values), drawn from beside the questions.
        weights: How many questions each of these counts for.

    Returns:
        Shape (draws, values).
    """
    distinct, counts = distinct_rows(table)
    chances = np.concatenate([counts, np.asarray(weights, dtype=np.float64)])
    if added is not None:
        distinct = np.concatenate([distinct, added])
    drawn = round(float(chances.sum()))
    chances /= chances.sum()
    random = np.random.default_rng(seed)
    found = np.empty((draws, table.shape[1]))
    block = max(1, _BLOCK_CELLS // len(distinct))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        found[start : start + size] = random.multinomial(drawn, chances, size=size) @ distinct / drawn
    return found


def distinct_rows(table: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The distinct rows in ascending order, and how often each occurs: ``np.unique(axis=0)``.

    Shares of N x N pairs take few values; then ranking rows by one whole number is five times as fast.
    """
    rank = np.zeros(len(table), dtype=np.int64)
    for column in table.T:
        values = np.unique(column)
        if len(values) > _FEW_VALUES:
            return np.unique(table, axis=0, return_counts=True)
        rank = rank * len(values) + np.searchsorted(values, column)
        if rank.max(initial=0) > len(table):
            # Numbered afresh, so that no number of columns overflows.
            rank = np.searchsorted(np.unique(rank), rank)
    counts = np.bincount(rank)
    example = np.zeros(len(counts), dtype=np.int64)
    example[rank] = np.arange(len(table))
    present = counts > 0
    return table[example[present]], counts[present]
