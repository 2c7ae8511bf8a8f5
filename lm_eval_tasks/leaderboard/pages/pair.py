"""The page of two models: who wins, by how much, on what, and whether length explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings
from lm_eval_tasks.leaderboard.boards import Board, Collection, Pair
from lm_eval_tasks.leaderboard.charts import pictures
from lm_eval_tasks.leaderboard.charts.values import Chart, HeatMap, Interval, Shares, number
from lm_eval_tasks.leaderboard.pages.index import board_title
from lm_eval_tasks.leaderboard.paths import Paths
from lm_eval_tasks.leaderboard.standings import shown
from lm_eval_tasks.leaderboard.words import number_word, points, verdict_on
from lm_eval_tasks.stats.length_control import EqualLength


@dataclass(frozen=True, slots=True)
class PairLine:
    """One task; ``link`` and ``losses`` lead to the explanations."""

    title: str
    cells: tuple[str, ...]
    link: str | None = None
    losses: str | None = None


@dataclass(frozen=True, slots=True)
class PairTask:
    """The charts of one task."""

    title: str
    notes: tuple[str, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class PairPage:
    """All that the template shows."""

    first: str
    second: str
    first_link: str
    second_link: str
    headline: str
    summary: str
    warnings: tuple[str, ...]
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PairLine, ...]
    outcomes: Shares
    strata: HeatMap
    tasks: tuple[PairTask, ...]

    @property
    def all_charts(self) -> tuple[Chart, ...]:
        """Every picture of the page."""
        return (self.outcomes, self.strata, *(chart for task in self.tasks for chart in task.charts))


def pair_page(pair: Pair, collection: Collection, paths: Paths, settings: Settings) -> PairPage:
    """Gathers the page of two models.

    Args:
        pair: First and second, in the order of the comparisons.
        collection: All boards.
        paths: Of the site.
        settings: How figures are estimated.
    """
    first, second = pair
    whole = collection.overall.get(pair)
    boards = [board for board in collection.boards if pair in board.comparisons]
    rows = [(board_title(board), board.comparisons[pair]) for board in boards]
    main: Comparison | Overall = whole or rows[0][1]
    lines = [_line(board, board.comparisons[pair], pair, paths) for board in boards]
    outcomes: list[tuple[str, Comparison | Overall]] = list(rows)
    if whole is not None:
        lines.insert(0, PairLine("all tasks", (*_rates(whole), "", "", "", "")))
        outcomes.insert(0, ("all tasks", whole))
    name = f"pair-{paths.run[first]}--{paths.run[second]}"
    return PairPage(
        first=first,
        second=second,
        first_link=paths.model(first),
        second_link=paths.model(second),
        headline=verdict_on(first, second, shown(main.margin)),
        summary=_summary(first, second, main, rows),
        warnings=tuple(line for title, comparison in rows for line in _warnings(title, comparison, pair)),
        caption=f"Of {first} against {second}, in percent and points, with 95% intervals; p is paired by "
        "question and "
        "not corrected for the number of pairs.",
        columns=(
            "Task",
            "Win",
            "Tie",
            "Loss",
            "Win − loss",
            "p",
            "At equal length",
            "Worst to best case",
            "Accuracy",
            "Questions",
        ),
        rows=tuple(lines),
        outcomes=pictures.outcome_shares(f"{name}-outcomes", first, second, outcomes),
        strata=pictures.strata_map(f"{name}-strata", first, second, rows),
        tasks=tuple(
            _task(board, board.comparisons[pair], pair, f"{name}-{paths.scope[board.key]}", settings)
            for board in boards
        ),
    )


def _summary(
    first: str, second: str, main: Comparison | Overall, rows: Sequence[tuple[str, Comparison]]
) -> str:
    wins = sum(comparison.margin.low is not None and comparison.margin.low > 0 for _, comparison in rows)
    losses = sum(comparison.margin.high is not None and comparison.margin.high < 0 for _, comparison in rows)
    questions = sum(len(comparison.matched.shared) for _, comparison in rows)
    margin = shown(main.margin).text(100, signed=True)
    said = f"Win − loss of {first}: {margin} points, on {questions:,} shared questions."
    if len(rows) > 1:
        counted = (("ahead", wins), ("behind", losses), ("undecided", len(rows) - wins - losses))
        said += (
            " By task: "
            + ", ".join(f"{word} on {number_word(tasks)}" for word, tasks in counted if tasks)
            + "."
        )
    return said


def _warnings(title: str, comparison: Comparison, pair: Pair) -> list[str]:
    first, second = pair
    found = []
    if comparison.length_matters and comparison.equal_length is not None:
        found.append(
            f"{title}: length may explain the outcome. At equal length win − loss is "
            f"{shown(comparison.equal_length.margin).text(100, signed=True)} points."
        )
    if comparison.bounds is not None and comparison.bounds[0] < 0 < comparison.bounds[1]:
        low, high = comparison.bounds
        found.append(
            f"{title}: not everything has a score; the rest could bring win − loss anywhere from "
            f"{points(low)} to {points(high)}."
        )
    matched = comparison.matched
    if matched.only_first or matched.only_second:
        found.append(
            f"{title}: {len(matched.only_first):,} questions only of {first} and "
            f"{len(matched.only_second):,} only of "
            f"{second} are in no figure."
        )
    return found


def _rates(comparison: Comparison | Overall) -> tuple[str, ...]:
    p = comparison.p_value
    return (
        *(number(100 * estimate.value) for estimate in (comparison.win, comparison.tie, comparison.loss)),
        shown(comparison.margin).text(100, signed=True),
        "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}",
    )


def _line(board: Board, comparison: Comparison, pair: Pair, paths: Paths) -> PairLine:
    first, second = pair
    return PairLine(
        title=board_title(board),
        cells=(
            *_rates(comparison),
            _equal_length(comparison.equal_length),
            "–"
            if comparison.bounds is None
            else f"{points(comparison.bounds[0])} to {points(comparison.bounds[1])}",
            shown(comparison.accuracy).text(100, signed=True),
            f"{len(comparison.matched.shared):,}",
        ),
        link=paths.samples(board.key, first, second),
        losses=paths.samples(board.key, first, second, show="losses"),
    )


def _equal_length(found: EqualLength | None) -> str:
    if found is None:
        return "–"
    return shown(found.margin).text(100, signed=True) + (" (extrapolated)" if found.extrapolated else "")


def _task(board: Board, comparison: Comparison, pair: Pair, name: str, settings: Settings) -> PairTask:
    one, other = (board.entries[run] for run in pair)
    judge = one.task_run.judge
    charts = (
        pictures.criteria_bars(
            f"{name}-criteria", [one, other], tuple(judge.criteria.values()) if judge else ()
        ),
        pictures.margin_by_length(f"{name}-length", one, other, settings),
        pictures.behaviour_shares(f"{name}-behaviour", [(entry.run, entry) for entry in (one, other)]),
    )
    notes = []
    if comparison.equal_length is not None:
        ratio = comparison.equal_length.length_ratio
        notes.append(
            f"An explanation of {pair[0]} has {number(ratio, 2)} times the words of one of {pair[1]} "
            "(geometric mean over pairs); "
            f"win − loss is {points(Interval(comparison.margin.value))} as it is and "
            f"{points(shown(comparison.equal_length.margin))} "
            "at equal length."
        )
    return PairTask(board_title(board), tuple(notes), tuple(chart for chart in charts if chart is not None))
