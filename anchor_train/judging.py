"""Stage ``judge``: every readable explanation gets its verdicts (method, section 4.2)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from anchor_train.artifacts import Journal, read_records, write_records
from anchor_train.behaviour import behaviour_of, candidates
from anchor_train.roles import judge_spec
from anchor_train.sampling import JOURNAL, read_samples
from anchor_train.stages import StageJob, StageResult
from anchor_train.training_job import OutputFolder
from judges.config import load_judge
from judges.records import Judgement, Statement, Unjudged
from judges.rubric import Rubric
from lm_eval_tasks.records import (
    Json,
    ScoredQuestion,
    ScoredResponse,
    assessment_from_json,
    assessment_to_json,
)
from lm_eval_tasks.scoring import read_replies
from lm_eval_tasks.specs import TaskSpec, load_task

FILE = "scored.jsonl"


def judge_replies(job: StageJob) -> StageResult:
    """Does the stage."""
    spec = load_task(job.recipe.task)
    sampled = read_samples(job.needed("replies"))
    read = [read_replies(sample.question, [c.text for c in sample.completions]) for sample in sampled]
    statements = _statements(spec, read)
    latest = None
    if "judging adapter" in job.stage.needs:
        latest = OutputFolder(job.needed("judging adapter")).adapter
    with (
        Journal(job.folder / JOURNAL, job.belongs_to, lambda row: str(row["sample"])) as journal,
        load_judge(
            judge_spec(job.recipe, job.recipe.judge, latest),
            cache=job.run.replies,
            executor=job.recipe.executor,
        ) as judge,
    ):
        missing = [key for key in statements if not _has(journal, key, job.retry_failed)]
        with tqdm(total=len(missing), desc="judging", unit="", file=sys.stderr) as bar:
            for index, assessment in judge.assess(statements[key] for key in missing):
                journal.append({"sample": missing[index], "assessment": assessment_to_json(assessment)})
                bar.update()
        rubric, info, accounts = judge.rubric, judge.info, judge.accounts
        scored = [_scored(question, journal.rows, rubric) for question in read]
    write_records(job.folder / FILE, (question.to_json() for question in scored))
    summary = {
        **_counts(scored),
        "asked_now": accounts.asked,
        "judge": info.to_json(),
        "accounts": accounts.to_json(),
    }
    return StageResult((FILE,), summary)


def read_scored(folder: Path) -> list[ScoredQuestion]:
    """What the stage left."""
    return list(read_records(folder / FILE, ScoredQuestion.from_json))


def _key(question_id: str, sample: int) -> str:
    return f"{question_id}/{sample}"


def _statements(spec: TaskSpec, questions: Iterable[ScoredQuestion]) -> dict[str, Statement]:
    """What there is to judge, by question and sample."""
    return {
        _key(scored.question.id, index): Statement(
            spec.shown_question(scored.question), sample.response.explanation
        )
        for scored in questions
        for index, sample in enumerate(scored.responses)
        if sample.response.explanation is not None
    }


def _has(journal: Journal, key: str, retry_failed: bool) -> bool:
    row = journal.rows.get(key)
    if row is None or row["assessment"]["unjudged"] is None:
        return row is not None
    return not retry_failed and row["assessment"]["unjudged"] != "failed"


def _scored(question: ScoredQuestion, rows: Mapping[str, Json], rubric: Rubric) -> ScoredQuestion:
    responses = [
        _marked(sample, rows.get(_key(question.question.id, index)), rubric)
        for index, sample in enumerate(question.responses)
    ]
    return ScoredQuestion(question.question, tuple(responses))


def _marked(sample: ScoredResponse, row: Json | None, rubric: Rubric) -> ScoredResponse:
    if row is None:
        return sample
    assessment = assessment_from_json(row["assessment"])
    outcome = assessment.outcome
    score = rubric.score(outcome) if isinstance(outcome, Judgement) else None
    return replace(sample, assessment=assessment, score=score)


def _counts(scored: list[ScoredQuestion]) -> Json:
    samples = [sample for question in scored for sample in question.responses]
    unjudged = Counter(
        sample.assessment.outcome.reason
        for sample in samples
        if sample.assessment is not None and isinstance(sample.assessment.outcome, Unjudged)
    )
    behaviours = Counter(behaviour_of(candidates(question)) or "no_samples" for question in scored)
    return {
        "questions": len(scored),
        "replies": len(samples),
        "judged": sum(sample.score is not None for sample in samples),
        "without_explanation": sum(sample.response.explanation is None for sample in samples),
        "unjudged": dict(unjudged),
        "failed": sum(unjudged.values()),
        "behaviours": dict(behaviours),
    }
