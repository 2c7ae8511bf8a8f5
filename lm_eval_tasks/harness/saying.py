"""Where the tasks say something under the harness: its log, some lines once a process."""

from __future__ import annotations

import logging
from functools import cache

log = logging.getLogger("lm_eval.explain")


@cache
def say_once(message: str) -> None:
    """Says a line unless it was said before."""
    log.warning("%s", message)
