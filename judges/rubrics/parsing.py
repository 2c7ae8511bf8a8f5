"""A judge's reply -> verdicts, or why there are none. Reads the reply alone, never the prompt.

Of the full form two spellings are read, the ones that :class:`judges.records.OutputForm` asks for: one
``Criterion: VERDICT`` line for each criterion, or one JSON object with the criteria as keys. Verdicts are
found by the criterion's name, never by their position. Letter case, white space, list markers, markdown
emphasis, a full-width colon, a full stop and a short reason behind a verdict are forgiven; so are a Markdown
table of the lines, words or a fence around the object, one key around it (``{"verdicts": {...}}``) and
reasons in it (``{"Clarity": {"verdict": "GOOD", "reason": "..."}}``). Anything else is ``unparsable`` with
the reason. For the compact form see :mod:`judges.rubrics.forms`. A judge that was asked for one form isn't
read by the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from judges.models.thoughts import said
from judges.records import Completion, Judgement, Unjudged, VerdictForm
from judges.rubrics.forms import JSON_KEY, letters_in, read_compact
from judges.rubrics.rubric import Rubric

_Entry: TypeAlias = tuple[str, str]  # criterion key, what the reply gives it

_FENCE = re.compile(r"\A```\w*\s*\n(.*?)\n?\s*```\Z", re.DOTALL)
_LIST_MARKER = re.compile(r"\A\s*(?:[-+>#\u2022]|\d{1,2}[.)])+\s*")
_EMPHASIS = str.maketrans("", "", "*_`")
_JSON_NAME = re.compile(r"(\"(?:[^\"\\\n]|\\.)*\")(\s*:)")
_COLON = re.compile("[:：]")
# What parts a verdict from a reason for it, and how no reason begins.
_REASON = re.compile(
    r"(?:\s+[-–—]+\s|\s*\(|\s*[.,;:：。，；])\s*(?!(?:or|no|not|nor|to|wait|actually|rather|almost)\b)(?=\w)"
)
_VERDICT_NAMES = frozenset({"verdict", "rating", "grade", "judgement", "judgment", "assessment"})
_REASON_NAMES = frozenset(
    {
        "reason",
        "reasons",
        "reasoning",
        "explanation",
        "justification",
        "comment",
        "comments",
        "rationale",
        "why",
    }
)
"""Keys of an object that gives a criterion a verdict and says why."""
_OBJECTS = 50
"""So many opening braces are tried for a JSON object."""
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
        thinking = " while thinking" if said(completion.text).cut else ""
        return Unjudged("truncated", f"the reply was cut at max_tokens{thinking}")
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
    """What the reply says, without its thoughts and without a fence around everything."""
    thought = said(reply)
    if thought.cut:
        raise _NotReadable("the think block never ends")
    text = thought.text
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
    entries = list(_entries(text, labels))
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
    given_label = _label(given)
    verdict = scale.get(given_label.rstrip(".;,。")) or _with_reason(given_label, scale)
    if verdict is None:
        raise _NotReadable(f"unknown verdict {_shown(given)!r} for {criterion}")
    return verdict


def _with_reason(given: str, scale: Mapping[str, str]) -> str | None:
    """The verdict that stands before a short reason which names no other one."""
    for label in sorted(scale, key=len, reverse=True):
        if given.startswith(label) and (reason := _REASON.match(given, len(label))):
            words = given[reason.end() :]
            others = (other for other in scale if other != label)
            named = any(re.search(rf"(?<!\w){re.escape(other)}(?!\w)", words) for other in others)
            return None if named else scale[label]
    return None


def _entries(text: str, labels: Mapping[str, str]) -> Iterator[_Entry]:
    """All entries in their order: those of JSON objects, and of the lines around these."""
    decoder = json.JSONDecoder(object_pairs_hook=list)
    position = begin = 0
    for _ in range(_OBJECTS):
        begin = text.find("{", begin)
        if begin < 0:
            break
        try:
            # Pairs, not a dict, so that a criterion given twice is seen.
            pairs, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError):
            if begin == 0:
                raise _NotReadable(f"not a JSON object: {_shown(text)}") from None
            begin += 1
            continue
        pairs = _unwrapped(pairs, labels)
        if begin == 0 or any(_label(name) in labels for name, _ in pairs):
            yield from _line_entries(text[position:begin], labels)
            yield from _object_entries(pairs, labels)
            position = end
        begin = end
    yield from _line_entries(text[position:], labels)


def _line_entries(text: str, labels: Mapping[str, str]) -> Iterator[_Entry]:
    for line in text.splitlines():
        plain = _LIST_MARKER.sub("", line.translate(_EMPHASIS))
        name, *given = _COLON.split(plain, maxsplit=1)
        if given and (key := labels.get(_label(name))):
            yield key, given[0]
        elif plain.lstrip().startswith("|"):
            # A row of a table. What stands in further columns may be a reason.
            name, *cells = (cell.strip() for cell in plain.strip().strip("|").split("|"))
            if cells and (key := labels.get(_label(name.rstrip(":：")))):
                yield key, " - ".join(filter(None, cells))


def _object_entries(pairs: list[tuple[str, Any]], labels: Mapping[str, str]) -> Iterator[_Entry]:
    for name, given in pairs:
        key = labels.get(_label(name))
        if key is None:
            raise _NotReadable(f"{_shown(name)!r} is no criterion")
        yield key, _stated(given)


def _unwrapped(pairs: list[tuple[str, Any]], labels: Mapping[str, str]) -> list[tuple[str, Any]]:
    """An object, or the one that is all it holds, under a name that is no criterion."""
    if len(pairs) == 1 and _label(pairs[0][0]) not in labels and _is_object(pairs[0][1]):
        inner: list[tuple[str, Any]] = pairs[0][1]
        return inner
    return pairs


def _stated(given: Any) -> str:
    """What an object gives a criterion: a text, or the verdict in an object with one and reasons for it."""
    if isinstance(given, str):
        return given
    if _is_object(given):
        verdicts = [value for name, value in given if _label(name) in _VERDICT_NAMES]
        others = {_label(name) for name, _ in given} - _VERDICT_NAMES
        if len(verdicts) == 1 and isinstance(verdicts[0], str) and others <= _REASON_NAMES:
            return verdicts[0]
        return json.dumps(dict(given), default=str)
    return json.dumps(given, default=str)


def _is_object(value: Any) -> bool:
    """Whether a decoded value was an object: pairs in a list, which no array holds."""
    return isinstance(value, list) and bool(value) and all(isinstance(pair, tuple) for pair in value)


def _label(name: str) -> str:
    """A criterion's name or a verdict without case, extra white space and emphasis."""
    return " ".join(name.translate(_EMPHASIS).casefold().split())


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
