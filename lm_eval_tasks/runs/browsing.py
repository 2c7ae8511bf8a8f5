"""Replies of a run, picked and laid out for a person at a terminal.

What models wrote is shown with control characters made visible, so that no reply can drive the terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent, shorten

from judges.records import Unjudged
from lm_eval_tasks.records import Json, Question, ScoredQuestion, ScoredResponse

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Shown:
    """One reply to show.

    Attributes:
        task: The task.
        question: The question that it answers.
        number: Sample of that question, counted from 0.
        reply: The reply with its marks.
        max_score: The best possible score; None if nobody judged.
        units: Units of a score a point.
    """

    task: str
    question: Question
    number: int
    reply: ScoredResponse
    max_score: int | None = None
    units: int = 1

    def to_json(self) -> Json:
        """The question, the sample's number and everything that is known of the reply."""
        place = {"task": self.task, "sample": self.number}
        return {**place, "question": self.question.to_json(), "reply": self.reply.to_json()}


def _failed(reply: ScoredResponse) -> bool:
    return reply.response.failure is not None


def _unreadable(reply: ScoredResponse) -> bool:
    return not (reply.response.readable or _failed(reply))


def _unjudged(reply: ScoredResponse) -> bool:
    return reply.response.explanation is not None and reply.score is None


FILTERS: Mapping[str, Callable[[ScoredResponse], bool]] = {
    "right": lambda reply: reply.correct,
    "wrong": lambda reply: reply.response.choice is not None and not reply.correct,
    "unreadable": _unreadable,
    "failed": _failed,
    "unjudged": _unjudged,
    "top": lambda reply: reply.score is not None,
    "bottom": lambda reply: reply.score is not None,
}
"""What can be asked for. ``top`` and ``bottom`` sort by score; a reply without a choice isn't ``wrong``."""


def pick(shown: Iterable[Shown], only: Iterable[str], ids: Iterable[str] = ()) -> Iterator[Shown]:
    """The replies that pass every filter, in the order of the log, or by score with ``top`` or ``bottom``.

    Args:
        shown: All replies.
        only: Names from ``FILTERS``.
        ids: Only these questions; none for all.
    """
    names, wanted = set(only), set(ids)
    passing = (
        one
        for one in shown
        if all(FILTERS[name](one.reply) for name in names) and (not wanted or one.question.id in wanted)
    )
    if not names & {"top", "bottom"}:
        return passing
    return iter(sorted(passing, key=lambda one: one.reply.score or 0, reverse="top" in names))


def replies(
    task: str, questions: Iterable[ScoredQuestion], max_score: int | None, units: int
) -> Iterator[Shown]:
    """All replies to some questions."""
    for scored in questions:
        for number, reply in enumerate(scored.responses):
            yield Shown(task, scored.question, number, reply, max_score, units)


def as_text(shown: Shown, *, whole_question: bool = True) -> str:
    """One reply in a few lines, or many if it is long: question, verdicts, what was read, else the raw reply.

    Args:
        shown: The reply.
        whole_question: Whether the question is laid out; else only the reply, to go on below another one.
    """
    question, reply = shown.question, shown.reply
    lines = []
    if whole_question:
        lines += [f"=== {shown.task}, question {printable(question.id)}"]
        lines += [printable(question.context)] if question.context else []
        lines += [printable(question.question)]
        for choice in question.choices:
            mark = "*" if choice.label == question.gold else " "
            lines.append(f" {mark} {choice.label}. {printable(choice.text)}")
    lines.append(f"--- sample {shown.number}: {_said(shown)}")
    response = reply.response
    if response.explanation is not None:
        lines.append(indent(printable(response.explanation.strip()), "    "))
    if _unreadable(reply):
        lines.append(indent(printable(response.text.strip()) or "(an empty reply)", "  | "))
    return "\n".join(lines)


def excerpt(text: str, characters: int = 300) -> str:
    """The beginning of a reply in one line."""
    return shorten(printable(text), characters, placeholder=" ...") or "(an empty reply)"


def printable(text: str) -> str:
    """Text that does nothing to a terminal: control and direction characters are shown by their number."""
    return _CONTROL.sub(
        lambda found: f"<U+{ord(found.group()):04X}>", text.replace("\r\n", "\n").expandtabs(4)
    )


def _said(shown: Shown) -> str:
    reply, response = shown.reply, shown.reply.response
    if response.failure is not None:
        return f"no reply arrived: {printable(response.failure)}"
    problems = []
    if response.explanation is None:
        problems.append(f"explanation unreadable ({response.explanation_problem})")
    if response.choice is None and response.choice_problem is None:
        pass  # an open question
    elif response.choice is None:
        problems.append(f"choice unreadable ({response.choice_problem})")
    else:
        problems.append(f"chose {response.choice}, {'right' if reply.correct else 'wrong'}")
    if reply.score is not None and shown.max_score:
        problems.append(f"score {reply.score / shown.units:.1f} of {shown.max_score / shown.units:g}")
        verdicts = reply.verdicts or {}
        problems.append(", ".join(f"{key.replace('_', ' ')} {verdict}" for key, verdict in verdicts.items()))
    elif reply.assessment is not None and isinstance(reply.assessment.outcome, Unjudged):
        outcome = reply.assessment.outcome
        problems.append(f"unjudged ({outcome.reason}: {printable(outcome.detail)})")
    return "; ".join(problems)
