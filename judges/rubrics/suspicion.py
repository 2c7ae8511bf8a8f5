"""Signs that a text under judgement addresses the judge rather than the question.

For people who look through results: a flag changes no score. Honest texts may be flagged (an explanation
about prompts, say), and clever ones not: rules see known shapes, not intentions.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import lru_cache
from typing import Literal, TypeAlias

from judges.rubrics.forms import JSON_KEY, letters_in
from judges.rubrics.prompt import Structure, structure_in, tags_of
from judges.rubrics.rubric import Rubric

Sign: TypeAlias = Literal[
    "ready_verdicts", "tags", "special_tokens", "role_marks", "hidden_characters", "instructions", "encoded"
]
"""What a text holds: verdicts on criteria, as the judge's reply would; tags of the prompt; special tokens of
chat templates; role markers; characters that can't be seen; orders to ignore what was said, or addresses to
the examiner; a longer passage in base64 or hexadecimal that decodes to text."""

SEARCHED = 100_000
"""Characters of a text that are searched; longer ones aren't judged anyway."""

_STRUCTURE: dict[Structure, Sign] = {
    "tag": "tags",
    "special token": "special_tokens",
    "role": "role_marks",
    "hidden": "hidden_characters",
}
_FEWEST_VERDICTS = 2
_INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:above|previous|prior|earlier|preceding|before)\b"
    r"|\b(?:note|message|instructions?) (?:to|for) (?:the |all )?(?:examiner|judge|grader|rater|evaluator)"
    r"|\b(?:you|examiner|judge) (?:must|should|have to|will) (?:now )?"
    r"(?:give|assign|rate|award|answer|reply)\b"
    r"|\bignorier\w*\b[^.\n]{0,40}\b(?:vorherig|obig|bisherig)\w*"
    r"|\bignore[rz]?\b[^.\n]{0,40}\bpr[ée]c[ée]dent\w*"
    r"|\bignor[ae]\w*\b[^.\n]{0,40}\banteriore?s\b"
    r"|игнорир\w*[^.\n]{0,40}(?:предыдущ|вышеуказ)\w*"
    r"|忽略[^。\n]{0,20}(?:以上|之前|上述|指令|指示)|(?:以前|上記)[^。\n]{0,20}無視",
    re.IGNORECASE,
)
_JSON_LETTERS = re.compile(rf'\s*\{{\s*"{JSON_KEY}"\s*:\s*"([^"]*)"\s*\}}\s*')
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{60,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){40,}")


def signs(rubric: Rubric, text: str) -> tuple[Sign, ...]:
    """What in a text addresses the judge, in a fixed order; empty for most.

    Args:
        rubric: By which it is judged: its criteria, verdicts and tags are looked for.
        text: The explanation.
    """
    text = text[:SEARCHED]
    found: set[Sign] = {_STRUCTURE[kind] for kind in structure_in(text, tags_of(rubric))}
    criteria = tuple(name for criterion in rubric.criteria for name in (criterion.key, criterion.name))
    ready = {
        " ".join(name.casefold().split())
        for name in _verdicts_on(criteria, tuple(rubric.scale)).findall(text)
    }
    if len(ready) >= _FEWEST_VERDICTS or _ready_letters(text, len(criteria) // 2):
        found.add("ready_verdicts")
    if _INSTRUCTIONS.search(text):
        found.add("instructions")
    if any(_decodes(match.group()) for pattern in (_HEX, _BASE64) for match in pattern.finditer(text)):
        found.add("encoded")
    return tuple(sign for sign in _ORDER if sign in found)


_ORDER: tuple[Sign, ...] = (
    "ready_verdicts", "tags", "special_tokens", "role_marks", "hidden_characters", "instructions", "encoded"
)  # fmt: skip


@lru_cache(maxsize=16)
def _verdicts_on(criteria: tuple[str, ...], verdicts: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(_loosely(name) for name in sorted(criteria, key=len, reverse=True))
    given = "|".join(_loosely(verdict) for verdict in verdicts)
    gap = r"[\s*_`\"']{0,5}"
    return re.compile(rf"\b({names}){gap}:{gap}(?:{given})\b", re.IGNORECASE)


def _ready_letters(text: str, criteria: int) -> bool:
    """Whether a line is a reply in the compact form, bare or as JSON."""
    if criteria < _FEWEST_VERDICTS:
        return False
    lines = (_JSON_LETTERS.sub(r"\1", line) for line in text.splitlines())
    return any(len(letters_in(line)) == criteria for line in lines)


def _loosely(name: str) -> str:
    return r"\s{1,3}".join(re.escape(word) for word in name.split())


def _decodes(passage: str) -> bool:
    """Whether a passage of code letters is text in disguise."""
    body = passage.rstrip("=")
    try:
        if _HEX.fullmatch(body):
            content = bytes.fromhex(body)
        else:
            content = base64.urlsafe_b64decode(
                body.replace("+", "-").replace("/", "_") + "=" * (-len(body) % 4)
            )
        text = content.decode("utf-8")
    except (ValueError, binascii.Error):
        return False
    return text.isprintable() or text.replace("\n", " ").isprintable()
