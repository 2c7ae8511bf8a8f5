"""A judge's reply -> verdicts, or why there are none. Reads the reply alone, never the prompt.

Of the full form two spellings are read, the ones that :class:`judges.records.OutputForm` asks for: one
``Criterion: VERDICT`` line for each criterion, or one JSON object with the criteria as keys. Verdicts are
found by the criterion's name, never by their position. Letter case, white space, list markers, markdown
emphasis and a full stop are forgiven; anything else is ``unparsable`` with the reason. For the compact form
see :mod:`judges.rubrics.forms`. A judge that was asked for one form isn't read by the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from judges.records import Completion, Judgement, Unjudged, VerdictForm
from judges.rubrics.forms import JSON_KEY, letters_in, read_compact
from judges.rubrics.rubric import Rubric

_Entry: TypeAlias = tuple[str, str]  # criterion key, what the reply gives it

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_OPEN_THOUGHT = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_END_OF_THOUGHT = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_FENCE = re.compile(r"\A```\w*\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_LIST_MARKER = re.compile(r"\A\s*(?:[-+>#\u2022]|\d{1,2}[.)])+\s*")
_EMPHASIS = str.maketrans("", "", "*_`")
_JSON_NAME = re.compile(r"(\"(?:[^\"\\\n]|\\.)*\")(\s*:)")
_SHOWN = 80


class _NotReadable(Exception):
    """The reply isn't in the form; the message says where."""


def read_verdicts(rubric: Rubric, completion: Completion, form: VerdictForm = "full") -> Judgement | Unjudged:
    """Reads the verdicts of one reply.

    A reply may hold the form more than once, because judges draft it before they settle. The last complete
    block wins: it is what the judge said last, and the first match is known to pick up drafts and quotations.
    Earlier complete blocks are drafts. A stray line outside every complete block that contradicts the last
    one makes the reply unparsable, since nobody can say which of the two was meant. What stands in a
    reasoning model's think block is never read.

    Args:
        rubric: What was asked.
        completion: The reply.
        form: In which form it was asked for.

    Returns:
        A verdict for every criterion in the rubric's order, or why not: ``refused``; ``truncated`` whenever
        the reply was cut at ``max_tokens``, even if verdicts can be seen in it (the judge wasn't done);
        ``unparsable``.
    """
    if completion.finish_reason == "refused":
        return Unjudged("refused", _shown(completion.text) or "the endpoint withheld the reply")
    if completion.finish_reason == "length":
        return Unjudged("truncated", "the reply was cut at max_tokens")
    try:
        answer = _answer(completion.text)
        if form == "compact":
            return _compact(rubric, answer)
        verdicts = _verdicts(rubric, answer)
    except _NotReadable as problem:
        return Unjudged("unparsable", str(problem))
    return Judgement({criterion.key: verdicts[criterion.key] for criterion in rubric.criteria})


def _compact(rubric: Rubric, answer: str) -> Judgement:
    read = read_compact(rubric, answer)
    if isinstance(read, str):
        raise _NotReadable(f"{read} in: {_shown(answer)}")
    return read


def _answer(reply: str) -> str:
    """The reply without its think block; chat templates may open the block, so an end alone counts too."""
    text = _THOUGHT.sub("", reply)
    if end := list(_END_OF_THOUGHT.finditer(text)):
        text = text[end[-1].end() :]
    if _OPEN_THOUGHT.search(text):
        raise _NotReadable("the think block never ends")
    text = text.strip()
    if not text:
        raise _NotReadable("the reply is empty")
    fenced = _FENCE.match(text)
    return fenced.group(1).strip() if fenced else text


def unquotable(rubric: Rubric, text: str, form: VerdictForm = "full") -> str:
    """Puts in parentheses what a reply that quotes the text would be read by.

    A judge may quote the explanation before its verdicts, after them or instead of them. In parentheses,
    verdicts made ready are still there to be seen and rated, and are not taken for the judge's.

    Args:
        rubric: What is asked.
        text: An explanation; its lines end in a plain line feed.
        form: In which form the reply is asked for.
    """
    labels = _labels(rubric) if form == "full" else {JSON_KEY: ""}

    def is_entry(line: str) -> bool:
        if form == "compact":
            return len(letters_in(line)) == len(rubric.criteria)
        return any(_line_entries(line, labels))

    def protected(name: re.Match[str]) -> str:
        return f"({name[1]}){name[2]}" if _json_name(name[1]) in labels else name[0]

    text = _JSON_NAME.sub(protected, text)
    return "\n".join(f"({line})" if is_entry(line) else line for line in text.split("\n"))


def _labels(rubric: Rubric) -> Mapping[str, str]:
    return {_label(name): c.key for c in rubric.criteria for name in (c.key, c.name)}


def _json_name(quoted: str) -> str:
    try:
        return _label(json.loads(quoted))
    except ValueError:
        return ""


def _verdicts(rubric: Rubric, text: str) -> Mapping[str, str]:
    labels = _labels(rubric)
    scale = {_label(verdict): verdict for verdict in rubric.scale}
    entries = list(_json_entries(text, labels) if text.startswith("{") else _line_entries(text, labels))
    names = {criterion.key: criterion.name for criterion in rubric.criteria}

    if missing := [name for key, name in names.items() if key not in dict(entries)]:
        raise _NotReadable(f"no verdict for {', '.join(missing)} in: {_shown(text)}")
    final, rest = _last_block(entries, len(names))
    read = {key: _verdict(names[key], given, scale) for key, given in final.items()}
    for key, given in rest:
        if _verdict(names[key], given, scale) != read[key]:
            raise _NotReadable(f"two verdicts for {names[key]}: {_shown(given)!r} and {read[key]!r}")
    return read


def _last_block(entries: list[_Entry], size: int) -> tuple[Mapping[str, str], list[_Entry]]:
    """The last complete block and the stray entries that must agree with it; complete drafts are dropped."""
    rest = entries
    final: Mapping[str, str] = {}
    while len(block := dict(rest[-size:])) == size:
        final = final or block
        rest = rest[:-size]
    # Without a complete block at the end all entries count, and none may contradict another.
    return (final, rest) if final else (dict(entries), entries)


def _verdict(criterion: str, given: str, scale: Mapping[str, str]) -> str:
    verdict = scale.get(_label(given).rstrip(".;,"))
    if verdict is None:
        raise _NotReadable(f"unknown verdict {_shown(given)!r} for {criterion}")
    return verdict


def _line_entries(text: str, labels: Mapping[str, str]) -> Iterator[_Entry]:
    for line in text.splitlines():
        name, colon, given = _LIST_MARKER.sub("", line.translate(_EMPHASIS)).partition(":")
        if colon and (key := labels.get(_label(name))):
            yield key, given


def _json_entries(text: str, labels: Mapping[str, str]) -> Iterator[_Entry]:
    # Pairs, not a dict, so that a criterion given twice is seen.
    try:
        pairs: Any = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        raise _NotReadable(f"not a JSON object: {_shown(text)}") from None
    for name, given in pairs:
        key = labels.get(_label(name))
        if key is None:
            raise _NotReadable(f"{_shown(name)!r} is no criterion")
        yield key, given if isinstance(given, str) else json.dumps(given)


def _label(name: str) -> str:
    """A criterion's name or a verdict without case, extra white space and emphasis."""
    return " ".join(name.translate(_EMPHASIS).casefold().split())


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
