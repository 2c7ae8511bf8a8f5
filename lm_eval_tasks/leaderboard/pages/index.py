"""The leaderboard page: headline, one table a scope, and the charts below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lm_eval_tasks.comparison.boards import Collection
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.notes import entry_notes, setting_notes
from lm_eval_tasks.comparison.standings import Names, family_of
from lm_eval_tasks.leaderboard.charts import pictures
from lm_eval_tasks.leaderboard.charts.svg import interval_mark
from lm_eval_tasks.leaderboard.charts.values import Chart, HeatMap, Interval, span
from lm_eval_tasks.leaderboard.columns import Column, columns_of
from lm_eval_tasks.leaderboard.paths import Paths
from lm_eval_tasks.leaderboard.rows import Row, Scope
from lm_eval_tasks.leaderboard.words import (
    board_title,
    count,
    finding,
    short_judge,
    task_title,
    typeset,
    undecided,
)
from lm_eval_tasks.stats.estimation.intervals import INTERVAL_METHOD
from lm_eval_tasks.tables import listed

_MARKED = ("margin",)
_KEPT = ("model", "margin", "accuracy", "readable", "faithfulness")
"""Columns that a narrow screen keeps longest, the most important first; then the others in their order."""
_MOST_WARNINGS = 4
_LONG_NAME = 14  # characters; longer ones are broken into lines where there is no room


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
    """One table with its charts.

    Attributes:
        anyway: Key of the table in which these runs are compared with those set apart anyway; None if there
            is none, or this is it.
        strict: Key of the task's main table, where this is the one that compares anyway.
        long_names: Whether names of runs may have to be broken into lines.
        priorities: Key of a column -> its place in the order in which they are kept where they don't all fit.
    """

    key: str
    slug: str
    task: str
    title: str
    notes: tuple[str, ...]
    apart: tuple[str, ...]
    anyway: str | None
    strict: str | None
    caption: str
    columns: tuple[Column, ...]
    priorities: Mapping[str, int]
    rows: tuple[Line, ...]
    long_names: bool
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
    columns = columns_of(scope)
    board, table = scope.board, scope.table
    slug = paths.scope[scope.key]
    links = _links(scope, paths)
    by_task = None
    if board is None and table.baseline in table.compared:
        titles = {task: task_title(task) for task in table.entries}
        by_task = pictures.margins_by_task(f"{slug}-by-task", table, titles, links)
    matrix = pictures.margin_matrix(f"{slug}-matrix", table, links) if len(table.compared) > 2 else None
    anyway = board is not None and board.kind != "anyway" and board.shelf != board.key
    strict = board is not None and board.kind == "anyway"
    return Section(
        key=scope.key,
        slug=slug,
        task="" if board is None else task_title(board.task),
        title=title_of(scope),
        notes=_notes(scope),
        apart=_apart(scope),
        anyway=board.shelf if board is not None and anyway else None,
        strict=board.task if board is not None and strict else None,
        caption=_caption(scope),
        columns=tuple(columns),
        priorities=_priorities([column.key for column in columns]),
        rows=tuple(_line(row, columns, scope, paths) for row in scope.rows),
        long_names=any(len(row.run) > _LONG_NAME for row in scope.rows),
        maps=tuple(chart for chart in (by_task, matrix) if chart is not None),
        charts=charts_of(scope, paths),
    )


def _priorities(keys: Sequence[str]) -> dict[str, int]:
    ordered = [*(key for key in _KEPT if key in keys), *(key for key in keys if key not in _KEPT)]
    return {key: place for place, key in enumerate(ordered)}


def charts_of(scope: Scope, paths: Paths) -> tuple[Chart, ...]:
    """The charts below a task's table."""
    board = scope.board
    if board is None or len(board.entries) < 2:
        return ()
    name = paths.scope[scope.key]
    entries = [board.entries[run] for run in scope.runs]
    made = (
        pictures.criteria_bars(f"{name}-criteria", entries, tuple(scope.criteria.values())),
        pictures.behaviour_shares(f"{name}-behaviour", [(entry.run, entry) for entry in entries]),
        pictures.length_overview(f"{name}-length", entries),
        pictures.faithfulness_plane(f"{name}-faithfulness", entries, scope.table.baseline),
    )
    return tuple(chart for chart in made if chart is not None)


def title_of(scope: Scope) -> str:
    """Heading of a table."""
    return "All tasks" if scope.board is None else board_title(scope.board)


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
    repeats = sorted({e.samples for board in boards for e in board.entries.values()})
    judges = sorted(
        {short_judge(e.task_run.judge.name) for b in boards for e in b.entries.values() if e.task_run.judge}
    )
    models = len({run for board in boards for run in board.entries})
    samples = listed([str(number) for number in repeats]) + (" samples" if repeats != [1] else " sample")
    by_whom = f"judged by {listed(judges)}" if judges else "not judged yet"
    lede = (
        f"{count(models, 'model').capitalize()} on {count(len(boards), 'task')}, "
        f"{questions:,} questions with {samples} each, {by_whom}. "
    )
    if main.table.baseline is not None and main.table.pairs:
        lede += f"Win − loss is against {main.table.baseline}: the share of explanation pairs won minus lost."
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
        eyebrow=f"{listed([task_title(board.task) for board in boards])} · newest run "
        f"{max(row.date for row in main.rows)}",
        headline=finding(main),
        lede=lede,
        undecided=tuple(undecided(main)),
        warnings=tuple(map(typeset, _warnings(collection))),
        method=_method(settings, main),
        notes=tuple(dict.fromkeys(notes)),
        tables=tuple(tables),
        figures=tuple(figures),
    )


def _method(settings: Settings, main: Scope) -> tuple[str, ...]:
    percent = round(100 * settings.confidence)
    baseline = main.table.baseline
    families = [family_of(("", ""), baseline)]
    if baseline is not None:
        families.insert(0, family_of(("", baseline), baseline))
    return (
        "Each explanation of one model is compared with each explanation of the other to the same question, "
        "by the sum of the judge’s marks; equal sums are ties. Rates are means over questions.",
        f"Brackets hold {percent}% intervals ({INTERVAL_METHOD}): whole questions count, since the samples "
        f"of one question belong together. Those of ratings come from {settings.draws:,} bootstrap draws of "
        "questions.",
        "p is that of a test paired by question, corrected by Holm’s method over "
        + (" and, as a family of its own, over ".join(families))
        + " of the table. Models share a rank if it is 0.05 or more: they can’t be told apart. That is no "
        "proof that they are equal.",
        "The ± behind an accuracy is the spread over the samples of a question, as in the paper, not an "
        "interval.",
        "The order by win − loss may differ from the order by score: win − loss counts how often an "
        "explanation is better, by whatever amount; the score averages the amounts.",
        "Three things are kept apart. Unreadable: the reply lacks a tag; an unreadable choice counts as not "
        "right, an unreadable explanation is in no score. Unjudged: readable, but without a verdict; in no "
        "score. Wrong: read, and not the right choice.",
    )


def _warnings(collection: Collection) -> list[str]:
    notes: dict[str, list[str]] = {}
    for board in collection.main:
        for entry in board.entries.values():
            for note in entry_notes(entry):
                if note.warning:
                    notes.setdefault(f"{note.where}: {note.text}", []).append(task_title(board.task))
    several = len(collection.main) > 1
    found = [f"{listed(tasks)}: {said}." if several else f"{said}." for said, tasks in notes.items()]
    if len(found) > _MOST_WARNINGS:
        found = [
            *found[:_MOST_WARNINGS],
            f"{len(found) - _MOST_WARNINGS} more like this on the models’ pages.",
        ]
    if collection.apart:
        runs = sorted({run for board in collection.apart for run in board.entries})
        verb = "is" if len(runs) == 1 else "are"
        found.append(f"{listed(runs)} {verb} set apart, in other tables: asked or judged differently.")
    return found


def _apart(scope: Scope) -> tuple[str, ...]:
    """What keeps the runs of a table apart from the main one, or from each other."""
    board = scope.board
    if board is None:
        return ()
    if board.kind == "apart":
        return tuple(map(str, board.differences))
    if board.kind == "anyway":
        said = [note.text for note in setting_notes(board.task, board.entries.values())]
        return tuple(said or map(str, board.differences))
    return ()


def _notes(scope: Scope) -> tuple[str, ...]:
    board = scope.board
    if board is None:
        return ("The mean over tasks, each weighing the same; only models that have all of them.",)
    setting = board.setting
    said = [f"{len(board.questions):,} questions"]
    if board.kind != "anyway":
        version, form, judge, rubric = (
            setting.value(what) for what in ("task version", "reply form", "judge", "rubric")
        )
        said = [
            f"{said[0]} × {setting.value('samples a question')} samples",
            f"reply form {form}" if form else "",
            f"judged by {judge}" if judge else "not judged",
            f"rubric {rubric}" if rubric else "",
            f"task version {version}" if version else "",
            f"sampled at {setting.sampling}" if setting.sampling else "",
        ]
    return ("; ".join(filter(None, said)) + ".",)


def _caption(scope: Scope) -> str:
    table = scope.table
    if not table.pairs:
        return "Figures of each run."
    against = f"Win − loss is in points against {table.baseline}. " if table.baseline else ""
    order = "by rating, which counts wins; the order by score may be another" if table.ratings else ""
    return (
        f"{against}Best first{f' ({order})' if order else ''}; equal ranks can’t be told apart. "
        "[ ] is a 95% interval, ± the spread over samples. Choose a column’s head to sort."
    )


def _links(scope: Scope, paths: Paths) -> Mapping[Names, str]:
    return {
        (a, b): paths.pair(a, b) for a in scope.runs for b in scope.runs if a != b and paths.has_pair(a, b)
    }


def _line(row: Row, columns: Sequence[Column], scope: Scope, paths: Paths) -> Line:
    baseline = scope.table.baseline
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
