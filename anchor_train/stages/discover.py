"""Stage ``discover``: the E-step. Principles that make the model's own replies better, found by trying.

For each first reply the model names principles, shown a reference as a hint; then it replies again by each of
them, the reference hidden; the principle that improved most is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

from anchor_train.principles.discovery import attempts_of, best_of, distinct, is_wanted, rouge_l_f1
from anchor_train.principles.records import Attempt, Discovery, NoDiscovery, Refinement, Worth
from anchor_train.principles.report import DiscoveryReport, Effort
from anchor_train.recipes.config import Recipe
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.manifest import flat
from anchor_train.run.roles import refiner_spec, rubric_of, runs_here
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.consult import in_reply_form, read_arguments
from anchor_train.stages.form import asked_in_form, by_output_form
from anchor_train.stages.judge import Judged, judge_statements, read_scored
from anchor_train.stages.parts.asking import ask
from anchor_train.stages.parts.first_replies import FirstPrinciples
from anchor_train.stages.parts.kind import Example, Planned, StageKind
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import headline
from anchor_train.stages.questions import ids_of_round, questions_of, read_questions
from anchor_train.training.job import OutputFolder
from judges.backends.protocol import ChatBackend
from judges.config import load_backend
from judges.errors import DataError
from judges.records import Conversation, Failure, Outcome, Sampling
from judges.rubrics.constitution import MAX_PRINCIPLE
from judges.storage.files import read_records, text_hash, write_json, write_records
from judges.storage.journal import Journal
from lm_eval_tasks.records import Json
from lm_eval_tasks.replies.responses import read_principle, read_response
from lm_eval_tasks.runs.judging.scoring import statement_of
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

FILE = "discoveries.jsonl"
WITHOUT = "without.jsonl"
REPORT = "report.json"
PRINCIPLES = "principles-journal.jsonl"
REFINEMENTS = "refinements-journal.jsonl"
JUDGEMENTS = "judgements-journal.jsonl"


def discover(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If no reply was improved on, with the counts why.
        BackendError: If the model can't serve.
    """
    return _Discovery(job).result()


def read_discoveries(folder: Path) -> list[Discovery]:
    """The accepted principles that the stage left."""
    return list(read_records(folder / FILE, Discovery.from_json))


class _Discovery:
    def __init__(self, job: StageJob) -> None:
        self._job = job
        self._settings = job.recipe.staple.discover
        self._spec: TaskSpec = asked_in_form(job.run, job.recipe)

    def result(self) -> StageResult:
        folder, settings = self._job.folder, self._settings
        started = list(self._attempts())
        attempts = [attempt for attempt in started if isinstance(attempt, Attempt)]
        without = [attempt for attempt in started if isinstance(attempt, NoDiscovery)]
        effort, tried = self._tried(attempts)
        judged, tried = self._with_worth(attempts, tried)
        ended = [best_of(attempt, tried[attempt.key], settings) for attempt in attempts]
        found = [end for end in ended if isinstance(end, Discovery)]
        without += [end for end in ended if isinstance(end, NoDiscovery)]
        effort = replace(effort, unjudged=0 if judged is None else judged.unjudged)
        report = DiscoveryReport.of(self._job.stage.round, settings.acceptance, found, without, tried, effort)
        write_records(folder / WITHOUT, (row.to_json() for row in without))
        write_json(folder / REPORT, report.to_json())
        if not found:
            raise DataError(report.why_empty())
        write_records(folder / FILE, (row.to_json() for row in found))
        summary = {**report.to_json(), "failed": effort.failed, "asked_now": effort.asked}
        if judged is not None:
            summary |= {"judge": judged.info.to_json(), "accounts": judged.accounts.to_json()}
        return StageResult((FILE,), summary)

    def _attempts(self) -> Iterator[Attempt | NoDiscovery]:
        """The first replies of this round's questions, and those that needn't be tried."""
        job = self._job
        drawn = [question.id for question in read_questions(job.needed("questions"))]
        wanted = ids_of_round(job.recipe, job.stage.round, drawn)
        arguments = read_arguments(job.needed("arguments")) if "arguments" in job.stage.needs else {}
        top = rubric_of(job.recipe.judge).max_score
        for found in read_scored(job.needed("scored")):
            if found.question.id not in wanted:
                continue
            argument = arguments.get(found.question.id)
            reference = None
            if argument is not None and argument.problem is None and argument.text is not None:
                reference = in_reply_form(self._spec, found.question, argument.text)
            yield from attempts_of(found, reference, self._settings, top)

    def _tried(self, attempts: Sequence[Attempt]) -> tuple[Effort, dict[str, list[Refinement]]]:
        """What the model made of each attempt: the distinct principles that it named, each with its reply."""
        with ExitStack() as stack:
            principles = stack.enter_context(self._journal(PRINCIPLES))
            replies = stack.enter_context(self._journal(REFINEMENTS))

            @cache
            def backend() -> ChatBackend:
                """Loaded when something is missing; once for both."""
                return stack.enter_context(load_backend(self._role(), executor=self._job.recipe.executor))

            missing = [attempt for attempt in attempts if _is_missing(principles, attempt.key)]
            if missing:
                sampling = self._sampling(self._settings.n, self._settings.principle_tokens)
                stop, key = self._job.recipe.sampler.stop_unreadable, self._job.stage.key
                first = FirstPrinciples(stop, self._spec.form, key)
                for row in principles.rows.values():  # of an earlier attempt
                    first.see(self._texts(row))
                for form, unnamed in by_output_form(
                    self._spec, missing, backend(), lambda attempt: self._spec.principle_form
                ):
                    ask(
                        "naming principles",
                        unnamed,
                        self._naming,
                        replace(sampling, form=form),
                        backend(),
                        principles,
                        lambda attempt, outcome: _row(attempt.key, outcome),
                        seen=lambda row: first.see(self._texts(row)),
                    )
            named = {attempt.key: _named(self._texts(principles.rows[attempt.key])) for attempt in attempts}
            pairs = [(attempt, principle) for attempt in attempts for principle in named[attempt.key]]
            unrefined = [pair for pair in pairs if _is_missing(replies, _key(*pair))]
            if unrefined:
                sampling = self._sampling(1, self._settings.max_tokens)
                for form, group in by_output_form(
                    self._spec, unrefined, backend(), lambda pair: self._spec.output_form(pair[0].question)
                ):
                    ask(
                        "refining",
                        group,
                        self._refining,
                        replace(sampling, form=form),
                        backend(),
                        replies,
                        lambda pair, outcome: _row(_key(*pair), outcome),
                        sum(not _is_missing(replies, _key(*pair)) for pair in pairs),
                    )
            effort = Effort.of(
                [principles.rows[attempt.key] for attempt in attempts],
                [replies.rows[_key(*pair)] for pair in pairs],
                asked=len(missing) + len(unrefined),
            )
            return effort, {
                attempt.key: [
                    _read(self._spec, attempt, principle, replies.rows[_key(attempt, principle)])
                    for principle in named[attempt.key]
                ]
                for attempt in attempts
            }

    def _with_worth(
        self, attempts: Sequence[Attempt], tried: Mapping[str, Sequence[Refinement]]
    ) -> tuple[Judged | None, dict[str, list[Refinement]]]:
        """The refinements with what they are worth, as far as they could be accepted at all."""
        wanted = {
            _key(attempt, refinement.principle): (attempt, refinement)
            for attempt in attempts
            for refinement in tried[attempt.key]
            if is_wanted(attempt, refinement, self._settings)
        }
        judged: Judged | None = None
        worth: dict[str, Worth | None]
        if self._settings.acceptance == "rouge":
            worth = {key: _likeness(*pair) for key, pair in wanted.items()}
        else:
            statements = {
                key: statement_of(
                    self._spec.shown_question(attempt.question),
                    attempt.question,
                    refinement.explanation or "",
                    refinement.choice,
                )
                for key, (attempt, refinement) in wanted.items()
            }
            judged = judge_statements(self._job, statements, self._job.folder / JUDGEMENTS)
            worth = {key: judged.score(key) for key in wanted}
        return judged, {
            attempt.key: [
                replace(refinement, worth=worth.get(_key(attempt, refinement.principle)))
                for refinement in tried[attempt.key]
            ]
            for attempt in attempts
        }

    def _naming(self, attempt: Attempt) -> Conversation:
        return self._spec.principle_conversation(attempt.question, attempt.first, attempt.reference)

    def _refining(self, pair: tuple[Attempt, str]) -> Conversation:
        attempt, principle = pair
        return self._spec.refine_conversation(attempt.question, attempt.first, principle)

    def _sampling(self, n: int, max_tokens: int) -> Sampling:
        return Sampling(
            n=n,
            temperature=self._settings.temperature,
            top_p=self._settings.top_p,
            max_tokens=max_tokens,
            thinking_tokens=self._settings.thinking_tokens,
            seed=derived_seed(self._job.recipe.seed, self._job.stage.key),
        )

    def _texts(self, row: Json) -> list[str]:
        """A row's replies in their usual form."""
        return [self._spec.from_output(text) for text in row["texts"]]

    def _role(self) -> str | dict[str, object]:
        needs = self._job.stage.needs
        adapter = OutputFolder(self._job.needed("adapter")).adapter if "adapter" in needs else None
        return refiner_spec(self._job.recipe, adapter)

    def _journal(self, name: str) -> Journal:
        return Journal(self._job.folder / name, self._job.belongs_to, lambda row: str(row["key"]))


def _key(attempt: Attempt, principle: str) -> str:
    """Of one principle tried on one reply."""
    return f"{attempt.key}/{text_hash(principle)[:16]}"


def _is_missing(journal: Journal, key: str) -> bool:
    row = journal.rows.get(key)
    return row is None or row["failure"] is not None


def _row(key: str, outcome: Outcome) -> Json:
    if isinstance(outcome, Failure):
        return {
            "key": key,
            "texts": [],
            "failure": outcome.message,
            "prompt_tokens": 0,
            "completion_tokens": 0,
        }
    usage = outcome.usage
    return {
        "key": key,
        "texts": [completion.text for completion in outcome.completions],
        "failure": None,
        "prompt_tokens": 0 if usage is None else usage.prompt_tokens,
        "completion_tokens": 0 if usage is None else usage.completion_tokens,
    }


def _named(texts: Sequence[str]) -> tuple[str, ...]:
    """The distinct principles of some replies; what can't be read, or is an essay, is none."""
    found = [read_principle(text) for text in texts]
    return distinct([text for text in found if text is not None and len(text) <= MAX_PRINCIPLE])


def _read(spec: TaskSpec, attempt: Attempt, principle: str, row: Json) -> Refinement:
    if not row["texts"]:
        return Refinement(principle)
    response = read_response(attempt.question, spec.from_output(row["texts"][0]))
    return Refinement(principle, response.explanation, response.choice)


def _likeness(attempt: Attempt, refinement: Refinement) -> float:
    reference = read_response(attempt.question, attempt.reference).explanation or attempt.reference
    return rouge_l_f1(refinement.explanation or "", reference)


def _basis(stage: Stage, of: Dependencies) -> Basis:
    recipe, name = of.recipe.as_of(stage.strategy), stage.strategy or ""
    discover = recipe.staple.discover
    settings = discover.model_dump(mode="json", exclude={"backend", "questions"})
    return Basis(
        {
            **flat({"staple": {"discover": settings}}),
            **of.shares(name),
            **of.role("staple.discover.backend", discover.backend),
            **of.role("sampler.backend", recipe.sampler.backend),
            **of.role("judge", recipe.judge),
            **of.settings("seed"),
        },
        {**of.model, **of.prompts, **of.refine_prompts, **of.rubric(recipe.judge)},
    )


def _plan(job: StageJob, preview: Preview) -> Planned:
    settings = job.recipe.staple.discover
    taken = ids_of_round(job.recipe, job.stage.round, [question.id for question in preview.questions])
    replies = len(taken) * min(settings.first_replies, job.recipe.sampler.n)
    calls = replies * settings.n * (3 if settings.acceptance == "judge" else 2)
    return Planned(f"tries up to {settings.n} principles on each of up to {replies} replies", calls)


def _show(job: StageJob) -> Iterator[Example]:
    spec, questions = load_task(job.recipe.task), questions_of(job)
    for found in read_discoveries(job.folder):
        hint = "the consultant's argument" if found.source == "consultant" else "a right sample"
        lines = [
            headline(job, questions[found.question_id]),
            f"best of {found.tried} principles tried, {found.better} of which helped; hint: {hint}",
            f"--- sample {found.sample}, worth {found.before:g}\n{found.first}",
            f"--- principle\n{found.principle}",
            f"--- refined, worth {found.after:g}\n{spec.format_response(found.explanation, found.choice)}",
        ]
        yield Example(job.stage.key, found.question_id, "\n".join(lines), found.to_json())


def _check(recipe: Recipe) -> None:
    if recipe.staple.discover.acceptance == "rouge":
        rouge_l_f1("", "")


KIND = StageKind(
    "discover",
    work=discover,
    basis=_basis,
    plan=_plan,
    line=lambda found: f"{DiscoveryReport.from_json(found).line()} ({found['failed']} failed)",
    report=lambda found, _: DiscoveryReport.from_json(found).to_text(),
    card=lambda found, _: f"{found['found']} refined replies",
    show=_show,
    file=FILE,
    commands=("principles discover",),
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.staple.discover.backend or recipe.sampler.backend),
    asks=True,
    makes_data=True,
    check=_check,
)
