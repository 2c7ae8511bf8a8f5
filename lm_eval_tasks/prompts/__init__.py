"""The texts that models are shown: ``explain.yaml`` beside this file, and what a task's own YAML changes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from pydantic import Field

from judges.errors import ConfigError
from judges.records import Conversation, Message
from judges.settings import load_yaml, parse
from lm_eval_tasks.prompts.templates import Texts, render
from lm_eval_tasks.records import Choice, Question

_SHARED = Path(__file__).parent / "explain.yaml"
EXAMPLE = Question("example", "What?", (Choice("A", "This."), Choice("B", "That.")), "A", "A passage.")
"""What texts are tried out on before they are used."""


class Prompts(Texts):
    """All prompt texts of a task, as Jinja templates; ``explain.yaml`` says what each one is for."""

    introduction: str = Field(min_length=1)
    question: str
    explain_system: str
    explain_user: str
    response: str
    answer_system: str
    answer_user: str
    answer_target: str
    consultant_system: str
    consultant_user: str

    def shown(self, question: Question) -> str:
        """The question with its context and choices, as the model and the judge see it."""
        return render(
            self.question, context=question.context, question=question.question, choices=question.choices
        )

    @cached_property
    def explain_system_text(self) -> str:
        """The system turn of the explain-then-choose prompt; the same for every question of a task."""
        return render(self.explain_system, introduction=render(self.introduction))

    def explain(self, question: Question) -> Conversation:
        """Explain first, then choose."""
        return (
            Message("system", self.explain_system_text),
            Message("user", self.explain_user_text(question)),
        )

    def explain_user_text(self, question: Question) -> str:
        """The user turn of the explain-then-choose prompt."""
        return self._for(self.explain_user, question)

    def answer(self, question: Question) -> Conversation:
        """Choose only."""
        return self._turns(self.answer_system, self.answer_user, question)

    def target(self, question: Question) -> str:
        """The reply to ``answer`` that is right."""
        return self._for(self.answer_target, question)

    def consultant(self, question: Question, guide: str | None) -> Conversation:
        """Argue for the right choice."""
        return self._turns(self.consultant_system, self.consultant_user, question, guide)

    def reply(self, explanation: str, label: str) -> str:
        """An explanation and a choice in the form that ``explain`` asks for."""
        return render(self.response, explanation=explanation.strip(), label=label)

    def fill(self, text: str, question: Question, **values: object) -> str:
        """A template about a question, filled in with what everybody may know of it and further values."""
        return render(
            text,
            introduction=render(self.introduction),
            context=question.context,
            question=question.question,
            choices=question.choices,
            shown=self.shown(question),
            **values,
        )

    def check(self, where: str) -> None:
        """Renders everything once.

        Raises:
            ConfigError: If a template uses a name that it isn't given.
        """
        try:
            for guide in (None, "A guide."):
                self.consultant(EXAMPLE, guide)
            self.explain(EXAMPLE)
            self.answer(EXAMPLE)
            self.target(EXAMPLE)
            self.reply("Because.", "A")
        except TemplateError as error:
            raise ConfigError(f"{where}: a prompt text can't be filled in: {error}") from None

    def _turns(self, system: str, user: str, question: Question, guide: str | None = None) -> Conversation:
        texts = (self._for(system, question, guide), self._for(user, question, guide))
        return (Message("system", texts[0]), Message("user", texts[1]))

    def _for(self, text: str, question: Question, guide: str | None = None) -> str:
        return self.fill(text, question, right=question.gold_choice, guide=guide)


def load_prompts(own: Mapping[str, Any], where: str) -> Prompts:
    """The shared texts with a task's own ones put over them.

    Raises:
        ConfigError: Naming unknown keys, empty texts and templates that don't compile or can't be filled in.
    """
    prompts = parse(Prompts, {**_shared(), **own}, f"{where}, prompt")
    prompts.check(where)
    return prompts


@cache
def _shared() -> dict[str, Any]:
    return load_yaml(_SHARED)
