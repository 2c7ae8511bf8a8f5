"""All runs of a folder sorted into boards: which of them may stand in one table.

The board of a task holds its largest comparable set: the runs that were asked in one way and judged in one
way, with those that were asked so and aren't judged. Each other set has a board of its own, set apart. Where
their scores could be compared all the same (one rubric, one verdict form), a board of all of them is there
for those who want to compare them anyway.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias

from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.comparison.entry import Entry, read_entry
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.setting import Difference, Setting, setting_of
from lm_eval_tasks.comparison.standings import Table, table_of
from lm_eval_tasks.records import Question
from lm_eval_tasks.runs.discovery import Run

Kind: TypeAlias = Literal["main", "apart", "anyway"]


@dataclass(frozen=True, eq=False)
class Board:
    """The runs of one task in one table.

    Attributes:
        key: Unique name: the task, with a number or a word if it has several boards.
        task: Name of the task.
        kind: The task's main board, one set apart, or all runs whose scores can be compared anyway.
        settings: Run name -> how it was asked and judged.
        questions: All questions that any of its runs answered.
        table: The runs compared.
        differences: How it differs from the main board (``apart``), or its runs from one another
            (``anyway``); empty for a main board.
        shelf: Key of the board under which its runs' explanations are kept.
    """

    key: str
    task: str
    kind: Kind
    settings: Mapping[str, Setting]
    questions: tuple[Question, ...]
    table: Table
    differences: tuple[Difference, ...]
    shelf: str

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Run name -> entry."""
        return self.table.entries[self.task]

    @property
    def setting(self) -> Setting:
        """What all its runs agree in, but for who judged (if anybody did); of ``anyway``, the first's."""
        return next((one for one in self.settings.values() if one.judged), next(iter(self.settings.values())))

    @property
    def max_score(self) -> int:
        """The best score in the rubric's units; 0 without a judge."""
        return max((e.task_run.judge.max_score for e in self.entries.values() if e.task_run.judge), default=0)


@dataclass(frozen=True, eq=False)
class Collection:
    """All boards of a site.

    Attributes:
        runs: Name -> run, the baseline last.
        baseline: Name of the run that the others are measured by; None if there is none.
        boards: Main boards first, the largest of them first; then the others.
        overall: The runs that stand on all main boards, over all tasks; None with one task, or if fewer than
            two runs have all of them.
    """

    runs: Mapping[str, Run]
    baseline: str | None
    boards: tuple[Board, ...]
    overall: Table | None

    @cached_property
    def main(self) -> tuple[Board, ...]:
        """One board a task."""
        return tuple(board for board in self.boards if board.kind == "main")

    @cached_property
    def apart(self) -> tuple[Board, ...]:
        """The boards of runs that don't fit."""
        return tuple(board for board in self.boards if board.kind == "apart")

    @cached_property
    def shelves(self) -> tuple[Board, ...]:
        """The boards that keep explanations: each run of each task is on exactly one of them."""
        return tuple(board for board in self.boards if board.shelf == board.key)

    def boards_of(self, first: str, second: str) -> list[Board]:
        """Where two runs are compared: one board a task, a comparable one if there is one."""
        found: dict[str, Board] = {}
        for board in self.boards:
            if board.table.pair(first, second) is not None:
                found.setdefault(board.task, board)
        return list(found.values())


def collect(
    runs: Sequence[Run],
    *,
    baseline: str | None = None,
    settings: Settings | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Collection:
    """Reads and compares all runs.

    Args:
        runs: With different names.
        baseline: Name of one of them.
        settings: How figures are estimated.
        progress: Gets a line for each task read or compared.

    Raises:
        ConfigError: If no run is called like the baseline.
        DataError: If a log can't be read.
    """
    settings = settings or Settings()
    runs = sorted(runs, key=lambda run: (run.name == baseline, run.name))
    named = {run.name: run for run in runs}
    if baseline is not None and baseline not in named:
        raise ConfigError(f"--baseline {baseline}: no such run: {nearest(baseline, named)}")
    boards = [
        board
        for task in sorted({task for run in runs for task in run.tasks})
        for board in _boards_of(
            task, [run for run in runs if task in run.tasks], baseline, settings, progress
        )
    ]
    order = {"main": 0, "apart": 1, "anyway": 2}
    boards.sort(key=lambda board: (order[board.kind], -_weight(board) if board.kind == "main" else 0))
    return Collection(named, baseline, tuple(boards), _overall(boards, baseline, settings))


def _weight(board: Board) -> int:
    return len(board.table.compared)


def _boards_of(
    task: str,
    runs: Sequence[Run],
    baseline: str | None,
    settings: Settings,
    progress: Callable[[str], None],
) -> Iterator[Board]:
    entries: dict[str, Entry] = {}
    questions: dict[str, list[Question]] = {}
    found: dict[str, Setting] = {}
    for run in runs:
        progress(f"{task}: reading {run.name}")
        entries[run.name], questions[run.name] = read_entry(run, task, settings)
        found[run.name] = setting_of(entries[run.name])

    def board(key: str, kind: Kind, names: Sequence[str], known: Sequence[Board] = ()) -> Board:
        progress(f"{task}: comparing {len(names)} {'run' if len(names) == 1 else 'runs'}")
        compared = {two: pair.tasks[task] for one in known for two, pair in one.table.pairs.items()}
        return Board(
            key=key,
            task=task,
            kind=kind,
            settings={name: found[name] for name in names},
            questions=_union(questions[name] for name in names),
            table=table_of(
                {task: {name: entries[name] for name in names}},
                baseline=baseline,
                settings=settings,
                known={task: compared},
            ),
            differences=(),
            shelf=key,
        )

    sets = comparable_sets(found, entries, baseline)
    boards = [
        board(task if place == 0 else f"{task} ({place + 1})", "main" if place == 0 else "apart", names)
        for place, names in enumerate(sets)
    ]
    main = boards[0].setting
    boards = [replace(one, differences=_apart(one, main)) for one in boards]
    for mixed in _mixable(boards):
        together = [name for name in found if any(name in one.settings for one in mixed)]
        key = f"{task} (anyway)" if mixed[0].kind == "main" else f"{mixed[0].key} (anyway)"
        anyway = board(key, "anyway", together, mixed)
        first = mixed[0].setting
        differing = dict.fromkeys(d for one in mixed[1:] for d in one.setting.differences(first))
        boards = [replace(one, shelf=key) if one in mixed else one for one in boards]
        boards.append(replace(anyway, differences=tuple(differing)))
    yield from boards


def comparable_sets(
    settings: Mapping[str, Setting], entries: Mapping[str, Entry], baseline: str | None
) -> list[list[str]]:
    """Runs sorted into sets that were asked and judged in one way, the one for the main board first.

    That is the one with the most runs that have judged explanations, if they are at least two; then the one
    with the most runs; then the one with the baseline. Runs that nobody judged stand with the largest set
    that was asked like them.
    """
    sets: dict[Setting, list[str]] = defaultdict(list)
    for name, setting in settings.items():
        if setting.judged:
            sets[setting].append(name)

    def weight(names: Sequence[str]) -> tuple[int, int, bool]:
        judged = sum(entries[name].marks.judged > 0 for name in names)
        return judged if judged > 1 else 0, len(names), baseline in names

    for name, setting in settings.items():
        if not setting.judged:
            like = [other for other in sets if other.asked == setting.asked and other.judged]
            home = max(like, key=lambda other: weight(sets[other]), default=setting)
            sets[home].append(name)
    order = {name: place for place, name in enumerate(settings)}
    ordered = [sorted(names, key=order.__getitem__) for names in sets.values()]
    return sorted(ordered, key=weight, reverse=True)


def _apart(board: Board, main: Setting) -> tuple[Difference, ...]:
    return board.setting.differences(main) if board.kind == "apart" else ()


def _mixable(boards: Sequence[Board]) -> list[list[Board]]:
    """Sets of at least two boards whose scores are in one measure."""
    by_yardstick: dict[object, list[Board]] = defaultdict(list)
    for board in boards:
        if board.setting.yardstick is not None:
            by_yardstick[board.setting.yardstick].append(board)
    return [together for together in by_yardstick.values() if len(together) > 1]


def _overall(boards: Sequence[Board], baseline: str | None, settings: Settings) -> Table | None:
    main = [board for board in boards if board.kind == "main"]
    everywhere = [run for run in main[0].entries if all(run in board.entries for board in main)]
    if len(main) < 2 or len(everywhere) < 2:
        return None
    # A run that isn't judged on all tasks has no mean to be compared by.
    halfway = {
        run
        for run in everywhere
        if 0 < sum(board.entries[run].marks.judged > 0 for board in main) < len(main)
    }
    entries = {
        board.task: {run: board.entries[run] for run in everywhere if run not in halfway} for board in main
    }
    if len(entries[main[0].task]) < 2:
        return None
    return table_of(
        entries,
        baseline=baseline,
        settings=settings,
        known={
            board.task: {two: pair.tasks[board.task] for two, pair in board.table.pairs.items()}
            for board in main
        },
    )


def _union(lists: Iterable[list[Question]]) -> tuple[Question, ...]:
    known: dict[str, Question] = {}
    for questions in lists:
        for question in questions:
            known.setdefault(question.id, question)
    return tuple(known.values())
