"""The columns of a leaderboard, one definition for the pages and for the Markdown, LaTeX and CSV files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lm_eval_tasks.comparison.standings import family_of
from lm_eval_tasks.leaderboard.charts.values import Interval, number
from lm_eval_tasks.leaderboard.rows import Row, Scope
from lm_eval_tasks.leaderboard.words import money, p_value, points, short_judge

Value: TypeAlias = float | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        key: Name in addresses and CSV headers.
        name: Head of the column.
        about: What it holds, in a sentence.
        kind: Sorted as numbers or as text.
        first: Direction of the first click.
        value: What is sorted and exported; shares of 1, scores in points.
        text: What is shown.
        aside: What stands behind it in grey.
        estimate: The figure with its interval, where there is one.
    """

    key: str
    name: str
    about: str
    value: Callable[[Row], Value]
    text: Callable[[Row], str]
    kind: Literal["number", "text"] = "number"
    first: Literal["ascending", "descending"] = "descending"
    aside: Callable[[Row], str] = lambda row: ""
    estimate: Callable[[Row], Interval | None] = lambda row: None


def columns_of(scope: Scope) -> list[Column]:
    """The columns of a table, the most important first; those that no row has a value for are left out."""
    baseline = scope.table.baseline
    top = _range(scope)
    columns = [
        Column(
            "rank",
            "Rank",
            "Ranks that the model may have: models that can't be told apart share them",
            lambda row: row.place[0] if row.place else None,
            lambda row: row.rank,
            first="ascending",
        ),
        Column(
            "model", "Model", "Name of the run", lambda row: row.run, lambda row: row.run, "text", "ascending"
        ),
        Column(
            "margin",
            f"Win − loss vs {baseline}",
            "Share of the pairs of explanations won minus lost, in points",
            lambda row: _value(row.margin),
            lambda row: points(row.margin),
            aside=lambda row: _bounds(row.margin, 100, 1, signed=True),
            estimate=lambda row: row.margin,
        ),
        Column(
            "accuracy",
            "Accuracy",
            "Share of right answers, in percent, ± the spread over the samples (no interval); an unreadable "
            "choice is not right",
            lambda row: _value(row.accuracy),
            lambda row: _text(row.accuracy, 100, 1),
            aside=lambda row: "" if row.spread is None else f"± {number(100 * row.spread)}",
            estimate=lambda row: row.accuracy,
        ),
        Column(
            "readable",
            "Readable",
            "Share of the replies with both tags readable, explanation and choice; the model’s doing",
            lambda row: row.readable,
            lambda row: _percent(row.readable),
        ),
        Column(
            "score",
            "Score",
            f"Mean over the questions, {top}; [ ] is its 95% interval",
            lambda row: _value(row.score),
            lambda row: _text(row.score, 1, 2),
            estimate=lambda row: row.score,
        ),
        Column(
            "faithfulness",
            "Faithfulness",
            "Early answering: area over the curve, how much of its explanation the model needs for its "
            "choice; 0 where the choice never moves. A sign, no proof (anchor-eval probe)",
            lambda row: _value(row.faithfulness),
            lambda row: _text(row.faithfulness, 1, 2),
            aside=lambda row: _bounds(row.faithfulness, 1, 2),
            estimate=lambda row: row.faithfulness,
        ),
        Column(
            "owns_up",
            "Owns up to hints",
            "Of the choices that a hint moved, the share whose explanation says so, by its words and "
            "corrected for moves by chance, in percent (anchor-eval probe)",
            lambda row: _value(row.owns_up),
            lambda row: _text(row.owns_up, 100, 0),
            aside=lambda row: _bounds(row.owns_up, 100, 0),
            estimate=lambda row: row.owns_up,
        ),
        Column(
            "rating",
            "Rating",
            "From all wins, ties and losses between the models of this table",
            lambda row: _value(row.rating),
            lambda row: _text(row.rating, 1, 0),
            aside=lambda row: _bounds(row.rating, 1, 0),
            estimate=lambda row: row.rating,
        ),
        Column(
            "p",
            "p",
            f"That win − loss against {baseline} is 0: paired by question, after Holm’s correction over "
            f"{family_of(('', baseline or ''), baseline)}",
            lambda row: row.p_value,
            lambda row: p_value(row.p_value),
            first="ascending",
        ),
        Column(
            "equal_length",
            "At equal length",
            "Win − loss for explanations of equal length, in points, estimated from these runs",
            lambda row: _value(row.equal_length),
            lambda row: points(row.equal_length),
            estimate=lambda row: row.equal_length,
        ),
        Column(
            "judged",
            "Judged",
            "Share of the replies with a verdict; the rest had no readable explanation, or got none",
            lambda row: row.judged,
            lambda row: "–" if row.judged is None else _percent(row.judged),
        ),
        *(_criterion(place, key, name) for place, (key, name) in enumerate(scope.criteria.items())),
        Column(
            "words",
            "Words",
            "Mean length of an explanation",
            lambda row: row.words,
            lambda row: "–" if row.words is None else number(row.words, 0),
        ),
        Column(
            "judge",
            "Judge",
            "Who judged",
            lambda row: row.judge,
            lambda row: short_judge(row.judge),
            "text",
            "ascending",
        ),
        Column(
            "cost",
            "Cost",
            "What the judgements cost, in the currency of the judge's prices",
            lambda row: row.price,
            lambda row: money(row.price),
            first="ascending",
        ),
        Column("date", "Date", "Day of the evaluation", lambda row: row.date, lambda row: row.date, "text"),
    ]
    return [column for column in columns if any(column.value(row) is not None for row in scope.rows)]


def _range(scope: Scope) -> str:
    """What scores range over, e.g. ``0 to 5 (of 25 units)``."""
    judges = [e.task_run.judge for of_task in scope.table.entries.values() for e in of_task.values()]
    tops = {(judge.max_score, judge.units) for judge in judges if judge is not None}
    if len(tops) != 1:
        return "in points of the rubric"
    ((units, unit),) = tops
    return f"0 to {units / unit:g} points (counted in {units} units of 1/{unit} point)"


def _criterion(place: int, key: str, name: str) -> Column:
    def of(row: Row) -> Interval | None:
        return row.criteria[place] if place < len(row.criteria) else None

    return Column(
        key,
        name,
        "Mean points of this criterion, 0 to 1",
        lambda row: _value(of(row)),
        lambda row: _text(of(row), 1, 2),
        estimate=of,
    )


def _value(value: Interval | None) -> float | None:
    return None if value is None else value.value


def _text(value: Interval | None, scale: float, digits: int) -> str:
    return "–" if value is None else number(value.value * scale, digits)


def _bounds(value: Interval | None, scale: float, digits: int, signed: bool = False) -> str:
    if value is None or value.low is None or value.high is None:
        return ""
    return f"[{number(value.low * scale, digits, signed)}, {number(value.high * scale, digits, signed)}]"


def _percent(share: float) -> str:
    """Never rounded up to 100%."""
    return "100%" if share == 1 else f"{min(100 * share, 99.9):.1f}%"
