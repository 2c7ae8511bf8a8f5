"""How a model behaves on a question: always right, sometimes right, never right (method, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

from anchor_train.records import Behaviour, Candidate, spoken
from lm_eval_tasks.records import ScoredQuestion


def candidates(scored: ScoredQuestion) -> tuple[Candidate, ...]:
    """The samples of a question as the choice of pairs sees them, in sample order and without thoughts."""
    return tuple(
        Candidate(
            index=index,
            text=spoken(sample.response.text),
            correct=sample.correct,
            readable=sample.response.explanation is not None,
            score=sample.score,
        )
        for index, sample in enumerate(scored.responses)
    )


def behaviour_of(samples: Sequence[Candidate]) -> Behaviour | None:
    """Behaviour over all samples; None without any.

    A reply whose choice can't be read counts as wrong. Scores play no part.
    """
    if not samples:
        return None
    right = sum(sample.correct for sample in samples)
    if right == len(samples):
        return "consistently_correct"
    return "variable" if right else "consistently_incorrect"
