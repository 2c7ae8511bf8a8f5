"""Stage ``consult``: an argument for the gold label of each question that every sample got wrong.

The consultant is told the label (method, section 4.3); asked are only those questions whose pair needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anchor_train.preferences.pairs import wants_consultant
from anchor_train.records import Argument, spoken
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.manifest import flat
from anchor_train.run.roles import consultant_spec, runs_here
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.judge import read_scored
from anchor_train.stages.kind import Example, Planned, StageKind
from anchor_train.stages.parts.asking import ask_missing
from anchor_train.stages.sample import JOURNAL
from anchor_train.training.job import OutputFolder
from judges.files import read_records, text_hash, write_records
from judges.journal import Journal
from judges.records import Conversation, Failure, Outcome, Sampling
from judges.rubrics.constitution import load_constitution
from judges.thoughts import said
from lm_eval_tasks.records import Json, Question
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.tasks.spec import TaskSpec, load_task

FILE = "arguments.jsonl"


def consult(job: StageJob) -> StageResult:
    """Does the stage."""
    spec = load_task(job.recipe.task)
    scored = read_scored(job.needed("scored"))
    questions = [s.question for s in scored if wants_consultant(s, job.recipe.pairs)]
    settings = job.recipe.consultant
    sampling = Sampling(
        n=1,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        thinking_tokens=settings.thinking_tokens,
        seed=derived_seed(job.recipe.seed, job.stage.draws),
    )
    latest = None
    if "consulting adapter" in job.stage.needs:
        latest = OutputFolder(job.needed("consulting adapter")).adapter

    guide = None if settings.guide is None else load_constitution(settings.guide).guide()

    def conversation(question: Question) -> Conversation:
        return spec.consultant_conversation(question, guide)

    with Journal(job.folder / JOURNAL, job.belongs_to, lambda row: str(row["question_id"])) as journal:
        missing = [q for q in questions if not _has(journal, q, job.retry_failed)]
        role = consultant_spec(job.recipe, latest)
        ask_missing("consulting", missing, conversation, sampling, role, journal, _row, job.recipe.executor)
        rows = [journal.rows[question.id] for question in questions]
    write_records(job.folder / FILE, rows)
    failed = sum(row["failure"] is not None for row in rows)
    return StageResult((FILE,), {"asked": len(questions), "asked_now": len(missing), "failed": failed})


def read_arguments(folder: Path) -> dict[str, Argument]:
    """What the stage left, by question id."""
    return {found.question_id: found for found in read_records(folder / FILE, Argument.from_json)}


def in_reply_form(spec: TaskSpec, question: Question, argument: str) -> str | None:
    """The argument as a whole reply that chooses the gold label; None if it doesn't read back as that.

    A consultant that wrote the reply's tags by itself is taken at what stands between them; what it thought
    before is left out.
    """
    text = read_response(question, argument).explanation or spoken(argument)
    reply = spec.format_response(text.strip(), question.gold)
    read = read_response(question, reply)
    return reply if read.choice == question.gold and read.explanation == text.strip() else None


def _has(journal: Journal, question: Question, retry_failed: bool) -> bool:
    row = journal.rows.get(question.id)
    if row is None or row["failure"] is None:
        return row is not None
    return not retry_failed and row["text"] is not None


def _row(question: Question, outcome: Outcome) -> Json:
    if isinstance(outcome, Failure):
        return Argument(question.id, None, outcome.message).to_json()
    completion = outcome.completions[0]
    problem = None
    if completion.finish_reason == "length":
        problem = "cut at max_tokens"
        if said(completion.text).cut:
            problem = "cut while thinking: consultant.thinking_tokens is for the thought"
    elif completion.finish_reason == "refused":
        problem = "refused"
    elif not spoken(completion.text).strip():
        problem = "empty" if not completion.text.strip() else "nothing but a thought"
    return Argument(question.id, completion.text, problem).to_json()


def _basis(stage: Stage, of: Dependencies) -> Basis:
    consultant = of.recipe.consultant
    guide = consultant.guide
    told = {} if guide is None else {"guide": text_hash(load_constitution(guide).guide())}
    return Basis(
        {
            **flat({"consultant": consultant.model_dump(mode="json", exclude={"backend"})}),
            **of.role("consultant.backend", consultant.backend),
            **of.settings("seed", "pairs.unreadable_losers"),
        },
        {**of.model, **of.prompts, **told},
    )


def _show(job: StageJob) -> Iterator[Example]:
    for argument in read_arguments(job.folder).values():
        problem = f" (not used: {argument.failure})" if argument.failure else ""
        head = f"question {argument.question_id}: the consultant's argument{problem}"
        text = f"{head}\n{argument.text or ''}"
        yield Example(job.stage.key, argument.question_id, text, argument.to_json())


KIND = StageKind(
    "consult",
    work=consult,
    basis=_basis,
    plan=lambda job, preview: Planned(
        f"asks for up to {len(preview.questions)} arguments", len(preview.questions)
    ),
    line=lambda found: f"{found['asked']} arguments ({found['failed']} failed)",
    show=_show,
    file=FILE,
    commands=("pairs", "principles discover"),
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.consultant.backend),
    asks=True,
)
