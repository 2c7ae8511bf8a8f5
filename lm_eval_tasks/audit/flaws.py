"""Errors planted in an explanation by rules: a wrong number, a negation, a swapped name, a dropped step.

A rule that finds no hold in a text gives None; how many it found is part of every figure.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from lm_eval_tasks.audit.edits import sentences

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w]|\.\d)")
_VERB = re.compile(
    r"\b(is|are|was|were|can|could|does|do|did|will|would|should|must|has|have|had)\b(?! not\b|n't)",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(is|are|was|were|can|could|does|do|did|will|would|should|must|has|have|had) not\b", re.I
)
_PLAIN = re.compile(
    r"\b(gives|finds|loses|leads|makes|means|follows|needs|becomes|causes|shows|melts|starts)\b"
)
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]+\b")
_WORD = re.compile(r"\b[a-z]{4,}\b")
_FEWEST_STEPS = 3
_COMMON_WORDS = """
about above after again also always because been before being below between both cannot could does each else
even every find following from have having here into just least less make many more most much must next only
other over same should since some such than that their them then there these they this those through thus
under until upon very were what when where which while whose will with within without would your answer
choice correct explanation option question right statement therefore wrong
"""
_COMMON = frozenset(_COMMON_WORDS.split())

Rule = Callable[[str, str, random.Random], "str | None"]


def wrong_number(explanation: str, question: str, rng: random.Random) -> str | None:
    """One number of the text is another."""
    found = list(_NUMBER.finditer(explanation))
    if not found:
        return None
    one = rng.choice(found)
    whole, point, digits = one.group().partition(".")
    changed = str(max(0, int(whole) + rng.choice((-1, 1)) * rng.randint(2, 2 + int(whole) // 3)))
    if changed == whole:
        changed = str(int(whole) + 3)
    return _put(explanation, one, changed + point + digits)


def negation(explanation: str, question: str, rng: random.Random) -> str | None:
    """One verb says the opposite."""
    negated = list(_NEGATION.finditer(explanation))
    if negated:
        one = rng.choice(negated)
        return _put(explanation, one, one.group(1))
    found = list(_VERB.finditer(explanation))
    if found:
        one = rng.choice(found)
        return _put(explanation, one, f"{one.group()} not")
    plain = list(_PLAIN.finditer(explanation))
    if plain:
        one = rng.choice(plain)
        return _put(explanation, one, f"never {one.group()}")
    return None


def swapped_entity(explanation: str, question: str, rng: random.Random) -> str | None:
    """One name, else one content word that the question has too, is another one of the question's."""
    for kind in (_NAME, _WORD):
        known = {word for word in kind.findall(question) if word.casefold() not in _COMMON}
        found = [one for one in _whole_words(explanation, known) if known - {one.group()}]
        if found:
            one = rng.choice(found)
            return _put(explanation, one, rng.choice(sorted(known - {one.group()})))
    return None


def dropped_step(explanation: str, question: str, rng: random.Random) -> str | None:
    """One sentence between the first and the last is gone."""
    parts = sentences(explanation)
    if len(parts) < _FEWEST_STEPS:
        return None
    del parts[rng.randrange(1, len(parts) - 1)]
    return " ".join(parts)


FLAWS: Mapping[str, Rule] = {
    "wrong number": wrong_number,
    "negation": negation,
    "swapped entity": swapped_entity,
    "dropped step": dropped_step,
}
"""Name -> rule. Each takes explanation, question and what draws; it gives the flawed text, or None."""


def _whole_words(text: str, words: set[str]) -> list[re.Match[str]]:
    if not words:
        return []
    return list(re.finditer(rf"\b(?:{'|'.join(map(re.escape, sorted(words)))})\b", text))


def _put(text: str, place: re.Match[str], word: str) -> str:
    return text[: place.start()] + word + text[place.end() :]
