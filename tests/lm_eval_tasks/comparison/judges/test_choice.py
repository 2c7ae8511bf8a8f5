"""Which judge to take for which budget."""

from __future__ import annotations

import pytest

from lm_eval_tasks.comparison.judges.board import JudgeBoard, JudgeRow
from lm_eval_tasks.comparison.judges.choice import choices
from lm_eval_tasks.comparison.judges.text import board_text
from lm_eval_tasks.stats.estimation.estimates import Estimate


def judge(
    name: str, right: float, half: float, *, price: float | None = None, seconds: float | None = None
) -> JudgeRow:
    figure = Estimate(right, None, right - half, right + half, 100)
    return JudgeRow(
        name, "r 1", 2, 100, 1.0, None, None, None, figure, None, None, 0, 1, price=price, seconds=seconds
    )


def board(*rows: JudgeRow) -> JudgeBoard:
    return JudgeBoard(
        tuple(sorted(rows, key=lambda row: -(row.right.value if row.right else 0))), "right", None
    )


def test_a_dearer_judge_is_taken_where_it_is_told_from_the_cheaper_one() -> None:
    found = choices(
        board(
            judge("small", 0.60, 0.05, price=0.1),
            judge("dull", 0.50, 0.02, price=0.2),
            judge("middle", 0.75, 0.04, price=1.0),
            judge("large", 0.78, 0.04, price=10.0),
            judge("huge", 0.90, 0.03, price=30.0),
            judge("here", 0.95, 0.01, seconds=60.0),
        ),
        "price",
    )
    assert [(one.budget, one.judge) for one in found] == [(0.1, "small"), (1.0, "middle"), (30.0, "huge")]
    assert found[1].worse == ("small",)
    assert found[2].worse == ("small", "middle", "large")
    assert [one.level for one in found] == [(), ("large",), ()]


def test_what_costs_more_and_cannot_be_told_is_named_beside_it() -> None:
    rows = [judge("a", 0.6, 0.09, price=1.0, seconds=5.0), judge("b", 0.7, 0.09, price=0.5, seconds=9.0)]
    for cost, start, taken in (("price", 0.5, "b"), ("seconds", 5.0, "a")):
        (found,) = choices(board(*rows), cost)  # type: ignore[arg-type]
        assert (found.budget, found.judge) == (start, taken)
    text = board_text(board(*rows))
    assert (
        "From 0.5 for 1,000 statements on: b, 0.70 [0.61, 0.79]; not told from it, and costs more: a." in text
    )
    assert (
        "From 5 s for 1,000 statements on: a, 0.60 [0.51, 0.69]; not told from it, and takes longer: b."
        in text
    )


def test_a_better_one_pays_for_leaving_a_cheaper_one_that_reached_the_second_best() -> None:
    # Not told from "good" at first, and told from "best" when that can be paid for.
    rows = [
        judge("cheap", 0.60, 0.06, price=1),
        judge("good", 0.66, 0.06, price=2),
        judge("best", 0.78, 0.06, price=3),
    ]
    found = choices(board(*rows), "price")
    assert [(one.budget, one.judge, one.level) for one in found] == [
        (1, "cheap", ("good",)),
        (3, "good", ("best",)),
    ]


def test_nobody_is_told_to_take_dice() -> None:
    rows = [judge("dice", 0.52, 0.06, price=0.01), judge("good", 0.8, 0.06, price=2.0)]
    (found,) = choices(board(*rows), "price")
    assert (found.judge, found.budget) == ("good", 2.0)
    assert "Not told from dice, so not to be taken: dice." in board_text(board(*rows))


def test_nothing_is_advised_where_judges_cannot_be_ranked_or_nobody_knows_what_they_cost() -> None:
    rows = (judge("a", 0.6, 0.02), judge("b", 0.7, 0.02))
    assert choices(board(*rows), "price") == ()
    unranked = JudgeBoard(rows, None, None)
    assert choices(unranked, "seconds") == ()
    with pytest.raises(ValueError, match="nothing is known"):
        unranked.evidence(rows[0])
