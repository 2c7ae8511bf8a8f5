"""The grammar of labels: how people and models write "B", wherever they write it.

One grammar for the choices of a data set's rows, which carry their labels in front, and for the choices
of replies. A label may be dressed: in brackets and quotes of all kinds, in full-width or circled letters,
in Markdown, LaTeX or HTML. Behind it may stand a mark (``B.``, ``B)``, ``B：``, ``B、``, ``B - ``), unless
the mark belongs to a number: ``1.5`` and ``1,000`` don't begin with label 1.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

OPENING = "([{<«‹„‚“‘「『【〔《〈⟨⟦〖"
CLOSING = ")]}>»›”’」』】〕》〉⟩⟧〗"
QUOTES = "\"'`´*_~$#|“”‘’✓✔☑✅👉☞\ufe0f"
"""Characters of quotation, emphasis and approval, which stand on both sides."""
MARKS = ".:,;?!。、·，．：；？！،؛؟।"
DASHES = "-–—―−‐‑"
BULLETS = "•·∙●○◦‣⁃▪▫■□◆◇"

_DRESS = re.escape(OPENING + QUOTES)
_UNDRESS = re.escape(CLOSING + QUOTES)
# Letters as one sees them: full-width, circled, bold, ligatures. Not what changes the meaning: 2² is not 22.
_SAME_LETTER = frozenset(
    {"<wide>", "<narrow>", "<circle>", "<font>", "<compat>", "<small>", "<noBreak>", "<square>"}
)
_ENCLOSED = re.compile(
    r"(?:DINGBAT |NEGATIVE |DOUBLE )+(?:CIRCLED|SQUARED) "
    r"(?:LATIN CAPITAL LETTER ([A-Z])|(?:SANS-SERIF )?(?:DIGIT|NUMBER) .+)"
)
_UNSEEN = range(0xFE00, 0xFE10)  # they choose between drawings of what stands before them
_KEYCAP = "\u20e3"
_COMMAND = re.compile(
    r"\\(?:boxed|fbox|framebox|text\w*|math\w+|operatorname|emph|underline|ensuremath)\s*\{([^{}]*)\}"
)
_OUTER_COMMAND = re.compile(r"\A[\s$]*\\(?:boxed|fbox|text\w*|math\w+)\s*\{(.*)\}[\s$]*\Z", re.DOTALL)
_MATHS = re.compile(r"\\[()\[\]]|\\[,;! ]|\\displaystyle\b")
_HTML_BREAK = re.compile(r"</?(?:p|div|li|ul|ol|br|h[1-6])(?:\s[^<>]{0,200})?\s?/?>", re.IGNORECASE)
_HTML_TAG = re.compile(
    r"</?(?:b|i|u|em|strong|code|tt|span|mark|font|small|big|answer|label|option|letter|final)"
    r"(?:\s[^<>]{0,200})?\s?/?>",
    re.IGNORECASE,
)
# Emphasis stands at the edge of a word; a product (2*3) and a name (x_1) don't.
_EMPHASIS = re.compile(
    r"(?<![\w*~])(?:\*{1,3}|_{1,3}|~~)(?=[^\s*_~])|(?<=[^\s*_~])(?:\*{1,3}|_{1,3}|~~)(?![\w*~])|`"
)


def written_plainly(text: str) -> str:
    """A text without what only dresses it: entities, full-width letters, LaTeX, Markdown, tags."""
    text = same_letters(html.unescape(text))
    while (outer := _OUTER_COMMAND.match(text)) and _is_closed(outer[1]):
        text = outer[1]
    for _ in range(3):  # commands inside commands
        text = _COMMAND.sub(r"\1", text)
    return _EMPHASIS.sub("", _HTML_TAG.sub("", _HTML_BREAK.sub("\n", _MATHS.sub("", text))))


def _is_closed(text: str) -> bool:
    """Whether no brace of a text belongs to one outside of it."""
    depth = 0
    for brace in re.findall(r"[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def same_letters(text: str) -> str:
    """A text in the letters of a keyboard, where others look the same: ``Ｂ``, ``Ⓑ``, ``🅱``, ``（``."""
    if text.isascii():
        return text
    return "".join(map(_same_letter, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _same_letter(character: str) -> str:
    if unicodedata.category(character) == "Cf":  # a zero-width space, a byte order mark: nothing one sees
        return ""
    if ord(character) in _UNSEEN or character == _KEYCAP:
        return ""
    enclosed = _ENCLOSED.fullmatch(unicodedata.name(character, ""))
    if enclosed is not None:  # these have no decomposition
        return enclosed[1] or str(int(unicodedata.numeric(character)))
    kind = unicodedata.decomposition(character).partition(" ")[0]
    return unicodedata.normalize("NFKC", character) if kind in _SAME_LETTER else character


@dataclass(frozen=True, slots=True)
class Mark:
    """A label where it stands in a text.

    Attributes:
        label: As the choices have it.
        start: Where it begins, brackets and quotes included.
        end: Where what follows begins.
        opened: The bracket before it; empty without one.
        after: The brackets, point, colon or dash behind it; empty for a bare label.
        exact: False if its letter case differs from the label's.
    """

    label: str
    start: int
    end: int
    opened: str
    after: str
    exact: bool


class Labels:
    """The labels of one question, to be found in texts that are written plainly.

    Args:
        labels: In the order of the choices. Letter case counts only where it tells two of them apart.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self.all = tuple(labels)
        self._exact = {same_letters(label): label for label in self.all}
        folded: dict[str, list[str]] = {}
        for label in self.all:
            folded.setdefault(same_letters(label).casefold(), []).append(label)
        self._folded = {key: found[0] for key, found in folded.items() if len(found) == 1}
        longest_first = sorted((key for key in folded if key), key=len, reverse=True)
        self.pattern = (
            "(?:"
            + "|".join(re.escape(key) + (_END if key[-1].isalnum() else "") for key in longest_first)
            + ")"
        )
        self._mark = re.compile(
            rf"\s*(?P<open>(?:[{_DRESS}]\s*)*)(?P<label>{self.pattern})"
            rf"(?P<after>(?:[{_UNDRESS}]|[ \t]+[)\]}}])*"
            rf"(?:(?:(?<!\d)[{re.escape(MARKS)}]+|[{re.escape(MARKS)}]+(?!\d))[{_UNDRESS}{re.escape(MARKS)}]*"
            rf"|\s+[{DASHES}]+>?(?=\s)|\s*[→⇒=](?!=))?)",
            re.IGNORECASE,
        )

    def named(self, text: str) -> str | None:
        """The label that a text is, apart from brackets, quotes and marks around it; None if it is none."""
        mark = self.at(text)
        return mark.label if mark is not None and not text[mark.end :].strip(_AROUND) else None

    def at(self, text: str, position: int = 0) -> Mark | None:
        """The label that stands at a position of a text, white space and its dress aside.

        None also where a number goes on behind it (``1.5``, ``1,000``).
        """
        found = self._mark.match(text, position) if self.all else None
        if found is None:
            return None
        given = found["label"]
        if given[-1].isdigit() and re.match(r"[.,:]\d", text[found.end() : found.end() + 2]):
            return None
        label = self._exact.get(given) or self._folded.get(given.casefold())
        if label is None:
            return None
        opened = "".join(c for c in found["open"] if c in OPENING)
        return Mark(
            label, found.start("open"), found.end(), opened, found["after"].strip(), given in self._exact
        )


# Behind a label no letter or digit goes on; letters of Chinese, Japanese and Korean are words of their own.
_END = r"(?![^\W_\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff])"
_AROUND = OPENING + CLOSING + QUOTES + MARKS + DASHES + " \t\r\n"
