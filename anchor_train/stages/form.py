"""Stage ``form``: in which reply form the run's models are asked, tried out on the base model once and kept.

It is there where the recipe says ``reply_form: auto``. Sampling, training and the evaluation of every
model then go by what it chose: they have the task from :func:`asked_in_form`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from anchor_train.recipes.config import Recipe
from anchor_train.run.dependencies import Basis
from anchor_train.run.roles import runs_here, sampler_spec
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import FORM, StageJob, StageResult, derived_seed
from anchor_train.stages.parts.kind import Planned, StageKind
from anchor_train.stages.questions import drawn, read_questions
from judges.backends.protocol import ChatBackend, answer_all
from judges.config import load_backend
from judges.errors import BackendError, ConfigError
from judges.output.notices import tell
from judges.records import Failure, OutputForm, Reply, Sampling
from lm_eval_tasks.harness import pilot
from lm_eval_tasks.prompts.reply_form import ReplyForm, read_reply_form
from lm_eval_tasks.records import Question, ScoredResponse
from lm_eval_tasks.runs.judging.scoring import read_replies
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from anchor_train.stages.parts.preview import Preview

T = TypeVar("T")


def choose_form(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        BackendError: If the sampler gives no replies at all.
    """
    spec, settings = load_task(job.recipe.task), job.recipe.sampler
    questions = drawn(read_questions(job.needed("questions")), pilot.QUESTIONS, job.recipe.seed)
    sampling = Sampling(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        thinking_tokens=settings.thinking_tokens,
        seed=derived_seed(job.recipe.seed, FORM),
    )
    with load_backend(sampler_spec(job.recipe, None), executor=job.recipe.executor) as backend:

        def attempt(form: ReplyForm) -> Iterator[list[ScoredResponse]]:
            replies: list[ScoredResponse] = []
            for part in pilot.in_parts(questions):
                replies += _replies(spec.in_form(form), part, sampling, backend)
                yield replies

        chosen = pilot.choose(attempt, has_template=True)
    pilot.store(job.folder, chosen)
    tell(f"{'warning: ' if chosen.warning else ''}{chosen.why}")
    return StageResult((pilot.FILE,), chosen.to_json())


def form_of(run: RunFolder, recipe: Recipe) -> ReplyForm | None:
    """The reply form of a run; None if its pilot hasn't chosen yet."""
    form = read_reply_form(recipe.reply_form, "reply_form")
    if isinstance(form, ReplyForm):
        return form
    chosen = pilot.stored(run.stage(FORM))
    return None if chosen is None else chosen.form


def asked_in_form(run: RunFolder, recipe: Recipe) -> TaskSpec:
    """The task, as this run's models are asked; as ``asked`` where the pilot hasn't chosen yet."""
    spec, form = load_task(recipe.task), form_of(run, recipe)
    return spec if form is None else spec.in_form(form)


def by_output_form(
    spec: TaskSpec, items: Sequence[T], backend: ChatBackend, form_of: Callable[[T], OutputForm]
) -> Iterator[tuple[OutputForm | None, list[T]]]:
    """What is asked, in groups of which each is held to one form; one group where nothing is held.

    Raises:
        ConfigError: If the backend can't hold replies to a form.
    """
    if not spec.form.held:
        yield None, list(items)
        return
    if backend.constrains is False:
        raise ConfigError(
            f"reply_form {spec.form}: {backend.identity} can't hold replies to a form; "
            f"reply_form shown:{spec.form.examples or 2} works with every model"
        )
    groups: dict[OutputForm, list[T]] = {}
    for item in items:
        groups.setdefault(form_of(item), []).append(item)
    yield from groups.items()


def _replies(
    spec: TaskSpec, questions: Sequence[Question], sampling: Sampling, backend: ChatBackend
) -> list[ScoredResponse]:
    found: list[ScoredResponse] = []
    problem = "no reply"
    for form, group in by_output_form(spec, questions, backend, spec.output_form):
        asked = [spec.explain_conversation(question) for question in group]
        outcomes = answer_all(backend, asked, replace(sampling, form=form))
        for question, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Reply):
                texts = [spec.from_output(completion.text) for completion in outcome.completions]
                found += read_replies(question, texts).responses
            elif isinstance(outcome, Failure):
                problem = outcome.message
    if questions and not found:
        raise BackendError(f"trying out reply forms: none of {len(questions)} got a reply: {problem}")
    return found


def _plan(job: StageJob, preview: Preview) -> Planned:
    asked = min(len(preview.questions), pilot.QUESTIONS)
    does = f"tries out how to ask, with a reply to each of {asked} questions in up to 3 forms"
    settings = job.recipe.sampler
    return Planned(does, 3 * asked, work=preview.asking(settings.backend, 3 * asked, settings.max_tokens))


KIND = StageKind(
    FORM,
    work=choose_form,
    basis=lambda stage, of: Basis(
        of.settings("model", "sampler", "engine", "seed"), {**of.model, **of.prompts, **of.examples}
    ),
    plan=_plan,
    line=lambda found: str(found["why"]),
    commands=("sample", "evaluate"),
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.sampler.backend),
    asks=True,
)
