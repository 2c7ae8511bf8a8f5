"""The numbers of a task run as arrays: what statistics work on once the texts are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.stats.win_rate import UNSCORED


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """One model's samples on the questions of a task; a row a question, a column a sample.

    Where questions have different numbers of samples, rows are filled up with absent ones. Samples that
    failed are left out.

    Attributes:
        ids: Question ids, one a row.
        present: Whether there is such a sample, shape (questions, N).
        correct: Whether it chose the gold label; False where absent.
        readable: Whether it has a readable explanation; False where absent.
        scores: Its score in the rubric's units, ``UNSCORED`` where there is none.
        words: Words of its explanation; 0 where there is none.
        graded: Whether something is right or wrong here; False where all questions are open.
    """

    ids: tuple[str, ...]
    present: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    scores: NDArray[np.int32]
    words: NDArray[np.int32]
    graded: bool = True

    @property
    def samples(self) -> int:
        """All responses."""
        return int(self.present.sum())

    @property
    def judged(self) -> int:
        """Responses with a score."""
        return int((self.scores != UNSCORED).sum())

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Share of right samples, shape (questions,); NaN without samples, and where nothing is graded."""
        if not self.graded:
            return np.full(len(self.ids), np.nan)
        with np.errstate(invalid="ignore"):
            shares: NDArray[np.float64] = self.correct.sum(axis=1) / self.present.sum(axis=1)
        return shares

    @property
    def accuracy_spread(self) -> float | None:
        """As :func:`.metrics.accuracy_spread`; None with fewer than two samples a question, or ungraded."""
        if self.present.shape[1] < 2 or not self.graded:
            return None
        return float((self.correct.sum(axis=0) / self.present.sum(axis=0)).std(ddof=1))

    def rows(self, ids: Sequence[str]) -> Marks:
        """The rows of these questions, in this order.

        Raises:
            KeyError: If a question is unknown.
        """
        place = {question: row for row, question in enumerate(self.ids)}
        index = np.array([place[question] for question in ids], dtype=np.intp)
        return Marks(
            tuple(ids),
            self.present[index],
            self.correct[index],
            self.readable[index],
            self.scores[index],
            self.words[index],
            self.graded,
        )


_NONE = np.zeros((0, 1), dtype=np.bool_)
NO_MARKS = Marks((), _NONE, _NONE, _NONE, _NONE.astype(np.int32), _NONE.astype(np.int32))
"""Of a model that wasn't asked."""


def marks_of(questions: Iterable[ScoredQuestion]) -> Marks:
    """Collects the numbers of scored questions, keeping none of their texts."""
    ids: list[str] = []
    lengths: list[int] = []
    correct: list[bool] = []
    readable: list[bool] = []
    scores: list[int] = []
    words: list[int] = []
    is_open: set[bool] = set()
    for scored in questions:
        is_open.add(scored.question.is_open)
        ids.append(scored.question.id)
        lengths.append(len(scored.answered))
        for sample in scored.answered:
            explanation = sample.response.explanation
            correct.append(sample.correct)
            readable.append(explanation is not None)
            scores.append(UNSCORED if sample.score is None else sample.score)
            words.append(0 if explanation is None else len(explanation.split()))
    widths = np.array(lengths, dtype=np.intp)
    present = np.arange(int(widths.max(initial=0))) < widths[:, None]
    return Marks(
        tuple(ids),
        present,
        _filled(present, np.array(correct, dtype=np.bool_)),
        _filled(present, np.array(readable, dtype=np.bool_)),
        _filled(present, np.array(scores, dtype=np.int32), UNSCORED),
        _filled(present, np.array(words, dtype=np.int32)),
        graded=is_open != {True},
    )


def _filled(present: NDArray[np.bool_], values: NDArray[Any], absent: int = 0) -> NDArray[Any]:
    table = np.full(present.shape, absent, dtype=values.dtype)
    table[present] = values
    return table
