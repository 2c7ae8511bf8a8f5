"""People's ratings -> judgements beside a samples log, one for each person and one for all of them together.

From there on a person is a judge like any other. What all say together has the name ``human``: the median of
their verdicts criterion by criterion, and of the two middle ones of an even number the worse. The first time
that somebody saw a statement counts; the second only tells how much they vary.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from statistics import median

from judges.errors import ConfigError, DataError
from judges.judge_info import JudgeInfo
from judges.records import Assessment, Judgement, Unjudged
from judges.rubrics.rubric import Rubric
from judges.storage.files import held, sha256_of
from lm_eval_tasks.people.ratings import Rating, people_in
from lm_eval_tasks.people.statements import shown_of, source_id
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.runs.judgement_files import (
    PEOPLE,
    JudgementSummary,
    judgement_paths,
    read_summaries,
    write_judgements,
    write_summary,
)
from lm_eval_tasks.runs.judging.rescoring import workload
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.metrics import metric_names, summarise
from lm_eval_tasks.tables import number_of
from lm_eval_tasks.tasks.spec import TaskSpec

OTHER_RUN = "of another run's log"
OTHER_TASK = "of a task that this run lacks"
OTHER_TEXT = "whose texts aren't in this log, though it was drawn from it"
NO_QUESTION = "of a question that this log lacks"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of reading ratings into a run.

    Attributes:
        summaries: Of the judgements that were written.
        people: Names of the raters.
        fitting: Ratings that belong to statements of the run; repeats aren't counted.
        strange: Why others don't -> how many.
        skipped: Of the fitting, without verdicts.
        again: Statements that somebody rated twice.
        same: Of these, with the same score both times.
        seconds: Median time of a rating; None without one.
    """

    summaries: tuple[JudgementSummary, ...]
    people: tuple[str, ...]
    fitting: int
    strange: Mapping[str, int]
    skipped: int
    again: int
    same: int
    seconds: float | None

    def lines(self) -> Iterator[str]:
        """For people, a line each."""
        yield f"{number_of(self.fitting, 'rating')} by {', '.join(self.people)} on statements of this run"
        if self.skipped:
            yield f"skipped by the raters: {self.skipped}"
        for reason, number in self.strange.items():
            yield f"left out: {number_of(number, 'rating')} {reason}"
        if self.again:
            yield f"seen twice by one person: {self.again}, with the same score both times: {self.same}"
        if self.seconds is not None:
            yield f"median time: {self.seconds:.0f} s a statement"


def import_ratings(
    run: Run, specs: Mapping[str, TaskSpec], ratings: Sequence[Rating], rubric: Rubric
) -> Imported:
    """Writes people's judgements beside the samples of a run; those of an earlier import are replaced.

    Args:
        run: The run.
        specs: The tasks to look at, by name.
        ratings: As :func:`.ratings.read_ratings` has them.
        rubric: By which they rated.

    Raises:
        ConfigError: If another judge's judgements have one of the names.
        DataError: If no rating fits a statement of the run.
    """
    strange: Counter[str] = Counter()
    summaries: list[JudgementSummary] = []
    firsts = [rating for rating in ratings if not rating.repeat]
    fitting: list[Rating] = []
    strange.update(OTHER_TASK for rating in firsts if rating.task not in specs)
    for task, spec in specs.items():
        mine = [rating for rating in firsts if rating.task == task]
        known, questions = _statements(run.tasks[task], spec)
        source = source_id(run.tasks[task])
        fits = []
        for rating in mine:
            if rating.statement in known:
                fits.append(rating)
            elif rating.source == source:
                strange[OTHER_TEXT] += 1
            else:
                strange[OTHER_RUN if rating.question in questions else NO_QUESTION] += 1
        fitting += fits
        if fits:
            summaries += _written(run.tasks[task], spec, fits, rubric)
    if not fitting:
        reasons = "; ".join(f"{number} {reason}" for reason, number in strange.items())
        raise DataError(f"{run.path}: none of {len(firsts)} ratings is on one of its statements ({reasons})")
    twice = _twice(ratings, {rating.statement for rating in fitting}, rubric)
    return Imported(
        summaries=tuple(summaries),
        people=tuple(people_in(fitting).values()),
        fitting=len(fitting),
        strange=dict(strange),
        skipped=sum(rating.verdicts is None for rating in fitting),
        again=len(twice),
        same=sum(twice),
        seconds=median(rating.seconds for rating in fitting),
    )


def _statements(run: TaskRun, spec: TaskSpec) -> tuple[set[str], set[str]]:
    """Ids of the log's statements, and of its questions."""
    statements, questions = set(), set()
    for scored in run.read_samples():
        questions.add(scored.question.id)
        text = spec.shown_question(scored.question)
        for sample in scored.answered:
            shown = shown_of(spec.name, scored.question, text, sample)
            if shown is not None:
                statements.add(shown.id)
    return statements, questions


def _written(
    run: TaskRun, spec: TaskSpec, ratings: Sequence[Rating], rubric: Rubric
) -> Iterator[JudgementSummary]:
    metric_names(rubric, compared=True)
    of_person: dict[str, dict[str, Rating]] = defaultdict(dict)
    for rating in ratings:
        of_person[rating.person][rating.statement] = rating
    names = people_in(ratings)
    for person, given in of_person.items():
        assessments = {statement: _assessment(rating) for statement, rating in given.items()}
        by = f"{PEOPLE}:{names[person]}"
        yield _write(run, spec, f"{PEOPLE}-{person}", by, assessments, rubric, pages=_pages(given.values()))
    verdicts: dict[str, list[Judgement]] = defaultdict(list)
    for rating in ratings:
        if rating.verdicts is not None:
            verdicts[rating.statement].append(Judgement(rating.verdicts))
    agreed = {statement: Assessment(rubric.median(given)) for statement, given in verdicts.items()}
    note = f"the median of {number_of(len(names), 'person', 'people')}: {', '.join(names.values())}"
    yield _write(run, spec, PEOPLE, PEOPLE, agreed, rubric, note=note, pages=_pages(ratings))


def _pages(ratings: Iterable[Rating]) -> tuple[str, ...]:
    return tuple(sorted({rating.set for rating in ratings}))


def _assessment(rating: Rating) -> Assessment:
    outcome: Judgement | Unjudged = (
        Unjudged("refused", "the rater skipped it") if rating.verdicts is None else Judgement(rating.verdicts)
    )
    return Assessment(outcome, attempts=1, seconds=rating.seconds)


def _write(
    run: TaskRun,
    spec: TaskSpec,
    name: str,
    shown_name: str,
    assessments: Mapping[str, Assessment],
    rubric: Rubric,
    *,
    note: str = "",
    pages: tuple[str, ...],
) -> JudgementSummary:
    questions_path, summary_path = judgement_paths(run.samples_file.parent, run.task, name)
    with held(questions_path):
        _refuse_to_replace(summary_path.name, run)
        write_judgements(questions_path, _judged(run, spec, assessments, rubric))
        found = workload(run)
        reasons = Counter(
            one.outcome.reason for one in assessments.values() if isinstance(one.outcome, Unjudged)
        )
        rated = [sample for scored in read_judgement_file(questions_path) for sample in scored.responses]
        summary = JudgementSummary(
            name=name,
            task=run.task,
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            judge=_info(shown_name, rubric),
            source=run.samples_file.name,
            source_sha256=sha256_of(run.samples_file),
            model=run.model,
            questions=found.questions,
            responses=found.responses,
            judged=sum(sample.score is not None for sample in rated),
            unreadable=dict(found.unreadable),
            unjudged={str(reason): number for reason, number in reasons.items()},
            prompt_tokens=0,
            completion_tokens=0,
            price=None,
            accounts={},
            metrics=summarise(read_judgement_file(questions_path), rubric),
            notes=(note,) if note else (),
            unanswered=dict(found.unanswered),
            pages=pages,
        )
        write_summary(summary_path, summary)
    return summary


def _judged(
    run: TaskRun, spec: TaskSpec, assessments: Mapping[str, Assessment], rubric: Rubric
) -> Iterator[ScoredQuestion]:
    for scored in run.read_samples():
        text = spec.shown_question(scored.question)
        samples = []
        for sample in scored.responses:
            shown = shown_of(spec.name, scored.question, text, sample)
            samples.append(_marked(sample, assessments.get(shown.id) if shown else None, rubric))
        yield ScoredQuestion(scored.question, tuple(samples))


def _marked(sample: ScoredResponse, assessment: Assessment | None, rubric: Rubric) -> ScoredResponse:
    outcome = None if assessment is None else assessment.outcome
    score = rubric.score(outcome) if isinstance(outcome, Judgement) else None
    return replace(sample, assessment=assessment, score=score)


def _info(name: str, rubric: Rubric) -> JudgeInfo:
    return JudgeInfo(
        name=name,
        backend=PEOPLE,
        model=name,
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_fingerprint=rubric.fingerprint,
        units=rubric.units,
        max_score=rubric.max_score,
        criteria={criterion.key: criterion.name for criterion in rubric.criteria},
        sampling={},
        scale={verdict: str(points) for verdict, points in rubric.scale.items()},
    )


def _refuse_to_replace(summary_name: str, run: TaskRun) -> None:
    for path, summary in read_summaries(run.samples_file.parent):
        if path.with_suffix(".json").name == summary_name and summary.judge.backend != PEOPLE:
            raise ConfigError(f"{path}: holds judgements by {summary.judge.name}, not by people; rename them")


def _twice(ratings: Sequence[Rating], statements: set[str], rubric: Rubric) -> list[bool]:
    """Of each statement that a person rated twice, whether the score was the same."""
    scores = {
        (rating.person, rating.statement, rating.repeat): rubric.score(Judgement(rating.verdicts))
        for rating in ratings
        if rating.verdicts is not None and rating.statement in statements
    }
    return [
        scores[person, statement, False] == score
        for (person, statement, repeat), score in scores.items()
        if repeat and (person, statement, False) in scores
    ]
