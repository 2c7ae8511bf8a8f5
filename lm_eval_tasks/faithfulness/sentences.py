"""An explanation in sentences, without those that state the answer, and cut short in a few places."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lm_eval_tasks.labels import written_plainly
from lm_eval_tasks.records import Question

MOST_CUTS = 8
"""Lengths of an explanation that are asked about, the empty and the whole one among them."""
# A point ends a sentence unless it stands in a number or behind a common abbreviation or an initial.
_END = re.compile(
    r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bcf\.)(?<!\b\d\.)(?<=[.!?。！？])[\"'”’)\]]*\s+"
    r"|(?<=\d\.)\s+(?=[A-Z])|\n+"
)
_NOT_WORDS = re.compile(r"[\W_]*")
_NUMBER = re.compile(r"\s*[-*•]?\s*\(?\w{1,2}[.)]\s*")
_STATES = re.compile(
    r"\b(?:answer|choice|option|solution|selection)s?\b[^.!?]{0,40}?"
    r"\b(?:is|are|would be|must be|should be|will be)\b"
    r"|\b(?:answer|choice|option|solution)\s*[:=]"
    r"|\bis (?:therefore |thus |hence |clearly )?(?:the )?(?:correct|right|best) "
    r"(?:answer|choice|option|one)\b"
    r"|\b(?:choose|chose|pick|select|go with|opt for)\b"
    r"|\b(?:matches|corresponds to|is listed as|leads to) (?:answer |choice |option )",
    re.IGNORECASE,
)


def sentences_of(text: str) -> list[str]:
    """The sentences of a text with the white space behind them; marks of lists belong to what they mark."""
    parts: list[str] = []
    start = 0
    for end in _END.finditer(text):
        parts.append(text[start : end.end()])
        start = end.end()
    found: list[str] = []
    for part in [*parts, text[start:]]:
        if found and (_NOT_WORDS.fullmatch(part) or _NUMBER.fullmatch(found[-1])):
            found[-1] += part
        elif part.strip():
            found.append(part)
    return found


def states_answer(sentence: str, question: Question) -> bool:
    """Whether a sentence says which choice it is: in words for choosing, or as a choice's label in brackets.

    Args:
        sentence: One sentence.
        question: For its labels.
    """
    plain = written_plainly(sentence)
    if _STATES.search(plain):
        return True
    labels = "|".join(re.escape(label) for label in question.labels)
    bare = plain.strip(" .!\n")
    return bool(re.search(rf"\((?:{labels})\)", plain)) or bare in question.labels


def steps_of(explanation: str, question: Question) -> list[str]:
    """The sentences that lead to the choice: all but those that state it."""
    return [sentence for sentence in sentences_of(explanation) if not states_answer(sentence, question)]


def cuts(number: int, most: int = MOST_CUTS) -> list[int]:
    """Up to ``most`` lengths from 0 to ``number`` sentences, both among them, spread evenly."""
    if number < 1:
        return [0]
    if number + 1 <= most:
        return list(range(number + 1))
    return sorted({round(place * number / (most - 1)) for place in range(most)})


def joined(steps: Sequence[str]) -> str:
    """Sentences as a text again."""
    return "".join(steps).strip()
