"""The texts of probes: ``texts.yaml`` and ``hints.yaml`` beside this file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from pydantic import Field, field_validator

from judges.errors import ConfigError
from judges.records import Conversation, Message, OutputForm
from judges.rubrics.prompt import defuse, tags_in
from judges.settings import Settings, load_yaml, nearest, parse
from lm_eval_tasks.faithfulness.asks import AskReply, AskWriter
from lm_eval_tasks.prompts.templates import Texts, render
from lm_eval_tasks.records import Question

_FOLDER = Path(__file__).parent


class ProbeTexts(Texts):
    """All texts; ``texts.yaml`` says what each one is for."""

    choose_now: str
    go_on: str
    detect_system: str
    detect_user: str
    mistake_system: str
    mistake_user: str
    check_system: str
    check_user: str
    paraphrase_system: str
    paraphrase_user: str
    simulate_system: str
    simulate_user: str

    def detector(self, hint: str, explanation: str) -> AskWriter:
        """Does an explanation say that there was a hint?"""
        return AskWriter(
            _turns(self.detect_system, self.detect_user, hint=hint, explanation=explanation),
            YES_OR_NO,
            max_tokens=16,
        )

    def mistake(self, shown: str, before: str, sentence: str) -> AskWriter:
        """A sentence with a mistake in it."""
        return AskWriter(
            _turns(self.mistake_system, self.mistake_user, shown=shown, before=before, sentence=sentence),
            max_tokens=160,
        )

    def check(self, shown: str, sentence: str, version: str) -> AskWriter:
        """Is a planted mistake one, and plausible?"""
        return AskWriter(
            _turns(self.check_system, self.check_user, shown=shown, sentence=sentence, version=version),
            YES_OR_NO,
            max_tokens=16,
        )

    def paraphrase(self, explanation: str) -> AskWriter:
        """An explanation in other words."""
        turns = _turns(self.paraphrase_system, self.paraphrase_user, explanation=explanation)
        return AskWriter(turns, max_tokens=max(256, len(explanation) // 2))

    def simulate(self, labels: Sequence[str], shown: str, explanation: str) -> AskWriter:
        """What did the model choose? Told from the question, the explanation, or both."""
        user = _turns("", self.simulate_user, shown=shown, explanation=explanation)[1]
        system = Message("system", render(self.simulate_system, labels=", ".join(labels)))
        return AskWriter((system, user), one_of(labels), max_tokens=16)


class Hint(Settings):
    """A kind of hint.

    Attributes:
        before: Before the question.
        behind: Behind it.
        mark: What the choice that it points to is shown as.
        words: Regular expressions of owning up to it.
    """

    before: str = ""
    behind: str = ""
    mark: str = ""
    words: tuple[str, ...] = Field(min_length=1)

    @field_validator("words")
    @classmethod
    def _compile(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            re.compile(word)
        return words

    def ask(self, question: Question, label: str) -> AskReply:
        """The question with the hint that points to a label."""
        values = {
            "label": label,
            "labels": ", ".join(question.labels),
            "choice": next(choice.text for choice in question.choices if choice.label == label),
        }
        if self.mark:
            shown = render(self.mark, **values)
            choices = tuple(
                replace(choice, text=shown) if choice.label == label else choice
                for choice in question.choices
            )
            question = replace(question, choices=choices)
        return AskReply(question, before=render(self.before, **values), behind=render(self.behind, **values))

    def text(self, question: Question, label: str) -> str:
        """The hint as a detector is told of it."""
        ask = self.ask(question, label)
        if self.mark:
            marked = next(choice.text for choice in ask.question.choices if choice.label == label)
            return f"Choice {label} was shown as: {marked}"
        return ask.before or ask.behind

    def said(self, explanation: str, without: str) -> bool:
        """Whether an explanation owns up to it by its words.

        Args:
            explanation: Written with the hint.
            without: Written without it; words that stand there, too, don't count.
        """
        return any(
            re.search(word, explanation, re.IGNORECASE) and not re.search(word, without, re.IGNORECASE)
            for word in self.words
        )


def one_of(labels: Sequence[str]) -> OutputForm:
    """A reply that is one of some labels."""
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": list(labels)}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    return OutputForm(f"({'|'.join(map(re.escape, labels))})", json.dumps(schema))


YES_OR_NO = one_of(("yes", "no"))


def _turns(system: str, user: str, **texts: str) -> Conversation:
    """Two turns; whatever models wrote is made harmless within the tags of the user's turn."""
    tags = tags_in(user)
    harmless = {name: defuse(text, tags) for name, text in texts.items()}
    return (Message("system", render(system)), Message("user", render(user, **harmless)))


@cache
def probe_texts() -> ProbeTexts:
    """The texts of ``texts.yaml``."""
    return parse(ProbeTexts, load_yaml(_FOLDER / "texts.yaml"), str(_FOLDER / "texts.yaml"))


@cache
def hints() -> dict[str, Hint]:
    """The hints of ``hints.yaml``."""
    path = _FOLDER / "hints.yaml"
    return {name: parse(Hint, values, f"{path}, {name}") for name, values in load_yaml(path).items()}


def chosen_hints(names: tuple[str, ...]) -> dict[str, Hint]:
    """Hints by their names; all without names.

    Raises:
        ConfigError: With the nearest known name.
    """
    known = hints()
    for name in names:
        if name not in known:
            raise ConfigError(f"--hints: no hint {name!r}: {nearest(name, known)}")
    return {name: known[name] for name in names or known}


def turns_with(conversation: Conversation, before: str, behind: str) -> Conversation:
    """A conversation whose last turn has paragraphs before and behind what it says."""
    *others, last = conversation
    parts = [part for part in (before, last.content, behind) if part]
    return (*others, Message(last.role, "\n\n".join(parts)))
