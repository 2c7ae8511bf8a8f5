"""Rates at equal length: what is left over of models that differ in length alone, and what is found."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.coverage.tables import markdown, percent
from lm_eval_tasks.stats.length_control import equal_length
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import pair_counts

_WORDS = 60
_MANY = 60_000
"""Questions that the truth is taken from."""


@dataclass(frozen=True)
class Judged:
    """Two models whose scores grow with length and end at 0 and 25.

    Attributes:
        ratio: How many times as much the first writes.
        paid: Units of score per ln(words).
        level: Mean score at 60 words.
        better: Units by which the first explains better at the same length.
        spread: Standard deviation of ln(words) within a question.
    """

    ratio: float
    paid: float
    level: float = 12
    better: float = 0
    spread: float = 0.4

    def draw(self, random: np.random.Generator, questions: int, samples: int) -> tuple[Marks, Marks]:
        """An evaluation."""
        level = random.normal(self.level, 4, (questions, 1))
        about = random.normal(np.log(_WORDS), 0.3, (questions, 1))
        sides = []
        for longer, better in ((np.log(self.ratio), self.better), (0.0, 0.0)):
            words = np.exp(about + longer + random.normal(0, self.spread, (questions, samples))).round()
            sides.append(marks(self._scores(random, level + better, words), words))
        return sides[0], sides[1]

    def truth(self, random: np.random.Generator) -> float:
        """Win - loss of pairs of the same length, halfway between the models' own."""
        if not self.better:
            return 0.0
        level = random.normal(self.level, 4, (_MANY, 1))
        about = random.normal(np.log(_WORDS) + np.log(self.ratio) / 2, 0.3, (_MANY, 1))
        words = np.exp(about + random.normal(0, self.spread, (_MANY, 1))).round()
        first, second = (self._scores(random, level + better, words) for better in (self.better, 0.0))
        shares = pair_counts(first.astype(np.int32), second.astype(np.int32)).shares()
        return float((shares[:, 0] - shares[:, 2]).mean())

    def _scores(
        self, random: np.random.Generator, level: NDArray[np.float64], words: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        paid = self.paid * (np.log(np.maximum(words, 1)) - np.log(_WORDS))
        scores: NDArray[np.float64] = level + paid + random.normal(0, 3, words.shape)
        return scores.round().clip(0, 25)


def marks(scores: NDArray[np.float64], words: NDArray[np.float64]) -> Marks:
    """Scores and numbers of words as marks; every sample is there."""
    there = np.ones(scores.shape, dtype=bool)
    ids = tuple(f"q{row}" for row in range(len(scores)))
    return Marks(ids, there, there, there, scores.astype(np.int32), words.astype(np.int32))


@dataclass(frozen=True)
class Cell:
    """Two models at a number of questions.

    Attributes:
        judged: The models.
        questions: In one evaluation.
        truth: Win - loss at equal length.
        raw: Mean win - loss as it is.
        controlled: Mean win - loss at equal length, of evaluations that aren't flagged.
        held: Share of 95% intervals that hold, of those that aren't flagged.
        flagged: Share of evaluations that are flagged as extrapolated.
        unflagged: Evaluations that aren't.
    """

    judged: Judged
    questions: int
    truth: float
    raw: float
    controlled: float
    held: float
    flagged: float
    unflagged: int


def measure(judged: Judged, questions: int, runs: int, samples: int = 4, seed: int = 0) -> Cell:
    """Makes evaluations and looks how often the controlled margin's interval holds."""
    random = np.random.default_rng([seed, questions, zlib.crc32(repr(judged).encode())])
    truth = judged.truth(random)
    raw, controlled, held = [], [], []
    for _ in range(runs):
        first, second = judged.draw(random, questions, samples)
        shares = pair_counts(first.scores, second.scores).shares()
        raw.append(float((shares[:, 0] - shares[:, 2]).mean()))
        found = equal_length(first, second)
        assert found is not None
        if found.extrapolated:
            continue
        assert found.margin.low is not None
        assert found.margin.high is not None
        controlled.append(found.margin.value)
        held.append(found.margin.low <= truth <= found.margin.high)
    return Cell(
        judged,
        questions,
        truth,
        float(np.mean(raw)),
        float(np.mean(controlled)) if held else float("nan"),
        float(np.mean(held)) if held else float("nan"),
        1 - len(held) / runs,
        len(held),
    )


def models() -> list[Judged]:
    """Plain ones, and those that differ much in length under a judge who pays for it."""
    return [
        Judged(ratio=1.0, paid=3),
        Judged(ratio=1.3, paid=0),
        Judged(ratio=1.3, paid=3, better=2),
        *(
            Judged(ratio=2.23, paid=paid, level=level, better=better, spread=spread)
            for spread in (0.5, 0.4)
            for paid, level, better in (
                (3.0, 12.0, 0.0),
                (6.0, 12.0, 0.0),
                (6.0, 20.0, 0.0),
                (3.0, 20.0, 2.0),
            )
        ),
        Judged(ratio=1.7, paid=6, level=20, spread=0.3),
        Judged(ratio=2.23, paid=6, spread=0.3),
    ]


def cells(runs: int, sizes: Sequence[int], seed: int = 0) -> list[Cell]:
    """All models at all sizes."""
    return [measure(judged, size, runs, seed=seed) for judged in models() for size in sizes]


def table(found: Sequence[Cell]) -> str:
    """As Markdown."""
    rows = [
        (
            f"{cell.judged.ratio:g}",
            f"{cell.judged.paid:g}",
            f"{cell.judged.level:g}",
            f"{cell.judged.spread:g}",
            str(cell.questions),
            f"{100 * cell.truth:+.1f}",
            f"{100 * cell.raw:+.1f}",
            f"{100 * cell.controlled:+.1f}" if cell.unflagged else "",
            percent(cell.held) if cell.unflagged else "",
            percent(cell.flagged),
        )
        for cell in found
    ]
    head = (
        "times as long",
        "paid",
        "level",
        "spread",
        "n",
        "true",
        "raw",
        "controlled",
        "held",
        "flagged",
    )
    return markdown(head, rows)
