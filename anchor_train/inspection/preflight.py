"""What can be seen to be wrong with a recipe before any model loads, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec

from anchor_train.inspection.installed import lacking
from anchor_train.pipeline.plan import graph
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.section_settings import RoleBackend
from anchor_train.run.roles import (
    BASE,
    LATEST,
    is_file,
    judge_spec,
    own_model,
    role_settings,
    rubric_of,
)
from anchor_train.run.stage import Stage
from anchor_train.stages.questions import check_split
from anchor_train.stages.registry import KINDS
from judges.backends.local_model import LocalModelSettings, check_model
from judges.backends.registry import backend_names
from judges.errors import AnchorError, ConfigError, DataError
from judges.rubrics.constitution import load_constitution
from judges.settings import nearest
from lm_eval_tasks.tasks.load import load_task


def check(recipe: Recipe) -> list[str]:
    """Checks what the recipe names: model, task, split, files, backends, libraries.

    Returns:
        Warnings.

    Raises:
        ConfigError: Naming every problem.
    """
    problems = list(_problems(recipe))
    if problems:
        raise ConfigError("; ".join(problems))
    return list(_warnings(recipe))


def _problems(recipe: Recipe) -> Iterator[str]:
    yield from _failing(lambda: check_model(_local_settings(recipe)))
    yield from _failing(lambda: _check_split(recipe))
    yield from _failing(lambda: _check_protocol(recipe))
    for name, kind in _backends(recipe):
        if kind not in backend_names():
            yield f"{name}: no backend {kind!r}: {nearest(kind, backend_names())}"
    for name, given in (("judge", recipe.judge), ("evaluate.judge", recipe.evaluate.judge)):
        for problem in _failing(lambda given=given: _check_judge(recipe, given)):  # type: ignore[misc]
            yield f"{name}: {problem}"
    for name, file in (
        ("data_dir", recipe.data_dir),
        ("launch.accelerate_config", recipe.launch.accelerate_config),
    ):
        if file is not None and not file.expanduser().exists():
            yield f"{name} {str(file)!r}: no such file or folder"
    models = [stage.model for stage in graph(recipe) if stage.kind == "generate" and stage.model]
    if recipe.evaluate.baseline not in models:
        yield f"evaluate.baseline {recipe.evaluate.baseline!r}: {nearest(recipe.evaluate.baseline, models)}"
    guide = recipe.consultant.guide
    if guide is not None:
        for problem in _failing(lambda: load_constitution(guide)):
            yield f"consultant.guide: {problem}"
    yield from dict.fromkeys(problem for stage in graph(recipe) for problem in _of_stage(stage, recipe))
    yield from lacking(recipe)
    missing = [name for name in ("torch", "transformers", "peft", "trl") if find_spec(name) is None]
    if missing:
        yield f"{', '.join(missing)} not installed: pip install 'anchored-explanations[train]'"


def _warnings(recipe: Recipe) -> Iterator[str]:
    judged = any(stage.kind == "judge" for stage in graph(recipe))
    if judged and _same(recipe, recipe.judge, recipe.evaluate.judge):
        yield (
            "the evaluation judge is the training judge: what it likes was trained for, so its verdict "
            "is no independent one; set evaluate.judge to another, stronger model"
        )
    if _evaluates_on_training_questions(recipe):
        yield (
            "the models are evaluated on the very questions they are trained on; set evaluate.split to "
            "another split, or data_dir to a folder that has both"
        )


def _backends(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Setting -> the kind of backend that it names, as far as the recipe itself says it."""
    roles: dict[str, RoleBackend] = {
        "engine": recipe.engine,
        "sampler.backend": recipe.sampler.backend,
        "judge": recipe.judge,
        "consultant.backend": recipe.consultant.backend,
        "evaluate.judge": recipe.evaluate.judge,
        "staple.discover.backend": recipe.staple.discover.backend,
    }
    for name, given in roles.items():
        if isinstance(given, dict) and isinstance(given.get("backend"), str):
            yield name, given["backend"]
        elif isinstance(given, str) and given not in {BASE, LATEST} and not is_file(given):
            yield name, given.partition(":")[0]


def _failing(work: Callable[[], object]) -> Iterator[str]:
    try:
        work()
    except AnchorError as error:
        yield str(error)


def _local_settings(recipe: Recipe) -> LocalModelSettings:
    known = own_model(recipe, None)
    return LocalModelSettings(**{k: v for k, v in known.items() if k in LocalModelSettings.model_fields})


def _check_split(recipe: Recipe) -> None:
    spec = load_task(recipe.task)
    check_split(recipe, spec)
    if recipe.data_dir is not None or spec.data_dir is not None:
        # Local files: better to miss the evaluation's now than after the training.
        load = partial(spec.load, skip_unreadable_rows=recipe.questions.skip_unreadable_rows)
        load(recipe.questions.split, recipe.data_dir)
        try:
            load(recipe.evaluate.split or spec.evaluation_split, recipe.data_dir)
        except DataError as error:
            raise ConfigError(f"evaluation (evaluate.split): {error}") from None


def _check_protocol(recipe: Recipe) -> None:
    """Refuses a task that refines: training starts from plain replies, and asks for more by itself."""
    spec = load_task(recipe.task)
    if spec.protocol == "refined":
        raise ConfigError(
            f"task {spec.name} refines its own replies: train on {spec.plain_name}; what strategy staple "
            "trains is evaluated with the refinement all the same"
        )


def _check_judge(recipe: Recipe, given: object) -> None:
    if not isinstance(given, str | dict):
        return
    role_settings(given)
    rubric = rubric_of(given)
    try:
        spec = load_task(recipe.task)
    except AnchorError:  # told by what checks the task
        return
    if "reference" in rubric.shows and not any(layout.rationale for layout in spec.layouts):
        raise ConfigError(
            f"rubric {rubric.name} shows a reference explanation, and task {spec.name} names no field that "
            "holds one (fields.rationale of its file)"
        )


def _of_stage(stage: Stage, recipe: Recipe) -> Iterator[str]:
    return _failing(lambda: KINDS[stage.kind].check(recipe.as_of(stage.strategy)))


def _evaluates_on_training_questions(recipe: Recipe) -> bool:
    spec = load_task(recipe.task)
    place = recipe.data_dir or spec.data_dir
    if place is not None and place.expanduser().is_file():  # one file stands for every split
        return True
    return recipe.questions.split == (recipe.evaluate.split or spec.evaluation_split)


def _same(recipe: Recipe, training: object, evaluation: object) -> bool:
    resolved = [
        judge_spec(recipe, given) for given in (training, evaluation) if isinstance(given, str | dict)
    ]
    return len(resolved) == 2 and resolved[0] == resolved[1]
