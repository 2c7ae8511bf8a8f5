"""Rubrics: criteria, a scale of verdicts with exact points, weights and the prompt text.

Scores are whole numbers. A rubric finds the largest unit in which every weighted sum is a whole number (a
fifth for the built-in rubric, so 0 to 25), and scores are counted in that unit: 0.6 + 0.2 and 0.8 + 0.0 are
both 4 fifths and tie, which sums of floats do not.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from judges.errors import ConfigError
from judges.records import Judgement, OutputForm
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


@dataclass(frozen=True, slots=True)
class Criterion:
    """One aspect that is judged."""

    key: str
    name: str
    question: str
    weight: Fraction


@dataclass(frozen=True)
class Rubric:
    """What an explanation is judged by.

    Attributes:
        name: Short name.
        version: Version given by its author.
        scale: Verdict name -> points, best first.
        criteria: In the order in which they are asked.
        system_template: Jinja text of the judge's system turn.
        user_template: Jinja text of the judge's user turn.
    """

    name: str
    version: str
    scale: Mapping[str, Fraction]
    criteria: tuple[Criterion, ...]
    system_template: str
    user_template: str

    @cached_property
    def units(self) -> int:
        """Units a point: the smallest whole number that makes every weighted point value whole (ours: 5)."""
        denominators = [
            (criterion.weight * points).denominator
            for criterion in self.criteria
            for points in self.scale.values()
        ]
        return math.lcm(*denominators)

    @cached_property
    def max_score(self) -> int:
        """The best possible score, in units (ours: 25)."""
        best = max(self.scale.values())
        return int(sum(criterion.weight * best for criterion in self.criteria) * self.units)

    def score(self, judgement: Judgement) -> int:
        """The weighted sum of the verdicts' points, in units: an exact whole number (method section 2.2)."""
        total = sum(
            criterion.weight * self.scale[judgement.verdicts[criterion.key]] for criterion in self.criteria
        )
        return int(total * self.units)

    def points(self, judgement: Judgement) -> dict[str, Fraction]:
        """Unweighted points of each criterion: criterion key -> points."""
        return {c.key: self.scale[judgement.verdicts[c.key]] for c in self.criteria}

    @cached_property
    def form_text(self) -> str:
        """The reply's form as the prompt shows it: one ``Criterion: VERDICT`` line each."""
        return "\n".join(f"{criterion.name}: VERDICT" for criterion in self.criteria)

    @property
    def longest_form(self) -> str:
        """A reply in the form, with the longest verdict everywhere: how much a judge writes at most."""
        longest = max(self.scale, key=len)
        return "\n".join(f"{criterion.name}: {longest}" for criterion in self.criteria)

    @cached_property
    def form(self) -> OutputForm:
        """The reply's form for constrained decoding."""
        verdicts = "|".join(re.escape(verdict).replace(r"\ ", " ") for verdict in self.scale)
        names = [re.escape(criterion.name).replace(r"\ ", " ") for criterion in self.criteria]
        schema = {
            "type": "object",
            "properties": {c.name: {"type": "string", "enum": list(self.scale)} for c in self.criteria},
            "required": [criterion.name for criterion in self.criteria],
            "additionalProperties": False,
        }
        return OutputForm("\\n".join(f"{name}: ({verdicts})" for name in names), json.dumps(schema))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in it: two runs are comparable only if judged by the same one."""
        content = [
            self.name,
            self.version,
            {verdict: str(points) for verdict, points in self.scale.items()},
            [[c.key, c.name, c.question, str(c.weight)] for c in self.criteria],
            self.system_template,
            self.user_template,
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


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
    )


def load_rubric(name_or_path: str | Path = DEFAULT_RUBRIC) -> Rubric:
    """Loads a built-in rubric by name, or one from a YAML file: a rubric, or a constitution.

    Raises:
        ConfigError: If there is none of that name, or the file isn't a rubric.
    """
    path = Path(name_or_path)
    if path.suffix in {".yaml", ".yml"}:
        values = load_yaml(path)
        if "principles" not in values:
            return rubric_from(values, str(path))
        from judges.rubrics.constitution import constitution_from  # which is made of rubrics itself

        return constitution_from(values, str(path)).rubric()
    built_in = BUILT_IN / f"{name_or_path}.yaml"
    if not built_in.is_file():
        names = [found.stem for found in BUILT_IN.glob("*.yaml")]
        raise ConfigError(
            f"no rubric {str(name_or_path)!r}: {nearest(str(name_or_path), names)}; or a .yaml file"
        )
    return rubric_from(load_yaml(built_in), str(built_in))
