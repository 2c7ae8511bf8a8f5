"""The page of two models: who wins, by how much, on what, and whether length explains it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_tasks.comparison.boards import Board, Collection
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings
from lm_eval_tasks.comparison.reports.notes import Note, difference_notes, pair_notes
from lm_eval_tasks.comparison.standings import Names, Pair, family_of
from lm_eval_tasks.leaderboard.charts import pictures
from lm_eval_tasks.leaderboard.charts.values import Chart, HeatMap, Interval, Shares, number, shown
from lm_eval_tasks.leaderboard.paths import Paths
from lm_eval_tasks.leaderboard.words import number_word, p_value, points, task_title, typeset, verdict_on
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


def pair_page(names: Names, collection: Collection, paths: Paths, settings: Settings) -> PairPage:
    """Gathers the page of two models.

    Args:
        names: First and second, in the order of the comparisons.
        collection: All boards.
        paths: Of the site.
        settings: How figures are estimated.
    """
    first, second = names
    boards = collection.boards_of(first, second)
    by_board = [(board, board.table.pairs[names]) for board in boards]
    rows = [(task_title(board.task), pair.tasks[board.task]) for board, pair in by_board]
    whole = None if collection.overall is None else collection.overall.pair(first, second)
    main: Comparison | Overall = rows[0][1] if whole is None else whole.overall
    lines = [_line(board, pair, paths) for board, pair in by_board]
    outcomes: list[tuple[str, Comparison | Overall]] = list(rows)
    if whole is not None:
        cells = _rates(whole.overall, whole.adjusted_p)
        lines.insert(0, PairLine("all tasks", (*cells, "", "", "", "")))
        outcomes.insert(0, ("all tasks", whole.overall))
    name = f"pair-{paths.run[first]}--{paths.run[second]}"
    return PairPage(
        first=first,
        second=second,
        first_link=paths.model(first),
        second_link=paths.model(second),
        headline=verdict_on(first, second, shown(main.margin)),
        summary=_summary(first, second, main, rows),
        warnings=tuple(_warnings(by_board)),
        caption=f"Of {first} against {second}, in percent and points, with 95% intervals; p is paired by "
        f"question, and corrected by Holm’s method over {family_of(names, collection.baseline)} of the same "
        "table.",
        columns=(
            "Task",
            "Win",
            "Tie",
            "Loss",
            "Win − loss",
            "p",
            "p corrected",
            "At equal length",
            "Worst to best case",
            "Accuracy",
            "Questions",
        ),
        rows=tuple(lines),
        outcomes=pictures.outcome_shares(f"{name}-outcomes", first, second, outcomes),
        strata=pictures.strata_map(f"{name}-strata", first, second, rows),
        tasks=tuple(
            _task(board, pair, f"{name}-{paths.scope[board.key]}", settings) for board, pair in by_board
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


def _warnings(by_board: Sequence[tuple[Board, Pair]]) -> list[str]:
    """What puts a figure in doubt; also what of the questions is in none."""
    notes: list[Note] = []
    for board, pair in by_board:
        title = task_title(board.task)
        apart = board.settings[pair.first].differences(board.settings[pair.second])
        notes += difference_notes(pair, {title: apart})
        notes += pair_notes(pair, {board.task: title})
    return [typeset(f"{note.where}: {note.text}.") for note in notes]


def _rates(comparison: Comparison | Overall, adjusted_p: float | None) -> tuple[str, ...]:
    return (
        *(number(100 * estimate.value) for estimate in (comparison.win, comparison.tie, comparison.loss)),
        shown(comparison.margin).text(100, signed=True),
        p_value(comparison.p_value),
        p_value(adjusted_p),
    )


def _line(board: Board, pair: Pair, paths: Paths) -> PairLine:
    comparison = pair.tasks[board.task]
    return PairLine(
        title=task_title(board.task),
        cells=(
            *_rates(comparison, pair.adjusted_p),
            _equal_length(comparison.equal_length),
            "–"
            if comparison.bounds is None
            else f"{points(comparison.bounds[0])} to {points(comparison.bounds[1])}",
            "–" if comparison.accuracy is None else shown(comparison.accuracy).text(100, signed=True),
            f"{len(comparison.matched.shared):,}",
        ),
        link=paths.samples(board, pair.first, pair.second),
        losses=paths.samples(board, pair.first, pair.second, show="losses"),
    )


def _equal_length(found: EqualLength | None) -> str:
    if found is None:
        return "–"
    return shown(found.margin).text(100, signed=True) + (" (extrapolated)" if found.extrapolated else "")


def _task(board: Board, pair: Pair, name: str, settings: Settings) -> PairTask:
    comparison = pair.tasks[board.task]
    one, other = board.entries[pair.first], board.entries[pair.second]
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
            f"An explanation of {pair.first} has {number(ratio, 2)} times the words of one of {pair.second} "
            "(geometric mean over pairs); "
            f"win − loss is {points(Interval(comparison.margin.value))} as it is and "
            f"{points(shown(comparison.equal_length.margin))} "
            "at equal length."
        )
    return PairTask(
        task_title(board.task), tuple(notes), tuple(chart for chart in charts if chart is not None)
    )
