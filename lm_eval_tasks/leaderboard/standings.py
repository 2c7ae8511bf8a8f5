"""The rows of the tables: one scope is one table, a task's board or the mean over all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings
from lm_eval_tasks.leaderboard.boards import Board, Collection, Pair
from lm_eval_tasks.leaderboard.charts.values import Interval
from lm_eval_tasks.leaderboard.entries import Entry
from lm_eval_tasks.stats.estimates import Estimate, average, holm
from lm_eval_tasks.stats.ratings import Outcomes, groups, outcomes, ratings

ALPHA = 0.05
"""Two models are told apart if the corrected p-value of their margin is below this."""

OVERALL = "all tasks"
"""Key of the table of all tasks together."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model in a table. Shares are of 1, scores in points.

    Attributes:
        run: Name of the run.
        place: Ranks that it may have, best and worst: models that can't be told apart share ranks.
        rating: Rating over all models of the table; None if there is none.
        margin: Win - loss against the baseline; None for the baseline itself and where nothing is shared.
        equal_length: The same margin for explanations of equal length; None where it isn't known.
        accuracy: Mean over questions.
        spread: Of the accuracy over the N samples, as the paper prints it; None over several tasks.
        score: Mean score; None if nothing was judged.
        criteria: Mean points of each criterion of the table.
        words: Mean words of an explanation.
        coverage: Share of the samples that have a score.
        readable: Share of the samples with a readable explanation.
        judge: Name of the judge; None if nobody judged.
        price: Of all judgements; None if unknown.
        date: Of the newest log.
    """

    run: str
    place: tuple[int, int]
    rating: Interval | None
    margin: Interval | None
    equal_length: Interval | None
    accuracy: Interval
    spread: float | None
    score: Interval | None
    criteria: tuple[Interval | None, ...]
    words: float | None
    coverage: float
    readable: float
    judge: str | None
    price: float | None
    date: str

    @property
    def rank(self) -> str:
        """``2`` or, where it can't be told, ``2–4``."""
        best, worst = self.place
        return str(best) if best == worst else f"{best}–{worst}"


@dataclass(frozen=True, slots=True)
class Scope:
    """One table.

    Attributes:
        key: Name in addresses; the board's, or ``all tasks``.
        board: None for the mean over all tasks.
        rows: Best first.
        criteria: Names of the criteria.
        groups: Sets of models that can't be told apart, each of at least two.
        comparisons: Every two of its models, in one order.
    """

    key: str
    board: Board | None
    rows: tuple[Row, ...]
    criteria: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    comparisons: Mapping[Pair, Comparison | Overall]

    @property
    def runs(self) -> tuple[str, ...]:
        """Best first."""
        return tuple(row.run for row in self.rows)


def interval(estimate: Estimate | None) -> Interval | None:
    """An estimate as charts draw it."""
    return None if estimate is None else Interval(estimate.value, estimate.low, estimate.high)


def shown(estimate: Estimate) -> Interval:
    """As :func:`interval`, for what is always there."""
    return Interval(estimate.value, estimate.low, estimate.high)


def margin(comparisons: Mapping[Pair, Comparison | Overall], first: str, second: str) -> Interval | None:
    """Win - loss of the first model against the second; None if they weren't compared."""
    if (first, second) in comparisons:
        return shown(comparisons[first, second].margin)
    if (second, first) not in comparisons:
        return None
    turned = comparisons[second, first].margin
    return Interval(
        -turned.value,
        None if turned.high is None else -turned.high,
        None if turned.low is None else -turned.low,
    )


def scopes_of(collection: Collection, settings: Settings) -> list[Scope]:
    """All tables: the mean over tasks if there are several, each task's board, then those set apart."""
    boards = [_board_scope(board, collection.baseline) for board in collection.boards]
    if len(collection.main) < 2:
        return boards
    return [_overall_scope(collection, settings), *boards]


def _board_scope(board: Board, baseline: str | None) -> Scope:
    first = next(iter(board.entries.values()))
    judge = first.task_run.judge
    ranking = _ranking(
        list(board.entries), board.comparisons, [board.outcomes] if board.outcomes else [], baseline
    )
    rows = [
        _row(
            board.entries[run],
            ranking,
            _against(board.comparisons, run, baseline),
            _at_equal_length(board.comparisons, run, baseline),
        )
        for run in ranking.order
    ]
    criteria = () if judge is None else tuple(judge.criteria.values())
    return Scope(board.key, board, tuple(rows), criteria, ranking.groups, board.comparisons)


def _overall_scope(collection: Collection, settings: Settings) -> Scope:
    boards = collection.main
    everywhere = [run for run in boards[0].entries if all(run in board.entries for board in boards)]
    overall = {pair: found for pair, found in collection.overall.items() if set(pair) <= set(everywhere)}
    tasks = [
        _outcomes_of(board, everywhere, replace(settings, seed=settings.seed + number))
        for number, board in enumerate(boards)
    ]
    ranking = _ranking(everywhere, overall, tasks, collection.baseline)
    rows = []
    for run in ranking.order:
        entries = [board.entries[run] for board in boards]
        rows.append(
            replace(
                _row(entries[0], ranking, _against(overall, run, collection.baseline)),
                accuracy=shown(average([entry.accuracy for entry in entries]).estimate(settings.confidence)),
                spread=None,
                score=_average_score(entries, settings),
                criteria=(),
                words=_mean([entry.words for entry in entries]),
                coverage=sum(entry.coverage for entry in entries) / len(entries),
                readable=sum(entry.readable for entry in entries) / len(entries),
                price=_sum([entry.price for entry in entries]),
                date=max(entry.date for entry in entries),
            )
        )
    return Scope(OVERALL, None, tuple(rows), (), ranking.groups, overall)


def _outcomes_of(board: Board, runs: Sequence[str], settings: Settings) -> Outcomes:
    """The board's outcomes of these runs alone."""
    if board.outcomes is not None and list(board.entries) == list(runs):
        return board.outcomes
    return outcomes([board.entries[run].marks for run in runs], draws=settings.draws, seed=settings.seed)


def _row(
    entry: Entry, ranking: _Ranking, against: Interval | None, equal_length: Interval | None = None
) -> Row:
    judge = entry.task_run.judge
    return Row(
        run=entry.run,
        place=ranking.places[entry.run],
        rating=ranking.ratings.get(entry.run),
        margin=against,
        equal_length=equal_length,
        accuracy=shown(entry.accuracy.estimate()),
        spread=entry.spread,
        score=None if entry.score is None else shown(entry.score.estimate()),
        criteria=tuple(interval(value) for value in entry.criteria),
        words=entry.words,
        coverage=entry.coverage,
        readable=entry.readable,
        judge=None if judge is None else judge.name,
        price=entry.price,
        date=entry.date,
    )


def _against(
    comparisons: Mapping[Pair, Comparison | Overall], run: str, baseline: str | None
) -> Interval | None:
    return None if baseline is None or run == baseline else margin(comparisons, run, baseline)


def _at_equal_length(
    comparisons: Mapping[Pair, Comparison], run: str, baseline: str | None
) -> Interval | None:
    """The baseline is always the second of two."""
    found = None if baseline is None else comparisons.get((run, baseline))
    return None if found is None or found.equal_length is None else shown(found.equal_length.margin)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Runs best first, the ranks that each may have, ratings, and groups that can't be told apart."""

    order: tuple[str, ...]
    places: Mapping[str, tuple[int, int]]
    ratings: Mapping[str, Interval]
    groups: tuple[tuple[str, ...], ...]


def _ranking(
    runs: Sequence[str],
    comparisons: Mapping[Pair, Comparison | Overall],
    tasks: Sequence[Outcomes],
    baseline: str | None,
) -> _Ranking:
    rated = _ratings(runs, comparisons, tasks, baseline)
    order = tuple(rated) + tuple(run for run in runs if run not in rated)
    ahead: set[Pair] = set()
    adjusted = holm([comparison.p_value for comparison in comparisons.values()])
    for (first, second), p in zip(comparisons, adjusted, strict=True):
        if p is not None and p < ALPHA:
            wins = comparisons[first, second].margin.value > 0
            ahead.add((first, second) if wins else (second, first))
    places = {
        run: (
            1 + sum((other, run) in ahead for other in runs),
            len(runs) - sum((run, other) in ahead for other in runs),
        )
        for run in runs
    }
    alike = groups(order, {frozenset(pair) for pair in ahead}) if rated else []
    return _Ranking(order, places, rated, tuple(group for group in alike if len(group) > 1))


def _ratings(
    runs: Sequence[str],
    comparisons: Mapping[Pair, Comparison | Overall],
    tasks: Sequence[Outcomes],
    baseline: str | None,
) -> dict[str, Interval]:
    """Best first; empty if there is nothing to rate by, or nothing links all runs."""
    linked = {runs[0]} if runs else set()
    for _ in runs:
        linked |= {run for pair in comparisons if linked & set(pair) for run in pair}
    if not tasks or len(linked) < max(2, len(runs)):
        return {}
    found = ratings(runs, tasks, baseline=baseline if baseline in runs else None)
    return {
        rating.name: Interval(rating.value)  # The baseline's is fixed, not estimated.
        if rating.name == baseline
        else Interval(rating.value, rating.low, rating.high)
        for rating in found
    }


def _average_score(entries: Sequence[Entry], settings: Settings) -> Interval | None:
    scores = [entry.score for entry in entries if entry.score is not None]
    if len(scores) < len(entries):
        return None
    return shown(average(scores).estimate(settings.confidence))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
