"""The leaderboard page: headline, one table a scope, and the charts below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.boards import Board, Collection, Pair
from lm_eval_tasks.leaderboard.charts import pictures
from lm_eval_tasks.leaderboard.charts.svg import interval_mark
from lm_eval_tasks.leaderboard.charts.values import Chart, HeatMap, Interval, span
from lm_eval_tasks.leaderboard.columns import Column, columns_of
from lm_eval_tasks.leaderboard.paths import Paths
from lm_eval_tasks.leaderboard.standings import Row, Scope
from lm_eval_tasks.leaderboard.words import count, finding, listing, short_judge, task_title, undecided
from lm_eval_tasks.stats.intervals import INTERVAL_METHOD

ENOUGH_COVERAGE = 0.95
"""Below this share of scored samples the page warns."""

_MARKED = ("margin",)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; ``value`` is what it is sorted by, empty where there is none."""

    value: str
    text: str
    aside: str
    number: bool
    header: bool = False
    link: str | None = None
    mark: Markup | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table; ``find`` is what the filter looks through."""

    find: str
    baseline: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One table with its charts."""

    key: str
    slug: str
    task: str
    title: str
    notes: tuple[str, ...]
    apart: tuple[str, ...]
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Line, ...]
    maps: tuple[HeatMap, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Masthead:
    """What stands above everything, and the notes below it."""

    title: str
    eyebrow: str
    headline: str
    lede: str
    undecided: tuple[str, ...]
    warnings: tuple[str, ...]
    method: tuple[str, ...]
    notes: tuple[str, ...]
    tables: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    figures: tuple[str, ...]


def section(scope: Scope, collection: Collection, paths: Paths) -> Section:
    """A scope as it is shown."""
    columns = columns_of(scope, collection.baseline)
    board = scope.board
    links = _links(scope, paths)
    by_task = None
    if board is None and collection.baseline in scope.runs:
        by_task = pictures.margins_by_task(
            f"{paths.scope[scope.key]}-by-task",
            [run for run in scope.runs if run != collection.baseline],
            collection.baseline or "",
            [(task_title(main.task), main.comparisons) for main in collection.main],
            links,
        )
    matrix = (
        pictures.margin_matrix(f"{paths.scope[scope.key]}-matrix", scope.runs, scope.comparisons, links)
        if len(scope.rows) > 2 and scope.comparisons
        else None
    )
    return Section(
        key=scope.key,
        slug=paths.scope[scope.key],
        task="" if board is None else task_title(board.task),
        title=title_of(scope),
        notes=_notes(scope),
        apart=() if board is None else board.apart,
        caption=_caption(scope, collection.baseline),
        columns=tuple(columns),
        rows=tuple(_line(row, columns, scope, collection.baseline, paths) for row in scope.rows),
        maps=tuple(chart for chart in (by_task, matrix) if chart is not None),
        charts=charts_of(scope, paths),
    )


def charts_of(scope: Scope, paths: Paths) -> tuple[Chart, ...]:
    """The charts below a task's table."""
    board = scope.board
    if board is None or len(board.entries) < 2:
        return ()
    name = paths.scope[scope.key]
    entries = [board.entries[run] for run in scope.runs]
    made = (
        pictures.criteria_bars(f"{name}-criteria", entries, scope.criteria),
        pictures.behaviour_shares(f"{name}-behaviour", [(entry.run, entry) for entry in entries]),
        pictures.length_overview(f"{name}-length", entries),
    )
    return tuple(chart for chart in made if chart is not None)


def title_of(scope: Scope) -> str:
    """Heading of a table."""
    if scope.board is None:
        return "All tasks"
    if scope.board.apart:
        return f"{task_title(scope.board.task)}, set apart"
    return task_title(scope.board.task)


def masthead(
    title: str,
    collection: Collection,
    scopes: Sequence[Scope],
    settings: Settings,
    tables: Sequence[tuple[str, tuple[tuple[str, str], ...]]],
    figures: Sequence[str],
) -> Masthead:
    """Says what was compared, by whom, on how much, and what can't be told apart.

    Args:
        title: Name of the site.
        collection: All boards.
        scopes: All tables.
        settings: How figures were estimated.
        tables: Title of each table -> form and address of its files.
        figures: Addresses of the pictures.
    """
    main = scopes[0]
    boards = collection.main
    questions = sum(len(board.questions) for board in boards)
    repeats = sorted({board.setting.repeats for board in boards if board.setting.repeats})
    judges = sorted(
        {short_judge(e.task_run.judge.name) for b in boards for e in b.entries.values() if e.task_run.judge}
    )
    models = len({run for board in boards for run in board.entries})
    samples = listing([str(number) for number in repeats]) + (" samples" if repeats != [1] else " sample")
    by_whom = f"judged by {listing(judges)}" if judges else "not judged yet"
    lede = (
        f"{count(models, 'model').capitalize()} on {count(len(boards), 'task')}, "
        f"{questions:,} questions with {samples} each, {by_whom}. "
    )
    if collection.baseline is not None and main.comparisons:
        lede += f"Win − loss is against {collection.baseline}: the share of explanation pairs won minus lost."
    notes = [f"{run.name}: {note}" for run in collection.runs.values() for note in run.notes]
    notes += [
        f"{task_title(board.task)}, {entry.run}: {note}"
        for board in collection.boards
        for entry in board.entries.values()
        if entry.task_run.summary is not None
        for note in entry.task_run.summary.notes
    ]
    return Masthead(
        title=title,
        eyebrow=f"{listing([task_title(board.task) for board in boards])} · newest run "
        f"{max(row.date for row in main.rows)}",
        headline=finding(main),
        lede=lede,
        undecided=tuple(undecided(main)),
        warnings=tuple(_warnings(collection)),
        method=_method(settings),
        notes=tuple(dict.fromkeys(notes)),
        tables=tuple(tables),
        figures=tuple(figures),
    )


def _method(settings: Settings) -> tuple[str, ...]:
    percent = round(100 * settings.confidence)
    return (
        "Each explanation of one model is compared with each explanation of the other to the same "
        "question, by the sum "
        "of the judge’s marks; equal sums are ties. Rates are means over questions.",
        f"Brackets hold {percent}% intervals ({INTERVAL_METHOD}: whole questions count, "
        "since the samples of one question belong together); those of ratings come from {settings.draws:,} "
        "bootstrap draws of questions.",
        "Models share a rank if a test paired by question, corrected by Holm’s method for all pairs of "
        "the table, can’t "
        "tell them apart. That is no proof that they are equal.",
        "The ± behind an accuracy is the spread over the samples of a question, as in the paper, not an "
        "interval.",
        "What a judge gave no readable verdict on is unjudged: it is counted in the coverage and in no "
        "score.",
    )


def _warnings(collection: Collection) -> list[str]:
    found = []
    low = {
        entry.run: entry.coverage
        for board in collection.main
        for entry in board.entries.values()
        if entry.task_run.judge and entry.coverage < ENOUGH_COVERAGE
    }
    if low:
        found.append(
            f"Many samples without a score: {listing(list(low))}. The pair pages say what these could change."
        )
    if collection.apart:
        runs = sorted({run for board in collection.apart for run in board.entries})
        verb = "is" if len(runs) == 1 else "are"
        found.append(f"{listing(runs)} {verb} set apart, in a table of its own: asked or judged differently.")
    return found


def _notes(scope: Scope) -> tuple[str, ...]:
    board = scope.board
    if board is None:
        return ("The mean over tasks, each weighing the same; only models that have all of them.",)
    setting = board.setting
    said = [
        f"{len(board.questions):,} questions × {setting.repeats} samples",
        f"judged by {setting.judge}" if setting.judge else "not judged",
        f"rubric {setting.rubric}" if setting.rubric else "",
        f"task version {setting.version}" if setting.version else "",
        f"sampled at {setting.sampling}" if setting.sampling else "",
    ]
    return ("; ".join(filter(None, said)) + ".",)


def _caption(scope: Scope, baseline: str | None) -> str:
    if not scope.comparisons:
        return "Figures of each run."
    against = f"Win − loss is in points against {baseline}. " if baseline in scope.runs else ""
    return f"{against}Best first; equal ranks can’t be told apart. Choose a column’s head to sort."


def _links(scope: Scope, paths: Paths) -> Mapping[Pair, str]:
    return {
        (a, b): paths.pair(a, b) for a in scope.runs for b in scope.runs if a != b and paths.has_pair(a, b)
    }


def _line(row: Row, columns: Sequence[Column], scope: Scope, baseline: str | None, paths: Paths) -> Line:
    cells = []
    for column in columns:
        value = column.value(row)
        link = mark = None
        if column.key == "model":
            link = paths.model(row.run)
        estimate = column.estimate(row)
        if column.key in _MARKED and estimate is not None:
            known = [found for other in scope.rows if (found := column.estimate(other)) is not None]
            mark = _mark(column, estimate, known)
        if (
            column.key == "margin"
            and baseline is not None
            and estimate is not None
            and paths.has_pair(row.run, baseline)
        ):
            link = paths.pair(row.run, baseline)
        cells.append(
            Cell(
                value="" if value is None else str(value),
                text=column.text(row),
                aside=column.aside(row),
                number=column.kind == "number",
                header=column.key == "model",
                link=link,
                mark=mark,
            )
        )
    return Line(f"{row.run} {row.judge or ''}", row.run == baseline, tuple(cells))


def _mark(column: Column, value: Interval, known: Sequence[Interval]) -> Markup:
    reference = 0.0 if column.key == "margin" else None
    low, high = span(known, include=reference)
    return interval_mark(value, low, high, reference, f"{column.name}: {value.text()}")


def board_title(board: Board) -> str:
    """Name of a board where several stand side by side."""
    return task_title(board.task) + (" (set apart)" if board.apart else "")
