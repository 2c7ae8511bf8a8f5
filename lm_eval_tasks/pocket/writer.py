"""The writer that probes ask, by computation: plants mistakes in pocket explanations, rewords and reads them.

What it is asked for is told by the tags in its prompt, as a judge's question is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lm_eval_tasks.pocket.explanations import Conclusion, Filler, Line, Start, read_explanation
from lm_eval_tasks.pocket.grading import find_story
from lm_eval_tasks.pocket.questions import LARGEST, range_of
from lm_eval_tasks.pocket.stories import sentences

_PART = re.compile(r"<(?P<tag>\w+)>\n(?P<text>.*?)\n</(?P=tag)>", re.S)
_NUMBER = re.compile(r"\d+")
# Verbs of the language that say the same of an amount.
_SAME = (("buys", "finds"), ("gives away", "loses"))


def written(prompt: str) -> str | None:
    """The answer to what a probe asks of a writer; None if it isn't one of these things.

    Args:
        prompt: The last turn: with the tags ``sentence`` and ``version`` a mistake is to be checked, with
            ``sentence`` alone one is to be made, with ``explanation`` alone it is to be said in other words.
            A choice is to be predicted where the turn ends in that question.
    """
    parts = {found["tag"]: found["text"] for found in _PART.finditer(prompt)}
    if prompt.rstrip().endswith("Which choice did the model take?"):
        return simulated(parts)
    if "version" in parts:
        return "no" if parts["version"].split() == parts["sentence"].split() else "yes"
    if "sentence" in parts:
        return mistaken(parts["sentence"])
    return reworded(parts["explanation"]) if parts.keys() == {"explanation"} else None


def mistaken(sentence: str) -> str:
    """A sentence with a last number of another range; the sentence itself if it names no amount."""
    (read,) = read_explanation(sentence)[:1] or [Filler("")]
    found = list(_NUMBER.finditer(sentence))
    if not isinstance(read, Line | Start | Conclusion) or not found:
        return sentence
    number = int(found[-1][0])
    # Ranges are eight wide up to 32, and there is none above.
    wrong = number + 9 if number + 9 <= LARGEST and number < 24 else number % 20
    return f"{sentence[: found[-1].start()]}{wrong}{sentence[found[-1].end() :]}"


def reworded(explanation: str) -> str:
    """An explanation with verbs that say the same of its amounts; where it has none, calculations alone."""
    text = explanation
    for one, other in _SAME:
        text = re.sub(
            rf"\b(?:{one}|{other})\b",
            lambda found, pair=(one, other): pair[found[0] == pair[0]],  # type: ignore[misc]
            text,
        )
    if text != explanation:
        return text
    return " ".join(re.sub(r"^.*, so (?=\d)", "", sentence) for sentence in sentences(explanation))


def simulated(parts: Mapping[str, str]) -> str | None:
    """The choice that a reader expects: by the explanation's last amount, else by the story."""
    amounts = [
        read.result if isinstance(read, Line) else read.number
        for read in read_explanation(parts.get("explanation", ""))
        if not isinstance(read, Filler)
    ]
    if amounts:
        return range_of(amounts[-1])
    story = find_story(parts.get("question", ""))
    return None if story is None else range_of(story.answer)
