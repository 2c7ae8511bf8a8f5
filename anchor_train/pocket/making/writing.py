"""How a model's replies look from outside: the signs of a model that training has ruined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from anchor_train.training.collapse import REPETITIVE, repetition
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import ScoredQuestion


@dataclass(frozen=True, slots=True)
class Writing(JsonRecord):
    """Replies of one model to all questions.

    Attributes:
        unreadable: Share of replies without a readable explanation or choice.
        repetitive: Share of replies most of whose 4-grams of words stood in them before.
        words: Mean length.
    """

    unreadable: float
    repetitive: float
    words: float


def writing_of(scored: Iterable[ScoredQuestion]) -> Writing:
    """Looks at all replies; there must be one."""
    responses = [sample.response for found in scored for sample in found.responses]
    texts = [response.text.split() for response in responses]
    return Writing(
        unreadable=fmean(not response.readable for response in responses),
        repetitive=fmean(repetition(words) > REPETITIVE for words in texts),
        words=fmean(len(words) for words in texts),
    )
