"""What is shown of a table: one scope is one table of the site, one row a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lm_eval_tasks.comparison.boards import Board, Collection
from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.faithfulness import area_of, figure_of
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.standings import Table
from lm_eval_tasks.leaderboard.charts.values import Interval, interval, shown
from lm_eval_tasks.stats.estimation.estimates import Mean, average

OVERALL = "all tasks"
"""Key of the table of all tasks together."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run in a table. Shares are of 1, scores in points.

    Attributes:
        run: Name of the run.
        place: Ranks that it may have, best and worst: runs that can't be told apart share ranks; None for a
            run that is compared with none.
        rating: Rating over all runs of the table; None if there is none.
        margin: Win - loss against the baseline; None for the baseline itself and where nothing is shared.
        p_value: Of the margin, after Holm's correction.
        equal_length: The same margin for explanations of equal length; None where it isn't known.
        accuracy: Mean over questions; None where the questions of a task are open.
        spread: Of the accuracy over the N samples, as the paper prints it; None over several tasks.
        readable: Share of the samples with both tags readable.
        judged: Share of the samples with a verdict; None if no judge was asked.
        score: Mean score; None if nothing was judged.
        criteria: Mean points of each criterion of the table.
        words: Mean words of an explanation.
        judge: Name of the judge; None if nobody judged.
        price: Of all judgements; None if unknown.
        date: Of the newest log.
        faithfulness: Early answering's area over the curve; None where it wasn't asked of every task.
        owns_up: Of the choices that a hint moved, the share whose explanation says so; None over several
            tasks.
    """

    run: str
    place: tuple[int, int] | None
    rating: Interval | None
    margin: Interval | None
    p_value: float | None
    equal_length: Interval | None
    accuracy: Interval | None
    spread: float | None
    readable: float
    judged: float | None
    score: Interval | None
    criteria: tuple[Interval | None, ...]
    words: float | None
    judge: str | None
    price: float | None
    date: str
    faithfulness: Interval | None = None
    owns_up: Interval | None = None

    @property
    def rank(self) -> str:
        """``2`` or, where it can't be told, ``2–4``; a dash for a run that is compared with none."""
        if self.place is None:
            return "–"
        best, worst = self.place
        return str(best) if best == worst else f"{best}–{worst}"


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """One table.

    Attributes:
        key: Name in addresses; the board's, or ``all tasks``.
        board: None for the mean over all tasks.
        table: The comparison behind it.
        rows: Best first.
        criteria: Key -> name of the criteria.
    """

    key: str
    board: Board | None
    table: Table
    rows: tuple[Row, ...]
    criteria: Mapping[str, str]

    @property
    def runs(self) -> tuple[str, ...]:
        """Best first."""
        return self.table.runs


def scopes_of(collection: Collection, settings: Settings) -> list[Scope]:
    """All tables, the one that the headline speaks of first.

    That is the mean over all tasks if most of the compared runs have all of them; otherwise the board with
    the most compared runs.
    """
    boards = [_scope(board.key, board, board.table, settings) for board in collection.boards]
    if collection.overall is None:
        return boards
    overall = _scope(OVERALL, None, collection.overall, settings)
    compared = {run for board in collection.main for run in board.table.compared}
    place = 0 if 2 * len(collection.overall.compared) >= len(compared) else len(collection.main)
    return [*boards[:place], overall, *boards[place:]]


def _scope(key: str, board: Board | None, table: Table, settings: Settings) -> Scope:
    criteria: Mapping[str, str] = {}
    if board is not None:
        judges = [entry.task_run.judge for entry in board.entries.values()]
        criteria = next((judge.criteria for judge in judges if judge is not None), {})
    rows = tuple(_row(run, table, settings) for run in table.runs)
    return Scope(key, board, table, rows, criteria)


def _row(run: str, table: Table, settings: Settings) -> Row:
    entries = [of_task[run] for of_task in table.entries.values() if run in of_task]
    one = entries[0] if len(entries) == 1 else None
    judges = dict.fromkeys(entry.task_run.judge.name for entry in entries if entry.task_run.judge)
    against = None if table.baseline in (None, run) else table.pair(run, table.baseline or "")
    lengths = [] if against is None else [found.equal_length for found in against.tasks.values()]
    rating = next((rating for rating in table.ratings if rating.name == run), None)
    accuracies = [entry.accuracy for entry in entries if entry.accuracy is not None]
    scores = [entry.score for entry in entries if entry.score is not None]
    return Row(
        run=run,
        place=table.places.get(run),
        rating=None
        if rating is None
        else Interval(rating.value)  # The baseline's is fixed, not estimated.
        if run == table.baseline
        else Interval(rating.value, rating.low, rating.high),
        margin=interval(None if against is None else against.overall.margin),
        p_value=None if against is None else against.adjusted_p,
        equal_length=shown(lengths[0].margin) if len(lengths) == 1 and lengths[0] is not None else None,
        accuracy=_average(accuracies, settings) if len(accuracies) == len(entries) else None,
        spread=None if one is None else one.spread,
        readable=sum(entry.readable for entry in entries) / len(entries),
        judged=sum(entry.judged for entry in entries) / len(entries) if judges or scores else None,
        score=_average(scores, settings) if len(scores) == len(entries) else None,
        criteria=() if one is None else tuple(interval(value) for value in one.criteria),
        words=_mean([entry.words for entry in entries]),
        judge=next(iter(judges), None),
        price=_sum(entries),
        date=max(entry.date for entry in entries),
        faithfulness=_faithfulness(entries),
        owns_up=None if one is None else _owns_up(one),
    )


def _faithfulness(entries: Sequence[Entry]) -> Interval | None:
    """Of one task with its interval; of several the plain mean."""
    areas = [area for entry in entries if (area := area_of(entry)) is not None]
    if len(areas) < len(entries):
        return None
    if len(areas) == 1:
        return shown(areas[0])
    return Interval(sum(area.value for area in areas) / len(areas))


def _owns_up(entry: Entry) -> Interval | None:
    figure = figure_of(entry, "hint", "corrected_by_words")
    return None if figure is None else interval(figure.estimate)


def _average(values: Sequence[Mean], settings: Settings) -> Interval:
    return shown(average(values).estimate(settings.confidence))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sum(entries: Sequence[Entry]) -> float | None:
    known = [entry.price for entry in entries if entry.price is not None]
    return sum(known) if known else None
