"""Recipe files: what they extend, what a command line sets over them, and how they are written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.merge import merged
from judges.errors import ConfigError
from judges.settings import load_yaml, nearest, parse
from judges.storage.yaml_files import read_yaml

RECIPES = Path(__file__).parent / "built_in"
PAPER = "paper"
# Settings that may be given as a plain string -> the key that the string stands for.
SHORT = {"model": "name", "engine": "backend"}


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe file with what it extends, and applies ``a.b=value`` overrides.

    Args:
        path: The YAML file.
        overrides: Each ``dotted.key=value``; the value is read as YAML.

    Raises:
        ConfigError: Naming every wrong key and value at once.
    """
    return recipe_from(load_yaml(path), path, overrides)


def recipe_from(values: Mapping[str, Any], path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Builds a recipe from what its file holds.

    Args:
        values: The file's keys.
        path: The file, for messages and for what it extends.
        overrides: As for :func:`load_recipe`.

    Raises:
        ConfigError: Naming every wrong key and value at once.
    """
    layered = _over_parents(values, path, seen=())
    for override in overrides:
        # One key of a backend is set here, not the whole of it.
        layered = merged(layered, _override(override), whole=frozenset())
    return parse(Recipe, layered, str(path))


def resolved_yaml(recipe: Recipe) -> str:
    """The recipe with nothing left out, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _built_in(name: str) -> Path:
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        names = [found.stem for found in RECIPES.glob("*.yaml")]
        raise ConfigError(f"no recipe {name!r}: {nearest(name, names)}; or a .yaml file")
    return path


def _over_parents(values: Mapping[str, Any], path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path}: extends itself")
    own = _spelt_out(values)
    fallback = None if path == (RECIPES / f"{PAPER}.yaml").resolve() else PAPER
    parent = own.pop("extends", fallback)
    if parent is None:
        return own
    if not isinstance(parent, str):
        raise ConfigError(f"{path}: extends = {parent!r}: expected the name of a recipe or a .yaml file")
    parent_path = path.parent / parent if parent.endswith((".yaml", ".yml")) else _built_in(parent)
    return merged(_over_parents(load_yaml(parent_path), parent_path, (*seen, path)), own)


def _spelt_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings without short forms, so that single keys can be laid over them."""
    return {
        key: {SHORT[key]: value} if key in SHORT and isinstance(value, str) else value
        for key, value in values.items()
    }


def override_path(text: str) -> tuple[list[str], Any]:
    """``dotted.key=value``, taken apart; the value is read as YAML.

    Raises:
        ConfigError: If it isn't of that form.
    """
    name, equals, value_text = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, e.g. dpo.beta=0.2")
    return keys, read_yaml(value_text, f"--set {text!r}: the value")


def _override(text: str) -> dict[str, Any]:
    keys, value = override_path(text)
    for key in reversed(keys):
        value = {key: value}
    return _spelt_out(value)
