"""What a reader must know about a comparison, in sentences: the same in text, in JSON and on the pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.pair import Comparison
from lm_eval_tasks.comparison.setting import Difference, setting_of
from lm_eval_tasks.comparison.standings import Pair, Table
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.tables import listed, number_of, percent, signed_percent

MUCH = 0.05
"""A larger share of unreadable or unjudged samples than this is worth a warning."""


@dataclass(frozen=True, slots=True)
class Note:
    """One sentence.

    Attributes:
        where: What it is about: a run, a task, two runs on a task.
        text: The sentence.
        warning: Whether it puts a figure in doubt.
    """

    where: str
    text: str
    warning: bool = False

    def __str__(self) -> str:
        """``warning: where: text``."""
        return f"{'warning: ' if self.warning else ''}{self.where}: {self.text}"


def run_notes(name: str, run: Run, tasks: Collection[str]) -> Iterator[Note]:
    """What was left aside when a run was read, and which of its tasks aren't compared."""
    for note in run.notes:
        yield Note(name, note)
    left = [task for task in run.tasks if task not in tasks]
    if left:
        yield Note(name, f"{', '.join(left)} not compared")


def setting_notes(task: str, entries: Iterable[Entry]) -> Iterator[Note]:
    """In what runs of a task differ that may be compared, but not without a warning; unknown things aside."""
    settings = {entry.run: setting_of(entry) for entry in entries}
    differing = {
        difference.what: None
        for one, other in pairwise(settings.values())
        for difference in one.differences(other)
        if difference.here is not None and difference.there is not None
    }
    for what in differing:
        held: dict[str, list[str]] = {}
        for run, setting in settings.items():
            held.setdefault(setting.value(what) or "unknown", []).append(run)
        each = "; ".join(f"{value}: {listed(runs, 4)}" for value, runs in held.items())
        yield Note(task, f"different {what} ({each})", warning=True)


def entry_notes(entry: Entry) -> Iterator[Note]:
    """What of a run's replies is in no score, and whose doing that is: the model's or the judge's."""
    samples, explained = entry.marks.samples, int(entry.marks.readable.sum())
    if entry.failed > MUCH * samples:  # fewer are in the notes on the run
        text = f"{number_of(entry.failed, 'reply', 'replies')} of {samples + entry.failed:,} failed"
        yield Note(entry.run, f"{text} and count nowhere", warning=True)
    why = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in entry.problems.items())
    if not explained:
        said = f"none of its {number_of(samples, 'reply', 'replies')} has a readable explanation ({why})"
        yield Note(entry.run, said, warning=True)
        return
    if why:
        said = f"{percent(1 - entry.readable)}% of its replies can't be read ({why})"
        yield Note(entry.run, said + "; an unreadable choice counts as not right")
    if entry.task_run.judge is None and not entry.marks.judged:
        yield Note(entry.run, f"its {number_of(explained, 'readable explanation')} are not judged yet")
    elif entry.unjudged:
        left = explained - entry.marks.judged
        yield Note(
            entry.run,
            f"the judge gave no verdict on {left:,} of {number_of(explained, 'readable explanation')}",
            warning=entry.unjudged > MUCH,
        )


def table_notes(table: Table) -> Iterator[Note]:
    """What keeps the pairs of a table from being one comparison."""
    tasks = len(table.entries)
    for pair in table.pairs.values():
        if len(pair.tasks) < tasks:
            named = ", ".join(pair.tasks)
            yield Note(
                f"{pair.first} against {pair.second}",
                f"the mean is over {len(pair.tasks)} of {tasks} tasks ({named}); other pairs have more",
                warning=True,
            )


def pair_notes(pair: Pair, titles: Mapping[str, str] | None = None) -> Iterator[Note]:
    """What a reader must know about two runs.

    Args:
        pair: The two.
        titles: Task -> what to call it; default: the pair's names with the task.
    """
    for task, comparison in pair.tasks.items():
        where = f"{pair.first} against {pair.second}, {task}" if titles is None else titles.get(task, task)
        yield from _comparison_notes(pair, comparison, where)


def difference_notes(pair: Pair, differences: Mapping[str, Iterable[Difference]]) -> Iterator[Note]:
    """That two runs were asked or judged differently, task by task."""
    for task, found in differences.items():
        said = "; ".join(map(str, found))
        if said:
            yield Note(
                task, f"{pair.first} was asked or judged otherwise than {pair.second}: {said}", warning=True
            )


def _comparison_notes(pair: Pair, comparison: Comparison, where: str) -> Iterator[Note]:
    matched = comparison.matched
    for ids, run in ((matched.only_first, pair.first), (matched.only_second, pair.second)):
        if ids:
            some = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
            yield Note(where, f"left out: {number_of(len(ids), 'question')} that only {run} has ({some})")
    if comparison.unscored:
        yield Note(
            where,
            f"left out: {number_of(comparison.unscored, 'shared question')} without a judged sample of both",
        )
    if comparison.bounds is not None:
        low, high = comparison.bounds
        yield Note(
            where,
            f"not everything has a score; win - loss would be between {signed_percent(low)} and "
            f"{signed_percent(high)} points if all of it had",
            warning=low < 0 < high,
        )
    controlled = comparison.equal_length
    if controlled is not None and comparison.length_matters:
        yield Note(
            where,
            "length changes the verdict: "
            f"win - loss is {signed_percent(comparison.margin.value)} as it is and "
            f"{signed_percent(controlled.margin.value)} at equal length"
            + (" (extrapolated: lengths hardly overlap)" if controlled.extrapolated else ""),
            warning=True,
        )
    elif controlled is not None and controlled.extrapolated:
        yield Note(
            where,
            f"explanations of {pair.first} have {controlled.length_ratio:.2f} times the words of those of "
            f"{pair.second}; few are of equal length, so what win - loss is there is extrapolated",
            warning=True,
        )
