"""Stages that train: ``sft``, ``dpo``, ``align``, ``train``, ``grpo``: what each learns from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from anchor_train.preferences.groups import GroupExample
from anchor_train.principles.discovery import fold
from anchor_train.principles.records import Discovery
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import RewardWeights, SftSettings, SftTarget
from anchor_train.records import PreferenceExample, RewardExample, SftExample
from anchor_train.run.dependencies import Dependencies
from anchor_train.run.roles import judge_spec
from anchor_train.run.stage import Stage, StageJob
from anchor_train.stages.cluster import MEMBERS, read_members
from anchor_train.stages.discover import FILE as DISCOVERIES
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.groups import GROUPS, read_groups
from anchor_train.stages.pairs import PAIRS, read_pairs
from anchor_train.stages.parts.kind import Planned, StageKind, Summary, Work
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.training import Training, basis_of
from anchor_train.stages.questions import load_rows
from anchor_train.training.job import OutputFolder, RewardSource, TrainingSettings
from anchor_train.training.rendering import (
    show_example,
    show_group,
    show_pair,
    tokenise_example,
    tokenise_group,
    tokenise_pair,
    tokenise_prompt,
)
from judges.errors import ConfigError, DataError
from judges.settings import Settings
from lm_eval_tasks.prompts.choose import choose_prompts
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

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


def _sft_externals(stage: Stage, of: Dependencies) -> Mapping[str, str]:
    target = of.recipe.sft.target
    if target == "form":
        return {**of.prompts, "choose prompts": choose_prompts().fingerprint}
    return {**of.prompts, **of.data} if target == "rationale" else of.prompts


SFT = Training(
    settings=lambda job: job.recipe.sft,
    basis=basis_of("sft"),
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
    basis=basis_of("dpo"),
    externals=lambda stage, of: {},
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
    found = basis_of(strategy.section)(stage, of)
    return {name: value for name, value in found.items() if name not in strategy.unread}


def _levels(example: GroupExample) -> str:
    each = zip(example.levels, example.replies, strict=True)
    return "\n".join(f"--- level {level}\n{reply}" for level, reply in each)


ALIGN = Training(
    settings=_group_settings,
    basis=_group_basis,
    externals=lambda stage, of: of.prompts,
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
    return {**basis_of("staple.train")(stage, of), **lora}


TRAIN = Training(
    settings=_refinement_settings,
    basis=_refinement_basis,
    externals=lambda stage, of: {**of.prompts, **of.refine_prompts},
    examples=_refinements,
    from_json=SftExample.from_json,
    read={"discoveries": DISCOVERIES, "constitution": MEMBERS},
    waits=lambda stage: f"what {stage.needs['discoveries']} accepts",
    what=("example", "refined replies"),
    tokenise=tokenise_example,
    render=show_example,
    text=lambda example: f"--- given, without loss\n{example.given}\n--- target{example.target}",
).kind("train", commands=("principles train",))


# --- grpo: replies are written, rewarded and learnt from, step by step


def reward_examples(job: StageJob, questions: Mapping[str, Question]) -> list[RewardExample]:
    """Every question, as it is asked."""
    spec = asked_in_form(job.run, job.recipe)
    return [RewardExample(question, spec.explain_conversation(question)) for question in questions.values()]


def _reward_source(job: StageJob) -> RewardSource:
    recipe = job.recipe
    latest = (
        OutputFolder(job.needed("judging adapter")).adapter if "judging adapter" in job.stage.needs else None
    )
    executor = recipe.executor
    return RewardSource(
        recipe.task,
        judge_spec(recipe, recipe.judge, latest),
        executor.model_dump(mode="json") if isinstance(executor, Settings) else executor,
        job.run.replies,
    )


def _asks_judge(stage: Stage, of: Dependencies) -> bool:
    return of.recipe.as_of(stage.strategy).grpo.rewards.quality > 0


def _reward_basis(stage: Stage, of: Dependencies) -> Mapping[str, Any]:
    judge = of.role("judge", of.recipe.judge) if _asks_judge(stage, of) else {}
    return {**basis_of("grpo")(stage, of), **judge}


def _reward_externals(stage: Stage, of: Dependencies) -> Mapping[str, str]:
    return {**of.prompts, **(of.rubric(of.recipe.judge) if _asks_judge(stage, of) else {})}


def _plan_rewarded(job: StageJob, preview: Preview) -> Planned:
    settings, questions = job.recipe.grpo, len(preview.questions)
    batch = settings.optimiser.batch_size
    steps = settings.max_steps or math.ceil(questions * settings.replies * (settings.epochs or 0) / batch)
    replies = steps * batch
    judges = f", judges up to {replies} explanations" if settings.rewards.quality else ""
    does = (
        f"trains {steps} steps on {replies} replies that it writes, {settings.replies} to a question{judges}"
    )
    if not questions:
        return Planned(does, replies, steps=steps)
    length = preview.prompt_tokens // questions + settings.max_tokens
    work = Work(
        read=replies * (length - settings.max_tokens),
        written=replies * settings.max_tokens,
        trained=replies * length,
        at_once=settings.optimiser.per_device_batch_size,
        longest=length,
        checkpointed=settings.optimiser.gradient_checkpointing,
    )
    return Planned(does, replies, replies * (length - settings.max_tokens), steps, work=work)


def _rewards_line(found: Summary) -> str:
    metrics = found.get("metrics", {})
    rewards = [
        f"{name} {metrics[key]:.2f}"
        for name in RewardWeights.model_fields
        if (key := f"rewards/{name}/mean") in metrics
    ]
    return f"{found['examples']} questions, {found['steps']} steps; rewards at the end: {', '.join(rewards)}"


_REWARDED: Training[RewardExample] = Training(
    settings=lambda job: job.recipe.grpo,
    basis=_reward_basis,
    externals=_reward_externals,
    examples=reward_examples,
    from_json=RewardExample.from_json,
    read={},
    waits=lambda stage: "the questions",
    what=("question", "questions"),
    tokenise=tokenise_prompt,
    render=show_example,
    text=lambda example: f"--- right: {example.question.gold}",
    rewards=_reward_source,
)
GRPO: StageKind = replace(_REWARDED.kind("grpo"), plan=_plan_rewarded, line=_rewards_line, asks=True)
