"""Stages ``sft``, ``dpo``, ``align``, ``train``: examples written down, then trained on apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from anchor_train.preferences.groups import GroupExample
from anchor_train.principles.discovery import fold
from anchor_train.principles.records import Discovery
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import ListwiseLoss, SftSettings
from anchor_train.records import PreferenceExample, SftExample
from anchor_train.run.stage import StageJob, StageResult, derived_seed
from anchor_train.stages.cluster import read_members
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.groups import read_groups
from anchor_train.stages.pairs import read_pairs
from anchor_train.stages.questions import read_questions
from anchor_train.training.job import OutputFolder, TrainingJob, TrainingSettings
from anchor_train.training.launch import launch
from judges.files import read_records, write_records
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec, load_task

EXAMPLES = "examples.jsonl"

R = TypeVar("R")


def train_answers(job: StageJob) -> StageResult:
    """Does stage ``sft`` (method, section 4.1)."""
    examples = sft_examples(load_task(job.recipe.task), read_questions(job.needed("questions")))
    return _train(job, job.recipe.sft, examples, None)


def train_preferences(job: StageJob) -> StageResult:
    """Does stage ``dpo`` (method, section 4.4)."""
    spec = asked_in_form(job.run, job.recipe)
    questions = {question.id: question for question in read_questions(job.needed("questions"))}
    examples = [
        pair.example(spec.explain_conversation(questions[pair.question_id]))
        for pair in read_pairs(job.needed("pairs"))
    ]
    return _train(job, job.recipe.dpo, examples, OutputFolder(job.needed("adapter")).adapter)


def train_groups(job: StageJob) -> StageResult:
    """Does stage ``align``: list-wise training, or RFT."""
    spec = asked_in_form(job.run, job.recipe)
    assert job.stage.method is not None
    traits = STRATEGIES[job.stage.method]
    questions = {question.id: question for question in read_questions(job.needed("questions"))}
    examples = [
        group.example(spec.explain_conversation(questions[group.question_id]))
        for group in read_groups(job.needed("groups"))
    ]
    settings = job.recipe.rft if traits.section == "rft" else job.recipe.listwise
    return _train(job, settings, examples, OutputFolder(job.needed("adapter")).adapter, traits.loss)


def train_refinements(job: StageJob) -> StageResult:
    """Does stage ``train``: STaPLe's M-step, from the model that was sampled."""
    settings = job.recipe.staple.train
    examples = refinement_examples(
        asked_in_form(job.run, job.recipe),
        read_questions(job.needed("questions")),
        read_discoveries(job.needed("discoveries")),
        read_members(job.needed("constitution")) if settings.principle == "medoid" else {},
    )
    if "adapter" in job.stage.needs:
        return _train(job, settings, examples, OutputFolder(job.needed("adapter")).adapter)
    loop = settings.model_dump(exclude={"principle"})
    return _train(job, SftSettings(**loop, lora=job.recipe.sft.lora), examples, None)


def refinement_examples(
    spec: TaskSpec,
    questions: Sequence[Question],
    discoveries: Sequence[Discovery],
    medoids: Mapping[str, str],
) -> list[SftExample]:
    """Each discovery as an example, with the loss on principle and refined reply.

    Args:
        spec: The task.
        questions: Of the discoveries, and perhaps others.
        discoveries: What was found.
        medoids: Folded principle -> what is learnt in its place; the principle itself where there is none.
    """
    by_id = {question.id: question for question in questions}
    return [
        found.example(spec, by_id[found.question_id], medoids.get(fold(found.principle), found.principle))
        for found in discoveries
    ]


def sft_examples(spec: TaskSpec, questions: Sequence[Question]) -> list[SftExample]:
    """The answer-only prompt of each question with the sentence of its right choice."""
    return [SftExample(q.id, spec.answer_conversation(q), spec.answer_target(q)) for q in questions]


def read_examples(folder: Path, from_json: Callable[[Mapping[str, Any]], R]) -> Iterator[R]:
    """What a training stage trains on: ``SftExample``, ``PreferenceExample`` or ``GroupExample``."""
    return read_records(folder / EXAMPLES, from_json)


def _train(
    job: StageJob,
    settings: TrainingSettings,
    examples: Sequence[SftExample] | Sequence[PreferenceExample] | Sequence[GroupExample],
    adapter: Path | None,
    loss: ListwiseLoss | None = None,
) -> StageResult:
    path = job.folder / EXAMPLES
    write_records(path, (example.to_json() for example in examples))
    report = launch(
        TrainingJob(
            model=job.recipe.model,
            settings=settings,
            examples=path,
            output=job.folder,
            seed=derived_seed(job.recipe.seed, job.stage.draws),
            adapter=adapter,
            allow_cut=settings.allow_cut,
            loss=loss,
        ),
        job.recipe.launch,
    )
    summary = {key: value for key, value in report.to_json().items() if key not in {"adapter", "content"}}
    return StageResult((OutputFolder(job.folder).adapter.name, EXAMPLES), summary)
