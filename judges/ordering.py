"""The order in which statements are asked about: those of one question together.

A judge's prompt begins with the rubric and the question. Engines keep what they computed for the beginning
of a prompt, for as long as there is room: statements of one question that come one after the other find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from judges.records import Statement


def by_question(statements: Iterable[Statement], window: int) -> Iterator[tuple[int, Statement]]:
    """Brings statements of the same question together, lazily.

    Args:
        statements: In any order; may be endless.
        window: Most statements that are read before the first of them is handed out.

    Yields:
        Place in ``statements`` and statement, each once: the question that came first with all of its
        statements in the window, then the next one.
    """
    waiting: dict[str, list[tuple[int, Statement]]] = {}
    held = 0
    for place, statement in enumerate(statements):
        waiting.setdefault(statement.question, []).append((place, statement))
        held += 1
        if held == window:
            group = waiting.pop(next(iter(waiting)))
            held -= len(group)
            yield from group
    for group in waiting.values():
        yield from group
