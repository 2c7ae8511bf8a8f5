"""A constitution: short principles of better explanations, in a YAML file that people read and edit.

``anchor-train principles cluster`` writes one from principles that a model wrote down itself. It serves as a
rubric, a criterion for each principle (wherever a rubric is named, a constitution may be), and as the guide
of the consultant. Only the texts are needed::

    principles:
      - text: Begin with what is given in the question.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, field_validator

from judges.errors import ConfigError
from judges.rubrics.prompt import defuse, tags_of
from judges.rubrics.rubric import Criterion, Rubric
from judges.rubrics.rubric_files import built_in_rubric
from judges.settings import Settings, load_yaml, parse

MAX_PRINCIPLE = 500
"""Most characters of a principle: it is to be short, and every judge prompt repeats it."""

_HEAD = """\
# {count} of better explanations, found by a model in its own replies and clustered.
# Edit it freely: rename, reword, remove, add; `text` is all that a principle needs.
#
#   anchor-eval score RUN --judge JUDGE --rubric {file}    a criterion for each principle
#   consultant: {{guide: {file}}}                          in a recipe of anchor-train
#
# A model wrote these texts: read them before you judge by them.
"""


class PrincipleExample(Settings):
    """A reply that became better by a principle.

    Attributes:
        question: The question's id.
        before: Score of the first reply.
        after: Score of the refined one.
    """

    question: str
    before: int | float
    after: int | float


class Principle(Settings):
    """One principle.

    Attributes:
        text: The principle, one sentence.
        key: Name in tables; None takes the first words of the text.
        count: Replies that became better by a principle of its cluster.
        members: The distinct principles of its cluster, the most frequent first.
        examples: Some of those replies, those that gained most first.
    """

    text: str = Field(min_length=1, max_length=MAX_PRINCIPLE)
    key: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    count: int = Field(default=0, ge=0)
    members: tuple[str, ...] = ()
    examples: tuple[PrincipleExample, ...] = ()

    @field_validator("text", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return " ".join(value.split()) if isinstance(value, str) else value


class Constitution(Settings):
    """Principles, the most frequent first.

    Attributes:
        name: Short name, for results.
        version: Given by its author.
        principles: At least one.
        settings: How it was made; for people.
    """

    name: str = Field(default="constitution", pattern=r"^[A-Za-z0-9_-]+$")
    version: int | str = 1
    principles: tuple[Principle, ...]
    settings: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("principles")
    @classmethod
    def _distinct(cls, value: tuple[Principle, ...]) -> tuple[Principle, ...]:
        if not value:
            raise ValueError("a constitution without principles says nothing; give it at least one")
        texts = [principle.text.casefold() for principle in value]
        keys = [principle.key for principle in value if principle.key is not None]
        if len(set(texts)) < len(texts):
            raise ValueError("two principles say the same")
        if len(set(keys)) < len(keys):
            raise ValueError("two principles have the same key")
        return value

    @property
    def texts(self) -> tuple[str, ...]:
        """The principles alone."""
        return tuple(principle.text for principle in self.principles)

    def rubric(self) -> Rubric:
        """The constitution as a rubric: is each principle followed?

        Scale and prompt are those of the built-in rubric, all weights are 1.
        """
        standard = built_in_rubric()
        tags = tags_of(standard)
        keys = _keys(self.principles)
        criteria = [
            Criterion(
                key,
                f"Principle {number}",
                f'Does the explanation follow this principle: "{defuse(principle.text, tags)}"',
                Fraction(1),
            )
            for number, (key, principle) in enumerate(zip(keys, self.principles, strict=True), 1)
        ]
        return Rubric(
            name=self.name,
            version=str(self.version),
            scale=standard.scale,
            criteria=tuple(criteria),
            system_template=standard.system_template,
            user_template=standard.user_template,
        )

    def guide(self) -> str:
        """The constitution as advice for who writes an explanation."""
        tags = tags_of(built_in_rubric())
        lines = [f"- {defuse(text, tags)}" for text in self.texts]
        return "\n".join(["Follow these principles as far as they apply:", *lines])

    def to_yaml(self, file: str = "constitution.yaml") -> str:
        """The file's text; ``file`` is what its comment calls it."""
        many = len(self.principles)
        count = "1 principle" if many == 1 else f"{many} principles"
        values = {key: value for key, value in self.model_dump(mode="json").items() if value != {}}
        values["principles"] = [
            {key: value for key, value in principle.items() if value not in (None, [], 0)}
            for principle in values["principles"]
        ]
        body = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
        return _HEAD.format(count=count, file=file) + "\n" + body


def load_constitution(path: Path | str) -> Constitution:
    """Reads a constitution.

    Raises:
        ConfigError: If the file isn't one, naming everything that is wrong.
    """
    values = load_yaml(Path(path))
    if "principles" not in values:
        raise ConfigError(f"{path}: no constitution: it has no list of principles")
    return constitution_from(values, str(path))


def constitution_from(values: Mapping[str, Any], where: str) -> Constitution:
    """Builds a constitution from the mapping that its file holds.

    Raises:
        ConfigError: Naming everything that is wrong.
    """
    return parse(Constitution, values, where)


def key_of(text: str) -> str:
    """A short key of a principle: its first words."""
    words: list[str] = []
    for word in re.findall(r"[a-z0-9]+", text.casefold()):
        if words and sum(map(len, words)) + len(words) + len(word) > 40:
            break
        words.append(word)
    name = "_".join(words)[:40]
    return name if name[:1].isalpha() else f"principle_{name}".rstrip("_")


def _keys(principles: Iterable[Principle]) -> list[str]:
    """A key for each principle; a number tells apart those that begin alike."""
    principles = list(principles)
    taken = {principle.key for principle in principles if principle.key is not None}
    keys = []
    for principle in principles:
        key = principle.key
        if key is None:
            stem = key_of(principle.text)
            number = 1
            key = stem
            while key in taken:
                number += 1
                key = f"{stem}_{number}"
            taken.add(key)
        keys.append(key)
    return keys
