"""Whether a consultant's argument argues: what it says beside naming the choice that it was told."""

from __future__ import annotations

import re

from lm_eval_tasks.records import Question

# A word of letters or digits; in scripts without spaces, a sign.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+(?:['’.,][^\W_]+)*")
# What an answer is announced with.
_ANNOUNCING = frozenset(
    _WORD.findall(
        "the a an is are was it this that so thus therefore hence my i we you correct right true best final "
        "answer choice option label letter solution result must be should would will which of to for as in "
        "and because question above clearly obviously sure certainly here"
    )
)


def own_words(argument: str, question: Question) -> int:
    """How many different words it has that neither stand in the right choice nor merely announce it."""
    gold = question.gold_choice
    told = {word.casefold() for word in _WORD.findall(f"{gold.label} {gold.text}")}
    words = {word.casefold() for word in _WORD.findall(argument)}
    return len(words - told - _ANNOUNCING)


def says_too_little(argument: str, question: Question, least: int) -> str | None:
    """Why an argument isn't one, in words; None if it has enough words of its own."""
    found = own_words(argument, question)
    if found >= least:
        return None
    if not found:
        return "it only announces the choice"
    return f"{found} word{'' if found == 1 else 's'} beside the choice, {least} are the least"
