"""Worked examples of the reply form: ``examples.yaml`` beside this file, or a task's own.

An example is shown with as many choices as the question that follows it, under the same labels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from judges.errors import ConfigError
from judges.settings import Settings, parse
from lm_eval_tasks.records import Choice, Question

_SHARED = Path(__file__).parent / "examples.yaml"


class WorkedExample(Settings):
    """An easy question with its reply.

    Attributes:
        question: The question.
        context: A passage to read first.
        right: Text of the right choice.
        wrong: Texts of the others; the first so many are shown.
        place: Where the right choice stands, from 0; wraps around where there are fewer choices.
        explanation: Of the reply.
        draft: Explanation of the first reply, where the reply is refined.
        principle: By which the draft was improved.
    """

    question: str = Field(min_length=1)
    context: str | None = None
    right: str = Field(min_length=1)
    wrong: tuple[str, ...] = Field(min_length=1)
    place: int = Field(default=0, ge=0)
    explanation: str = Field(min_length=1)
    draft: str = ""
    principle: str = ""

    def like(self, asked: Question) -> Question:
        """The example as a question with the labels of ``asked``, as far as it has choices."""
        wrong = self.wrong[: max(1, len(asked.choices) - 1)]
        place = self.place % (len(wrong) + 1)
        texts = [*wrong[:place], self.right, *wrong[place:]]
        choices = tuple(Choice(label, text) for label, text in zip(asked.labels, texts, strict=False))
        return Question(f"example: {self.right}", self.question, choices, choices[place].label, self.context)


def load_examples(own: Sequence[Any] | None, where: str) -> tuple[WorkedExample, ...]:
    """The examples of a task.

    Args:
        own: The task's own, as its YAML has them; None for the shared ones.
        where: What to call the task in error messages.

    Raises:
        ConfigError: Naming everything that is wrong with them.
    """
    if own is None:
        return _shared()
    problems, found = [], []
    for number, values in enumerate(own, 1):
        try:
            if not isinstance(values, dict):
                raise ConfigError(f"{where}, examples, {number}: expected keys and values")
            found.append(parse(WorkedExample, values, f"{where}, examples, {number}"))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))
    return tuple(found)


def fingerprint(examples: Sequence[WorkedExample]) -> str:
    """Hash of what is shown."""
    content = json.dumps([example.model_dump() for example in examples], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


@cache
def _shared() -> tuple[WorkedExample, ...]:
    return load_examples(yaml.safe_load(_SHARED.read_text(encoding="utf-8")), _SHARED.name)
