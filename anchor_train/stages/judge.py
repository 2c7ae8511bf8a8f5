"""Stage ``judge``: every readable explanation gets its verdicts (method, section 4.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.roles import judge_spec, runs_here
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import headline
from anchor_train.stages.sample import JOURNAL, read_samples
from anchor_train.training.job import OutputFolder
from judges.config import load_judge
from judges.judge_info import JudgeInfo
from judges.output.progress import progress
from judges.records import Assessment, Judgement, Statement, Unjudged
from judges.rubrics.rubric import Rubric
from judges.spending.accounts import Accounts
from judges.storage.files import read_records, write_records
from judges.storage.journal import Journal
from lm_eval_tasks.records import (
    Json,
    ScoredQuestion,
    ScoredResponse,
    assessment_from_json,
    assessment_to_json,
)
from lm_eval_tasks.runs.judging.scoring import read_replies, statements_of
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

FILE = "scored.jsonl"


def judge_replies(job: StageJob) -> StageResult:
    """Does the stage."""
    spec = load_task(job.recipe.task)
    sampled = read_samples(job.needed("replies"))
    read = [read_replies(sample.question, [c.text for c in sample.completions]) for sample in sampled]
    statements = _statements(spec, read)
    judged = judge_statements(job, statements, job.folder / JOURNAL)
    scored = [_scored(question, judged) for question in read]
    write_records(job.folder / FILE, (question.to_json() for question in scored))
    summary = {
        **_counts(scored),
        "asked_now": judged.accounts.asked,
        "judge": judged.info.to_json(),
        "accounts": judged.accounts.to_json(),
    }
    return StageResult((FILE,), summary)


@dataclass(frozen=True, slots=True)
class Judged:
    """What the training judge made of some statements.

    Attributes:
        assessments: By the statement's key.
        rubric: What it went by.
        info: Who judged.
        accounts: What it took, this time.
    """

    assessments: Mapping[str, Assessment]
    rubric: Rubric
    info: JudgeInfo
    accounts: Accounts

    @property
    def unjudged(self) -> int:
        """Statements without readable verdicts."""
        return sum(isinstance(found.outcome, Unjudged) for found in self.assessments.values())

    def score(self, key: str) -> int | None:
        """The score of a statement; None if it wasn't judged."""
        found = self.assessments.get(key)
        if found is None or not isinstance(found.outcome, Judgement):
            return None
        return self.rubric.score(found.outcome)


def judge_statements(job: StageJob, statements: Mapping[str, Statement], path: Path) -> Judged:
    """Has the training judge rate statements; each assessment is on disk before the next one is taken.

    Args:
        job: The stage's job.
        statements: By a key that stands for the statement when the stage is taken up again.
        path: Of the journal.
    """
    latest = None
    if "judging adapter" in job.stage.needs:
        latest = OutputFolder(job.needed("judging adapter")).adapter
    with (
        Journal(path, job.belongs_to, lambda row: str(row["sample"])) as journal,
        load_judge(
            judge_spec(job.recipe, job.recipe.judge, latest),
            cache=job.run.replies,
            executor=job.recipe.executor,
        ) as judge,
    ):
        missing = [key for key in statements if not _has(journal, key, job.retry_failed)]
        judge.check(statements[key] for key in missing)
        done = len(statements) - len(missing)
        with progress(len(statements), "judging", initial=done) as bar:
            for index, assessment in judge.assess(statements[key] for key in missing):
                journal.append({"sample": missing[index], "assessment": assessment_to_json(assessment)})
                bar.update()
        found = {
            key: assessment_from_json(journal.rows[key]["assessment"])
            for key in statements
            if key in journal.rows
        }
        return Judged(found, judge.rubric, judge.info, judge.accounts)


def read_scored(folder: Path) -> list[ScoredQuestion]:
    """What the stage left."""
    return list(read_records(folder / FILE, ScoredQuestion.from_json))


def _key(question_id: str, sample: int) -> str:
    return f"{question_id}/{sample}"


def _statements(spec: TaskSpec, questions: Iterable[ScoredQuestion]) -> dict[str, Statement]:
    """What there is to judge, by question and sample."""
    return {
        _key(scored.question.id, index): statement
        for scored in questions
        for index, statement in statements_of(spec, scored)
    }


def _has(journal: Journal, key: str, retry_failed: bool) -> bool:
    row = journal.rows.get(key)
    if row is None or row["assessment"]["unjudged"] is None:
        return row is not None
    return not retry_failed and row["assessment"]["unjudged"] != "failed"


def _scored(question: ScoredQuestion, judged: Judged) -> ScoredQuestion:
    responses = []
    for index, sample in enumerate(question.responses):
        key = _key(question.question.id, index)
        found = judged.assessments.get(key)
        responses.append(
            sample if found is None else replace(sample, assessment=found, score=judged.score(key))
        )
    return ScoredQuestion(question.question, tuple(responses))


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


def judged_by(of: Dependencies, name: str, judge: str | dict[str, Any]) -> Basis:
    """What the verdicts of a judge of the recipe depend on."""
    return Basis(of.role(name, judge), {**of.model, **of.prompts, **of.rubric(judge)})


def _plan(job: StageJob, preview: Preview) -> Planned:
    calls = len(preview.questions) * job.recipe.sampler.n
    work = preview.judging(job.recipe.judge, calls)
    return Planned(f"judges up to {calls} explanations", calls, work=work)


def _line(found: Summary) -> str:
    behaviours = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sorted(found["behaviours"].items()))
    return (
        f"{found['judged']} of {found['replies']} judged by {found['judge']['name']} "
        f"({found['failed']} unjudged, {found['without_explanation']} unreadable); {behaviours}"
        f"{price(found)}"
    )


def price(found: Summary) -> str:
    """What judging took, as the end of a line."""
    accounts = found["accounts"]
    read, written = accounts["prompt_tokens"], accounts["completion_tokens"]
    tokens = "; tokens unknown" if read is None or written is None else f"; {read} + {written} tokens"
    return tokens + ("" if accounts.get("price") is None else f", price {accounts['price']:.4f}")


def _show(job: StageJob) -> Iterator[Example]:
    for scored in read_scored(job.folder):
        lines = [headline(job, scored.question)]
        lines += [sample_text(index, sample) for index, sample in enumerate(scored.responses)]
        yield Example(job.stage.key, scored.question.id, "\n".join(lines), scored.to_json())


def sample_text(index: int, sample: ScoredResponse) -> str:
    """A reply with what was made of it, for people."""
    choice = sample.response.choice or f"unreadable: {sample.response.choice_problem}"
    head = f"--- sample {index}: chose {choice} ({'right' if sample.correct else 'wrong'}), {_marks(sample)}"
    return f"{head}\n{sample.response.text}"


def _marks(sample: ScoredResponse) -> str:
    if sample.verdicts is not None:
        verdicts = ", ".join(f"{name} {verdict}" for name, verdict in sample.verdicts.items())
        return f"score {sample.score} ({verdicts})"
    if sample.assessment is None:
        return f"no explanation to judge ({sample.response.explanation_problem})"
    return f"unjudged: {sample.assessment.outcome}"


KIND = StageKind(
    "judge",
    work=judge_replies,
    basis=lambda stage, of: judged_by(of, "judge", of.recipe.judge),
    plan=_plan,
    line=_line,
    show=_show,
    file=FILE,
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.judge),
    asks=True,
)
