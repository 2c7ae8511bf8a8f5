"""The texts by which a model improves on its own reply: ``refine.yaml`` and what a task's own YAML changes.

They stand beside the texts of ``explain.yaml``, with a fingerprint of their own, so that a task asked in the
plain way doesn't depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from judges.errors import ConfigError
from judges.records import Conversation, Message
from judges.rubrics.prompt import defuse, tags_in
from judges.settings import load_yaml, parse
from lm_eval_tasks.prompts import EXAMPLE, Prompts
from lm_eval_tasks.prompts.templates import Texts, render
from lm_eval_tasks.records import Question
from lm_eval_tasks.replies.responses import one_line, read_response

_SHARED = Path(__file__).parent / "refine.yaml"


class RefinePrompts(Texts):
    """Texts of naming principles and refining by them, as Jinja templates; ``refine.yaml`` explains each."""

    principle_system: str
    principle_user: str
    named_principle: str
    refine_system: str
    refine_user: str
    refined_explain_system: str
    refined_explain_user: str
    refined: str

    def principle(self, prompts: Prompts, question: Question, first: str, hint: str | None) -> Conversation:
        """Name one principle that would improve a reply; ``hint`` is a reference reply, shown if given."""
        shown_hint = None if hint is None else self._quoted(prompts, question, hint)
        values = {"first": self._quoted(prompts, question, first), "hint": shown_hint}
        return self._turns(self.principle_system, self.principle_user, prompts, question, **values)

    def naming(self, principle: str) -> str:
        """A principle in the form that ``principle`` asks for."""
        return render(self.named_principle, principle=one_line(principle))

    def refine(self, prompts: Prompts, question: Question, first: str, principle: str) -> Conversation:
        """Reply again by a principle."""
        values = {
            "first": self._quoted(prompts, question, first),
            "principle": one_line(defuse(principle, self._tags)),
        }
        return self._turns(self.refine_system, self.refine_user, prompts, question, **values)

    def refined_explain_system_text(self, prompts: Prompts) -> str:
        """The system turn of the one-go prompt; the same for every question of a task."""
        introduction = render(prompts.introduction)
        return render(
            self.refined_explain_system, introduction=introduction, explain=prompts.explain_system_text
        )

    def refined_explain(self, prompts: Prompts, question: Question) -> Conversation:
        """Reply, name a principle and reply again, all in one go."""
        return (
            Message("system", self.refined_explain_system_text(prompts)),
            Message("user", self.refined_explain_user_text(prompts, question)),
        )

    def refined_explain_user_text(self, prompts: Prompts, question: Question) -> str:
        """The user turn of the one-go prompt."""
        return prompts.fill(self.refined_explain_user, question)

    def continuation(self, prompts: Prompts, principle: str, explanation: str, label: str) -> str:
        """What follows the first reply in the form that ``refined_explain`` asks for."""
        return render(self.refined, named=self.naming(principle), reply=prompts.reply(explanation, label))

    def check(self, prompts: Prompts, where: str) -> None:
        """Renders everything once.

        Raises:
            ConfigError: If a template uses a name that it isn't given.
        """
        first = prompts.reply("Because.", "A")
        try:
            for hint in (None, first):
                self.principle(prompts, EXAMPLE, first, hint)
            self.refine(prompts, EXAMPLE, first, "Say why.")
            self.refined_explain(prompts, EXAMPLE)
            self.continuation(prompts, "Say why.", "Because.", "A")
        except TemplateError as error:
            raise ConfigError(f"{where}: a text under refine can't be filled in: {error}") from None

    @cached_property
    def _tags(self) -> re.Pattern[str]:
        """The tags that inserted model text may not hold."""
        return tags_in("".join(self.model_dump().values()))

    def _quoted(self, prompts: Prompts, question: Question, reply: str) -> str:
        """A model's reply as another prompt shows it: in the form asked for where it can be read."""
        read = read_response(question, reply)
        if read.explanation is not None and read.choice is not None:
            return prompts.reply(defuse(read.explanation, self._tags), read.choice)
        return defuse(reply, self._tags).strip()

    def _turns(
        self, system: str, user: str, prompts: Prompts, question: Question, **values: object
    ) -> Conversation:
        texts = (prompts.fill(system, question, **values), prompts.fill(user, question, **values))
        return (Message("system", texts[0]), Message("user", texts[1]))


def load_refine_prompts(own: Mapping[str, Any], prompts: Prompts, where: str) -> RefinePrompts:
    """The shared texts with a task's own ones put over them.

    Raises:
        ConfigError: Naming unknown keys and templates that don't compile or can't be filled in.
    """
    refine = parse(RefinePrompts, {**_shared(), **own}, f"{where}, refine")
    refine.check(prompts, where)
    return refine


@cache
def _shared() -> dict[str, Any]:
    return load_yaml(_SHARED)
