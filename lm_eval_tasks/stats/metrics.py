"""The metrics of a task: what each one is of a single question, and how questions are put together.

All but ``acc_spread`` are means over questions of one value a question, which makes the standard error that
of questions, not of samples. A question without the data for a metric (nothing judged, no right sample ...)
has no value there: it is left out of that mean, and the number of questions in it is reported. Intervals are
those of all other figures (:mod:`lm_eval_tasks.stats.estimation.intervals`), which know the range of each
metric.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from judges.errors import ConfigError
from judges.records import Judgement
from judges.rubrics.rubric import Rubric
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.stats.estimation.estimates import Mean, average, means
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, Bounds
from lm_eval_tasks.stats.win_rate import rates

MetricValue: TypeAlias = float | None

ACC_SPREAD = "acc_spread"
BASE_METRICS = ("acc", "readable", "explanation_words")
REFINED_METRICS = ("acc_first", "has_principle", "mended", "spoilt")
JUDGED_METRICS = ("judged", "explanation_score", "explanation_score_right", "explanation_score_wrong")
COMPARED_METRICS = ("win", "tie", "loss", "win_minus_loss")


def metric_names(rubric: Rubric | None, compared: bool = False) -> tuple[str, ...]:
    """Names of all metrics of a task, in the order in which tables show them.

    Args:
        rubric: What the judge judged by; None if there was no judge.
        compared: Whether there is a baseline.

    Raises:
        ConfigError: If a criterion of the rubric has the key of another metric.
    """
    judged: tuple[str, ...] = ()
    if rubric is not None:
        criteria = tuple(criterion.key for criterion in rubric.criteria)
        taken = set(criteria) & {
            *BASE_METRICS,
            ACC_SPREAD,
            *REFINED_METRICS,
            *JUDGED_METRICS,
            *COMPARED_METRICS,
        }
        if taken:
            raise ConfigError(f"rubric {rubric.name}: criterion key {min(taken)!r} is the name of a metric")
        judged = (*JUDGED_METRICS, *criteria)
    unjudged = ("acc", ACC_SPREAD, *REFINED_METRICS, *BASE_METRICS[1:])
    return (*unjudged, *judged, *(COMPARED_METRICS if compared else ()))


def higher_is_better(name: str) -> bool | None:
    """Whether more of a metric is better; None where neither more nor less is."""
    if name in (ACC_SPREAD, "explanation_words", "tie"):
        return None
    return name not in ("loss", "spoilt")


def range_of(name: str, rubric: Rubric | None) -> Bounds:
    """What a metric of one question lies between.

    Args:
        name: Of the metric; not ``acc_spread``, which is none of a question.
        rubric: What the judge judged by.
    """
    if name == "explanation_words":
        return Bounds(0.0, math.inf)
    if name == "win_minus_loss":
        return MARGIN
    if rubric is not None:
        points = [float(points) for points in rubric.scale.values()]
        worst, best = (min(points), max(points)) if len(set(points)) > 1 else (0.0, 1.0)
        if name.startswith("explanation_score"):
            weights = float(sum(criterion.weight for criterion in rubric.criteria))
            return Bounds(worst * weights, best * weights)
        if name in {criterion.key for criterion in rubric.criteria}:
            return Bounds(worst, best)
    return SHARE


def question_metrics(
    scored: ScoredQuestion, rubric: Rubric | None, baseline: ScoredQuestion | None = None
) -> dict[str, MetricValue]:
    """One value for each metric that is a mean over questions.

    Args:
        scored: A question and its responses; those that failed don't count.
        rubric: What the judge judged by; None if there was no judge, and then none of the judge's metrics.
        baseline: The baseline's responses to the same question; None gives no win rates.

    Returns:
        Metric -> value, None where this question has no data for it. Explanation scores are in points (0 to 5
        for the built-in rubric), criteria in points of one verdict (0 to 1), ``explanation_words`` is a
        number of words; the rest are shares (0 to 1).
    """
    samples = scored.answered
    explained = [sample.response.explanation for sample in samples if sample.response.explanation is not None]
    values: dict[str, MetricValue] = {
        "acc": None if scored.question.is_open else _mean(sample.correct for sample in samples),
        "readable": _mean(sample.response.readable for sample in samples),
        "explanation_words": _mean(len(explanation.split()) for explanation in explained),
        **_refined_metrics(samples),
    }
    if rubric is not None:
        judged = [sample for sample in samples if sample.score is not None]
        values["judged"] = len(judged) / len(samples) if samples else None
        values["explanation_score"] = _points(judged, rubric)
        graded = [] if scored.question.is_open else judged
        values["explanation_score_right"] = _points([s for s in graded if s.correct], rubric)
        values["explanation_score_wrong"] = _points([s for s in graded if not s.correct], rubric)
        points = [rubric.points(Judgement(sample.verdicts)) for sample in judged if sample.verdicts]
        for criterion in rubric.criteria:
            values[criterion.key] = _mean(float(of_sample[criterion.key]) for of_sample in points)
    if baseline is not None:
        values |= compared_metrics(scored, baseline)
    return values


def _refined_metrics(samples: Sequence[ScoredResponse]) -> dict[str, MetricValue]:
    """What refining did: acc = acc_first + mended - spoilt. Nothing where the task asks for one reply."""
    pairs = [(sample.draft, sample.correct) for sample in samples if sample.draft is not None]
    if not pairs:
        return {}
    return {
        "acc_first": _mean(draft.correct for draft, _ in pairs),
        "has_principle": _mean(draft.principle is not None for draft, _ in pairs),
        "mended": _mean(correct and not draft.correct for draft, correct in pairs),
        "spoilt": _mean(draft.correct and not correct for draft, correct in pairs),
    }


def compared_metrics(scored: ScoredQuestion, baseline: ScoredQuestion | None) -> dict[str, MetricValue]:
    """Win, tie and loss over all pairs of judged samples of one question (method section 3)."""
    own, other = scores_of(scored), scores_of(baseline) if baseline is not None else []
    if not own or not other:
        return dict.fromkeys(COMPARED_METRICS)
    found = rates(own, other)
    return {
        "win": float(found.win),
        "tie": float(found.tie),
        "loss": float(found.loss),
        "win_minus_loss": float(found.margin),
    }


def scores_of(scored: ScoredQuestion) -> list[int]:
    """Exact scores of the judged samples, in the rubric's units."""
    return [sample.score for sample in scored.responses if sample.score is not None]


def accuracy_spread(correct: Iterable[Sequence[float]]) -> float | None:
    """Spread of the accuracy over the N samples, as the paper prints it behind the ±.

    Sample n of every question together is one pass over the data set, with its own accuracy; the spread is
    the standard deviation (n - 1) of these N accuracies.

    Args:
        correct: For each question, whether its samples 1 ... N are right (1 or 0). Where a question has fewer
            samples than others, the later accuracies are over the questions that have such a sample.

    Returns:
        The spread, or None with fewer than two samples a question.
    """
    rows = [row for row in correct if row]
    passes = [
        statistics.fmean(row[n] for row in rows if n < len(row))
        for n in range(max(map(len, rows), default=0))
    ]
    return statistics.stdev(passes) if len(passes) > 1 else None


@dataclass(frozen=True, slots=True)
class Summary:
    """One metric over a task.

    Attributes:
        value: Mean over questions (``acc_spread``: over the whole).
        stderr: Standard error by question; None with fewer than two questions, and for ``acc_spread``.
        questions: How many questions have data for it.
        low: Lower end of the 95% interval; None where there is no standard error.
        high: Upper end.
        mean: What the interval was taken from, to average it over tasks; None if it was read from a file.
    """

    value: float
    stderr: float | None
    questions: int
    low: float | None = None
    high: float | None = None
    mean: Mean | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """For files and machines."""
        return {name: getattr(self, name) for name in ("value", "stderr", "questions", "low", "high")}


def summarise(
    questions: Iterable[ScoredQuestion],
    rubric: Rubric | None,
    baseline: Mapping[str, ScoredQuestion] | None = None,
) -> dict[str, Summary]:
    """All metrics of a task, in the order of ``metric_names``; one without any data is absent.

    Args:
        questions: The questions of the task; a stream does, only numbers are kept.
        rubric: What the judge judged by; None if there was no judge.
        baseline: Question id -> the baseline's responses; None if there is no baseline.
    """
    values = values_by_question(questions, rubric, baseline)
    found: dict[str, Summary] = {}
    for name in next(iter(values.values()), {}):
        column = [of_question[name] for of_question in values.values()]
        if name == ACC_SPREAD:
            spread = accuracy_spread(correct for correct in column if isinstance(correct, list))
            if spread is not None:
                found[name] = Summary(spread, None, len(column))
            continue
        known = [value for value in column if isinstance(value, float)]
        error = statistics.stdev(known) / math.sqrt(len(known)) if len(known) > 1 else None
        (mean,) = means(known, range_of(name, rubric))
        interval = mean.estimate()
        found[name] = Summary(statistics.fmean(known), error, len(known), interval.low, interval.high, mean)
    return found


def mean_of_tasks(tasks: Sequence[Mapping[str, Summary]]) -> dict[str, Summary]:
    """Plain means over tasks, of the metrics that all of them have: each task counts the same.

    ``acc_spread`` has no meaning across tasks and is left out. The tasks' questions are independent, so the
    standard error is the root of the summed squares of theirs, divided by the number of tasks.
    """
    together = {}
    for name in tasks[0] if tasks else ():
        found = [task[name] for task in tasks if name in task]
        if name == ACC_SPREAD or len(found) < len(tasks):
            continue
        errors = [summary.stderr for summary in found if summary.stderr is not None]
        parts = [summary.mean for summary in found if summary.mean is not None]
        interval = average(parts).estimate() if len(parts) == len(tasks) else None
        together[name] = Summary(
            statistics.fmean(summary.value for summary in found),
            math.hypot(*errors) / len(tasks) if len(errors) == len(tasks) else None,
            sum(summary.questions for summary in found),
            None if interval is None else interval.low,
            None if interval is None else interval.high,
        )
    return together


def values_by_question(
    questions: Iterable[ScoredQuestion],
    rubric: Rubric | None,
    baseline: Mapping[str, ScoredQuestion] | None = None,
) -> dict[str, dict[str, MetricValue | list[float]]]:
    """Question id -> metric -> value; the same metrics for every question, those that have data somewhere.

    ``acc_spread`` is no value of one question: it stands there as the list of its right (1) and wrong (0)
    samples, which :func:`accuracy_spread` takes.
    """
    table: dict[str, dict[str, MetricValue | list[float]]] = {}
    for scored in questions:
        of_question = question_metrics(scored, rubric)
        if baseline is not None:
            of_question |= compared_metrics(scored, baseline.get(scored.question.id))
        correct = [] if scored.question.is_open else correct_of(scored)
        table[scored.question.id] = {**of_question, ACC_SPREAD: correct if len(correct) > 1 else None}
    names = [
        name
        for name in metric_names(rubric, baseline is not None)
        if any(of_question.get(name) is not None for of_question in table.values())
    ]
    return {id_: {name: row.get(name) for name in names} for id_, row in table.items()}


def correct_of(scored: ScoredQuestion) -> list[float]:
    """1 for each right sample and 0 for each wrong one, in sample order; those that failed are left out."""
    return [float(sample.correct) for sample in scored.answered]


def failures_of(questions: Iterable[ScoredQuestion]) -> Counter[str]:
    """Responses that failed: reason -> count."""
    return Counter(
        sample.response.failure
        for scored in questions
        for sample in scored.responses
        if sample.response.failure is not None
    )


def _mean(values: Iterable[float]) -> MetricValue:
    known = [float(value) for value in values]
    return statistics.fmean(known) if known else None


def _points(judged: Sequence[ScoredResponse], rubric: Rubric) -> MetricValue:
    scores = [sample.score for sample in judged if sample.score is not None]
    return sum(scores) / (len(scores) * rubric.units) if scores else None
