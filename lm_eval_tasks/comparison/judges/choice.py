"""Which judge to take for which budget: the cheapest that can't be told from the best that one can pay."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lm_eval_tasks.comparison.judges.board import JudgeBoard, JudgeRow
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.estimation.estimates import Estimate

Cost: TypeAlias = Literal["price", "seconds"]
"""What is short: money, or time; each for 1,000 statements."""

CHANCE = {"rho": 0.0, "kappa": 0.0, "flaw": 0.5, "right": 0.5}
"""What of a board's evidence a judge has that rolls dice; nobody is told to take one that isn't above it."""


@dataclass(frozen=True, slots=True)
class Choice(JsonRecord):
    """The judge to take from some budget on.

    Attributes:
        budget: From this cost of 1,000 statements on.
        judge: Its name.
        rubric: By which it judges.
        evidence: How good it is, by what the board is sorted by.
        level: Others that can't be told from it, and cost more, up to the next choice.
        worse: Others that are worse, likewise.
    """

    budget: float
    judge: str
    rubric: str
    evidence: Estimate
    level: tuple[str, ...]
    worse: tuple[str, ...]


def choices(board: JudgeBoard, cost: Cost) -> tuple[Choice, ...]:
    """The judge to take as the budget grows; each entry holds until the next one's budget.

    A judge that costs more is taken only if it is told from the cheaper one: of those that a budget pays for,
    the cheapest whose interval reaches the best one's.

    Args:
        board: All judges; those whose cost isn't known, and those not told from dice, are left out.
        cost: What is short.

    Returns:
        Cheapest first; nothing where judges can't be ranked.
    """
    if board.by is None:
        return ()
    known = [row for row in board.rows if _cost(row, cost) is not None and beyond_chance(board, row)]
    known.sort(key=lambda row: _paid(row, cost))
    found: list[Choice] = []
    for number, last in enumerate(known, 1):
        within = known[:number]
        best = max(within, key=lambda row: board.evidence(row).value)
        level = [row for row in within if row is best or reaches(board.evidence(row), board.evidence(best))]
        taken = level[0]
        one = Choice(
            _paid(last, cost),
            taken.name,
            taken.rubric,
            board.evidence(taken),
            tuple(row.name for row in level[1:]),
            tuple(row.name for row in within if row not in level),
        )
        if found and (found[-1].judge, found[-1].rubric) == (taken.name, taken.rubric):
            found[-1] = replace(one, budget=found[-1].budget)
        else:
            found.append(one)
    return tuple(found)


def beyond_chance(board: JudgeBoard, row: JudgeRow) -> bool:
    """Whether a judge is told from one that rolls dice, by what the board is sorted by."""
    low = board.evidence(row).low
    return board.by is not None and low is not None and low > CHANCE[board.by]


def reaches(other: Estimate, best: Estimate) -> bool:
    """Whether one figure can't be told from the best: their intervals overlap, or one has none."""
    return best.low is None or other.high is None or other.high >= best.low


def _cost(row: JudgeRow, cost: Cost) -> float | None:
    return row.price if cost == "price" else row.seconds


def _paid(row: JudgeRow, cost: Cost) -> float:
    return _cost(row, cost) or 0.0
