"""The sentences of the pages: what was compared, by whom, on how much, and what can't be told apart."""

from __future__ import annotations

import re

from lm_eval_tasks.comparison.boards import Board
from lm_eval_tasks.comparison.setting import Difference
from lm_eval_tasks.leaderboard.charts.values import Interval, number
from lm_eval_tasks.leaderboard.rows import Scope
from lm_eval_tasks.tables import listed
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


def points(value: Interval | float | None) -> str:
    """A share as percentage points with a sign: ``+6.9``."""
    if value is None:
        return "–"
    return number(100 * (value.value if isinstance(value, Interval) else value), 1, signed=True)


def finding(scope: Scope) -> str:
    """The headline: who explains best, if that can be told; otherwise why not."""
    rows, table = scope.rows, scope.table
    if all(row.words is None for row in rows):
        return f"No explanation of {listed([row.run for row in rows], 4)} could be read"
    if len(rows) == 1:
        return f"How {rows[0].run} explains its answers"
    leaders = [run for run in table.compared if table.places[run][0] == 1]
    if not table.pairs:
        judged = [row.run for row in rows if row.judged]
        if not judged:
            return f"{count(len(rows), 'model').capitalize()}, not judged yet"
        if len(judged) == 1:
            return f"{count(len(rows), 'model').capitalize()}, only {judged[0]} judged"
        return f"{count(len(rows), 'model').capitalize()} with no judged question in common"
    if len(leaders) == 1:
        return f"{leaders[0]} explains its answers best"
    if len(leaders) == len(table.compared):
        return "No model can be told to explain better than another"
    return f"{listed(leaders, 4)} explain their answers best, and can’t be told apart"


def undecided(scope: Scope) -> list[str]:
    """Which models can't be told apart, beyond those that the headline names."""
    table = scope.table
    leaders = {run for run in table.compared if table.places[run][0] == 1}
    return [
        f"These runs can’t tell {listed(group)} apart."
        for group in table.groups
        if len(group) > 1 and set(group) != leaders
    ]


def typeset(text: str) -> str:
    """A sentence that was written for terminals, with real minus signs."""
    return re.sub(r"(?<![\w.-])-(?=\d)", "\u2212", text).replace(" - ", " \u2212 ")


def p_value(p: float | None) -> str:
    """``0.013``, ``< 0.001``; a dash for None."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


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


def board_title(board: Board) -> str:
    """What a board is called: its task, and what sets it apart."""
    title = task_title(board.task)
    if board.kind == "anyway":
        return f"{title}, compared anyway"
    # All are told apart from the first board, so two of the others may have the same to say (two judges of
    # one short name; what the first board doesn't tell of itself): from the third on they carry their number.
    told = board.key == f"{board.task} (2)" and board.differences
    return ", ".join((title, *map(_told_apart, board.differences))) + (
        "" if told else board.key.removeprefix(board.task)
    )


def _told_apart(difference: Difference) -> str:
    what, here = difference.what, difference.here
    if here is None:
        return f"unknown {what}"
    if what == "judge":
        short = short_judge(here)
        return f"judged by {here if difference.there and short_judge(difference.there) == short else short}"
    if what == "samples a question":
        return f"{here} sample" + ("" if here == "1" else "s")
    return f"{what} {here}"


def verdict_on(first: str, second: str, margin: Interval | None) -> str:
    """Headline of a comparison."""
    if margin is None:
        return f"{first} and {second} share no judged question"
    if margin.low is not None and margin.low > 0:
        return f"{first} explains better than {second}"
    if margin.high is not None and margin.high < 0:
        return f"{second} explains better than {first}"
    return f"{first} and {second} can’t be told apart"
