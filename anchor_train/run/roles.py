"""Who plays sampler, judge and consultant: a recipe's words turned into the settings of a chat backend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.section_settings import RoleBackend
from anchor_train.run.precision import told_dtype
from anchor_train.run.trained_folder import is_whole
from judges.backends.executor import LOCAL
from judges.errors import ConfigError
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Rubric
from judges.rubrics.rubric_files import DEFAULT_RUBRIC
from judges.settings import load_yaml

BASE = "base"
LATEST = "latest"
# Backends that work in a process which another one was forked to become; other packages' may not.
FORKED = ("transformers", "openai", "scripted", "pocket-oracle")

# What judges.config.load_backend and load_judge take.
RoleSpec: TypeAlias = str | dict[str, Any]


def own_model(recipe: Recipe, adapter: Path | None) -> dict[str, Any]:
    """Backend settings of the run's model on its engine: the base, with an adapter, or trained as a whole."""
    model = recipe.model
    said = "dtype" in recipe.engine and model.dtype == "auto"
    whole = adapter is not None and is_whole(adapter)
    optional = {
        "adapter": None if adapter is None or whole else str(adapter),
        "dtype": None if said else told_dtype(model),
        "revision": None if whole else model.revision,
        "chat_template": None if model.chat_template is None else str(model.chat_template),
        "chat_template_kwargs": model.chat_template_kwargs or None,
        "trust_remote_code": model.trust_remote_code or None,
    }
    given = {key: value for key, value in optional.items() if value is not None}
    return {**recipe.engine, "model": str(adapter) if whole else model.name, **given}


def sampler_spec(recipe: Recipe, adapter: Path | None) -> RoleSpec:
    """The sampler: the model in training, or the endpoint that serves it."""
    given = recipe.sampler.backend
    return own_model(recipe, adapter) if given is None else _resolved(recipe, given, adapter)


def refiner_spec(recipe: Recipe, adapter: Path | None) -> RoleSpec:
    """Who names principles and refines by them: as the sampler, unless the recipe names another."""
    given = recipe.staple.discover.backend
    return sampler_spec(recipe, adapter) if given is None else _resolved(recipe, given, adapter)


def judge_spec(recipe: Recipe, given: str | dict[str, Any], latest: Path | None = None) -> RoleSpec:
    """A judge of the recipe.

    Args:
        recipe: The recipe.
        given: ``recipe.judge`` or ``recipe.evaluate.judge``.
        latest: Adapter of the newest aligned model; None while there is none, and the base model judges.
    """
    return _resolved(recipe, given, latest)


def consultant_spec(recipe: Recipe, latest: Path | None = None) -> RoleSpec:
    """The consultant of the recipe."""
    return _resolved(recipe, recipe.consultant.backend, latest)


def wants_latest(given: object) -> bool:
    """Whether a role is played by the newest aligned model."""
    return given == LATEST or (isinstance(given, dict) and given.get("model") == LATEST)


def runs_here(recipe: Recipe, given: RoleBackend) -> bool:
    """Whether the process that asks a role loads its model with transformers, instead of asking elsewhere."""
    if recipe.engine["backend"] != "transformers" or recipe.executor not in (None, "local"):
        return False
    return is_own_model(given)


def may_be_forked(recipe: Recipe) -> bool:
    """Whether no role brings up an engine or a cluster that wants a process with nothing loaded yet."""
    roles = (recipe.engine, recipe.sampler.backend, recipe.judge, recipe.consultant.backend)
    further = (recipe.evaluate.judge, recipe.staple.discover.backend)
    apart = recipe.executor not in (None, LOCAL) or recipe.evaluate.engine == "vllm"
    return not apart and all(_may_be_forked(given) for given in (*roles, *further))


def _may_be_forked(given: RoleBackend) -> bool:
    if isinstance(given, str) and given not in (BASE, LATEST):
        given = load_yaml(Path(given)) if is_file(given) else {"backend": given.partition(":")[0]}
    if not isinstance(given, Mapping):
        return True  # this run's own model, on its engine
    return given.get("backend") in (None, *FORKED) and given.get("executor") in (None, LOCAL)


def is_own_model(given: RoleBackend) -> bool:
    """Whether a role is played by this run's own model, on its engine."""
    if isinstance(given, Mapping):
        return given.get("model") in (BASE, LATEST)
    return given in (None, BASE, LATEST)


def role_settings(given: RoleBackend) -> Any:
    """What a role's results depend on, as far as the recipe says it; a file stands for what it holds.

    Where the role is asked (``executor``) changes no result.
    """
    if isinstance(given, str) and is_file(given):
        given = {"file": given, **load_yaml(Path(given))}
    if isinstance(given, Mapping):
        return {key: value for key, value in given.items() if key != "executor"}
    return given


def rubric_fingerprint(given: str | dict[str, Any]) -> str:
    """Hash of the rubric that a judge of the recipe goes by."""
    return rubric_of(given).fingerprint


def rubric_of(given: str | dict[str, Any]) -> Rubric:
    """The rubric that a judge of the recipe goes by."""
    values: Mapping[str, Any] = {}
    folder = Path()
    if isinstance(given, Mapping):
        values = given
    elif is_file(given):
        values, folder = load_yaml(Path(given)), Path(given).parent
    name = values.get("rubric", DEFAULT_RUBRIC)
    if not isinstance(name, str):
        raise ConfigError(f"judge: rubric = {name!r}: expected the name of a rubric or a .yaml file")
    beside = folder / name
    return load_rubric(beside if beside.is_file() else name)


def _resolved(recipe: Recipe, given: str | dict[str, Any], latest: Path | None) -> RoleSpec:
    if given == BASE:
        return own_model(recipe, None)
    if given == LATEST:
        return own_model(recipe, latest)
    if isinstance(given, dict) and given.get("model") in {BASE, LATEST}:
        adapter = latest if given["model"] == LATEST else None
        further = {key: value for key, value in given.items() if key != "model"}
        return {**own_model(recipe, adapter), **further}
    return given


def is_file(given: str) -> bool:
    """Whether a role names a judge file."""
    return given.endswith((".yaml", ".yml")) and ":" not in given
