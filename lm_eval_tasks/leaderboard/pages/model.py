"""The page of one model: what it is, how it does on each task, and against every other model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lm_eval_tasks.comparison.boards import Board, Collection
from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.notes import entry_notes
from lm_eval_tasks.leaderboard.charts import pictures
from lm_eval_tasks.leaderboard.charts.values import Chart, HeatMap, Interval, interval, number, shown
from lm_eval_tasks.leaderboard.pages.index import title_of
from lm_eval_tasks.leaderboard.paths import Paths
from lm_eval_tasks.leaderboard.rows import Row, Scope
from lm_eval_tasks.leaderboard.words import board_title, count, money, short_judge, typeset
from lm_eval_tasks.pocket.calibration import told_apart
from lm_eval_tasks.runs.probe_files import NAMES
from lm_eval_tasks.tables import listed


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One task of the model; ``link`` leads to its explanations."""

    title: str
    link: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """One figure of a probe.

    ``group`` is a kind of hint, ``of`` what it rests on, ``asked`` how, ``told`` what it tells of models of
    known faithfulness.
    """

    task: str
    kind: str
    group: str
    name: str
    value: str
    of: str
    asked: str
    told: str


@dataclass(frozen=True, slots=True)
class ModelPage:
    """All that the template shows."""

    run: str
    baseline: bool
    summary: str
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    caption: str
    columns: tuple[str, ...]
    rows: tuple[TaskLine, ...]
    matrix: HeatMap | None
    charts: tuple[Chart, ...]
    probes: tuple[ProbeLine, ...] = ()

    @property
    def all_charts(self) -> tuple[Chart, ...]:
        """Every picture of the page."""
        return (*([self.matrix] if self.matrix else []), *self.charts)


def model_page(
    run: str, collection: Collection, scopes: Sequence[Scope], paths: Paths, settings: Settings
) -> ModelPage:
    """Gathers the page of one run."""
    boards = [board for board in collection.boards if board.kind != "anyway" and run in board.entries]
    lines = [(board, board.entries[run]) for board in boards]
    named = [(board_title(board), entry) for board, entry in lines]
    name = f"model-{paths.run[run]}"
    charts = (
        pictures.score_by_length(f"{name}-length", named, settings),
        pictures.behaviour_shares(f"{name}-behaviour", named),
        pictures.probe_curves(f"{name}-early", named),
        *(_criteria(name, run, collection, board, paths) for board in boards),
    )
    return ModelPage(
        run=run,
        baseline=run == collection.baseline,
        summary=_summary(run, collection, scopes),
        facts=_facts(run, collection, [entry for _, entry in lines]),
        notes=tuple(
            typeset(f"{board_title(board)}: {note}")
            for board, entry in lines
            for note in (
                *board.differences,
                *(note.text for note in entry_notes(entry)),
                *_judge_notes(entry),
            )
        ),
        caption="Means over questions; [ ] is a 95% interval, ± the spread over the samples. Win − loss is "
        "in points, accuracy in percent. The first column leads to the explanations.",
        columns=(
            "Task",
            "Rank",
            f"Win − loss vs {collection.baseline}" if collection.baseline else "Win − loss",
            "Accuracy",
            "Readable",
            "Judged",
            "Score",
            "Words",
            "Score ~ length",
            "Cost",
        ),
        rows=tuple(_line(board, entry, collection, scopes, paths) for board, entry in lines),
        matrix=_matrix(name, run, collection, paths),
        charts=tuple(chart for chart in charts if chart is not None),
        probes=tuple(line for title, entry in named for line in _probes(title, entry)),
    )


def _probes(title: str, entry: Entry) -> Iterator[ProbeLine]:
    """What probes found out about one task."""
    for kind, summary in entry.task_run.probes.items():
        asked = f"{summary.questions:,} questions, {summary.replies:,} replies; {summary.way}"
        for group, figures in summary.figures.items():
            for name, figure in figures.items():
                value = figure.why_not if figure.estimate is None else shown(figure.estimate).text(digits=2)
                of = f"{figure.cases:,} {figure.of}"
                hint = "" if group == "all" else group
                told = "" if figure.estimate is None else told_apart(kind, name, figure.estimate.questions)
                yield ProbeLine(title, kind, hint, NAMES.get(name, name), value, of, asked, told)


def _summary(run: str, collection: Collection, scopes: Sequence[Scope]) -> str:
    found = ((scope, row) for scope in scopes for row in scope.rows if row.run == run)
    scope, row = next(found)
    said = _standing(scope, row)
    if scope is not scopes[0]:
        said = f"Not in the first table of the leaderboard. In “{title_of(scope)}”: {said}"
    answers = []
    if row.accuracy is not None:
        answers.append(f"{number(100 * row.accuracy.value)}% of its replies give the right answer")
    if row.readable < 1:
        of_them = "" if answers else " of its replies"
        answers.append(f"{number(100 * (1 - row.readable))}%{of_them} can’t be read")
    return f"{'; '.join(filter(None, (said, ', '.join(answers))))}."


def _accuracy(entry: Entry) -> str:
    if entry.accuracy is None:
        return "–"
    return number(100 * entry.accuracy.value) + (
        "" if entry.spread is None else f" ± {number(100 * entry.spread)}"
    )


def _standing(scope: Scope, row: Row) -> str:
    if row.words is None:
        return "None of its replies has a readable explanation, so there is nothing to judge"
    if row.place is None:
        if row.judged is None:
            return "Not judged yet"
        return "Judged, but compared with no other model" if row.judged else "No explanation has a verdict"
    best, worst = row.place
    place = f"Rank {best}" if best == worst else f"Somewhere from rank {best} to {worst}"
    said = f"{place} of {count(len(scope.table.compared), 'model')}"
    if row.margin is not None:
        said += f"; {row.margin.text(100, signed=True)} points of win − loss against {scope.table.baseline}"
    return said


def _facts(run: str, collection: Collection, entries: Sequence[Entry]) -> tuple[tuple[str, str], ...]:
    task_runs = [entry.task_run for entry in entries]
    judges = sorted({short_judge(task.judge.name) if task.judge else "none" for task in task_runs})
    dates = sorted({entry.date for entry in entries})
    prices = [entry.price for entry in entries if entry.price is not None]
    known = [entry.tokens for entry in entries if entry.tokens is not None]
    tokens = f"{sum(known):,}" if any(known) else ""
    facts = [
        ("Model", collection.runs[run].model),
        ("Judge", listed(judges)),
        ("Evaluated", dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"),
        ("Tokens of the judge", tokens if len(known) == len(entries) else "unknown"),
        ("Cost of judging", money(sum(prices)) if prices else ""),
        ("Notes", "; ".join(collection.runs[run].notes)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _judge_notes(entry: Entry) -> tuple[str, ...]:
    summary = entry.task_run.summary
    return () if summary is None else summary.notes


def _line(
    board: Board, entry: Entry, collection: Collection, scopes: Sequence[Scope], paths: Paths
) -> TaskLine:
    row = next(
        row for scope in scopes if scope.key == board.key for row in scope.rows if row.run == entry.run
    )
    score = "–" if entry.score is None else shown(entry.score.estimate()).text(digits=2)
    correlation = (
        "–" if entry.length_correlation is None else number(entry.length_correlation, 2, signed=True)
    )
    other = (
        collection.baseline
        if collection.baseline in board.entries and collection.baseline != entry.run
        else None
    )
    return TaskLine(
        title=board_title(board),
        link="../" + paths.samples(board, entry.run, other),
        cells=(
            row.rank,
            "–" if row.margin is None else row.margin.text(100, signed=True),
            _accuracy(entry),
            f"{100 * entry.readable:.1f}%",
            "–" if row.judged is None else f"{100 * row.judged:.1f}%",
            score,
            "–" if entry.words is None else number(entry.words, 0),
            correlation,
            money(entry.price),
        ),
    )


def _matrix(name: str, run: str, collection: Collection, paths: Paths) -> HeatMap | None:
    boards = [board for board in collection.boards if run in board.table.compared]
    others = sorted({other for board in boards for other in board.table.compared if other != run})
    if not others:
        return None
    values: list[tuple[Interval | None, ...]] = [
        tuple(interval(board.table.margin(run, other)) for other in others) for board in boards
    ]
    links = tuple(f"../{paths.pair(run, other)}" if paths.has_pair(run, other) else None for other in others)
    return HeatMap(
        name=f"{name}-matrix",
        title=f"Win − loss of {run} by task and opponent",
        caption=f"Win − loss of {run} in points: blue where it wins, orange where it loses, grey where "
        "the interval holds 0.",
        corner="task",
        rows=tuple(board_title(board) for board in boards),
        columns=tuple(others),
        values=tuple(values),
        links=tuple(links for _ in boards),
    )


def _criteria(name: str, run: str, collection: Collection, board: Board, paths: Paths) -> Chart | None:
    """The run beside the baseline."""
    judge = board.entries[run].task_run.judge
    runs = dict.fromkeys((run, collection.baseline or run))
    return pictures.criteria_bars(
        f"{name}-{paths.scope[board.key]}-criteria",
        [board.entries[one] for one in runs if one in board.entries],
        tuple(judge.criteria.values()) if judge else (),
        board_title(board),
    )
