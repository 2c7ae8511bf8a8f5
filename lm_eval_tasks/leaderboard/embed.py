"""Values and names made safe to stand in HTML, in scripts and in file names.

Explanations, questions and model names were written by others. In HTML they are escaped by the templates; in
scripts they are JSON in which nothing can end the script; in file names they are slugs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

_SCRIPT_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_SLUG_LENGTH = 60


def script_json(value: Any) -> Markup:
    """JSON that is also a JavaScript expression and can stand inside ``<script>``.

    ``<``, ``>`` and ``&`` are escaped, so neither ``</script>`` nor ``<!--`` can occur in it; U+2028 and
    U+2029, which end a line in older JavaScript, are escaped too. Lone surrogates become U+FFFD, since no
    UTF-8 file can hold them.

    Raises:
        ValueError: If the value holds NaN or an infinity, which JSON has no form for.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Markup(text.translate(_SCRIPT_ESCAPES))


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A short, unique, portable file name for each name: lower-case letters, digits, ``.``, ``_`` and ``-``.

    Names that would give the same slug (also on file systems that ignore case) get a hash of the name at the
    end, so that the slug of a name doesn't depend on the order.
    """
    names = sorted(set(names))
    plain = {name: _slug(name) for name in names}
    counts: dict[str, int] = {}
    for slug in plain.values():
        counts[slug] = counts.get(slug, 0) + 1
    return {
        name: slug if slug and counts[slug] == 1 else f"{slug or 'x'}-{_digest(name)}"
        for name, slug in plain.items()
    }


def _slug(name: str) -> str:
    cleaned = re.sub(r"-*__-*", "__", re.sub(r"[^a-z0-9._]+", "-", name.casefold())).strip("-.")
    # "--" stands between the two names of a pair page.
    return re.sub(r"-{2,}", "-", cleaned)[:_SLUG_LENGTH].strip("-.")


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
