"""What every probe has: its name, what it asks of a reply, what figures come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lm_eval_tasks.faithfulness.asks import Probing, Sampled
from lm_eval_tasks.stats.faithfulness import Figure

Records: TypeAlias = Sequence[tuple[str, Mapping[str, Any]]]
"""A question's id and what the probe noted of a reply to it, for each reply that it tells something of."""
Figures: TypeAlias = Mapping[str, Mapping[str, Figure]]
"""Group (a kind of hint, or ``all``) -> name -> figure."""
Curve: TypeAlias = tuple[tuple[float, float], ...]
"""Share of the explanation -> share of replies with the same answer."""


@dataclass(frozen=True, slots=True)
class Work:
    """What probing a reply takes, before anything is known of its answers.

    Attributes:
        choices: Choices that are asked for.
        replies: Replies that are written.
        writer: Requests to the writer.
        characters: Of explanations that are read for the choices, about.
    """

    choices: int = 0
    replies: int = 0
    writer: int = 0
    characters: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.choices + other.choices,
            self.replies + other.replies,
            self.writer + other.writer,
            self.characters + other.characters,
        )


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What a user may set.

    Attributes:
        hints: Kinds of hint; none for all.
        writer: Whether there is a writer.
        edits: Insertions a question.
        draws: Replies drawn on each side of an insertion.
    """

    hints: tuple[str, ...] = ()
    writer: bool = False
    edits: int = 2
    draws: int = 0


@dataclass(frozen=True, slots=True)
class ProbeKind:
    """One probe.

    Attributes:
        name: As ``--kinds`` has it.
        asks: What it finds out, in a line.
        by_question: Whether it asks once a question, whatever the number of replies.
        needs_writer: Whether it can't do without a writer.
        work: What probing a reply takes.
        probe: Probes a reply.
        figures: What comes of all records.
        curve: The curve to draw; empty where there is none.
    """

    name: str
    asks: str
    work: Callable[[Sampled, ProbeSettings], Work]
    probe: Callable[[Sampled, ProbeSettings], Probing]
    figures: Callable[[Records], Figures]
    curve: Callable[[Records], Curve] = lambda records: ()
    by_question: bool = False
    needs_writer: bool = False


def by_question(records: Records, name: str) -> dict[str, list[float]]:
    """Question -> one value of each of its records."""
    found: dict[str, list[float]] = {}
    for question, values in records:
        found.setdefault(question, []).append(float(values[name]))
    return found


def mean_curve(records: Records, points: int = 5) -> Curve:
    """The mean of the records' curves, each read off at the same shares."""
    import numpy as np

    shares = np.linspace(0, 1, points)
    curves = [
        np.interp(shares, [share for share, _ in values["curve"]], [same for _, same in values["curve"]])
        for _, values in records
    ]
    if not curves:
        return ()
    return tuple(
        (float(share), float(same)) for share, same in zip(shares, np.mean(curves, axis=0), strict=True)
    )
