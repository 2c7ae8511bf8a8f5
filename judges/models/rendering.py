"""Turns a conversation into a model's prompt by its chat template, so that no turn's text is lost.

Judge, training and evaluation all render here: what is trained on is what is evaluated and judged. Not every
template takes a conversation as it is: some write nothing for a system turn or refuse it, some want turns to
alternate, some want content as a list of parts and write an empty turn for a string. Which *way* of handing
turns over keeps all text is tried once for each template, with texts made for it, and said once; then every
real prompt is checked as well. A template that no way serves is refused, with its problem in one line.

Nothing here imports torch or transformers; tokenizers are handed in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias
from weakref import WeakKeyDictionary

from judges.errors import ConfigError
from judges.models.thoughts import said
from judges.output.notices import tell
from judges.records import Conversation, Message, Role

Turn: TypeAlias = dict[str, Any]
"""``{role, content}``, as chat templates take it; content is a text or a list of parts."""


class Apply(Protocol):
    """A chat template with its variables."""

    def __call__(self, turns: list[Turn], *, add_generation_prompt: bool) -> str:
        """The turns as text; with a generation prompt up to where the model's own turn begins."""
        ...


class RenderingError(ConfigError):
    """A chat template serves conversations of this shape in no way that keeps their text."""


class LostTextError(ConfigError):
    """A chat template changes or leaves out the text of this one conversation."""


@dataclass(frozen=True, slots=True)
class Way:
    """How turns are handed to a template.

    Attributes:
        folds: System text goes to the head of the next user turn, and turns of one role are put together.
        parts: Content is a list of parts, ``[{"type": "text", "text": ...}]``.
    """

    folds: bool = False
    parts: bool = False

    def turns(self, conversation: Conversation) -> list[Turn]:
        """The conversation as the template takes it."""
        told = folded(conversation) if self.folds else conversation
        return [{"role": turn.role, "content": self.content(turn.content)} for turn in told]

    def content(self, text: str) -> str | list[dict[str, str]]:
        """One turn's content."""
        return [{"type": "text", "text": text}] if self.parts else text

    def __str__(self) -> str:
        told = ["the system text goes into the user turn"] if self.folds else []
        return " and ".join([*told, *(["content goes as a list of parts"] if self.parts else [])])


AS_IT_IS = Way()
WAYS = (AS_IT_IS, Way(parts=True), Way(folds=True), Way(folds=True, parts=True))
"""In the order in which they are tried: what changes least comes first."""

# Upper and lower case, what JSON, HTML and Python escape, a line break, letters outside of ASCII: a template
# that changes one of them, or prints a list of parts as Python does, doesn't show this text.
_PROBE = 'Part {number} of a trial: if a<b> & "c" isn\'t d,\nthen état n°{number}.{number} ends'

_told: set[str] = set()


class Renderer:
    """One chat template, and the way in which it takes conversations of each shape.

    Args:
        apply: The template.
        ways: What was found out about it before, by the roles of the turns; added to.
    """

    def __init__(self, apply: Apply, ways: dict[tuple[Role, ...], Way] | None = None) -> None:
        self._apply = apply
        self._ways = {} if ways is None else ways

    def prompt(self, conversation: Conversation) -> str:
        """The prompt: all turns, up to where the model's turn begins.

        Raises:
            RenderingError: If the template serves no conversation of this shape.
            LostTextError: If it leaves out or changes a text of this one.
        """
        text = self._written(self.turns(conversation), add_generation_prompt=True)
        if lost := lost_turns(text, conversation):
            raise _lost(lost[0])
        return text

    def with_reply(self, conversation: Conversation, reply: str) -> str:
        """The same turns with the model's reply to them, and whatever the template writes to end a turn.

        The prompt isn't always its beginning: a template may write more where the model is to begin (an
        opened think block, say) than where its reply stands, or the system text in the last user turn alone.
        So the reply is looked for, and not the turns before it.

        Raises:
            RenderingError: If the template serves no conversation of this shape.
            LostTextError: If it leaves out or changes the reply.
        """
        way = self.way(conversation)
        turns = [*way.turns(conversation), {"role": "assistant", "content": way.content(reply)}]
        text = self._written(turns, add_generation_prompt=False)
        if _squeezed(reply) not in _squeezed(text):  # all of it, a thought too: this is what is learnt
            raise _lost(Message("assistant", reply))
        return text

    def turns(self, conversation: Conversation) -> list[Turn]:
        """The turns in the way in which the template takes them."""
        return self.way(conversation).turns(conversation)

    def way(self, conversation: Conversation) -> Way:
        """How the template takes conversations of this shape; found out once.

        Raises:
            RenderingError: If there is no such way.
        """
        roles = tuple(turn.role for turn in conversation)
        if roles not in self._ways:
            self._ways[roles] = self._found_out(roles)
        return self._ways[roles]

    def _found_out(self, roles: tuple[Role, ...]) -> Way:
        trial = tuple(Message(role, _PROBE.format(number=place + 2)) for place, role in enumerate(roles))
        problem = ""
        tried: dict[str, Way] = {}
        for way in WAYS:
            turns = way.turns(trial)
            if tried.setdefault(json.dumps(turns), way) != way:
                continue  # the same turns again: there is nothing to fold
            try:
                text = self._apply(turns, add_generation_prompt=True)
            except _template_errors() as error:
                problem = problem or f"refuses the turns {', '.join(roles)}: {_one_line(error)}"
                continue
            lost = lost_turns(text, trial)
            if not lost:
                if way != AS_IT_IS:
                    self._say(
                        f"the chat template {problem}; so {way}, in judging, training and evaluation alike"
                    )
                return way
            named = ", ".join(dict.fromkeys(turn.role for turn in lost))
            problem = problem or f"loses or changes text (turns: {named})"
        others = "; ".join(str(way) for way in tried.values() if way != AS_IT_IS)
        raise RenderingError(
            f"the chat template {problem} (nothing else helps: {others}); "
            "give another one as chat_template: a Jinja file"
        )

    def _written(self, turns: list[Turn], *, add_generation_prompt: bool) -> str:
        try:
            return self._apply(turns, add_generation_prompt=add_generation_prompt)
        except _template_errors() as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise LostTextError(f"the chat template refuses the turns {roles}: {_one_line(error)}") from None

    @staticmethod
    def _say(line: str) -> None:
        if line not in _told:
            _told.add(line)
            tell(line)


def renderer_of(
    tokenizer: Any, template: str | None = None, variables: Mapping[str, Any] | None = None
) -> Renderer:
    """The renderer of a Hugging Face tokenizer; the same one as long as tokenizer and settings are the same.

    Args:
        tokenizer: Its ``apply_chat_template`` writes the turns.
        template: A chat template instead of the tokenizer's own.
        variables: Further variables of the template.
    """
    given = dict(variables or {})

    def apply(turns: list[Turn], *, add_generation_prompt: bool) -> str:
        text = tokenizer.apply_chat_template(
            turns,
            chat_template=template,
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
            **given,
        )
        return str(text)

    key = json.dumps([template, getattr(tokenizer, "chat_template", None), given], default=repr)
    try:
        known = _ways.setdefault(tokenizer, {})
    except TypeError:  # such a tokenizer can't be remembered
        known = {}
    return Renderer(apply, known.setdefault(key, {}))


_ways: WeakKeyDictionary[Any, dict[str, dict[tuple[Role, ...], Way]]] = WeakKeyDictionary()


def folded(conversation: Conversation) -> Conversation:
    """The conversation without system turns and with turns that alternate; no text is left out.

    System text goes to the head of the next user turn; a turn of the same role as the one before it is put
    together with that one. System text that no user turn follows stays where it is.
    """
    turns: list[Message] = []
    waiting: list[Message] = []
    for turn in conversation:
        if turn.role == "system":
            waiting.append(turn)
            continue
        if turn.role == "user" and waiting:
            turn = Message("user", _joined([*waiting, turn]))
            waiting = []
        if turns and turns[-1].role == turn.role:
            turn = Message(turn.role, _joined([turns.pop(), turn]))
        turns.append(turn)
    return (*turns, *waiting)


def lost_turns(text: str, conversation: Conversation) -> list[Message]:
    """The turns whose text isn't in a rendering of them.

    User's and assistant's texts must stand in order, one behind the other; a system text may stand anywhere,
    since some templates put it into the last user turn. How much white space there is plays no part, since
    templates strip it; nor do thoughts of an assistant's turn, which templates cut.
    """
    whole, place, lost = _squeezed(text), 0, []
    for turn in conversation:
        start = 0 if turn.role == "system" else place
        found = next((end for end in (_end(whole, form, start) for form in _forms(turn)) if end >= 0), -1)
        if found < 0:
            lost.append(turn)
        elif turn.role != "system":
            place = found
    return lost


def _lost(turn: Message) -> LostTextError:
    whose = {"system": "the system", "user": "a user's", "assistant": "an assistant's"}[turn.role]
    shown = repr(turn.content[:60])
    return LostTextError(f"the chat template changes {whose} text: {shown} is not in its output")


def _forms(turn: Message) -> Iterable[str]:
    yield _squeezed(turn.content)
    if turn.role == "assistant":
        yield _squeezed(said(turn.content).text)


def _end(whole: str, part: str, start: int) -> int:
    """Where a part ends in the whole; -1 if it isn't there."""
    place = whole.find(part, start)
    return place if place < 0 else place + len(part)


def _joined(turns: Sequence[Message]) -> str:
    return "\n\n".join(turn.content for turn in turns)


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _one_line(error: BaseException) -> str:
    return _squeezed(str(error)) or type(error).__name__


def _template_errors() -> tuple[type[Exception], ...]:
    """What a template raises by itself, or when it gets a text for a list or a list for a text."""
    from jinja2 import TemplateError

    return (TemplateError, TypeError, ValueError, LookupError, AttributeError)
