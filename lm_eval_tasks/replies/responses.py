"""Reads a model's reply: its explanation and its choice, or why one of them can't be read.

The rules, in order: what stands in a reasoning model's think block doesn't count; tags are found in any case
and with any white space; the last complete block of each kind counts; the choice is a label ("B", "b.",
"(B)"), a label with text ("B) 21", "Option B"), or the exact text of one choice.

A reply that refines itself is read by the same rules in two parts, before and after its principle.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from lm_eval_tasks.records import Choice, Question, RefinedResponse, Response, UnreadableReason

_THINK_BLOCK = re.compile(r"<\s*(think|thinking)\s*>.*?<\s*/\s*\1\s*>", re.DOTALL | re.IGNORECASE)
_THINK_END = re.compile(r"<\s*/\s*think(?:ing)?\s*>", re.IGNORECASE)
_THINK_START = re.compile(r"<\s*think(?:ing)?\s*>", re.IGNORECASE)
_PRINCIPLE = re.compile(r"<\s*(/?)\s*principle\s*>", re.IGNORECASE)
_CHOICE_END = re.compile(r"<\s*/\s*choice\s*>", re.IGNORECASE)
_REPLY_TAG = re.compile(r"<\s*/?\s*(?:explanation|choice)\s*>", re.IGNORECASE)
_MARKUP = "*_`\"'“”‘’$ \t\r\n"
# After a label: brackets, or a mark that isn't the point of a number ("1.5" doesn't choose 1).
_SEPARATOR = r"(?:[)\]][)\].:,]*|(?<!\d)[.:,]|[.:,](?!\d)|\s[-–—])"
_LEAD_IN = re.compile(
    r"(?:the\s+)?(?:(?:right|correct|best|final)\s+)?(?:answer|choice|option)(?:\s+is)?\s*[:=]?\s*",
    re.IGNORECASE,
)


def read_response(question: Question, text: str) -> Response:
    """Reads one reply to a question.

    Args:
        question: The question, for its choices.
        text: The reply as generated.

    Returns:
        The parts; each part that can't be read is None and has its reason.
    """
    if not text.strip():
        return Response(text, None, None, "empty_reply", "empty_reply")
    visible, unfinished = _without_thinking(text)
    if unfinished and not visible.strip():
        return Response(text, None, None, "unfinished_thinking", "unfinished_thinking")
    explanation, explanation_problem = _block(visible, "explanation")
    chosen, choice_problem = _block(visible, "choice")
    label = None
    if chosen is not None:
        label, choice_problem = read_choice(question.choices, chosen)
    return Response(text, explanation, label, explanation_problem, choice_problem)


def read_refined(question: Question, text: str) -> RefinedResponse:
    """Reads a reply that goes on with a principle and a second, refined reply.

    The first reply ends where the first principle begins or, where there is none, with its choice. The
    refined reply is what stands behind the last principle. Where it can't be read, the response has no
    explanation or no choice: the first reply never stands in for it.

    Args:
        question: The question, for its choices.
        text: All of it as generated; it is the ``text`` of the refined response too.
    """
    visible, unfinished = _without_thinking(text)
    if not visible.strip():
        nothing = replace(read_response(question, text), text="" if unfinished else visible)
        return RefinedResponse(nothing, None, replace(nothing, text=text))
    tags = list(_PRINCIPLE.finditer(visible))
    first_end, refined_start = len(visible), len(visible)
    if tags:
        first_end, refined_start = tags[0].start(), tags[-1].end()
    elif end := _CHOICE_END.search(visible):
        first_end = refined_start = end.end()
    first = read_response(question, visible[:first_end])
    rest = visible[refined_start:]
    if not rest.strip():
        refined = Response(text, None, None, "no_refined_reply", "no_refined_reply")
    else:
        refined = replace(read_response(question, rest), text=text)
    return RefinedResponse(first, read_principle(visible), refined)


def read_principle(text: str) -> str | None:
    """The principle of the last complete principle block, in one line; None if there is none to read."""
    visible, _ = _without_thinking(text)
    content, _ = _block(visible, "principle")
    return None if content is None or _REPLY_TAG.search(content) else one_line(content)


def one_line(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def read_choice(choices: Sequence[Choice], text: str) -> tuple[str | None, UnreadableReason | None]:
    """Finds the one choice that a text names: its label, or why there is none.

    A text that is a label of one choice and the text of another is taken as the label, which is what was
    asked for. A text that fits two choices is ``ambiguous_choice``, one that fits none ``unknown_choice``.
    """
    given = text.strip(_MARKUP)
    for candidate in (given, _LEAD_IN.sub("", given, count=1) if _LEAD_IN.match(given) else given):
        label = _label_of(choices, candidate)
        if label is not None:
            return label, None
        found = _matching_text(choices, candidate) or _labels_in_front(choices, candidate)
        if found:
            return (found[0], None) if len(found) == 1 else (None, "ambiguous_choice")
    return None, "unknown_choice"


def _without_thinking(text: str) -> tuple[str, bool]:
    """The reply without think blocks, and True if the last one was never closed.

    A chat template may have opened the block already, so a lone closing tag ends one too.
    """
    visible = _THINK_BLOCK.sub("", text)
    ends = list(_THINK_END.finditer(visible))
    if ends:
        visible = visible[ends[-1].end() :]
    start = _THINK_START.search(visible)
    return (visible[: start.start()], True) if start else (visible, False)


def _block(text: str, tag: str) -> tuple[str | None, UnreadableReason | None]:
    """Content of the last complete block: from the last closing tag back to the opening tag before it."""
    content, start, opened = None, None, False
    for match in re.finditer(rf"<\s*(/?)\s*{tag}\s*>", text, re.IGNORECASE):
        if not match[1]:
            start, opened = match.end(), True
        elif start is not None:
            content, start = text[start : match.start()].strip(), None
    if content is None:
        return None, "unclosed_tag" if opened else "no_tag"
    return (content, None) if content else (None, "empty_tag")


def _label_of(choices: Sequence[Choice], text: str) -> str | None:
    bare = re.fullmatch(r"[(\[]?\s*(.+?)\s*[)\].:]*", text, re.DOTALL)
    if bare is None:
        return None
    labels = [choice.label for choice in choices]
    if bare[1] in labels:
        return bare[1]
    folded = [label for label in labels if label.casefold() == bare[1].casefold()]
    return folded[0] if len(folded) == 1 else None


def _matching_text(choices: Sequence[Choice], text: str) -> list[str]:
    """Labels of the choices with this text; letter case decides only where it tells choices apart."""
    exact = [choice.label for choice in choices if _plain(choice.text) == _plain(text) != ""]
    return exact or [
        choice.label for choice in choices if _plain(choice.text).casefold() == _plain(text).casefold() != ""
    ]


def _labels_in_front(choices: Sequence[Choice], text: str) -> list[str]:
    """The label that the text begins with ("B) 21", "B 21"), and those that contradict it."""
    for choice in choices:
        match = re.match(rf"[(\[]?\s*{re.escape(choice.label)}({_SEPARATOR}|(?=\s))\s*", text, re.IGNORECASE)
        if match is None:
            continue
        rest = text[match.end() :]
        named = _matching_text(choices, rest)
        if choice.label in named:
            return [choice.label]
        if named:
            return [choice.label, *named]
        others = [other.label for other in choices if other != choice and _names(rest, other.label)]
        if match[1] or others:  # without either, "A small amount" begins with an article, not a label
            return [choice.label, *others]
    return []


def _names(text: str, label: str) -> bool:
    """True if the text is another label ("or B"), or holds one with its bracket ("21 B) 22")."""
    escaped = re.escape(label)
    return bool(
        re.fullmatch(rf"(?:and|or|[,/&])?\s*[(\[]?{escaped}[)\].]?", text)
        or re.search(rf"(?<!\w){escaped}[)\]]", text)
    )


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(_MARKUP).rstrip(".").rstrip()
