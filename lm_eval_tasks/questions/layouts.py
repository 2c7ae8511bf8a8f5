"""Row layouts: where in a data set's row a question stands, and how to read it from there.

A layout is data (the ``fields`` of a task's YAML); this module is the one reader behind all of them.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from judges.settings import Settings
from lm_eval_tasks.labels import DASHES, MARKS, Labels, same_letters
from lm_eval_tasks.records import Choice, Question

_CLOSED_BY = ")]}】〕》"


class RowError(ValueError):
    """A row can't be read; the message says why, the caller knows where the row stands."""


class Layout(Settings):
    """The names of a row's fields. A dotted name reaches into nested mappings (``question.stem``).

    Attributes:
        question: Field of the question's text.
        choices: Field of the choices: a list of strings, a list of ``{label, text}``, a mapping of
            ``{label: [...], text: [...]}``, or a mapping of label to text. A list of names instead means one
            field (column) for each choice. Tables fill rows up with nulls, so nulls behind the last choice of
            columns, or of a mapping of label to text, are no choices; any other null can't be read.
        gold: Field of the right choice.
        id: Field of the row's own identifier; without one the id is a hash of the content.
        context: Field of the passage to be read first.
        gold_is: What ``gold`` holds: a label, a position from 0 or from 1, or the choice's exact text.
        rationale: Field of a worked-out reason for the right choice, where the data set has one. No model is
            shown it; fine-tuning may learn it (``sft.target: rationale``), and a judge sees it if its rubric
            shows ``reference``.
        labels: Where the labels of plain strings come from. ``position``: A, B, C ... in order. ``printed``:
            each string carries its own ("C) 21"), and the gold names the printed label, in whatever order the
            choices stand. ``printed_if_any``: as printed where the strings carry labels, else by position.
    """

    question: str
    choices: str | tuple[str, ...]
    gold: str
    id: str | None = None
    context: str | None = None
    rationale: str | None = None
    gold_is: Literal["label", "index", "index_from_1", "text"] = "label"
    labels: Literal["position", "printed", "printed_if_any"] = "position"

    @property
    def required(self) -> tuple[str, ...]:
        """The fields that every row of this layout has; ``id`` and ``context`` may be empty in it."""
        choices = (self.choices,) if isinstance(self.choices, str) else self.choices
        optional = (name for name in (self.id, self.context) if name is not None)
        return (self.question, *choices, self.gold, *optional)

    def fits(self, row: Mapping[str, Any]) -> bool:
        """True if the row has all required fields."""
        return all(_has(row, name) for name in self.required)


def read_row(row: Mapping[str, Any], layouts: Sequence[Layout], new_id: str) -> Question:
    """Reads one row with the first layout that fits it.

    Args:
        row: The row as it stands in the file.
        layouts: The layouts that the data set is known to come in.
        new_id: Id for a row without one.

    Raises:
        RowError: If no layout fits, or the row doesn't hold a question with its gold label.
    """
    layout = next((layout for layout in layouts if layout.fits(row)), None)
    if layout is None:
        known = " or ".join(f"({', '.join(layout.required)})" for layout in layouts)
        raise RowError(f"expected the fields {known}, found ({', '.join(row)})")
    choices = _choices(row, layout)
    own_id = _get(row, layout.id) if layout.id else None
    context = _text(_get(row, layout.context), layout.context) if layout.context else ""
    question = _text(_get(row, layout.question), layout.question)
    if not question:
        raise RowError(f"{layout.question!r} is empty")
    try:
        return Question(
            id=new_id if _missing(own_id) or own_id == "" else str(own_id),
            question=question,
            choices=choices,
            gold=_gold(_get(row, layout.gold), choices, layout),
            context=context or None,
            reference=_rationale(row, layout),
        )
    except ValueError as error:
        raise RowError(str(error)) from None


def _rationale(row: Mapping[str, Any], layout: Layout) -> str | None:
    """The reason that a row gives for its right choice; None where it or its layout has none."""
    if layout.rationale is None or not _has(row, layout.rationale):
        return None
    value = _get(row, layout.rationale)
    return value.strip() or None if isinstance(value, str) else None


def _choices(row: Mapping[str, Any], layout: Layout) -> tuple[Choice, ...]:
    if isinstance(layout.choices, str):
        name, value = layout.choices, _get(row, layout.choices)
    else:
        name, value = ", ".join(layout.choices), _filled([_get(row, part) for part in layout.choices])
    if isinstance(value, Mapping):
        if set(value) >= {"label", "text"}:
            labels, texts = list(value["label"]), list(value["text"])
            if len(labels) != len(texts):
                raise RowError(f"{name!r} has {len(labels)} labels but {len(texts)} texts")
        else:
            texts = _filled(list(value.values()))
            labels = list(value)[: len(texts)]
        found = list(zip(labels, texts, strict=True))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(item, Mapping) for item in value):
            found = [(_get(item, "label"), _get(item, "text")) for item in value]
        else:
            if missing := [place for place, item in enumerate(value, 1) if _missing(item)]:
                raise RowError(f"{name!r}: choice {missing[0]} of {len(value)} is null")
            found = list(_labelled([_text(item, name) for item in value], layout.labels))
    else:
        raise RowError(f"{name!r} holds {type(value).__name__}, expected a list of choices")
    if len(found) < 2:
        raise RowError(f"{name!r} has {len(found)} choices, a question has at least 2")
    for place, (label, text) in enumerate(found, 1):
        if _missing(label) or _missing(text):
            what = "label" if _missing(label) else "text"
            raise RowError(f"{name!r}: the {what} of choice {place} of {len(found)} is null")
    return tuple(Choice(str(label).strip(), _text(text, name)) for label, text in found)


def _filled(values: list[Any]) -> list[Any]:
    """The values up to the last one that there is."""
    end = next((end for end in range(len(values), 0, -1) if not _missing(values[end - 1])), 0)
    return values[:end]


def _missing(value: Any) -> bool:
    """Whether a table has nothing here: null, or NaN as data frames write it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _gold(value: Any, choices: Sequence[Choice], layout: Layout) -> str:
    given = "" if _missing(value) else str(value).strip()
    if layout.gold_is == "text":
        matching = [choice.label for choice in choices if choice.text == given]
        if len(matching) != 1:
            raise RowError(f"{layout.gold!r} = {given!r} is the text of {len(matching)} choices, expected 1")
        return matching[0]
    labels = [choice.label for choice in choices]
    if layout.gold_is == "label":
        for label in labels:
            if label == given:
                return label
        folded = [label for label in labels if label.casefold() == given.casefold()]
        if len(folded) != 1:
            raise RowError(
                f"{layout.gold!r} = {given!r} is none of the labels {', '.join(labels)} "
                "(a position or a text instead of a label? then set gold_is)"
            )
        return folded[0]
    position = int(given) if re.fullmatch(r"\d+", given) else -1
    position -= layout.gold_is == "index_from_1"
    if not 0 <= position < len(labels):
        raise RowError(f"{layout.gold!r} = {given!r} is no position among {len(labels)} choices")
    return labels[position]


def _labelled(texts: Sequence[str], mode: str) -> Sequence[tuple[str, str]]:
    alphabet = string.ascii_uppercase[: len(texts)]
    if len(texts) > len(string.ascii_uppercase):
        raise RowError(f"{len(texts)} choices are more than there are letters")
    if mode == "position":
        return list(zip(alphabet, texts, strict=True))
    carried = any(_leading_label(text, alphabet) for text in texts) or all(
        _marked(text, alphabet) for text in texts
    )
    if mode == "printed_if_any" and not carried:
        return list(zip(alphabet, texts, strict=True))
    return printed_labels(texts)


def printed_labels(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Takes choices apart that carry their own labels, also where the label was displaced or damaged.

    Tried in this order, each time among the labels that are still free: the label in front ("A)21",
    "d.The"); the same with another mark ("A? The", "（A）", "A - "), if all choices have one or it stands
    at its place in the alphabet; a label with its dot inside the text ("In the B.NEC game"); a label in
    front that lost its dot ("C The"); the one label that is left for the one choice that is left. What
    can't be told so has the label of its place, if all labels told in front stand at theirs.

    Args:
        texts: The choices as printed; n of them carry the first n letters in any order.

    Returns:
        (label, text without it), in the printed order.

    Raises:
        RowError: If a choice can't be told its label, or two carry the same one.
    """
    alphabet = string.ascii_uppercase[: len(texts)]
    found: dict[int, tuple[str, str]] = {}

    def free() -> str:
        return "".join(label for label in alphabet if label not in {label for label, _ in found.values()})

    def settle(pattern: str) -> None:
        for position, text in enumerate(texts):
            if position in found:
                continue
            matches = list(re.finditer(pattern.format(free()), text)) if free() else []
            if len({match[1] for match in matches}) == 1:
                match = matches[0]
                found[position] = (match[1], (text[: match.start()] + text[match.end() :]).strip())

    for position, text in enumerate(texts):
        match = _leading_label(text, alphabet)
        if match:
            found[position] = (match[1].upper(), text[match.end() :].strip())
    in_front = dict(found)
    marked = {position: mark for position, text in enumerate(texts) if (mark := _marked(text, alphabet))}
    all_marked = {label for label, _, _ in marked.values()} == set(alphabet)
    for position, (label, after, rest) in marked.items():
        at_its_place = label == alphabet[position] and after not in tuple(",;")
        if position not in found and label in free() and (all_marked or at_its_place):
            found[position] = in_front[position] = (label, rest)
    settle(r"(?<![A-Za-z])([{}])\.")
    settle(r"^([{}])(?=\s)")
    left = [position for position in range(len(texts)) if position not in found]
    if len(left) == 1 and len(free()) == 1:
        found[left[0]] = (free(), texts[left[0]])
    in_place = all(label == alphabet[position] for position, (label, _) in in_front.items())
    if len(found) < len(texts) and in_front and in_place:
        found = {at: in_front.get(at, (alphabet[at], text.strip())) for at, text in enumerate(texts)}
    labels = [label for label, _ in found.values()]
    if len(found) < len(texts) or len(set(labels)) < len(labels):
        raise RowError(f"can't tell which label each choice carries: {list(texts)}")
    return [found[position] for position in range(len(texts))]


def _marked(text: str, alphabet: str) -> tuple[str, str, str] | None:
    """The label with any mark in front of a choice: label, the mark's first character, the text behind it."""
    plain = same_letters(text)
    mark = Labels(alphabet).at(plain)
    if mark is None or not any(c in MARKS + DASHES + _CLOSED_BY for c in mark.after):
        return None
    end = next(end for end in range(len(text) + 1) if len(same_letters(text[:end])) >= mark.end)
    return mark.label, mark.after[0], text[end:].strip()


def _leading_label(text: str, alphabet: str) -> re.Match[str] | None:
    return re.match(rf"\s*\(?([{alphabet}{alphabet.lower()}])[).:]", text)


def _parts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return (name,) if name in row else tuple(name.split("."))


def _has(row: Mapping[str, Any], name: str) -> bool:
    current: Any = row
    for part in _parts(row, name):
        if not isinstance(current, Mapping) or part not in current:
            return False
        current = current[part]
    return True


def _get(row: Mapping[str, Any], name: str) -> Any:
    current: Any = row
    for part in _parts(row, name):
        if not isinstance(current, Mapping) or part not in current:
            raise RowError(f"has no {name!r}")
        current = current[part]
    return current


def text_of(row: Mapping[str, Any], name: str) -> str:
    """The text in a field of a row, stripped; empty where the field is.

    Raises:
        RowError: If there is no such field, or it holds something else.
    """
    return _text(_get(row, name), name)


def _text(value: Any, name: str | None) -> str:
    if _missing(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(f"{name!r} holds {type(value).__name__}, expected text")
    return str(value).strip()
