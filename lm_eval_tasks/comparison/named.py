"""Runs that somebody named, compared: which tasks they share, and what must not be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judges.errors import ConfigError, DataError
from judges.settings import nearest
from lm_eval_tasks.comparison.entry import read_entry
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.notes import Note, pair_notes, run_notes, setting_notes, table_notes
from lm_eval_tasks.comparison.standings import Table, table_of
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.tasks.spec import REFINED


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What came out.

    Attributes:
        table: The runs on their tasks.
        judges: Names of the judges; one unless they differ.
        rubrics: Names and versions of the rubrics; several if tasks differ in them.
        notes: What a reader must know.
    """

    table: Table
    judges: tuple[str, ...]
    rubrics: tuple[str, ...]
    notes: tuple[Note, ...]


def compare_runs(
    runs: Sequence[Run],
    *,
    tasks: Sequence[str] = (),
    baseline: str | None = None,
    settings: Settings | None = None,
) -> Report:
    """Compares runs, also where they were asked differently: then a note says so.

    Args:
        runs: At least two, with different names.
        tasks: Only these tasks; default: all that two of the runs share.
        baseline: Compare each run with this one only; its rating is 1000.
        settings: How to estimate.

    Raises:
        ConfigError: If a name is unknown or comes twice.
        DataError: If runs share no task or question, aren't judged, or were judged by different rubrics.
    """
    settings = settings or Settings()
    by_name = _named(runs, baseline)
    chosen = _chosen_tasks(by_name, tasks)
    _refuse_unjudged(by_name, chosen)
    entries = {
        task: {
            name: read_entry(run, task, settings, name)[0]
            for name, run in by_name.items()
            if task in run.tasks
        }
        for task in chosen
    }
    table = table_of(entries, baseline=baseline, settings=settings, all_pairs=baseline is None)
    _refuse_unshared(by_name, table)
    judges = [entry.task_run.judge for of_task in entries.values() for entry in of_task.values()]
    known = [info for info in judges if info is not None]
    return Report(
        table=table,
        judges=tuple(sorted({info.name for info in known})),
        rubrics=tuple(sorted({info.asked for info in known})),
        notes=(
            *(note for name, run in by_name.items() for note in run_notes(name, run, chosen)),
            *(note for task, of_task in entries.items() for note in setting_notes(task, of_task.values())),
            *table_notes(table),
            *(note for pair in table.pairs.values() for note in pair_notes(pair)),
        ),
    )


def names_of(runs: Sequence[Run]) -> list[str]:
    """What a comparison calls runs: their names, or their paths where two have one name."""
    names = [run.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.path) for run in runs]


def _named(runs: Sequence[Run], baseline: str | None) -> dict[str, Run]:
    names = names_of(runs)
    by_name = dict(zip(names, runs, strict=True))
    if len(by_name) < len(runs):
        raise ConfigError(f"a run is given twice: {', '.join(names)}")
    if len(runs) < 2:
        raise ConfigError("a comparison takes at least two runs")
    if baseline is not None and baseline not in by_name:
        raise ConfigError(f"no run {baseline!r} for a baseline: {nearest(baseline, by_name)}")
    return by_name


def _chosen_tasks(runs: Mapping[str, Run], wanted: Sequence[str]) -> list[str]:
    counts = Counter(task for run in runs.values() for task in run.tasks)
    for task in wanted:
        if task not in counts:
            raise ConfigError(f"no run has samples of task {task!r}: {nearest(task, counts)}")
    shared = [task for task in dict.fromkeys(wanted) or sorted(counts) if counts[task] > 1]
    if not shared:
        held = "; ".join(f"{name}: {', '.join(run.tasks)}" for name, run in runs.items())
        hint = _refined_hint(runs)
        raise DataError(f"no two of the runs have a task in common ({held}){hint}")
    return shared


def _refined_hint(runs: Mapping[str, Run]) -> str:
    """What to do where one run has the plain form of a task and another its refined form."""
    plain = {task for run in runs.values() for task in run.tasks}
    for name, run in runs.items():
        if any(task.endswith(REFINED) and task.removesuffix(REFINED) in plain for task in run.tasks):
            return f"; --refined {name} lets its refined replies stand for the plain ones"
    return ""


def _refuse_unjudged(runs: Mapping[str, Run], tasks: Sequence[str]) -> None:
    for task in tasks:
        rubrics: dict[tuple[str, str], str] = {}
        for name, run in runs.items():
            if task not in run.tasks:
                continue
            info = run.tasks[task].judge
            if not run.tasks[task].marks.judged:
                raise DataError(f"{run.path}: {task}: {_why_unjudged(run, task)}")
            if info is not None:
                rubrics.setdefault(info.yardstick, f"{name} by {info.asked}")
        if len(rubrics) > 1:
            raise DataError(
                f"{task}: judged by different rubrics or verdict forms ({'; '.join(rubrics.values())}): "
                "their scores can't be compared; judge again with the same, or choose with --judge"
            )


def _why_unjudged(run: Run, task: str) -> str:
    info = run.tasks[task].judge
    if not run.tasks[task].marks.readable.any():
        return "none of its replies has a readable explanation; nothing to compare"
    if info is None:
        return f"has no judgements; make them with anchor-eval score {run.path} --judge ..."
    return f"{info.name} gave no verdict on any of its explanations; nothing to compare"


def _refuse_unshared(runs: Mapping[str, Run], table: Table) -> None:
    names = list(runs)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            asked = table.baseline is None or table.baseline in (first, second)
            if asked and table.pair(first, second) is None:
                raise DataError(
                    f"{first} and {second} share no question on which both have judged explanations"
                )
