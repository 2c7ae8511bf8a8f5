"""Stage ``sample``: N replies a question from the model in training (method, section 4.2).

The prompt is the one that evaluation uses. Replies are seeded by conversation, so that an interrupted stage,
taken up again, ends with the replies that an undisturbed one would have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from anchor_train.records import SampledQuestion
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.roles import runs_here, sampler_spec
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.form import asked_in_form, by_output_form
from anchor_train.stages.parts.asking import ask
from anchor_train.stages.parts.first_replies import FirstReplies
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary, always
from anchor_train.stages.parts.lengths import check_lengths
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import headline
from anchor_train.stages.questions import ids_of_round, read_questions
from anchor_train.training.job import OutputFolder
from judges.config import load_backend
from judges.records import Conversation, Failure, Outcome, Sampling
from judges.storage.files import read_records, write_records
from judges.storage.journal import Journal
from lm_eval_tasks.records import Json, Question
from lm_eval_tasks.runs.judging.scoring import read_replies
from lm_eval_tasks.tasks.spec import TaskSpec

FILE = "replies.jsonl"
JOURNAL = "journal.jsonl"


def sample_replies(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If none of the first replies can be read (``sampler.stop_unreadable``).
    """
    spec = asked_in_form(job.run, job.recipe)
    questions = _questions(job)
    settings = job.recipe.sampler
    sampling = Sampling(
        n=settings.n,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        thinking_tokens=settings.thinking_tokens,
        seed=derived_seed(job.recipe.seed, job.stage.draws),
    )

    def conversation(question: Question) -> Conversation:
        return spec.explain_conversation(question)

    with Journal(job.folder / JOURNAL, job.belongs_to, lambda row: str(row["question"]["id"])) as journal:
        missing = [q for q in questions if not _has(journal, q)]
        first = FirstReplies(settings.stop_unreadable, spec.form, job.stage.key)

        def see(row: Json) -> None:
            first.see(SampledQuestion.from_json(row))

        for question in questions:  # of an earlier attempt
            if _has(journal, question):
                see(journal.rows[question.id])
        adapter = OutputFolder(job.needed("adapter")).adapter if "adapter" in job.stage.needs else None
        role = sampler_spec(job.recipe, adapter)
        if missing:
            check_lengths(job.run, job.recipe)
            with load_backend(role, executor=job.recipe.executor) as backend:
                for form, group in by_output_form(spec, missing, backend, spec.output_form):
                    held = replace(sampling, form=form)
                    done = sum(_has(journal, question) for question in questions)
                    make_row = partial(_row, spec)
                    ask("sampling", group, conversation, held, backend, journal, make_row, done, see)
        rows = [journal.rows[question.id] for question in questions]
    write_records(job.folder / FILE, rows)
    return StageResult((FILE,), _summary([SampledQuestion.from_json(row) for row in rows], len(missing)))


def read_samples(folder: Path) -> list[SampledQuestion]:
    """What the stage left."""
    return list(read_records(folder / FILE, SampledQuestion.from_json))


def _questions(job: StageJob) -> list[Question]:
    questions = read_questions(job.needed("questions"))
    if not job.stage.fresh:
        return questions
    recipe = job.recipe.as_of(job.stage.users[0])  # they all deal the questions out alike
    wanted = ids_of_round(recipe, job.stage.round, [question.id for question in questions])
    return [question for question in questions if question.id in wanted]


def _has(journal: Journal, question: Question) -> bool:
    row = journal.rows.get(question.id)
    return row is not None and row["failure"] is None


def _row(spec: TaskSpec, question: Question, outcome: Outcome) -> Json:
    if isinstance(outcome, Failure):
        return SampledQuestion(question, (), outcome.message).to_json()
    usage = outcome.usage
    return SampledQuestion(
        question,
        tuple(replace(each, text=spec.from_output(each.text)) for each in outcome.completions),
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
    ).to_json()


def _summary(samples: list[SampledQuestion], asked: int) -> Json:
    read = [read_replies(s.question, [c.text for c in s.completions]) for s in samples]
    responses = [scored.response for question in read for scored in question.responses]
    right = [scored.correct for question in read for scored in question.responses]
    return {
        "questions": len(samples),
        "asked_now": asked,
        "failed": sum(sample.failure is not None for sample in samples),
        "replies": len(responses),
        "cut_at_max_tokens": sum(c.finish_reason == "length" for s in samples for c in s.completions),
        "without_explanation": sum(response.explanation is None for response in responses),
        "without_choice": sum(response.choice is None for response in responses),
        "right": sum(right),
        "prompt_tokens": _sum([s.prompt_tokens for s in samples if s.failure is None]),
        "completion_tokens": _sum([s.completion_tokens for s in samples if s.failure is None]),
    }


def _sum(counts: list[int | None]) -> int | None:
    """The sum; None where one isn't known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _basis(stage: Stage, of: Dependencies) -> Basis:
    fresh = of.shares(stage.users[0]) if stage.fresh else {}
    settings = of.settings("model", "sampler", "engine", "seed")
    return Basis({**settings, **fresh}, {**of.model, **of.prompts})


def _plan(job: StageJob, preview: Preview) -> Planned:
    settings, many = job.recipe.sampler, len(preview.questions)
    n, tokens = settings.n, preview.prompt_tokens
    does = f"draws {n} replies to each of {many} questions ({tokens} prompt tokens)"
    work = preview.asking(settings.backend, many * n, settings.max_tokens, n)
    return Planned(does, many * n, tokens, work=work)


def _line(found: Summary) -> str:
    return (
        f"{found['replies']} replies to {found['questions']} questions ({found['failed']} failed), "
        f"{found['right']} right; unreadable: {found['without_explanation']} explanations, "
        f"{found['without_choice']} choices; {found['cut_at_max_tokens']} cut at max_tokens"
    )


def _show(job: StageJob) -> Iterator[Example]:
    for sampled in read_samples(job.folder):
        lines = [headline(job, sampled.question)]
        if sampled.failure is not None:
            lines.append(f"--- no reply: {sampled.failure}")
        for index, completion in enumerate(sampled.completions):
            lines.append(f"--- sample {index} (ended: {completion.finish_reason})\n{completion.text}")
        yield Example(job.stage.key, sampled.question.id, "\n".join(lines), sampled.to_json())


KIND = StageKind(
    "sample",
    work=sample_replies,
    basis=_basis,
    plan=_plan,
    line=_line,
    show=_show,
    file=FILE,
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.sampler.backend),
    asks=True,
    in_form=always,
)
