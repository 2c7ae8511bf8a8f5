"""How much judges agree: several judges, repeats of one, or people, on the same samples log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from judges.judge import JudgeInfo
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.judgement_files import judgement_paths
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.intervals import Floats
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


def judge_agreement(run: TaskRun) -> JudgeAgreement | None:
    """Compares the judgements of a samples log that share the rubric of the one in use.

    Returns:
        None if there is only one.

    Raises:
        DataError: If a file can't be read.
    """
    judgements = alike(run)
    if run.summary is None or len(judgements) < 2:
        return None
    return agreement(judgements, run.summary.judge)


def alike(run: TaskRun) -> dict[str, Iterable[ScoredQuestion]]:
    """The judgements of a log by the rubric of the one in use, in any form: name -> questions."""
    if run.summary is None:
        return {}
    rubric = run.summary.judge.rubric_fingerprint
    files = {}
    for name in run.judgements:
        other = load_run(run.samples_file.parent, judge=name, date=run.date).task(run.task)
        if other.judge is not None and other.judge.rubric_fingerprint == rubric:
            files[name] = judgement_paths(run.samples_file.parent, run.task, name)[0]
    return {name: read_judgement_file(path) for name, path in files.items()}


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
