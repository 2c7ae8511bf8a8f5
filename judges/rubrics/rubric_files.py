"""Rubrics as YAML files: how one is written, what is checked, and those that ship with the package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, field_validator, model_validator

from judges.errors import ConfigError
from judges.rubrics.rubric import EXTRAS, Criterion, Extra, Rubric
from judges.settings import Settings, load_yaml, nearest, parse

BUILT_IN = Path(__file__).parent
DEFAULT_RUBRIC = "explanation_quality"


def _exact(value: Any) -> Fraction:
    """A YAML number or fraction as it is written: 0.2 is 1/5, not the binary double next to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise ValueError("expected a number or a fraction such as 1/3")
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("expected a number or a fraction such as 1/3") from None


class _CriterionSettings(Settings):
    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str = Field(min_length=1, pattern=r"^[^:\n]+$")
    question: str = Field(min_length=1)
    weight: Any = 1

    @field_validator("weight")
    @classmethod
    def _weight(cls, value: Any) -> Fraction:
        weight = _exact(value)
        if weight <= 0:
            raise ValueError("a weight must be positive")
        return weight


class _PromptSettings(Settings):
    system: str = Field(min_length=1)
    user: str = Field(min_length=1)


class _RubricSettings(Settings):
    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    version: int | str = 1
    scale: dict[str, Any] = Field(min_length=2)
    criteria: list[_CriterionSettings] = Field(min_length=1)
    prompt: _PromptSettings
    shows: tuple[Extra, ...] = ()

    @field_validator("shows")
    @classmethod
    def _in_order(cls, value: tuple[Extra, ...]) -> tuple[Extra, ...]:
        return tuple(name for name in EXTRAS if name in value)

    @field_validator("scale")
    @classmethod
    def _scale(cls, value: dict[str, Any]) -> dict[str, Fraction]:
        scale = {}
        for verdict, points in value.items():
            if points is None:
                raise ValueError(f"verdict {verdict!r} has no points")
            if not re.fullmatch(r"[^\s:,|](?:[^:\n,|]*[^\s:,|])?", str(verdict)):
                raise ValueError(f"verdict {verdict!r} must be a plain phrase without ':' ',' or '|'")
            scale[str(verdict)] = _exact(points)
        if min(scale.values()) < 0:
            raise ValueError("points must not be negative")
        if len({verdict.casefold() for verdict in scale}) < len(scale):
            raise ValueError("two verdicts differ only in case")
        return scale

    @model_validator(mode="after")
    def _unique(self) -> _RubricSettings:
        for attribute in ("key", "name"):
            values = [getattr(criterion, attribute).casefold() for criterion in self.criteria]
            if len(set(values)) < len(values):
                raise ValueError(f"two criteria have the same {attribute}")
        return self

    @model_validator(mode="after")
    def _shown_as_said(self) -> _RubricSettings:
        """A judge is shown what ``shows`` says: nothing that it doesn't say, and nothing less."""
        used = _names_in(self.prompt.user)
        if used is None:  # told when the prompt is made
            return self
        if unsaid := [name for name in EXTRAS if name in used and name not in self.shows]:
            raise ValueError(f"prompt.user uses {unsaid[0]}: name it under shows")
        if unused := [name for name in self.shows if name not in used]:
            raise ValueError(f"shows {unused[0]}, which prompt.user doesn't use")
        return self


def _names_in(template: str) -> set[str] | None:
    """The names that a template is to be given; None if it isn't one."""
    try:
        return meta.find_undeclared_variables(ImmutableSandboxedEnvironment().parse(template))
    except TemplateError:
        return None


def rubric_from(values: Mapping[str, Any], where: str) -> Rubric:
    """Builds a rubric from the mapping that a rubric file holds.

    Raises:
        ConfigError: Listing everything that is wrong with it.
    """
    settings = parse(_RubricSettings, values, where)
    return Rubric(
        name=settings.name,
        version=str(settings.version),
        scale=settings.scale,
        criteria=tuple(Criterion(c.key, c.name, c.question, c.weight) for c in settings.criteria),
        system_template=settings.prompt.system,
        user_template=settings.prompt.user,
        shows=settings.shows,
    )


def rubric_to_json(rubric: Rubric) -> dict[str, Any]:
    """The mapping that :func:`rubric_from` makes the same rubric of."""
    return {
        "name": rubric.name,
        "version": rubric.version,
        "scale": {verdict: str(points) for verdict, points in rubric.scale.items()},
        "criteria": [
            {"key": one.key, "name": one.name, "question": one.question, "weight": str(one.weight)}
            for one in rubric.criteria
        ],
        "prompt": {"system": rubric.system_template, "user": rubric.user_template},
        **({"shows": list(rubric.shows)} if rubric.shows else {}),
    }


def built_in_rubric(name: str = DEFAULT_RUBRIC) -> Rubric:
    """A rubric that ships with the package.

    Raises:
        ConfigError: If there is none of that name.
    """
    path = BUILT_IN / f"{name}.yaml"
    if not path.is_file():
        names = [found.stem for found in BUILT_IN.glob("*.yaml")]
        raise ConfigError(f"no rubric {name!r}: {nearest(name, names)}; or a .yaml file")
    return rubric_from(load_yaml(path), str(path))
