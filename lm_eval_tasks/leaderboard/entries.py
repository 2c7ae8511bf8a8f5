"""What the pages tell of one run on one task, gathered in one pass over its questions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from judges.errors import DataError
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.pages.samples import Scale
from lm_eval_tasks.records import Question, ScoredQuestion
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.stats.estimates import Estimate, Mean, means
from lm_eval_tasks.stats.intervals import SHARE, UNBOUNDED, Bounds
from lm_eval_tasks.stats.length_control import rank_correlation
from lm_eval_tasks.stats.marks import Marks, marks_of
from lm_eval_tasks.stats.win_rate import UNSCORED

BEHAVIOURS = ("consistently correct", "variable", "consistently incorrect")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One run on one task.

    Attributes:
        run: Name of the run.
        task_run: Where it comes from.
        marks: Its numbers.
        accuracy: Share of right answers, mean over questions.
        spread: Standard deviation of the accuracy over the N samples; None with one sample a question.
        score: Score in points, mean over the questions with a score; None if nothing was judged.
        criteria: Points of each criterion of the judge, likewise.
        behaviour: Share of questions with only right, mixed, and only wrong answers.
        words: Mean words of a readable explanation; None if there is none.
        length_correlation: Spearman's, of score and words over samples; None if either never varies.
        price: What the judgements cost when they were made; None if the judge has no prices.
        tokens: Tokens that the judge read and wrote for them.
    """

    run: str
    task_run: TaskRun
    marks: Marks
    accuracy: Mean
    spread: float | None
    score: Mean | None
    criteria: tuple[Estimate | None, ...]
    behaviour: tuple[float, float, float]
    words: float | None
    length_correlation: float | None
    price: float | None
    tokens: int

    @property
    def date(self) -> str:
        """Day of the log, ISO 8601."""
        return self.task_run.date[:10]

    @property
    def coverage(self) -> float:
        """Share of the samples that have a score."""
        return self.marks.judged / self.marks.samples

    @property
    def readable(self) -> float:
        """Share of the samples with a readable explanation."""
        return float(self.marks.readable.sum()) / self.marks.samples


@dataclass(slots=True)
class _Collected:
    points: list[list[float]] = field(default_factory=list)
    price: float | None = None
    tokens: int = 0


def read_entry(run: Run, task: str, settings: Settings) -> tuple[Entry, list[Question]]:
    """Reads one task of a run; the questions come back in the order of the log, no explanation is kept.

    Raises:
        DataError: If the log has no question, or one without samples.
    """
    task_run = run.tasks[task]
    scale = scale_of(task_run)
    points = _points(task_run)
    collected = _Collected()
    questions: list[Question] = []
    marks = marks_of(_collecting(task_run.read(), collected, questions, scale.criteria, points))
    if not questions or not marks.present.any(axis=1).all():
        raise DataError(f"{task_run.samples_file}: holds no question, or one without samples")
    right = marks.accuracies
    scored = (marks.scores != UNSCORED).sum(axis=1)
    unit = 1 if task_run.judge is None else task_run.judge.units
    total = np.where(marks.scores != UNSCORED, marks.scores, 0).sum(axis=1)
    has = scored > 0
    score = means((total[has] / scored[has]) / unit, _score_bounds(task_run))[0] if has.any() else None
    length = int(marks.readable.sum())
    entry = Entry(
        run=run.name,
        task_run=task_run,
        marks=marks,
        accuracy=means(right, SHARE)[0],
        spread=marks.accuracy_spread,
        score=score,
        criteria=_criteria(np.array(collected.points, dtype=np.float64), task_run, settings),
        behaviour=(
            float((right == 1).mean()),
            float(((right > 0) & (right < 1)).mean()),
            float((right == 0).mean()),
        ),
        words=float(marks.words.sum()) / length if length else None,
        length_correlation=rank_correlation(marks),
        price=collected.price,
        tokens=collected.tokens,
    )
    return entry, questions


def scale_of(run: TaskRun) -> Scale:
    """Criteria and verdicts of a run's judge; empty if there is none."""
    judge = run.judge
    return Scale() if judge is None else Scale(tuple(judge.criteria), tuple(judge.scale))


def _points(run: TaskRun) -> dict[str, float]:
    return (
        {} if run.judge is None else {name: float(Fraction(text)) for name, text in run.judge.scale.items()}
    )


def _collecting(
    read: Iterator[ScoredQuestion],
    into: _Collected,
    questions: list[Question],
    criteria: Sequence[str],
    points: dict[str, float],
) -> Iterator[ScoredQuestion]:
    for scored in read:
        questions.append(scored.question)
        verdicts = [response.verdicts for response in scored.responses if response.verdicts is not None]
        into.points.append(
            [_mean([points[v[key]] for v in verdicts if v.get(key) in points]) for key in criteria]
        )
        for response in scored.responses:
            if response.assessment is not None:
                usage = response.assessment.usage
                into.tokens += 0 if usage is None else usage.prompt_tokens + usage.completion_tokens
                if response.assessment.price is not None:
                    into.price = (into.price or 0.0) + response.assessment.price
        yield scored


def _score_bounds(run: TaskRun) -> Bounds:
    return Bounds(*run.judge.score_range) if run.judge else UNBOUNDED


def _criteria(table: NDArray[np.float64], run: TaskRun, settings: Settings) -> tuple[Estimate | None, ...]:
    if run.judge is None:
        return ()
    bounds = Bounds(*run.judge.points_range)
    found: list[Estimate | None] = []
    for place in range(len(run.judge.criteria)):
        column = table[:, place]
        column = column[~np.isnan(column)]
        sampled = means(column, bounds) if len(column) else None
        found.append(None if sampled is None else sampled[0].estimate(settings.confidence))
    return tuple(found)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
