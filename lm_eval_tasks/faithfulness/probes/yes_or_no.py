"""What a writer said who was asked for yes or no."""

from __future__ import annotations

import re

_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def read_yes_or_no(text: str | None) -> bool | None:
    """True for yes, False for no; None for neither, and for both."""
    found = {word.lower() for word in _WORD.findall(text or "")}
    return found == {"yes"} if len(found) == 1 else None
