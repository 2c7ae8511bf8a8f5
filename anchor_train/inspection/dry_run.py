"""What a run would do: stage by stage, with examples as tokens and an estimate of calls. Nothing is done."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from anchor_train.inspection.trial import try_rendering
from anchor_train.pipeline.pipeline import Pipeline, StageStatus
from anchor_train.recipes.training_settings import LoopSettings
from anchor_train.run.stage import Stage, StageKind
from anchor_train.stages.cluster import MEMBERS, read_members
from anchor_train.stages.discover import FILE as DISCOVERIES
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.groups import GROUPS, read_groups
from anchor_train.stages.pairs import read_pairs
from anchor_train.stages.questions import drawn, ids_of_round, load_questions, read_questions, without_repeats
from anchor_train.stages.train import refinement_examples, sft_examples
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import (
    TokenisedExample,
    TokenisedGroup,
    TokenisedPair,
    prompt_ids,
    show_example,
    show_group,
    show_pair,
    tokenise_example,
    tokenise_group,
    tokenise_pair,
)
from lm_eval_tasks.harness import pilot
from lm_eval_tasks.records import Json, Question
from lm_eval_tasks.tasks.spec import TaskSpec

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """What one stage would do.

    Attributes:
        stage: Its key.
        state: As in ``status``.
        does: One line.
        calls: Most completions that it would ask for; None for a stage that asks for none.
        tokens: Prompt tokens of those calls, or tokens of the training examples; None if not known yet.
        steps: Optimiser steps; None but for training.
    """

    stage: str
    state: str
    does: str
    calls: int | None = None
    tokens: int | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a run would do.

    Attributes:
        stages: In order.
        examples: Rendered and tokenised, the loss mask shown.
    """

    stages: tuple[PlannedStage, ...]
    examples: tuple[str, ...]

    def to_json(self) -> Json:
        """Its attributes."""
        names = PlannedStage.__slots__
        return {
            "stages": [{name: getattr(stage, name) for name in names} for stage in self.stages],
            "examples": list(self.examples),
        }

    def to_text(self) -> str:
        """For people."""
        width = max((len(stage.stage) for stage in self.stages), default=0)
        lines = [f"{stage.stage:<{width}}  {stage.state:<8}  {stage.does}" for stage in self.stages]
        calls = sum(stage.calls or 0 for stage in self.stages if stage.state != "finished")
        lines.append(f"at most {calls} completions in all")
        return "\n".join([*lines, "", *self.examples])


def describe(pipeline: Pipeline, kinds: Collection[StageKind] | None = None) -> Description:
    """Looks at a run without doing anything.

    Raises:
        AnchorError: If the questions or the tokenizer can't be loaded.
    """
    statuses = [status for status in pipeline.status() if kinds is None or status.stage.kind in kinds]
    return _Describer(pipeline).description(statuses)


class _Describer:
    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._recipe = pipeline.recipe
        self._spec: TaskSpec = asked_in_form(pipeline.run, pipeline.recipe)
        self._tokenizer: Any = load_tokenizer(pipeline.recipe.model)
        available = without_repeats(load_questions(self._recipe, self._spec), self._spec)
        self._questions: list[Question] = drawn(available, self._recipe.questions.limit, self._recipe.seed)

    def description(self, statuses: Sequence[StageStatus]) -> Description:
        planned = tuple(self._planned(status) for status in statuses)
        kinds = {status.stage.kind for status in statuses}
        examples: list[str] = []
        if "sft" in kinds:
            chosen = sft_examples(self._spec, self._questions[:EXAMPLES])
            examples += [
                f"sft example {show_example(self._tokenizer, tokenise_example(self._tokenizer, example))}"
                for example in chosen
            ]
        if "dpo" in kinds:
            trial = try_rendering(self._recipe)
            examples.append(f"{trial.note}\n{trial.shown}")
        for status in statuses:
            if status.stage.kind == "dpo":
                examples += [
                    f"{status.stage.key} pair {show_pair(self._tokenizer, pair)}"
                    for pair in self._pairs(status.stage, EXAMPLES)
                ]
            if status.stage.kind == "train":
                examples += [
                    f"{status.stage.key} example {show_example(self._tokenizer, refinement)}"
                    for refinement in self._refinements(status.stage, EXAMPLES)
                ]
            if status.stage.kind == "align":
                examples += [
                    f"{status.stage.key} group {show_group(self._tokenizer, group)}"
                    for group in self._groups(status.stage, EXAMPLES)
                ]
        return Description(planned, tuple(examples))

    def _planned(self, status: StageStatus) -> PlannedStage:
        stage, state, many = status.stage, status.state, len(self._questions)
        match stage.kind:
            case "questions":
                return PlannedStage(stage.key, state, f"draws {many} questions")
            case "form":
                asked = min(many, pilot.QUESTIONS)
                does = f"tries out how to ask, with a reply to each of {asked} questions in up to 3 forms"
                return PlannedStage(stage.key, state, does, 3 * asked)
            case "sft":
                return self._sft(stage, state)
            case "sample":
                n = self._recipe.sampler.n
                prompts = [self._spec.explain_conversation(question) for question in self._questions]
                tokens = sum(len(prompt_ids(self._tokenizer, prompt)) for prompt in prompts)
                does = f"draws {n} replies to each of {many} questions ({tokens} prompt tokens)"
                return PlannedStage(stage.key, state, does, many * n, tokens)
            case "judge":
                calls = many * self._recipe.sampler.n
                return PlannedStage(stage.key, state, f"judges up to {calls} explanations", calls)
            case "consult":
                return PlannedStage(stage.key, state, f"asks for up to {many} arguments", many)
            case "pairs":
                return PlannedStage(stage.key, state, f"makes up to {many} pairs ({stage.strategy})")
            case "dpo":
                return self._dpo(stage, state)
            case "groups":
                return PlannedStage(stage.key, state, f"makes up to {many} groups ({stage.strategy})")
            case "align":
                return self._align(stage, state)
            case "discover":
                return self._discover(stage, state)
            case "cluster":
                return PlannedStage(stage.key, state, "clusters the accepted principles")
            case "train":
                return self._refinement(stage, state)
            case "generate" | "score":
                return self._evaluation(stage, state)
            case "table":
                return PlannedStage(stage.key, state, "compares the models")

    def _sft(self, stage: Stage, state: str) -> PlannedStage:
        tokenised = [
            tokenise_example(self._tokenizer, example)
            for example in sft_examples(self._spec, self._questions)
        ]
        return self._training(stage, state, self._recipe.sft, tokenised, "examples")

    def _dpo(self, stage: Stage, state: str) -> PlannedStage:
        pairs, settings = self._pairs(stage), self._recipe.as_of(stage.strategy).dpo
        if not pairs:
            return PlannedStage(stage.key, state, f"trains on the pairs{_length_of(settings)}")
        return self._training(stage, state, settings, pairs, "pairs")

    def _align(self, stage: Stage, state: str) -> PlannedStage:
        is_rft = stage.method == "rft"
        recipe = self._recipe.as_of(stage.strategy)
        settings = recipe.rft if is_rft else recipe.listwise
        groups = self._groups(stage)
        if not groups:
            return PlannedStage(stage.key, state, f"trains on the groups{_length_of(settings)}")
        if is_rft:
            best = [reply for group in groups for reply in group.best]
            return self._training(stage, state, settings, best, "replies")
        return self._training(stage, state, settings, groups, "groups")

    def _discover(self, stage: Stage, state: str) -> PlannedStage:
        settings = self._recipe.as_of(stage.strategy).staple.discover
        ids = [question.id for question in self._questions]
        taken = len(ids_of_round(self._recipe.as_of(stage.strategy), stage.round, ids))
        replies = taken * min(settings.first_replies, self._recipe.sampler.n)
        does = f"tries up to {settings.n} principles on each of up to {replies} replies"
        judged = settings.acceptance == "judge"
        return PlannedStage(stage.key, state, does, replies * settings.n * (3 if judged else 2))

    def _refinement(self, stage: Stage, state: str) -> PlannedStage:
        settings = self._recipe.as_of(stage.strategy).staple.train
        found = self._refinements(stage)
        if not found:
            does = f"trains on what {stage.needs['discoveries']} accepts{_length_of(settings)}"
            return PlannedStage(stage.key, state, does)
        return self._training(stage, state, settings, found, "refined replies")

    def _training(
        self,
        stage: Stage,
        state: str,
        settings: LoopSettings,
        examples: Sequence[TokenisedExample] | Sequence[TokenisedPair] | Sequence[TokenisedGroup],
        what: str,
    ) -> PlannedStage:
        long = sum(example.length > settings.max_length for example in examples)
        tokens = sum(example.length for example in examples)
        steps = settings.max_steps
        if steps is None:
            steps = math.ceil(len(examples) / settings.optimiser.batch_size * (settings.epochs or 0))
        cut = f"; {long} longer than max_length {settings.max_length}" if long else ""
        does = f"trains {steps} steps on {len(examples)} {what} ({tokens} tokens{cut})"
        return PlannedStage(stage.key, state, does, tokens=tokens, steps=steps)

    def _evaluation(self, stage: Stage, state: str) -> PlannedStage:
        settings = self._recipe.evaluate
        split = settings.split or self._spec.evaluation_split
        questions = len(self._spec.load_questions(split, self._recipe.data_dir))
        many = min(questions, settings.limit or questions)
        calls = many * settings.n
        if stage.kind == "generate":
            does = f"{stage.model} answers {many} questions of {split} {settings.n} times each"
        else:
            does = f"judges up to {calls} explanations"
        return PlannedStage(stage.key, state, does, calls)

    def _pairs(self, stage: Stage, count: int | None = None) -> list[TokenisedPair]:
        """The pairs that a dpo stage would train on, if they are made already."""
        run = self._pipeline.run
        if not (run.stage(stage.needs["pairs"]) / "pairs.jsonl").is_file():
            return []
        questions = {question.id: question for question in read_questions(run.stage("questions"))}
        return [
            tokenise_pair(
                self._tokenizer, pair.example(self._spec.explain_conversation(questions[pair.question_id]))
            )
            for pair in read_pairs(run.stage(stage.needs["pairs"]))[:count]
        ]

    def _groups(self, stage: Stage, count: int | None = None) -> list[TokenisedGroup]:
        """The groups that an align stage would train on, if they are made already."""
        run = self._pipeline.run
        if not (run.stage(stage.needs["groups"]) / GROUPS).is_file():
            return []
        questions = {question.id: question for question in read_questions(run.stage("questions"))}
        return [
            tokenise_group(
                self._tokenizer, group.example(self._spec.explain_conversation(questions[group.question_id]))
            )
            for group in read_groups(run.stage(stage.needs["groups"]))[:count]
        ]

    def _refinements(self, stage: Stage, count: int | None = None) -> list[TokenisedExample]:
        """The refined replies that a train stage would train on, if they and their clusters are there."""
        run = self._pipeline.run
        folder, constitution = run.stage(stage.needs["discoveries"]), run.stage(stage.needs["constitution"])
        if not ((folder / DISCOVERIES).is_file() and (constitution / MEMBERS).is_file()):
            return []
        own = self._recipe.as_of(stage.strategy).staple.train.principle == "own"
        examples = refinement_examples(
            self._spec,
            read_questions(run.stage("questions")),
            read_discoveries(folder)[:count],
            {} if own else read_members(constitution),
        )
        return [tokenise_example(self._tokenizer, example) for example in examples]


def _length_of(settings: LoopSettings) -> str:
    return f" for {settings.max_steps} steps" if settings.max_steps else f" for {settings.epochs} epochs"
