"""What every client is handed and hands back; runs in the peers' own environments, so it imports nothing.

A client is started as ``python CLIENT.py JOB`` and prints its result as the last line of its output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """What to judge, and where.

    Attributes:
        url: Endpoint, up to and including ``/v1``.
        model: Model name that it serves.
        items: Rows with ``question``, ``explanation``, ``other`` (another explanation, for pairwise judges),
            and our judge's prompt, ready-made: ``system`` and ``user``.
        folder: Scratch folder of this run.
        in_flight: Requests at once; None for what the library ships with.
        max_tokens: Most tokens a reply; None for what the library ships with.
        parse: False where the replies are random text: whatever comes back counts as judged.
    """

    url: str
    model: str
    items: list[dict[str, str]]
    folder: str
    in_flight: int | None = None
    max_tokens: int | None = None
    parse: bool = True


def run(judge: Callable[[Job], int]) -> None:
    """Runs a client: from the call to its results, imports left out.

    Args:
        judge: Judges all items; returns how many got a verdict.
    """
    values: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    job = Job(**values)
    start, cpu = time.perf_counter(), time.process_time()
    judged = judge(job)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print("\n" + json.dumps({"judged": judged, "seconds": seconds, "cpu": cpu}), flush=True)


def turns(item: dict[str, str]) -> Any:
    """Our judge's prompt as the openai package takes it."""
    return [{"role": role, "content": item[role]} for role in ("system", "user")]
