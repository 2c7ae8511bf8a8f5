"""Reads a model's reply: its explanation and its choice, or why one of them can't be read.

The rules, in order:

* Thoughts don't count, in whichever dialect (:mod:`judges.models.thoughts`). A reply that was cut while
thinking
  has no answer, whatever its draft says: what it lacks is ``unfinished_thinking``.
* Tags are found in any case, with any white space and attributes.
* The reply ends with its first complete pair of an explanation and a choice, if not before: where a new
  question or a new turn begins behind a block. What a base model goes on to write, a made-up next question
  with a reply of its own, is not read.
* Unless the model takes its reply back in words ("No, wait:", "Corrected:"): then the next complete pair
  counts. A second choice that just follows the first one is a list of choices, and so ambiguous.
* Within the reply, the last complete block of each kind counts. A last choice that was opened and never
  closed counts if nothing but a label stands in it, since stop strings cut closing tags off.
* The choice is read by :mod:`lm_eval_tasks.replies.choices`.

A reply that refines itself is read by the same rules in two parts, before and after its principle.
"""

from __future__ import annotations

import re
from dataclasses import replace

from judges.models.thoughts import said
from lm_eval_tasks.records import Question, RefinedResponse, Response, UnreadableReason
from lm_eval_tasks.replies.choices import named_label, read_choice

_PRINCIPLE = re.compile(r"<\s*(/?)\s*principle\s*>", re.IGNORECASE)
_CHOICE_END = re.compile(r"<\s*/\s*choice\s*>", re.IGNORECASE)
_JOINS_CHOICES = re.compile(r"(?:[\s,;/|&]|and|or)*", re.IGNORECASE)
_CHOICE_BLOCK = re.compile(r"<\s*choice(?:\s[^<>]{0,200})?>([^<]*)<\s*/\s*choice\s*>", re.IGNORECASE)
_CHOICE_BEHIND = re.compile(_JOINS_CHOICES.pattern + _CHOICE_BLOCK.pattern, re.IGNORECASE)
_REPLY_TAG = re.compile(r"<\s*/?\s*(?:explanation|choice)(?:\s[^<>]*)?>", re.IGNORECASE)
_BLOCK_TAG = re.compile(r"<\s*(/?)\s*(explanation|choice)(?:\s[^<>]{0,200})?>", re.IGNORECASE)
# Where somebody else begins to speak: a heading as prompts have it, a chat template's token, a form's tag.
_NEW_TURN = re.compile(
    r"^[ \t#*_>]*(?:next |new |another )?(?:question|q|problem|exercise|context|passage|"
    r"user|human|system|assistant|instructions?)(?:[ \t]+\w{1,4})?[ \t*_]*(?:[:.)]|$)"
    r"|<\s*(?:question|context|user|system|instruction)\s*>"
    r"|<[|｜][^<>\n]{1,40}[|｜]>|<(?:end_of_turn|start_of_turn|eos|turn\||/s)>|\[/?INST\]",
    re.IGNORECASE | re.MULTILINE,
)
# Choices printed one below another, or in a row, are a question's.
_PRINTED_CHOICES = re.compile(
    r"(?:^|\s)[(\[]?(?:A[).:\]]\s[\s\S]{1,400}?\s[(\[]?B|1[).:\]]\s[\s\S]{1,400}?\s[(\[]?2)[).:\]]\s"
)
_TAKEN_BACK = re.compile(
    r"(?<![^\W_])(?:no|wait|hold on|actually|oops|sorry|apolog\w+|correct(?:ion|ed|ing)|mistake\w*|error"
    r"|instead|revis\w+|reconsider\w*|rethink\w*|re-?check\w*|second thoughts?|improved|better|final(?:ly)?"
    r"|updated?|let me|i meant?|nein|moment|falsch|stattdessen|korrigiert|corrección|corregid\w*|espera"
    r"|en realidad|non|attendez|corrigé\w*|нет|точнее|исправ\w+)(?![^\W_])"
    r"|不对|等等|更正|修正|重新|间违|間違|訂正|아니",
    re.IGNORECASE,
)
# What the prompt's form holds in the place of an answer; models repeat it before they begin.
_PLACEHOLDER_LENGTH = 60
_PLACEHOLDER = re.compile(
    r"\W*(?:your (?:reasoning|explanation|choice|answer|label)|the label(?: of your choice)?"
    r"|label|letter|reasoning)?\W*",
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
    thought = said(text)
    reply = _own_reply(thought.text)
    explanation, explanation_problem = _block(reply, "explanation")
    chosen, choice_problem = _block(reply, "choice")
    label = None
    if chosen is None and choice_problem == "unclosed_tag":
        label = None if thought.cut else _unclosed_choice(question, reply)
        choice_problem = None if label else choice_problem
    elif chosen is not None:
        label, choice_problem = read_choice(question.choices, chosen)
    if label is not None and _other_labels(question, reply, label):
        label, choice_problem = None, "ambiguous_choice"
    if thought.cut:  # which is why there is no such block, whatever was drafted
        explanation_problem = _by_thinking(explanation_problem)
        choice_problem = _by_thinking(choice_problem)
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
    thought = said(text)
    visible = thought.text
    if not visible.strip():
        nothing = replace(read_response(question, text), text="" if thought.cut else visible)
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
    content, _ = _block(said(text).text, "principle")
    return None if content is None or _REPLY_TAG.search(content) else one_line(content)


def one_line(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def _own_reply(text: str) -> str:
    """What the model replied, without what it wrote once that was done."""
    reply_start = start = 0  # of the last complete reply; of what may replace it
    seen = 0  # end of the last tag, once a block is complete
    filled, opened = set[str](), dict[str, int]()
    for tag in _BLOCK_TAG.finditer(text):
        kind = tag[2].casefold()
        if not tag[1]:
            turn = _next_turn(text[seen : tag.start()], kind) if seen else None
            if turn is not None:
                return text[reply_start : seen + turn]
            opened[kind] = tag.end()
            seen = tag.end() if seen else 0
            continue
        begin = opened.pop(kind, None)
        if begin is None:
            continue
        seen = closed = tag.end()
        inside = text[begin : tag.start()].strip()
        if len(inside) > _PLACEHOLDER_LENGTH or not _PLACEHOLDER.fullmatch(inside):
            filled.add(kind)
        if filled < {"explanation", "choice"}:
            continue
        reply_start = start
        behind = _BLOCK_TAG.search(text, closed)
        if behind is None or not _takes_back(text[closed : behind.start()]):
            return text[reply_start : _end_of_choices(text, closed)]
        start, filled, opened = closed, set(), {}
    return text[reply_start:]


def _takes_back(between: str) -> bool:
    """Whether the words between two replies of one text announce a better one, rather than a new question."""
    told = len(between) < 1_000 and _TAKEN_BACK.search(between) is not None
    return told and _next_turn(between, "explanation") is None


def _next_turn(between: str, kind: str) -> int | None:
    """Where a new question or turn begins in what stands before a block; None if none does.

    Before a choice a model may repeat the choices that it was given: that is no new question.
    """
    found = _NEW_TURN.search(between)
    if found is None and kind == "explanation":
        found = _PRINTED_CHOICES.search(between)
    return found.start() if found else None


def _end_of_choices(text: str, position: int) -> int:
    """Where the choice blocks end that follow with nothing but separators between."""
    while found := _CHOICE_BEHIND.match(text, position):
        position = found.end()
    return position


def _other_labels(question: Question, text: str, label: str) -> bool:
    """Whether choice blocks directly before the last one choose another label: a list of choices."""
    blocks = list(_CHOICE_BLOCK.finditer(text))
    for before, block in zip(reversed(blocks[:-1]), reversed(blocks[1:]), strict=True):
        if not _JOINS_CHOICES.fullmatch(text[before.end() : block.start()]):
            return False
        if read_choice(question.choices, before[1])[0] not in (None, label):
            return True
    return False


def _unclosed_choice(question: Question, text: str) -> str | None:
    """The label that is all that stands in a choice block which was never closed.

    A label that begins another one (1 and 10) may have been cut, so it doesn't count.
    """
    tag = list(_BLOCK_TAG.finditer(text))[-1]
    if tag[1] or tag[2].casefold() != "choice":
        return None
    label = named_label(question.choices, text[tag.end() :])
    longer = (other for other in question.labels if other != label)
    return None if label is None or any(other.startswith(label) for other in longer) else label


def _by_thinking(problem: UnreadableReason | None) -> UnreadableReason | None:
    return "unfinished_thinking" if problem in ("no_tag", "unclosed_tag", "empty_tag") else problem


def _block(text: str, tag: str) -> tuple[str | None, UnreadableReason | None]:
    """Content of the last complete block: from the last closing tag back to the opening tag before it."""
    content, start, opened = None, None, False
    for match in re.finditer(rf"<\s*(/?)\s*{tag}(?:\s[^<>]{{0,200}})?>", text, re.IGNORECASE):
        if not match[1]:
            start, opened = match.end(), True
        elif start is not None:
            content, start = text[start : match.start()].strip(), None
    if content is None:
        return None, "unclosed_tag" if opened else "no_tag"
    return (content, None) if content else (None, "empty_tag")
