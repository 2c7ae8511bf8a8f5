"""How much judges agree: several judges, repeats of one, or people, on the same samples log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from judges.judge_info import JudgeInfo
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.judgement_files import PEOPLE, judgement_paths
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.estimation.intervals import Floats
from lm_eval_tasks.stats.raters.alt_test import FEWEST_PEOPLE, TRAINED, AltTest, alt_test
from lm_eval_tasks.stats.raters.coefficients import Coefficients, coefficients

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of judges on one aspect.

    Attributes:
        aspect: Key of a criterion, or ``total`` for the score.
        found: The coefficients, with intervals by question.
    """

    aspect: str
    found: Coefficients


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Agreement of all judgements of a log that were made with the same rubric.

    Attributes:
        judgements: Their names.
        aspects: The total first, then the criteria.
    """

    judgements: tuple[str, ...]
    aspects: tuple[Agreement, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """What several judges gave the same statements.

    Attributes:
        judges: Their names.
        questions: Question of each statement.
        marks: Aspect -> shape (judges, statements): places on the scale from the worst, of ``total`` scores;
            NaN where a judge gave none.
        places: Verdicts on the scale.
    """

    judges: tuple[str, ...]
    questions: tuple[str, ...]
    marks: Mapping[str, Floats]
    places: int


@dataclass(frozen=True, slots=True)
class StandIn:
    """Whether a judge may stand for a person, by its score; None where there is too little to tell by."""

    judge: str
    found: AltTest | None


def judge_agreements(run: TaskRun) -> tuple[JudgeAgreement, ...]:
    """Compares the judgements of a samples log that share the rubric of the one in use.

    Returns:
        The agreement of the judges, of the people, and of each judge with what people say together; of those
        there are at least two of.

    Raises:
        DataError: If a file can't be read.
    """
    if run.summary is None:
        return ()
    models, people, together = _sides(run)
    groups = [models, people, *([judge, together] for judge in models if together)]
    return tuple(
        agreement({name: read_judgement_file(path) for name, path in group}, run.summary.judge)
        for group in groups
        if len(group) > 1
    )


def stand_ins(run: TaskRun, eps: float = TRAINED) -> tuple[StandIn, ...]:
    """The alternative annotator test of each judge of a log that three people or more rated."""
    models, people, _ = _sides(run)
    if run.summary is None or len(people) < FEWEST_PEOPLE:
        return ()
    found = []
    for name, path in models:
        judges = {one: read_judgement_file(file) for one, file in ((name, path), *people)}
        marked = marked_by(judges, run.summary.judge)
        scores = marked.marks[TOTAL]
        persons = [person for person, _ in people]
        test = alt_test(scores[0], scores[1:], persons, marked.questions, scores=True, eps=eps)
        found.append(StandIn(name, test))
    return tuple(found)


_File: TypeAlias = tuple[str, Path]


def _sides(run: TaskRun) -> tuple[list[_File], list[_File], _File | None]:
    """The judgements of a log by the rubric of the one in use: of models, of people, of people together."""
    models: list[_File] = []
    people: list[_File] = []
    together = None
    for name in run.judgements:
        other = load_run(run.samples_file.parent, judge=name, date=run.date).task(run.task)
        info = other.judge
        if run.summary is None or info is None:
            continue
        if info.rubric_fingerprint != run.summary.judge.rubric_fingerprint:
            continue
        entry = name, judgement_paths(run.samples_file.parent, run.task, name)[0]
        if info.backend != PEOPLE:
            models.append(entry)
        elif name == PEOPLE:
            together = entry
        else:
            people.append(entry)
    return models, sorted(people), together


def agreement(judgements: Mapping[str, Iterable[ScoredQuestion]], judge: JudgeInfo) -> JudgeAgreement:
    """Compares judgements of the same samples.

    Args:
        judgements: Name -> the scored questions of one judge.
        judge: Any of the judges, for criteria and scale.
    """
    marked = marked_by(judgements, judge)
    return JudgeAgreement(
        marked.judges,
        tuple(
            Agreement(
                aspect,
                coefficients(table, marked.questions, None if aspect == TOTAL else marked.places),
            )
            for aspect, table in marked.marks.items()
        ),
    )


def marked_by(judgements: Mapping[str, Iterable[ScoredQuestion]], judge: JudgeInfo) -> Marked:
    """The marks of several judges as tables, on all samples that one of them has judged.

    Args:
        judgements: Name -> the scored questions of one judge.
        judge: Any of the judges, for criteria and scale.
    """
    levels = {verdict: float(place) for place, verdict in enumerate(reversed(list(judge.scale)))}
    tables = [
        {
            (scored.question.id, number): _marks(sample, judge, levels)
            for scored in questions
            for number, sample in enumerate(scored.responses)
            if sample.score is not None
        }
        for questions in judgements.values()
    ]
    samples = sorted(set().union(*tables))
    aspects = (TOTAL, *judge.criteria)
    values = np.full((len(aspects), len(tables), len(samples)), np.nan)
    for j, table in enumerate(tables):
        for k, sample in enumerate(samples):
            if sample in table:
                values[:, j, k] = table[sample]
    return Marked(
        tuple(judgements),
        tuple(question for question, _ in samples),
        dict(zip(aspects, values, strict=True)),
        len(levels),
    )


def _marks(sample: ScoredResponse, judge: JudgeInfo, levels: Mapping[str, float]) -> Sequence[float]:
    verdicts = sample.verdicts or {}
    return [float(sample.score or 0), *(levels[verdicts[criterion]] for criterion in judge.criteria)]
