"""Which choice a text names: the one, none, or several.

The text is what stands in a choice block. It may be a label or the text of a choice, with words that lead
to it ("The answer is") and words behind it ("because ..."), written as :mod:`lm_eval_tasks.labels` knows
it.

A list of labels is never its first label. Behind the label that comes first, its own text may follow; any
other label, or any other choice's text, that comes before prose makes the naming ambiguous ("A, B and C",
"A: water, B: ice"). So does one behind prose that is written as a further item ("A) warm water B) cold
ice") or named anew ("No, the answer is C"). Other mentions don't: "B) because A is wrong", "A (not B)",
"B rather than C".

A bare label before prose names a choice only where that can't be an ordinary sentence: "B because it
flows", but not "A river carries water".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from lm_eval_tasks.labels import (
    BULLETS,
    CLOSING,
    DASHES,
    MARKS,
    OPENING,
    QUOTES,
    Labels,
    same_letters,
    written_plainly,
)
from lm_eval_tasks.records import Choice
from lm_eval_tasks.replies import words

Problem: TypeAlias = Literal["unknown_choice", "ambiguous_choice"]

_MARKUP = "*_`\"'“”‘’$ \t\r\n"
_JOINING = "/&|;+\\=→⇒" + BULLETS
_JOINS = re.escape(_JOINING)
_SEPARATORS = re.compile(rf"[\s{re.escape(MARKS + QUOTES + OPENING + CLOSING + DASHES)}{_JOINS}]*")
_LIST_MARK = re.compile(rf"\A\s*[-+*>#{BULLETS}]+\s+")
# Before a number these may be its sign or its decimal point.
_POINTS_AT = re.compile(rf"\A(?:[\s:=>→⇒…]|[{DASHES}]+>|[–—]\s|\.{{2,}})+(?=\D)")
_OPENS = re.compile(rf"\s*[{re.escape(OPENING)}]")
_WORD = re.compile(r"[^\W_]")
_BETWEEN = re.compile(
    rf"(?:{words.CONJUNCTION}|(?<![^\W_])(?:{words.PERHAPS}|{words.BUT})|[,،、{_JOINS}])"
    rf"[\s{re.escape(OPENING + QUOTES)}]*\Z",
    re.IGNORECASE,
)
_ENDS_ITEM = re.compile(
    rf"[\s{re.escape(QUOTES + CLOSING)}]*"
    rf"(?:\Z|[{re.escape(MARKS)}](?!\d)|[{_JOINS}\n\t]|\s[{DASHES}]+>?(?=\s)|{words.CONJUNCTION})",
    re.IGNORECASE,
)
_LISTING = ",;、，；"
_JOINED_TO_LAST = re.compile(
    rf"[\s{re.escape(MARKS + QUOTES + OPENING + CLOSING)}/&]*(?:{words.CONJUNCTION})?"
    rf"[\s{re.escape(QUOTES + OPENING)}]*",
    re.IGNORECASE,
)
_EXAMINED = 4_000
"""Characters of a text that are searched for further labels; a choice block is a line."""


def read_choice(choices: Sequence[Choice], text: str) -> tuple[str | None, Problem | None]:
    """Finds the one choice that a text names: its label, or why there is none.

    A text that is a label of one choice and the text of another is taken as the label, which is what was
    asked for. A text that fits two choices is ``ambiguous_choice``, one that fits none ``unknown_choice``.
    """
    given = text.strip(_MARKUP)
    for choice in choices:
        if given == choice.label:
            return choice.label, None
    reading = _Reading(tuple((choice.label, choice.text) for choice in choices))
    label = reading.label(same_letters(given)) if len(given) <= _EXAMINED else None
    if label is not None:
        return label, None
    found = reading.whole(given) or reading.named(written_plainly(text.strip()[: 2 * _EXAMINED])[:_EXAMINED])
    if not found:
        return None, "unknown_choice"
    return (found[0], None) if len(found) == 1 else (None, "ambiguous_choice")


def named_label(choices: Sequence[Choice], text: str) -> str | None:
    """The label that is all that a text says; None if it says more, or something else."""
    text = text.strip()
    if len(text) > _EXAMINED:
        return None
    labels = Labels(choice.label for choice in choices)
    return labels.named(same_letters(text.strip(_MARKUP))) or labels.named(written_plainly(text))


@dataclass(frozen=True, slots=True)
class _Item:
    """A choice that a text names at one place.

    Attributes:
        label: Of the choice.
        end: Where the text goes on.
        bare: True for a label without a mark or bracket of its own.
        style: The mark behind a label, and ``(`` where a bracket stands before it; empty for a choice's text.
        sure: False for a label that may be an ordinary word or a number.
        is_text: True for the text of a choice.
    """

    label: str
    end: int
    bare: bool = False
    style: str = ""
    sure: bool = True
    is_text: bool = False


class _Reading:
    """How texts name the choices of one question."""

    def __init__(self, choices: tuple[tuple[str, str], ...]) -> None:
        self._labels = Labels(label for label, _ in choices)
        self._raw = choices
        self._plain = [(label, _spaced(written_plainly(text))) for label, text in choices]

    def label(self, text: str) -> str | None:
        """The label that a text is."""
        return self._labels.named(text)

    def whole(self, text: str) -> list[str]:
        """Labels of the choices with just this text."""
        return _equal(self._raw, text)

    def named(self, text: str) -> list[str]:
        """Labels of the choices that a text names: one; several, if it is ambiguous; none."""
        text = _POINTS_AT.sub("", _LIST_MARK.sub("", text)).strip()
        label = self._labels.named(text)
        if label is not None:
            return [label]
        if found := self._only_labels(text):
            return found
        if found := _equal(self._plain, text):
            return self._also_by_label(text, found)
        for start, told in self._beginnings(text):
            rest = text[start:]
            label = self._labels.named(rest)
            if label is not None:
                return [label]
            if found := _equal(self._plain, rest):
                return found
            if found := self._first_and_others(rest, told):
                return found
        return []

    def _only_labels(self, text: str) -> list[str]:
        """The labels of a text that consists of two or more of them and nothing else."""
        if _equal(self._plain, text):  # "A, B" may be a choice's text
            return []
        mark = self._labels.at(text)
        if (
            mark is not None
            and mark.after
            and mark.after[-1] not in _LISTING
            and mark.label in _equal(self._plain, text[mark.end :])
        ):
            return [mark.label]  # a label and its own text, which is another label as well
        parts = [part for part in re.split(rf"[\s,、，\-{_JOINS}]+", text.strip(_MARKUP + MARKS)) if part]
        labels = [self._labels.named(part) for part in parts]
        return list(dict.fromkeys(filter(None, labels))) if len(parts) > 1 and all(labels) else []

    def _also_by_label(self, text: str, found: list[str]) -> list[str]:
        """With the label that a bare label and its own text name ("A river", where B is "a river")."""
        mark = self._labels.at(text)
        if mark is None or mark.label in found or mark.label not in _equal(self._plain, text[mark.end :]):
            return found
        return [*found, mark.label]

    def _beginnings(self, text: str) -> Iterator[tuple[int, bool]]:
        """Where the naming may begin, and whether the words before say that it does."""
        lead = words.LEAD_IN.match(text)
        if lead is not None and _WORD.search(lead.group()):
            yield len(lead.group().rstrip(OPENING + QUOTES)), True  # brackets belong to what is named
        yield 0, False

    def _first_and_others(self, text: str, told: bool) -> list[str]:
        first = self._item(text, 0)
        if first is None:
            return []
        end = first.end
        contradiction: list[str] = []
        if not first.is_text:
            end, contradiction = self._past_text(text, first)
        if contradiction:
            return [first.label, *contradiction]
        named = end > first.end or first.is_text
        at, others = self._listed(text, end, first)
        if others:
            return [first.label, *others]
        rest = text[at:]
        if not rest.strip(_MARKUP + MARKS + CLOSING):
            return [first.label]
        if words.TAKEN_BACK.match(rest):
            return []
        if not self._is_naming(text, first, end, named, told):
            return []
        return [first.label, *self._further(rest, first)]

    def _item(self, text: str, position: int) -> _Item | None:
        """The choice that is named at a position, by its label or by its text."""
        mark = self._labels.at(text, position)
        texts, end = self._texts_at(text, position)
        if mark is not None and (mark.after or mark.opened):
            style = ("(" if mark.opened else "") + mark.after
            return _Item(mark.label, mark.end, style=style)
        ends = texts and (
            _ENDS_ITEM.match(text, end) or _OPENS.match(text, end) or words.REASON.match(text, end)
        )
        if ends and (mark is None or end > mark.end):
            return _Item(texts[0], end, is_text=True) if len(texts) == 1 else None
        if mark is None:
            return None
        sure = mark.exact and mark.label.casefold() not in words.ALSO_LABELS and not mark.label[-1].isdigit()
        return _Item(mark.label, mark.end, bare=True, sure=sure)

    def _past_text(self, text: str, first: _Item) -> tuple[int, list[str]]:
        """Where a text goes on behind a label and its own text, and whose other text stands there."""
        labels, end = self._texts_at(text, first.end)
        if first.label in labels:
            return end, []
        if labels and _ENDS_ITEM.match(text, end):
            return first.end, labels
        return first.end, []

    def _texts_at(self, text: str, position: int) -> tuple[list[str], int]:
        """Labels of the choices whose text stands at a position, the longest one, and its end."""
        begin = _SEPARATORS.match(text, position)
        start = begin.end() if begin else position
        best: list[str] = []
        best_rank = (0, 0)
        best_end = position
        for place in {position, start, start - 1 if start > position else start}:
            for label, plain in self._plain:
                found = _text_pattern(plain).match(text, place) if plain else None
                if found is None:
                    continue
                rank = (len(plain), int(_spaced(found.group()) == plain))
                if rank > best_rank:
                    best, best_rank, best_end = [label], rank, found.end()
                elif rank == best_rank and label not in best:
                    best.append(label)
        return best, best_end

    def _listed(self, text: str, position: int, first: _Item) -> tuple[int, list[str]]:
        """Where prose begins behind the first choice, and the others that are named before it."""
        others: list[str] = []
        while position < len(text):
            gap = _SEPARATORS.match(text, position)
            start = gap.end() if gap else position
            conjunction = None if self._with_its_text(text, start) else words.JOINED.match(text, start)
            if conjunction:
                after = _SEPARATORS.match(text, conjunction.end())
                start = after.end() if after else conjunction.end()
            if start >= len(text):
                return len(text), others
            if words.NOT_THIS.match(text, start):
                return start, others
            item = self._again(text, start) if conjunction is None else None
            if item is None:
                item = self._item(text, start)
                if item is None or not self._is_listed(text, item, start, conjunction is not None):
                    return (conjunction.start() if conjunction else start), others
            if words.TAKEN_BACK.match(text, item.end):
                return start, others
            if item.label != first.label and item.label not in others:
                others.append(item.label)
            position = item.end
            if not item.is_text:
                labels, end = self._texts_at(text, position)
                position = end if item.label in labels else position
            position = max(position, start + 1)
        return position, others

    def _again(self, text: str, position: int) -> _Item | None:
        """A further choice that is introduced as the first one may be ("Option A, option B")."""
        noun = words.NOUN.match(text, position)
        item = self._item(text, noun.end()) if noun else None
        if item is None or item.is_text:
            return None
        ends = item.style[-1:] in (*_LISTING, *DASHES, *_JOINING) or _ENDS_ITEM.match(text, item.end)
        behind = self._labels.at(text, item.end)
        if behind is not None and behind.exact and behind.label.casefold() not in words.ALSO_LABELS:
            return item
        if ends or self._introduced(text, item.end):
            return item
        return item if item.label in self._texts_at(text, item.end)[0] else None

    def _introduced(self, text: str, position: int) -> bool:
        """Whether one more choice of that kind comes next ("option B option C")."""
        gap = _SEPARATORS.match(text, position)
        noun = words.NOUN.match(text, gap.end() if gap else position)
        return noun is not None and self._labels.at(text, noun.end()) is not None

    def _with_its_text(self, text: str, position: int) -> bool:
        """Whether a label with its own text stands here, also one that is a conjunction ("D snow E hail")."""
        mark = self._labels.at(text, position)
        return mark is not None and mark.label in self._texts_at(text, mark.end)[0]

    def _is_listed(self, text: str, item: _Item, start: int, joined: bool) -> bool:
        """Whether what looks like a choice is one of a list, and no word of a sentence."""
        if not item.bare:
            return True
        if _ENDS_ITEM.match(text, item.end) or item.label in self._texts_at(text, item.end)[0]:
            return True
        return item.sure or (joined and not _WORD.match(text[item.end :].lstrip()[:1]))

    def _is_naming(self, text: str, first: _Item, end: int, named: bool, told: bool) -> bool:
        """Whether a choice before prose is named without doubt."""
        if not first.bare or named:
            return True
        rest = text[end:]
        if "\n" in rest[: len(rest) - len(rest.lstrip())]:
            return True
        if told and first.sure:
            return True
        if words.REASON.match(rest):
            return True
        if re.match(r"\s*[(\[].*[)\]]\W*\Z", rest, re.DOTALL):
            return True
        negated = words.NOT_THIS.match(rest.lstrip().lstrip(OPENING))
        if negated is not None:
            mentioned = self._item(rest.lstrip().lstrip(OPENING), negated.end())
            return mentioned is not None and mentioned.label != first.label
        return first.sure and re.match(r"\s*[(\[]", rest) is not None

    def _further(self, text: str, first: _Item) -> list[str]:
        """Other choices behind the beginning of prose that are items of a list, or named anew."""
        found = [
            item.label
            for again in words.NAMED_ANEW.finditer(text)
            if (item := self._item(text, again.end())) is not None
            and item.label != first.label
            and (not item.bare or item.sure or _ENDS_ITEM.match(text, item.end))
        ]
        reason = words.REASON_ANYWHERE.search(text)
        listed = text[: reason.start()] if reason else text
        depth = position = 0
        set_against = -1  # where the last label ends that is set against the first
        for candidate in re.finditer(rf"(?<![^\W_]){self._labels.pattern}", listed, re.IGNORECASE):
            begin = candidate.start()
            skipped = listed[position:begin]
            depth = max(0, depth + sum(skipped.count(c) for c in "([") - sum(skipped.count(c) for c in ")]"))
            position = begin
            mark = self._labels.at(listed, begin)
            if mark is None or mark.label == first.label:
                continue
            before = listed[:begin].rstrip()
            joined = set_against >= 0 and _JOINED_TO_LAST.fullmatch(listed, set_against, begin)
            if joined or words.CONTRASTED.search(before.rstrip(OPENING + QUOTES)):
                set_against = mark.end
                continue
            grouped = before.endswith(tuple("([【（"))
            closed = mark.after[:1] in tuple(")]】")
            if closed:
                is_item = ("(" in first.style) if grouped else depth == 0
            elif mark.after and mark.after[:1] in ":." and mark.after[:1] == first.style[-1:]:
                is_item = mark.exact and bool(listed[mark.end :].strip())
            else:
                is_item = (
                    mark.exact
                    and bool(_BETWEEN.search(listed[:begin]))
                    and bool(
                        _ENDS_ITEM.match(listed, candidate.end()) or words.ALSO.match(listed, candidate.end())
                    )
                )
            if is_item:
                found.append(mark.label)
        return list(dict.fromkeys(found))


def _equal(choices: Sequence[tuple[str, str]], text: str) -> list[str]:
    """Labels of the choices with this text; letter case decides only where it tells choices apart."""
    given = _bare(text)
    exact = [label for label, own in choices if _bare(own) == given != ""]
    return exact or [label for label, own in choices if _bare(own).casefold() == given.casefold() != ""]


def _bare(text: str) -> str:
    return _spaced(text).strip(_MARKUP).rstrip(".").rstrip()


def _spaced(text: str) -> str:
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def _text_pattern(plain: str) -> re.Pattern[str]:
    """A choice's text where it stands in another one, in any letter case and spacing."""
    bare = _bare(plain)
    body = r"\s+".join(re.escape(word) for word in bare.split())
    return re.compile(rf"{body}(?![^\W_])" if body else r"(?!)", re.IGNORECASE)
