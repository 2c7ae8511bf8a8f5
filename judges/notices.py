"""What a backend tells its user while it works, one line at a time: on stderr, unless somebody listens."""

from __future__ import annotations

import sys
from collections.abc import Callable


def _on_stderr(line: str) -> None:
    print(line, file=sys.stderr)


_listener: Callable[[str], None] = _on_stderr


def tell(line: str) -> None:
    """Tells the user."""
    _listener(line)


def listen(listener: Callable[[str], None]) -> None:
    """Has everything told to somebody else from now on: where stderr isn't the user's, as at a Ray worker."""
    global _listener
    _listener = listener
