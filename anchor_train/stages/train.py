"""Stages that train: ``sft``, ``dpo``, ``align``, ``train``: examples written down, then trained on apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from anchor_train.preferences.groups import GroupExample
from anchor_train.principles.discovery import fold
from anchor_train.principles.records import Discovery
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import SftSettings, SftTarget
from anchor_train.records import PreferenceExample, RewardExample, SftExample
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.cluster import MEMBERS, read_members
from anchor_train.stages.discover import FILE as DISCOVERIES
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.groups import GROUPS, read_groups
from anchor_train.stages.pairs import PAIRS, read_pairs
from anchor_train.stages.parts.kind import Example, Figures, Planned, StageKind, Summary, Work, always
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import prompt_text
from anchor_train.stages.questions import load_rows, questions_of
from anchor_train.training.job import OutputFolder, RewardSource, TrainingJob, TrainingSettings
from anchor_train.training.launch import launch
from anchor_train.training.rendering import (
    show_example,
    show_group,
    show_pair,
    tokenise_example,
    tokenise_group,
    tokenise_pair,
)
from judges.errors import ConfigError, DataError
from judges.storage.files import read_records, write_records
from lm_eval_tasks.prompts.choose import choose_prompts
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

EXAMPLES = "examples.jsonl"
SHOWN = 3

E = TypeVar("E", SftExample, PreferenceExample, GroupExample, RewardExample)


@dataclass(frozen=True, slots=True)
class Training(Generic[E]):
    """What sets one stage that trains apart from the others.

    Attributes:
        settings: Of the training.
        basis: Parts of the recipe that the result depends on, beside model, seed and processes.
        externals: What else it depends on, beside the model.
        examples: Made of what the stage reads, with the questions by id.
        from_json: Reads an example.
        read: What the stage reads -> the file that must be there before examples can be made.
        waits: What it would train on, as long as that isn't there.
        what: What an example is called, and what all are.
        tokenise: An example as tokens.
        render: These, for people.
        text: What follows the prompt where an example is shown.
        replies: How many replies of an example pass through the model.
        rewards: Who rewards replies that the training writes.
    """

    settings: Callable[[StageJob], TrainingSettings]
    basis: Callable[[Stage, Dependencies], Mapping[str, Any]]
    externals: Callable[[Dependencies], Mapping[str, str]]
    examples: Callable[[StageJob, Mapping[str, Question]], Sequence[E]]
    from_json: Callable[[Mapping[str, Any]], E]
    read: Mapping[str, str]
    waits: Callable[[Stage], str]
    what: tuple[str, str]
    tokenise: Callable[[Any, E], Any]
    render: Callable[[Any, Any], str]
    text: Callable[[E], str]
    replies: Callable[[StageJob], int] = lambda job: 1
    rewards: Callable[[StageJob], RewardSource | None] = lambda job: None

    def kind(
        self,
        name: str,
        commands: tuple[str, ...] = (),
        in_form: Callable[[Recipe], bool] = always,
        check: Callable[[Recipe], object] = lambda recipe: None,
    ) -> StageKind:
        """The stage."""
        return StageKind(
            name,
            work=self._work,
            basis=self._basis,
            plan=self._plan,
            line=_line,
            figures=_curve,
            show=self._show,
            file=EXAMPLES,
            commands=commands,
            trains=True,
            in_form=in_form,
            check=check,
        )

    def _work(self, job: StageJob) -> StageResult:
        path = job.folder / EXAMPLES
        write_records(path, (example.to_json() for example in self.examples(job, questions_of(job))))
        settings = self.settings(job)
        report = launch(
            TrainingJob(
                model=job.recipe.model,
                settings=settings,
                examples=path,
                output=job.folder,
                seed=derived_seed(job.recipe.seed, job.stage.draws),
                adapter=OutputFolder(job.needed("adapter")).adapter if "adapter" in job.stage.needs else None,
                allow_cut=settings.allow_cut,
                loss=getattr(STRATEGIES.get(job.stage.method or ""), "loss", None),
                rewards=self.rewards(job),
            ),
            job.recipe.launch,
        )
        summary = {key: value for key, value in report.to_json().items() if key not in {"adapter", "content"}}
        return StageResult((OutputFolder(job.folder).adapter.name, EXAMPLES), summary)

    def _basis(self, stage: Stage, of: Dependencies) -> Basis:
        return Basis(self.basis(stage, of), {**of.model, **self.externals(of)})

    def _plan(self, job: StageJob, preview: Preview) -> Planned:
        settings = self.settings(job)
        if not all((job.needed(name) / file).is_file() for name, file in self.read.items()):
            until = f"{settings.max_steps} steps" if settings.max_steps else f"{settings.epochs} epochs"
            work = self._work_to_come(job, preview, settings)
            return Planned(f"trains on {self.waits(job.stage)} for {until}", work=work)
        questions = questions_of(job) if self.read else {found.id: found for found in preview.questions}
        one, many = self.what
        found = [self.tokenise(preview.tokenizer, example) for example in self.examples(job, questions)]
        shown = (f"{job.stage.key} {one} {self.render(preview.tokenizer, each)}" for each in found[:SHOWN])
        if job.stage.method is not None and STRATEGIES[job.stage.method].section == "rft":
            found, many = [reply for group in found for reply in group.best], "replies"
        steps = settings.max_steps
        if steps is None:
            steps = math.ceil(len(found) / settings.optimiser.batch_size * (settings.epochs or 0))
        tokens = sum(each.length for each in found)
        long = sum(each.length > settings.max_length for each in found)
        cut = f"; {long} longer than max_length {settings.max_length}" if long else ""
        does = f"trains {steps} steps on {len(found)} {many} ({tokens} tokens{cut})"
        replies = self.replies(job)
        batch = settings.optimiser
        work = Work(
            trained=round(replies * steps * batch.batch_size * tokens / max(1, len(found))),
            at_once=replies * batch.per_device_batch_size,
            longest=max((each.length for each in found), default=0),
            checkpointed=batch.gradient_checkpointing,
        )
        return Planned(does, tokens=tokens, steps=steps, examples=tuple(shown), work=work)

    def _work_to_come(self, job: StageJob, preview: Preview, settings: TrainingSettings) -> Work | None:
        """Reckoned with an example for each question and replies as long as they may be."""
        if not preview.questions:
            return None
        recipe, batch, many = job.recipe, settings.optimiser, len(preview.questions)
        length = preview.prompt_tokens // many + recipe.sampler.max_tokens
        length = min(length, settings.max_length)
        steps = settings.max_steps or math.ceil(many / batch.batch_size * (settings.epochs or 0))
        return Work(
            trained=self.replies(job) * steps * batch.batch_size * length,
            at_once=self.replies(job) * batch.per_device_batch_size,
            longest=length,
            checkpointed=batch.gradient_checkpointing,
        )

    def _show(self, job: StageJob) -> Iterator[Example]:
        for example in read_records(job.folder / EXAMPLES, self.from_json):
            text = f"{prompt_text(example.id, example.prompt)}\n{self.text(example)}"
            yield Example(job.stage.key, example.id, text, example.to_json())


def _curve(job: StageJob, found: Summary, steps: int) -> Iterator[Figures]:
    """What training logged, step by step."""
    log = OutputFolder(job.folder).log
    for row in read_records(log, dict) if log.is_file() else ():
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        step = int(numbers.pop("step"))
        yield step, {f"train/{job.stage.key}/{name}": float(value) for name, value in numbers.items()}


def _line(found: Summary) -> str:
    line = f"{found['examples']} examples, {found['steps']} steps, loss {found['loss']:.4f}"
    metrics = found.get("metrics", {})
    before, after = (metrics.get(f"assessment_accuracy/{when}") for when in ("before", "after"))
    if before is None or after is None:
        return line
    return f"{line}, assessment accuracy {before:.1%} -> {after:.1%}"


def _basis_of(*sections: str) -> Callable[[Stage, Dependencies], Mapping[str, Any]]:
    return lambda stage, of: of.settings("model", *sections, "seed", "launch.processes", of=stage.strategy)


# --- sft (method, section 4.1)


def sft_examples(
    spec: TaskSpec,
    questions: Sequence[Question],
    target: SftTarget = "answer",
    rationales: Mapping[str, str] | None = None,
) -> list[SftExample]:
    """What fine-tuning learns.

    Args:
        spec: The task, in the form in which the run's models are asked.
        questions: The questions.
        target: ``answer``: the answer-only prompt with the sentence of the right choice; ``form``: the choice
            within its tag; ``rationale``: a whole reply.
        rationales: For ``rationale``: id -> reason; questions without one give no example.
    """
    if target == "answer":
        return [SftExample(q.id, spec.answer_conversation(q), spec.answer_target(q)) for q in questions]
    if target == "form":
        return [SftExample(q.id, spec.choose_conversation(q), spec.choose_target(q)) for q in questions]
    given = rationales or {}
    return [
        SftExample(q.id, spec.explain_conversation(q), spec.format_response(given[q.id], q.gold))
        for q in questions
        if q.id in given
    ]


def _sft_examples(job: StageJob, questions: Mapping[str, Question]) -> list[SftExample]:
    recipe, target = job.recipe, job.recipe.sft.target
    if target != "rationale":
        return sft_examples(load_task(recipe.task), list(questions.values()), target)
    rationales = load_rows(recipe, load_task(recipe.task)).rationales
    found = sft_examples(asked_in_form(job.run, recipe), list(questions.values()), target, rationales)
    if not found:
        raise DataError(
            f"sft.target=rationale: none of the {len(questions)} questions has a rationale; answer and form "
            "need none"
        )
    return found


def _check_target(recipe: Recipe) -> None:
    """Refuses rationales of a task that knows of none.

    Raises:
        ConfigError: With the targets that do.
    """
    spec = load_task(recipe.task)
    if recipe.sft.target == "rationale" and not any(layout.rationale for layout in spec.layouts):
        raise ConfigError(
            f"sft.target=rationale: task {spec.name} names no field of a rationale (fields.rationale of its "
            "YAML); answer and form need none"
        )


def _sft_externals(of: Dependencies) -> Mapping[str, str]:
    target = of.recipe.sft.target
    if target == "form":
        return {**of.prompts, "choose prompts": choose_prompts().fingerprint}
    return {**of.prompts, **of.data} if target == "rationale" else of.prompts


SFT = Training(
    settings=lambda job: job.recipe.sft,
    basis=_basis_of("sft"),
    externals=_sft_externals,
    examples=_sft_examples,
    from_json=SftExample.from_json,
    read={},
    waits=lambda stage: "the answers",
    what=("example", "examples"),
    tokenise=tokenise_example,
    render=show_example,
    text=lambda example: f"--- target\n{example.target}",
).kind("sft", in_form=lambda recipe: recipe.sft.target == "rationale", check=_check_target)


# --- dpo (method, section 4.4)


def _preferences(job: StageJob, questions: Mapping[str, Question]) -> list[PreferenceExample]:
    spec = asked_in_form(job.run, job.recipe)
    return [
        pair.example(spec.explain_conversation(questions[pair.question_id]))
        for pair in read_pairs(job.needed("pairs"))
    ]


DPO = Training(
    settings=lambda job: job.recipe.dpo,
    basis=_basis_of("dpo"),
    externals=lambda of: {},
    examples=_preferences,
    from_json=PreferenceExample.from_json,
    read={"pairs": PAIRS},
    waits=lambda stage: "the pairs",
    what=("pair", "pairs"),
    tokenise=tokenise_pair,
    render=show_pair,
    text=lambda example: f"--- chosen\n{example.chosen}\n--- rejected\n{example.rejected}",
    replies=lambda job: 2,
).kind("dpo")


# --- align: list-wise training, or RFT


def _group_examples(job: StageJob, questions: Mapping[str, Question]) -> list[GroupExample]:
    spec = asked_in_form(job.run, job.recipe)
    return [
        group.example(spec.explain_conversation(questions[group.question_id]))
        for group in read_groups(job.needed("groups"))
    ]


def _group_settings(job: StageJob) -> TrainingSettings:
    settings: TrainingSettings = getattr(job.recipe, STRATEGIES[job.stage.method or ""].section)
    return settings


def _group_basis(stage: Stage, of: Dependencies) -> Mapping[str, Any]:
    strategy = STRATEGIES[stage.method or ""]
    found = _basis_of(strategy.section)(stage, of)
    return {name: value for name, value in found.items() if name not in strategy.unread}


def _levels(example: GroupExample) -> str:
    each = zip(example.levels, example.replies, strict=True)
    return "\n".join(f"--- level {level}\n{reply}" for level, reply in each)


ALIGN = Training(
    settings=_group_settings,
    basis=_group_basis,
    externals=lambda of: of.prompts,
    examples=_group_examples,
    from_json=GroupExample.from_json,
    read={"groups": GROUPS},
    waits=lambda stage: "the groups",
    what=("group", "groups"),
    tokenise=tokenise_group,
    render=show_group,
    text=_levels,
    replies=lambda job: 1 if STRATEGIES[job.stage.method or ""].section == "rft" else job.recipe.sampler.n,
).kind("align")


# --- train: STaPLe's M-step, from the model that was sampled


def refinement_examples(
    spec: TaskSpec,
    questions: Mapping[str, Question],
    discoveries: Sequence[Discovery],
    medoids: Mapping[str, str],
) -> list[SftExample]:
    """Each discovery as an example, with the loss on principle and refined reply.

    Args:
        spec: The task.
        questions: Of the discoveries, and perhaps others, by id.
        discoveries: What was found.
        medoids: Folded principle -> what is learnt in its place; the principle itself where there is none.
    """
    return [
        found.example(spec, questions[found.question_id], medoids.get(fold(found.principle), found.principle))
        for found in discoveries
    ]


def _refinements(job: StageJob, questions: Mapping[str, Question]) -> list[SftExample]:
    by_medoid = job.recipe.staple.train.principle == "medoid"
    return refinement_examples(
        asked_in_form(job.run, job.recipe),
        questions,
        read_discoveries(job.needed("discoveries")),
        read_members(job.needed("constitution")) if by_medoid else {},
    )


def _refinement_settings(job: StageJob) -> TrainingSettings:
    settings = job.recipe.staple.train
    if "adapter" in job.stage.needs:
        return settings
    return SftSettings(**settings.model_dump(exclude={"principle"}), lora=job.recipe.sft.lora)


def _refinement_basis(stage: Stage, of: Dependencies) -> Mapping[str, Any]:
    lora = {} if "adapter" in stage.needs else of.settings("sft.lora", of=stage.strategy)
    return {**_basis_of("staple.train")(stage, of), **lora}


TRAIN = Training(
    settings=_refinement_settings,
    basis=_refinement_basis,
    externals=lambda of: {**of.prompts, **of.refine_prompts},
    examples=_refinements,
    from_json=SftExample.from_json,
    read={"discoveries": DISCOVERIES, "constitution": MEMBERS},
    waits=lambda stage: f"what {stage.needs['discoveries']} accepts",
    what=("example", "refined replies"),
    tokenise=tokenise_example,
    render=show_example,
    text=lambda example: f"--- given, without loss\n{example.given}\n--- target{example.target}",
).kind("train", commands=("principles train",))
