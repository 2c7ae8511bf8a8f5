"""The sentences of the pages: what was compared, by whom, on how much, and what can't be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_tasks.leaderboard.charts.values import Interval, number
from lm_eval_tasks.leaderboard.standings import Scope
from lm_eval_tasks.tasks.spec import REFINED

_NUMBERS = (
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


def count(amount: int, noun: str) -> str:
    """``six models``, ``1,204 questions``."""
    return f"{number_word(amount)} {noun}" + ("" if amount == 1 else "s")


def number_word(amount: int) -> str:
    """``six``, ``1,204``."""
    return _NUMBERS[amount] if amount < len(_NUMBERS) else f"{amount:,}"


def listing(names: Sequence[str], most: int = 6) -> str:
    """``a, b and c``; a long list ends with the number of the others."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def points(value: Interval | float | None) -> str:
    """A share as percentage points with a sign: ``+6.9``."""
    if value is None:
        return "–"
    return number(100 * (value.value if isinstance(value, Interval) else value), 1, signed=True)


def finding(scope: Scope) -> str:
    """The headline: who explains best, if that can be told."""
    rows = scope.rows
    if len(rows) < 2:
        return f"How {rows[0].run} explains its answers" if rows else "No runs"
    leaders = [row.run for row in rows if row.place[0] == 1]
    if not scope.comparisons:
        return f"{count(len(rows), 'model').capitalize()}, not judged yet"
    if len(leaders) == 1:
        return f"{leaders[0]} explains its answers best"
    if len(leaders) == len(rows):
        return "No model can be told to explain better than another"
    return f"{listing(leaders, 4)} explain their answers best, and can’t be told apart"


def undecided(scope: Scope) -> list[str]:
    """Which models can't be told apart, beyond those that the headline names."""
    leaders = {row.run for row in scope.rows if row.place[0] == 1}
    return [
        f"These runs can’t tell {listing(group)} apart." for group in scope.groups if set(group) != leaders
    ]


def money(price: float | None) -> str:
    """A price in whatever currency the judge's prices are in."""
    if price is None:
        return "–"
    return f"{price:.2f}" if price >= 0.995 else f"{price:.3g}"


def short_judge(name: str | None) -> str:
    """The judge's model without the folders and the address around it."""
    if name is None:
        return "none"
    return name.split("@", 1)[0].rstrip("/").rsplit("/", 1)[-1].split(":", 1)[-1]


def task_title(task: str) -> str:
    """``logiqa_explain`` -> ``logiqa``, ``logiqa_explain_refined`` -> ``logiqa, refined``; others stay."""
    plain = task.removesuffix(REFINED)
    title = plain.removesuffix("_explain")
    if title in ("", plain):
        return task
    return title if plain == task else f"{title}, refined"


def verdict_on(first: str, second: str, margin: Interval | None) -> str:
    """Headline of a comparison."""
    if margin is None:
        return f"{first} and {second} share no judged question"
    if margin.low is not None and margin.low > 0:
        return f"{first} explains better than {second}"
    if margin.high is not None and margin.high < 0:
        return f"{second} explains better than {first}"
    return f"{first} and {second} can’t be told apart"
