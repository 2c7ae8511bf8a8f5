"""Rubric + statement -> the conversation that a judge answers.

Questions and explanations are data. Before they are put between the rubric's delimiters, everything in them
that could be read as structure is made harmless *visibly*: the judge still sees what the author wrote, so it
can rate it, but nothing in it closes a delimiter, opens a turn or hides from the reader.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from judges.errors import ConfigError, DataError
from judges.models.thoughts import made_plain
from judges.records import Conversation, Message, Statement, VerdictForm
from judges.rubrics.forms import LEGEND, letters
from judges.rubrics.parsing import unquotable
from judges.rubrics.rubric import EXTRAS, Extra, Rubric

MAX_TEXT = 100_000
"""Most characters of a text that a judge is shown; a statement with a longer one is left unjudged.

Cutting it would have the judge rate another text than the model wrote."""

_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
)

# Names that chat templates and the field's prompts give to parts of a prompt, beside the rubric's own tags.
_RESERVED_TAGS = ("s", "bos", "eos", "pad", "unk", "sys", "system", "user", "assistant", "human", "think",
                  "thinking", "tool_call", "tool_response", "start_of_turn", "end_of_turn", "question",
                  "explanation", "choice")  # fmt: skip
_OPEN, _CLOSE = "<\uff1c\ufe64", ">\uff1e\ufe65"
_SPECIAL_TOKEN = re.compile(rf"[{_OPEN}]([|\uff5c][^{_OPEN}{_CLOSE}\n]{{0,80}}[|\uff5c]?)[{_CLOSE}]")
_INSTRUCTION_MARK = re.compile(r"\[(/?(?:INST|SYS|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS))\]", re.IGNORECASE)
_ROLE_MARK = re.compile(
    r"^([ \t]*(?:\#{1,6}[ \t]*)?)(system|user|assistant|human|instruction|response)([ \t]*):",
    re.IGNORECASE | re.MULTILINE,
)
_LINE_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029\v\f]")
_HIDDEN_RUN = re.compile(
    "([\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff])\\1*"
)
_BEGINNING = 60  # characters of a question that an error names it by
_REMEDIES: dict[Extra, str] = {
    "choice": "give its choices",
    "right_answer": "give its choices and the right one",
    "reference": "name the field that holds it (fields.rationale of a task, --reference-field)",
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_JOINERS = "\u200c\u200d"


class JudgePrompt:
    """A rubric's prompt, compiled once for many statements.

    Args:
        rubric: What is asked.
        form: In which form the reply is asked for; the compact one is explained at the system turn's end.

    Raises:
        ConfigError: If a template of the rubric can't be rendered, or the rubric has no compact form.
    """

    def __init__(self, rubric: Rubric, form: VerdictForm = "full") -> None:
        self._rubric = rubric
        self._form = form
        self._where = f"rubric {rubric.name}"
        self._user_template = rubric.user_template
        self._tags = tags_of(rubric)
        system = self._rendered(
            rubric.system_template,
            criteria=[{"name": c.name, "question": c.question} for c in rubric.criteria],
            scale=list(rubric.scale),
            form=rubric.form_text,
        )
        if form == "compact":
            names = [criterion.name for criterion in rubric.criteria]
            legend = LEGEND.read_text(encoding="utf-8")
            system += "\n\n" + self._rendered(legend, criteria=names, letters=letters(rubric))
        self._system = Message("system", system)
        # A template that fails does so before anything is asked.
        self.conversation(Statement("", "", choice="", right_answer="", reference=""))

    def conversation(self, statement: Statement) -> Conversation:
        """The judge's system and user turn for one statement.

        Raises:
            DataError: If the rubric shows what the statement doesn't have.
        """
        user = self._rendered(
            self._user_template,
            question=defuse(statement.question, self._tags),
            explanation=self._harmless(statement.explanation),
            **{name: self._harmless(text) for name, text in self._extras(statement)},
        )
        return (self._system, Message("user", user))

    def longest(self, statement: Statement) -> int:
        """Characters of the longest text that is shown."""
        extras = (len(text) for _, text in self._extras(statement))
        return max(len(statement.question), len(statement.explanation), *extras)

    def _extras(self, statement: Statement) -> Iterator[tuple[Extra, str]]:
        for name in self._rubric.shows:
            text: str | None = getattr(statement, name)
            if text is None:
                about = " ".join(statement.question.split())
                about = about if len(about) <= _BEGINNING else f"{about[:_BEGINNING]}..."
                raise DataError(
                    f"{self._where} shows the judge {EXTRAS[name]}, and there is none to the question "
                    f"{about!r}; {_REMEDIES[name]}, or take a rubric that doesn't show it"
                )
            yield name, text

    def _harmless(self, text: str) -> str:
        return unquotable(self._rubric, defuse(text, self._tags), self._form)

    def _rendered(self, template: str, **values: object) -> str:
        try:
            return _compiled(template).render(**values)
        except TemplateError as error:
            raise ConfigError(f"{self._where}: prompt template: {error}") from None


def judge_conversation(rubric: Rubric, statement: Statement, form: VerdictForm = "full") -> Conversation:
    """The conversation for one statement; see :class:`JudgePrompt` for many."""
    return JudgePrompt(rubric, form).conversation(statement)


def defuse(text: str, tags: re.Pattern[str]) -> str:
    """Makes a text harmless inside a prompt, visibly.

    * ``</explanation>``, the rubric's other tags and special tokens (``<|im_start|>``, ``[INST]``): their
      brackets become ``‹ ›`` and ``⟦ ⟧``; so do those of marks that begin or end a thought (``[/THINK]``): a
      judge that quotes one would otherwise be taken to have thought what it said before;
    * a role marker at the start of a line: ``Assistant:`` becomes ``(Assistant):``;
    * invisible and direction-changing characters: ``⟨U+200B⟩``, a run of them ``⟨U+200B x 12⟩``. Joiners
      inside words of scripts that need them stay;
    * odd line ends become plain ones, lone surrogates the replacement character.

    Args:
        text: What somebody wrote.
        tags: The tags to defuse, from the rubric's template.
    """
    text = _SURROGATE.sub("\ufffd", _LINE_ENDS.sub("\n", text))
    text = _HIDDEN_RUN.sub(_made_visible, text)
    text = tags.sub(r"‹\1›", text)
    text = _SPECIAL_TOKEN.sub(r"‹\1›", text)
    text = made_plain(text)
    text = _INSTRUCTION_MARK.sub(r"⟦\1⟧", text)
    return _ROLE_MARK.sub(r"\1(\2)\3:", text)


Structure: TypeAlias = Literal["tag", "special token", "role", "hidden"]
"""What :func:`defuse` makes harmless."""


def structure_in(text: str, tags: re.Pattern[str]) -> set[Structure]:
    """Which kinds of structure a text holds, before it is made harmless."""
    text = _LINE_ENDS.sub("\n", text)
    found: set[Structure] = set()
    if any(_made_visible(run) != run.group() for run in _HIDDEN_RUN.finditer(text)):
        found.add("hidden")
    if tags.search(text) or made_plain(text) != text:
        found.add("tag")
    if _SPECIAL_TOKEN.search(text) or _INSTRUCTION_MARK.search(text):
        found.add("special token")
    if _ROLE_MARK.search(text):
        found.add("role")
    return found


def tags_of(rubric: Rubric) -> re.Pattern[str]:
    """The tags that a text may not hold: the rubric's own and those of chat templates."""
    return tags_in(rubric.user_template)


@lru_cache(maxsize=64)
def tags_in(template: str) -> re.Pattern[str]:
    """The tags that a text inside this template may not hold: its own and those of chat templates."""
    own = re.findall(r"<\s*/?\s*([A-Za-z][\w-]*)\s*>", template)
    names = "|".join(sorted({re.escape(name.casefold()) for name in (*own, *_RESERVED_TAGS)}))
    return re.compile(
        rf"[{_OPEN}](\s{{0,9}}[/\uff0f]?\s{{0,9}}(?:{names})(?:[\s/][^{_OPEN}{_CLOSE}]{{0,200}})?)[{_CLOSE}]",
        re.IGNORECASE,
    )


def _made_visible(run: re.Match[str]) -> str:
    hidden, length = run.group(1), len(run.group())
    if hidden in _JOINERS and length == 1:
        before, after = run.string[run.start() - 1 : run.start()], run.string[run.end() : run.end() + 1]
        if _needs_joiner(before) and _needs_joiner(after):
            return hidden
    return f"⟨U+{ord(hidden):04X}" + (f" x {length}⟩" if length > 1 else "⟩")


def _needs_joiner(neighbour: str) -> bool:
    """Whether joiners are ordinary beside this character: Indic and Arabic letters, marks, emoji."""
    return neighbour > "\u0500" and unicodedata.category(neighbour) in {"Lo", "Mn", "Mc", "So", "Sk"}


@lru_cache(maxsize=64)
def _compiled(template: str) -> Template:
    return _environment.from_string(template)
