"""How an evaluated model is brought to answer in the form that can be read: the setting ``reply_form``.

``asked``: the system turn says what the form is. ``shown``: worked examples stand before the question.
``held``: the engine lets nothing else through. ``auto`` leaves the choice to a pilot (``harness/pilot.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from judges.errors import ConfigError

DEFAULT_EXAMPLES = 2
Auto: TypeAlias = Literal["auto"]
AUTO: Final = "auto"
FORMS = ("asked", "shown", "shown:K", "held", "shown+held", "shown:K+held")

# A text without tags and in one paragraph: it begins with something to be seen, a "<" in it is followed by
# what no tag begins with, and no line is empty. Small models that go round in circles do it by paragraphs;
# where none may begin, they close the tag. Its length has no bound, and no line begins with "<": bounded
# repetitions take engines seconds to compile, what begins like the closing tag milliseconds a token.
_TEXT = r"[^<\s]([^<\n]|<[ =\d]|\n[^<\n])*"
TEXT_MARK, LABEL_MARK = "\ue000", "\ue001"
"""What stands for texts and labels in the form that ``form_regex`` takes."""
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """One way to be asked.

    Attributes:
        examples: Worked examples before the question; 0 shows none.
        held: Whether the engine holds the reply to the form.
    """

    examples: int = 0
    held: bool = False

    def __str__(self) -> str:
        shown = f"shown:{self.examples}" if self.examples else ""
        return "+".join(filter(None, [shown, "held" if self.held else ""])) or "asked"


ASKED = ReplyForm()
SHOWN = ReplyForm(DEFAULT_EXAMPLES)
SHOWN_AND_HELD = ReplyForm(DEFAULT_EXAMPLES, held=True)


def read_reply_form(value: object, where: str) -> ReplyForm | Auto:
    """Reads the setting as it is given in an option, in metadata or in a recipe.

    Args:
        value: One of ``FORMS`` (K a number), ``auto``, or a mapping such as ``{shown: 3, held: true}``.
        where: What to call it in an error message.

    Raises:
        ConfigError: If it is none of these.
    """
    if isinstance(value, ReplyForm):
        return value
    if isinstance(value, Mapping):
        return _from_mapping(value, where)
    if isinstance(value, str):
        text = value.strip().lower()
        if text == AUTO:
            return "auto"
        if text == "asked":
            return ASKED
        found = re.fullmatch(r"(?P<shown>shown(?::(?P<k>\d+))?)?(?P<plus>\+)?(?P<held>held)?", text)
        if found and text and bool(found["plus"]) == bool(found["shown"] and found["held"]):
            examples = int(found["k"] or DEFAULT_EXAMPLES) if found["shown"] else 0
            if examples or not found["shown"]:
                return ReplyForm(examples, held=bool(found["held"]))
    raise ConfigError(f"{where} = {value!r}: expected auto, {', '.join(FORMS)} (K: how many examples)")


def form_regex(form: str, labels: Sequence[str]) -> str:
    """The regular expression of a reply in the form that a task asks for.

    Args:
        form: A reply with ``TEXT_MARK`` for each text and ``LABEL_MARK`` for each label, written by the
            task's own template.
        labels: The labels that may be chosen.

    Returns:
        An expression without anchors, look-around or bounds on repetitions, as all engines take it.
    """
    choice = f"({'|'.join(map(_escaped, labels))})"
    return _escaped(form).replace(TEXT_MARK, _TEXT).replace(LABEL_MARK, choice)


def _escaped(text: str) -> str:
    """The text in a regular expression, with new lines as ``\\n``."""
    return _SPECIAL.sub(r"\\\g<0>", text).replace("\n", r"\n")


def _from_mapping(value: Mapping[Any, Any], where: str) -> ReplyForm:
    if unknown := sorted(str(key) for key in value if key not in ("shown", "held")):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}: expected shown (how many examples) and held")
    shown, held = value.get("shown", 0), value.get("held", False)
    if shown is True:
        shown = DEFAULT_EXAMPLES
    if not isinstance(held, bool) or not isinstance(shown, int) or shown < 0:
        raise ConfigError(f"{where} = {dict(value)!r}: shown is a number of examples, held is true or false")
    return ReplyForm(int(shown), held)
