"""Stage ``grpo``: replies are written, rewarded and learnt from, step by step, in one training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anchor_train.recipes.training_settings import RewardWeights
from anchor_train.records import RewardExample
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.roles import judge_spec
from anchor_train.run.stage import Stage, StageJob
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.judge import judged_by
from anchor_train.stages.parts.kind import Planned, StageKind, Summary, Work, always
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.train import Training
from anchor_train.training.job import OutputFolder, RewardSource
from anchor_train.training.rendering import TokenisedExample, prompt_ids, show_example
from judges.settings import Settings
from lm_eval_tasks.records import Question


def reward_examples(job: StageJob, questions: Mapping[str, Question]) -> list[RewardExample]:
    """Every question, as it is asked."""
    spec = asked_in_form(job.run, job.recipe)
    return [RewardExample(question, spec.explain_conversation(question)) for question in questions.values()]


def _source(job: StageJob) -> RewardSource:
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


def _depends(stage: Stage, of: Dependencies) -> Basis:
    recipe = of.recipe.as_of(stage.strategy)
    settings = of.settings("model", "grpo", "seed", "launch.processes", of=stage.strategy)
    if not recipe.grpo.rewards.quality:
        return Basis(settings, {**of.model, **of.prompts})
    judged = judged_by(of, "judge", recipe.judge)
    return Basis({**settings, **judged.settings}, judged.externals)


def _plan(job: StageJob, preview: Preview) -> Planned:
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


def _line(found: Summary) -> str:
    metrics = found.get("metrics", {})
    rewards = [
        f"{name} {metrics[key]:.2f}"
        for name in RewardWeights.model_fields
        if (key := f"rewards/{name}/mean") in metrics
    ]
    return f"{found['examples']} questions, {found['steps']} steps; rewards at the end: {', '.join(rewards)}"


def tokenise_prompt(tokenizer: Any, example: RewardExample) -> TokenisedExample:
    """The prompt's tokens; what follows isn't known before it is written."""
    return TokenisedExample(example.id, prompt_ids(tokenizer, example.prompt), ())


_TRAINING: Training[RewardExample] = Training(
    settings=lambda job: job.recipe.grpo,
    basis=lambda stage, of: _depends(stage, of).settings,
    externals=lambda of: {},
    examples=reward_examples,
    from_json=RewardExample.from_json,
    read={},
    waits=lambda stage: "the questions",
    what=("question", "questions"),
    tokenise=tokenise_prompt,
    render=show_example,
    text=lambda example: f"--- right: {example.question.gold}",
    rewards=_source,
)
GRPO: StageKind = replace(_TRAINING.kind("grpo", in_form=always), basis=_depends, plan=_plan, line=_line)
