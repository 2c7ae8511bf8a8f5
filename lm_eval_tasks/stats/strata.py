"""Explanation quality given correctness: who wins where both are right, both wrong, or only one is.

A model that answers better also explains better without explaining better *for what it answers*. Each pair of
samples is put in one of four strata; the shares of the strata and the rates inside them make up the whole
exactly: win = sum of share x win.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from lm_eval_tasks.stats.estimation.estimates import Estimate, difference, means, ratio
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, SHARE
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import UNSCORED, pair_counts

StratumName: TypeAlias = Literal["both right", "both wrong", "only first right", "only second right"]
STRATA: dict[StratumName, tuple[bool, bool]] = {
    "both right": (True, True),
    "both wrong": (False, False),
    "only first right": (True, False),
    "only second right": (False, True),
}


@dataclass(frozen=True, slots=True)
class Stratum:
    """The pairs of samples of one kind.

    Attributes:
        name: Which kind.
        share: Share of all pairs, each question weighing the same.
        questions: Questions that have such pairs.
        win: Win rate inside; None if there are no such pairs.
        loss: Loss rate inside.
        margin: Win - loss inside.
    """

    name: StratumName
    share: float
    questions: int
    win: Estimate | None
    loss: Estimate | None
    margin: Estimate | None


def strata(first: Marks, second: Marks, *, confidence: float = CONFIDENCE) -> list[Stratum]:
    """Splits a comparison by correctness; rows of both in the same order of questions.

    Returns:
        The four strata; empty if no question has pairs, or where nothing is right or wrong.
    """
    if not (first.graded and second.graded):
        return []
    pairs = pair_counts(first.scores, second.scores).pairs
    kept = pairs > 0
    if not kept.any():
        return []
    columns, questions = [], []
    for right1, right2 in STRATA.values():
        inside = pair_counts(
            np.where(first.correct == right1, first.scores, UNSCORED),
            np.where(second.correct == right2, second.scores, UNSCORED),
        )
        questions.append(int((inside.pairs > 0).sum()))
        columns += [cells[kept] / pairs[kept] for cells in (inside.pairs, inside.wins, inside.losses)]
    sampled = means(np.column_stack(columns), SHARE)
    found = []
    for i, name in enumerate(STRATA):
        share, win, loss = sampled[3 * i : 3 * i + 3]
        estimates = (
            [ratio(part, share).estimate(confidence) for part in (win, loss, difference(win, loss))]
            if share.value > 0
            else [None, None, None]
        )
        found.append(Stratum(name, share.value, questions[i], *estimates))
    return found
