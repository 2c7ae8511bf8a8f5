"""Runs sorted into boards: one board for each task and setting, with every pair of its runs compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings, compare, overall
from lm_eval_tasks.leaderboard.entries import Entry, read_entry
from lm_eval_tasks.leaderboard.setting import Setting, main_setting, setting_of
from lm_eval_tasks.records import Question
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.stats.ratings import Outcomes, outcomes

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """The runs of one task that may stand in one table.

    Attributes:
        key: Unique name; the task, with a number if the task has several boards.
        task: Name of the task.
        setting: What all its runs agree in.
        apart: How the setting differs from the task's main board; empty for the main board itself.
        entries: Run name -> entry.
        questions: All questions that any of its runs answered.
        comparisons: Every two runs that share judged questions, in the order of ``entries``.
        outcomes: What ratings are made of; None with fewer than two judged runs.
    """

    key: str
    task: str
    setting: Setting
    apart: tuple[str, ...]
    entries: Mapping[str, Entry]
    questions: tuple[Question, ...]
    comparisons: Mapping[Pair, Comparison]
    outcomes: Outcomes | None

    @property
    def max_score(self) -> int:
        """The best score in the rubric's units; 0 without a judge."""
        return max((e.task_run.judge.max_score for e in self.entries.values() if e.task_run.judge), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """All boards of a site.

    Attributes:
        runs: Name -> run, the baseline last, so that it is the second in every comparison.
        baseline: Name of the run that the others are measured by; None if there is none.
        boards: Main boards first, by task; then those set apart.
        overall: Every two runs that stand together on all main boards -> their mean over tasks;
            empty with fewer than two main boards.
    """

    runs: Mapping[str, Run]
    baseline: str | None
    boards: tuple[Board, ...]
    overall: Mapping[Pair, Overall]

    @property
    def main(self) -> tuple[Board, ...]:
        """One board a task."""
        return tuple(board for board in self.boards if not board.apart)

    @property
    def apart(self) -> tuple[Board, ...]:
        """The boards of runs that don't fit."""
        return tuple(board for board in self.boards if board.apart)


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
        for number, task in enumerate(sorted({task for run in runs for task in run.tasks}))
        for board in _boards_of(
            number, task, [run for run in runs if task in run.tasks], baseline, settings, progress
        )
    ]
    boards.sort(key=lambda board: bool(board.apart))
    return Collection(named, baseline, tuple(boards), _overall(boards, settings))


def _boards_of(
    number: int,
    task: str,
    runs: Sequence[Run],
    baseline: str | None,
    settings: Settings,
    progress: Callable[[str], None],
) -> Iterator[Board]:
    read: dict[str, tuple[Entry, list[Question]]] = {}
    found: dict[str, Setting] = {}
    for run in runs:
        progress(f"{task}: reading {run.name}")
        entry, questions = read_entry(run, task, settings)
        read[run.name] = entry, questions
        found[run.name] = setting_of(run.tasks[task], entry.marks.present.shape[1])
    # Tasks are independent, so must their draws be.
    own = replace(settings, seed=settings.seed + number)
    main = main_setting(found, baseline)
    together: dict[Setting, list[str]] = defaultdict(list, {main: []})
    for name, setting in found.items():
        together[setting].append(name)
    for place, (setting, names) in enumerate(together.items()):
        entries = {name: read[name][0] for name in names}
        progress(f"{task}: comparing {len(names)} runs")
        yield Board(
            key=task if place == 0 else f"{task} ({place + 1})",
            task=task,
            setting=setting,
            apart=setting.differences(main),
            entries=entries,
            questions=_union(read[name][1] for name in names),
            comparisons=_comparisons(entries, own),
            outcomes=outcomes([entry.marks for entry in entries.values()], draws=own.draws, seed=own.seed)
            if len(entries) > 1 and setting.judge is not None
            else None,
        )


def _comparisons(entries: Mapping[str, Entry], settings: Settings) -> dict[Pair, Comparison]:
    found: dict[Pair, Comparison] = {}
    for first, second in combinations(entries, 2):
        judge = entries[first].task_run.judge
        if judge is None:
            continue
        top = judge.max_score
        one_way = compare(entries[first].marks, entries[second].marks, top_score=top, settings=settings)
        if one_way is not None:
            found[first, second] = one_way
    return found


def _overall(boards: Sequence[Board], settings: Settings) -> dict[Pair, Overall]:
    main = [board for board in boards if not board.apart]
    if len(main) < 2:
        return {}
    pairs = set.intersection(*(set(board.comparisons) for board in main))
    return {pair: overall([board.comparisons[pair] for board in main], settings.confidence) for pair in pairs}


def _union(lists: Iterator[list[Question]]) -> tuple[Question, ...]:
    known: dict[str, Question] = {}
    for questions in lists:
        for question in questions:
            known.setdefault(question.id, question)
    return tuple(known.values())
