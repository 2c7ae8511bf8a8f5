"""Stage ``questions``: which questions a run trains on, drawn once and kept."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from anchor_train.recipes.config import Recipe
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary
from judges.errors import ConfigError, DataError
from judges.output.notices import tell
from judges.storage.files import read_records, write_records
from lm_eval_tasks.questions.load import Loaded
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

FILE = "questions.jsonl"


def draw_questions(job: StageJob) -> StageResult:
    """Does the stage."""
    spec = load_task(job.recipe.task)
    loaded = load_rows(job.recipe, spec)
    available = loaded.questions
    distinct = without_repeats(available, spec)
    questions = drawn(distinct, job.recipe.questions.limit, job.recipe.seed)
    write_records(job.folder / FILE, (question.to_json() for question in questions))
    summary = {
        "questions": len(questions),
        "available": len(available),
        "repeated": len(available) - len(distinct),
    }
    if loaded.left_out:
        summary["unreadable"] = len(loaded.left_out)
        tell(f"{spec.name}: {loaded.note}")
    return StageResult((FILE,), summary)


def read_questions(folder: Path) -> list[Question]:
    """What the stage left."""
    return list(read_records(folder / FILE, Question.from_json))


def load_questions(recipe: Recipe, spec: TaskSpec) -> list[Question]:
    """The questions of :func:`load_rows` alone."""
    return list(load_rows(recipe, spec).questions)


def load_rows(recipe: Recipe, spec: TaskSpec) -> Loaded:
    """All questions of the training split, and which rows were left out.

    Raises:
        ConfigError: If the task has no such split.
        DataError: If there is no question in it.
    """
    check_split(recipe, spec)
    split = recipe.questions.split
    skip = recipe.questions.skip_unreadable_rows
    loaded = spec.load(split, recipe.data_dir, skip_unreadable_rows=skip)
    if not loaded.questions:
        raise DataError(f"task {spec.name}: no question in split {split!r}")
    return loaded


def check_split(recipe: Recipe, spec: TaskSpec) -> None:
    """Refuses a task without the split to train on.

    Raises:
        ConfigError: With the splits that there are.
    """
    split = recipe.questions.split
    if recipe.data_dir is None and spec.data_dir is None and split not in spec.splits:
        there = ", ".join(spec.splits) or "none"
        raise ConfigError(
            f"task {spec.name} has no split {split!r} to train on (it has: {there}); "
            "set questions.split to one of these, or data_dir to a folder that has it"
        )


def without_repeats(questions: Sequence[Question], spec: TaskSpec) -> list[Question]:
    """The questions without those shown before.

    Seeded replies depend on the prompt alone, so a repeated question would only repeat its pair.
    """
    first: dict[str, Question] = {}
    for question in questions:
        first.setdefault(spec.shown_question(question), question)
    return list(first.values())


def drawn(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """A seeded draw of ``limit`` questions, in the data set's order."""
    if limit is None or limit >= len(questions):
        return list(questions)
    chosen = random.Random(derived_seed(seed, "questions")).sample(range(len(questions)), limit)
    return [questions[index] for index in sorted(chosen)]


def ids_of_round(recipe: Recipe, number: int, ids: Sequence[str]) -> frozenset[str]:
    """Ids of the questions that strategy ``staple`` takes up in one round: fresh ones each time.

    Args:
        recipe: Says how many: ``staple.discover.questions``, or equal parts.
        number: The round, counted from 1.
        ids: Of all drawn questions.

    Raises:
        ConfigError: If some round, this one or another, would have none.
    """
    shares = recipe.staple.discover.questions
    if shares is None:
        ends = [round_ * len(ids) // recipe.rounds for round_ in range(recipe.rounds + 1)]
    else:
        ends = [sum(shares[:round_]) for round_ in range(len(shares) + 1)]
    order = sorted(ids)
    random.Random(derived_seed(recipe.seed, "rounds")).shuffle(order)
    parts = [order[begin:end] for begin, end in pairwise(ends)]
    empty = next((place for place in range(recipe.rounds) if not parts[place]), None)
    if empty is not None:  # better told in round 1 than after days
        raise ConfigError(
            f"staple: round {empty + 1} has no fresh questions: {len(ids)} are drawn, and earlier rounds "
            "take them; raise questions.limit, or lower staple.discover.questions"
        )
    return frozenset(parts[number - 1])


def questions_of(job: StageJob) -> dict[str, Question]:
    """The run's questions, by id."""
    return {question.id: question for question in read_questions(job.run.stage("questions"))}


def _basis(stage: Stage, of: Dependencies) -> Basis:
    settings = of.settings("task", "data_dir", "questions", "seed")
    return Basis(settings, {**of.data, **of.prompts})


def _count(found: Summary, what: str) -> str:
    unreadable = f", {found['unreadable']} unreadable rows" if found.get("unreadable") else ""
    return f"{found['questions']} {what} ({found['repeated']} repeats{unreadable} left out)"


def _show(job: StageJob) -> Iterator[Example]:
    spec = load_task(job.recipe.task)
    for question in read_questions(job.folder):
        text = f"question {question.id}, gold {question.gold}\n{spec.shown_question(question)}"
        yield Example(job.stage.key, question.id, text, question.to_json())


KIND = StageKind(
    "questions",
    work=draw_questions,
    basis=_basis,
    plan=lambda job, preview: Planned(f"draws {len(preview.questions)} questions"),
    line=lambda found: _count(found, f"of {found['available']} questions"),
    card=lambda found, _: _count(found, f"training questions of {found['available']}"),
    show=_show,
    file=FILE,
    commands=("sft",),
)
