"""Stage ``consult``: an argument for the gold label of each question that every sample got wrong.

The consultant is told the label (method, section 4.3); asked are only those questions whose pair needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from anchor_train.preferences.arguments import says_too_little
from anchor_train.preferences.pairs import wants_consultant
from anchor_train.records import Argument, spoken
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.manifest import flat
from anchor_train.run.roles import consultant_spec, runs_here
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.judge import judge_statements, judged_by, read_scored
from anchor_train.stages.parts.asking import ask_missing
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.sample import JOURNAL
from anchor_train.training.job import OutputFolder
from judges.models.thoughts import said
from judges.records import Conversation, Failure, Outcome, Sampling
from judges.rubrics.constitution import load_constitution
from judges.storage.files import read_records, text_hash, write_records
from judges.storage.journal import Journal
from lm_eval_tasks.records import Json, Question
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.runs.judging.scoring import statement_of
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

FILE = "arguments.jsonl"
JUDGEMENTS = "judgements-journal.jsonl"
CUT = ("cut at max_tokens", "cut while thinking: consultant.thinking_tokens is for the thought")


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
        done, executor = len(questions) - len(missing), job.recipe.executor
        ask_missing("consulting", missing, conversation, sampling, role, journal, _row, executor, done)
        arguments = [Argument.from_json(journal.rows[question.id]) for question in questions]
    summary: Json = {"asked": len(questions), "asked_now": len(missing)}
    if settings.check:
        arguments, checked = _checked(
            job, spec, dict(zip((q.id for q in questions), questions, strict=True)), arguments
        )
        summary |= checked
    write_records(job.folder / FILE, (argument.to_json() for argument in arguments))
    summary["failed"] = sum(argument.failure is not None for argument in arguments)
    summary["cut"] = sum(argument.failure in CUT for argument in arguments)
    return StageResult((FILE,), summary)


def _checked(
    job: StageJob, spec: TaskSpec, questions: Mapping[str, Question], arguments: Sequence[Argument]
) -> tuple[list[Argument], Json]:
    """The arguments with what is to be said against them and, where nothing is, with their scores."""
    least = job.recipe.consultant.min_words
    told = []
    for argument in arguments:
        question, problem = questions[argument.question_id], None
        if argument.failure is None:
            problem = says_too_little(_argument(question, argument.text or ""), question, least)
        told.append(replace(argument, too_little=problem))
    statements = {
        argument.question_id: statement_of(
            spec.shown_question(question), question, _argument(question, argument.text or ""), question.gold
        )
        for argument in told
        if argument.problem is None
        for question in [questions[argument.question_id]]
    }
    summary: Json = {"too_little": sum(argument.too_little is not None for argument in told), "judged": 0}
    if not statements:
        return told, summary
    judged = judge_statements(job, statements, job.folder / JUDGEMENTS)
    scored = [
        replace(argument, judged=True, score=judged.score(argument.question_id))
        if argument.question_id in statements
        else argument
        for argument in told
    ]
    summary |= {"judged": len(statements) - judged.unjudged, "unjudged": judged.unjudged}
    return scored, {**summary, "judge": judged.info.to_json(), "accounts": judged.accounts.to_json()}


def read_arguments(folder: Path) -> dict[str, Argument]:
    """What the stage left, by question id."""
    return {found.question_id: found for found in read_records(folder / FILE, Argument.from_json)}


def in_reply_form(spec: TaskSpec, question: Question, argument: str) -> str | None:
    """The argument as a whole reply that chooses the gold label; None if it doesn't read back as that.

    A consultant that wrote the reply's tags by itself is taken at what stands between them; what it thought
    before is left out.
    """
    text = _argument(question, argument)
    reply = spec.format_response(text, question.gold)
    read = read_response(question, reply)
    return reply if read.choice == question.gold and read.explanation == text else None


def _argument(question: Question, written: str) -> str:
    """What a consultant argues, without thoughts and tags."""
    return (read_response(question, written).explanation or spoken(written)).strip()


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
        problem = CUT[1] if said(completion.text).cut else CUT[0]
    elif completion.finish_reason == "refused":
        problem = "refused"
    elif not spoken(completion.text).strip():
        problem = "empty" if not completion.text.strip() else "nothing but a thought"
    return Argument(question.id, completion.text, problem).to_json()


def _basis(stage: Stage, of: Dependencies) -> Basis:
    consultant = of.recipe.consultant
    guide = consultant.guide
    told = {} if guide is None else {"guide": text_hash(load_constitution(guide).guide())}
    judged = judged_by(of, "judge", of.recipe.judge) if consultant.check else Basis({}, {})
    return Basis(
        {
            **flat({"consultant": consultant.model_dump(mode="json", exclude={"backend"})}),
            **of.role("consultant.backend", consultant.backend),
            **of.settings("seed", "pairs.unreadable_losers"),
            **judged.settings,
        },
        {**of.model, **of.prompts, **told, **judged.externals},
    )


def _plan(job: StageJob, preview: Preview) -> Planned:
    settings, many = job.recipe.consultant, len(preview.questions)
    checked = " and has them judged" if settings.check else ""
    work = preview.asking(settings.backend, many, settings.max_tokens)
    return Planned(f"asks for up to {many} arguments{checked}", many * (1 + settings.check), work=work)


def _line(found: Summary) -> str:
    cut = f", {found['cut']} of them cut at max_tokens" if found.get("cut") else ""
    line = f"{found['asked']} arguments ({found['failed']} failed{cut})"
    if "too_little" not in found:
        return line
    return (
        f"{line}; checked: {found['judged']} judged, {found.get('unjudged', 0)} without verdicts, "
        f"{found['too_little']} say too little"
    )


def _show(job: StageJob) -> Iterator[Example]:
    for argument in read_arguments(job.folder).values():
        problem = f" (not used: {argument.problem})" if argument.problem else ""
        if argument.judged:
            problem += ", not judged" if argument.score is None else f", score {argument.score}"
        head = f"question {argument.question_id}: the consultant's argument{problem}"
        text = f"{head}\n{argument.text or ''}"
        yield Example(job.stage.key, argument.question_id, text, argument.to_json())


KIND = StageKind(
    "consult",
    work=consult,
    basis=_basis,
    plan=_plan,
    line=_line,
    show=_show,
    file=FILE,
    commands=("pairs", "principles discover"),
    own_process=True,
    loads=lambda recipe: (
        runs_here(recipe, recipe.consultant.backend)
        or (recipe.consultant.check and runs_here(recipe, recipe.judge))
    ),
    asks=True,
)
