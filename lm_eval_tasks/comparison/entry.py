"""One run on one task: everything that tables and pages tell of it, gathered in one pass over its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from judges.errors import DataError
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.stats.estimation.estimates import Estimate, Mean, means
from lm_eval_tasks.stats.estimation.intervals import SHARE, Bounds
from lm_eval_tasks.stats.length_control import rank_correlation
from lm_eval_tasks.stats.marks import Marks, marks_of
from lm_eval_tasks.stats.win_rate import UNSCORED

BEHAVIOURS = ("consistently correct", "variable", "consistently incorrect", "never readable")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One run on one task. Shares are of 1, scores in points of the rubric.

    Attributes:
        run: Name of the run.
        task_run: Where it comes from.
        marks: Its numbers; replies that failed are in none.
        samples: Samples asked for a question, failed ones included.
        failed: Replies that never arrived (an endpoint failed): not unreadable, not wrong, in no figure.
        accuracy: Share of right answers, mean over questions; an unreadable choice is not right. None
            where the questions are open.
        spread: Standard deviation of the accuracy over the N samples; None with one sample a question.
        score: Mean over the questions with a score; None if nothing was judged, or a log doesn't tell the
            rubric.
        criteria: Points of each criterion of the judge, likewise.
        behaviour: Share of the questions with only right, mixed, only wrong answers, and with no readable
            choice at all; empty where the questions are open.
        readable: Share of the samples with both tags readable, mean over questions: the metric ``readable``.
        explained: Share of the samples with a readable explanation, likewise.
        judged: Share of the samples with a verdict, likewise: the metric ``judged``.
        problems: Why explanations or choices couldn't be read: reason -> count.
        words: Mean words of a readable explanation; None if there is none.
        length_correlation: Spearman's, of score and words over samples; None if either never varies.
        price: What the judgements cost when they were made; None if the judge has no prices.
        tokens: Tokens that the judge read and wrote for them; None if its endpoint didn't tell for some, and
            then the price isn't known either.
    """

    run: str
    task_run: TaskRun
    marks: Marks
    samples: int
    failed: int
    accuracy: Mean | None
    spread: float | None
    score: Mean | None
    criteria: tuple[Estimate | None, ...]
    behaviour: tuple[float, ...]
    readable: float
    explained: float
    judged: float
    problems: Mapping[str, int]
    words: float | None
    length_correlation: float | None
    price: float | None
    tokens: int | None

    @property
    def date(self) -> str:
        """Day of the log, ISO 8601."""
        return self.task_run.date[:10]

    @property
    def unjudged(self) -> float:
        """Share of the readable explanations that have no verdict; 0 if none is readable."""
        explanations = int(self.marks.readable.sum())
        return 1 - self.marks.judged / explanations if explanations else 0.0


@dataclass(slots=True)
class _Collected:
    """What is gathered beside the marks: a row a question, and sums."""

    questions: list[Question] = field(default_factory=list)
    samples: int = 0
    failed: int = 0
    points: list[list[float]] = field(default_factory=list)
    readable: list[float] = field(default_factory=list)
    chosen: list[bool] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    price: float | None = None
    tokens: int = 0
    unmetered: int = 0


def read_entry(
    run: Run, task: str, settings: Settings, name: str | None = None
) -> tuple[Entry, list[Question]]:
    """Reads one task of a run; the questions come back in the order of the log, no explanation is kept.

    Args:
        run: The run.
        task: One of its tasks.
        settings: How to estimate.
        name: What to call the run; default: its name.

    Raises:
        DataError: If the log has no question, or one without samples.
    """
    task_run = run.tasks[task]
    judge = task_run.judge
    criteria = () if judge is None else tuple(judge.criteria)
    points = {} if judge is None else {name: float(Fraction(text)) for name, text in judge.scale.items()}
    collected = _Collected()
    marks = marks_of(_collecting(task_run.read(), collected, criteria, points))
    present = marks.present.sum(axis=1)
    answered = present > 0
    if not answered.any():
        raise DataError(f"{task_run.samples_file}: no reply to any question has arrived")
    right, chosen = marks.accuracies[answered], np.array(collected.chosen)[answered]
    scored = (marks.scores != UNSCORED).sum(axis=1)
    total = np.where(marks.scores != UNSCORED, marks.scores, 0).sum(axis=1)
    has = scored > 0
    score = None
    if judge and has.any():
        score = means(total[has] / scored[has] / judge.units, Bounds(*judge.score_range))[0]
    explanations = int(marks.readable.sum())
    table = np.array(collected.points, dtype=np.float64)
    columns = [table[:, place][~np.isnan(table[:, place])] for place in range(len(criteria))]
    ends = Bounds(*judge.points_range) if judge else SHARE
    kinds = (right == 1, (right > 0) & (right < 1), (right == 0) & chosen, ~chosen)
    entry = Entry(
        run=name or run.name,
        task_run=task_run,
        marks=marks,
        samples=collected.samples,
        failed=collected.failed,
        accuracy=means(right, SHARE)[0] if marks.graded else None,
        spread=marks.accuracy_spread,
        score=score,
        criteria=tuple(
            means(column, ends)[0].estimate(settings.confidence) if len(column) else None
            for column in columns
        ),
        behaviour=tuple(float(kind.mean()) for kind in kinds) if marks.graded else (),
        readable=float(np.nanmean(collected.readable)),
        explained=float((marks.readable.sum(axis=1)[answered] / present[answered]).mean()),
        judged=float((scored[answered] / present[answered]).mean()),
        problems=dict(collected.problems.most_common()),
        words=float(marks.words.sum()) / explanations if explanations else None,
        length_correlation=rank_correlation(marks),
        price=None if collected.unmetered else collected.price,
        tokens=None if collected.unmetered else collected.tokens,
    )
    return entry, collected.questions


def _collecting(
    read: Iterator[ScoredQuestion], into: _Collected, criteria: Sequence[str], points: Mapping[str, float]
) -> Iterator[ScoredQuestion]:
    for scored in read:
        into.questions.append(scored.question)
        into.samples = max(into.samples, len(scored.responses))
        into.failed += len(scored.responses) - len(scored.answered)
        verdicts = [sample.verdicts for sample in scored.answered if sample.verdicts is not None]
        into.points.append(
            [_mean([points[v[key]] for v in verdicts if v.get(key) in points]) for key in criteria]
        )
        into.readable.append(_mean([float(sample.response.readable) for sample in scored.answered]))
        into.chosen.append(any(sample.response.choice is not None for sample in scored.answered))
        for sample in scored.answered:
            _count(sample, into)
        yield scored


def _count(sample: ScoredResponse, into: _Collected) -> None:
    problem = sample.response.explanation_problem or sample.response.choice_problem
    if problem is not None:
        into.problems[problem] += 1
    if sample.assessment is not None:
        usage = sample.assessment.usage
        into.unmetered += usage is None
        into.tokens += 0 if usage is None else usage.prompt_tokens + usage.completion_tokens
        if sample.assessment.price is not None:
            into.price = (into.price or 0.0) + sample.assessment.price


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
