"""How far a judge agrees with the truth: weighted kappa of its verdicts, criterion by criterion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from judges.rubrics.rubric import Rubric
from lm_eval_tasks.records import ScoredQuestion


def weighted_kappa(pairs: Sequence[tuple[int, int]], levels: int) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968) between two raters on an ordered scale.

    Args:
        pairs: Level that the one and the other gave, from 0 to ``levels - 1``.
        levels: Length of the scale.

    Returns:
        1 for full agreement, 0 for what chance would give; None where both always give the same one level,
        so that there is nothing to agree about.
    """
    table = np.zeros((levels, levels))
    for one, other in pairs:
        table[one, other] += 1
    distance = np.square(np.subtract.outer(np.arange(levels), np.arange(levels)))
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(len(pairs), 1)
    by_chance = float((distance * expected).sum())
    return None if by_chance == 0 else 1 - float((distance * table).sum()) / by_chance


def agreement(
    rubric: Rubric, truth: Iterable[ScoredQuestion], judged: Iterable[ScoredQuestion]
) -> Mapping[str, float | None]:
    """Weighted kappa of two judges on the same responses: criterion key -> kappa; unjudged ones left out."""
    scale = list(rubric.scale)
    others = {scored.question.id: scored for scored in judged}
    pairs: dict[str, list[tuple[int, int]]] = {criterion.key: [] for criterion in rubric.criteria}
    for scored in truth:
        for one, other in zip(scored.responses, others[scored.question.id].responses, strict=True):
            if one.verdicts is None or other.verdicts is None:
                continue
            for key, found in pairs.items():
                found.append((scale.index(one.verdicts[key]), scale.index(other.verdicts[key])))
    return {key: weighted_kappa(found, len(scale)) for key, found in pairs.items()}
