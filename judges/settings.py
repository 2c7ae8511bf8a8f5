"""Settings from YAML files (:mod:`judges.storage.yaml_files`) and command lines, checked all at once.

Every settings class of the project is a pydantic model that forbids unknown keys; ``parse`` turns its
complaints into one :class:`ConfigError` that lists all of them and the nearest known key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from judges.errors import ConfigError
from judges.storage.yaml_files import load_yaml

__all__ = ["Settings", "load_yaml", "nearest", "parse"]


class Settings(BaseModel):
    """Base of all settings classes: unknown keys refused, values immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)


S = TypeVar("S", bound=BaseModel)


def nearest(name: str, known: Iterable[str]) -> str:
    """A "did you mean" for an unknown name, with the full list."""
    names = sorted(known)
    words = _words(name)
    # One that has all the words, as arc_challenge_explain has those of arc_explain, is meant before others.
    with_words = [one for one in names if words and words <= _words(one)]
    close = difflib.get_close_matches(name, with_words, n=1, cutoff=0.0)
    close = close or difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", name.lower()))


def parse(kind: type[S], values: Mapping[str, Any], where: str) -> S:
    """Checks a mapping against a settings class.

    Args:
        kind: The settings class.
        values: What the user gave.
        where: File or option it comes from, for the message.

    Raises:
        ConfigError: Naming every wrong key and value at once.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        problems = [_describe(kind, problem) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(problems)) from None


def _describe(kind: type[BaseModel], problem: Any) -> str:
    location = problem["loc"]
    name = ".".join(str(part) for part in location) or "settings"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(kind, location[:-1])
        return (
            f"unknown key {name!r} ({nearest(str(location[-1]), known)})"
            if known
            else f"unknown key {name!r}"
        )
    if problem["type"] == "missing":
        return f"{name!r} is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if isinstance(problem["input"], Mapping):
        return f"{name}: {message}"
    return f"{name} = {problem['input']!r}: {message}"


def _fields_at(kind: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Field names of the settings class found by walking ``path``; empty if it isn't one."""
    current: Any = kind
    named = False  # whether the next part is a user's own name in a mapping of settings
    for part in path:
        if named or isinstance(part, int):  # an item of a mapping or list of settings
            named = False
            continue
        fields = getattr(current, "model_fields", None)
        if fields is None or part not in fields:
            return []
        annotation = fields[part].annotation
        current, named = _model_in(annotation), get_origin(annotation) is dict
    return list(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    candidates = (_model_in(part) for part in getattr(annotation, "__args__", ()))
    return next((found for found in candidates if found is not None), None)
