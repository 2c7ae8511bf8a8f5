"""Runs compared in one table: every pair on every task, what it comes to, who is told apart from whom.

This is the one place where pairs are chosen, p values corrected and runs ranked; ``anchor-eval compare`` and
the site only show it.

**Over what Holm corrects.** A claim is corrected over the claims made beside it. With a baseline named these
are the pairs with the baseline: one family. Whether the other runs can be told apart from each other is asked
(if it is) in a second family, of all other pairs. Without a baseline there is one family: all pairs. So a
pair has one adjusted p value, wherever it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TypeAlias

from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings, compare, overall
from lm_eval_tasks.stats.estimation.estimates import Estimate, holm
from lm_eval_tasks.stats.marks import NO_MARKS
from lm_eval_tasks.stats.ratings import Rating, groups, outcomes, ratings

ALPHA = 0.05
"""Two runs are told apart if the adjusted p value of their win - loss is below this."""

Names: TypeAlias = tuple[str, str]
Comparisons: TypeAlias = Mapping[str, Mapping[Names, Comparison]]
"""Task -> two runs -> how they compare."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One run against another.

    Attributes:
        first: Name of the run that wins or loses.
        second: Name of the run it is compared with.
        tasks: Task -> comparison.
        overall: Mean of the tasks; the comparison itself if there is one task.
        adjusted_p: The overall p value after Holm's correction over the pair's family.
    """

    first: str
    second: str
    tasks: Mapping[str, Comparison]
    overall: Overall
    adjusted_p: float | None

    @property
    def ahead(self) -> str | None:
        """Which of the two is told to be better; None if neither is."""
        if self.adjusted_p is None or self.adjusted_p >= ALPHA:
            return None
        return self.first if self.overall.margin.value > 0 else self.second


@dataclass(frozen=True, eq=False)
class Table:
    """Runs on tasks, compared.

    Attributes:
        entries: Task -> run -> entry.
        baseline: The run that the others are measured by, if it is one of these.
        pairs: Two runs -> how they compare, in one order; the baseline is always the second.
        ratings: Best first; empty with fewer than two compared runs, or if the pairs don't link them all.
        complete: Whether all pairs were compared, not only those with the baseline.
    """

    entries: Mapping[str, Mapping[str, Entry]]
    baseline: str | None
    pairs: Mapping[Names, Pair]
    ratings: tuple[Rating, ...]
    complete: bool

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """Best first where there are ratings; then those that can't be rated, in the order given."""
        rated = [rating.name for rating in self.ratings]
        return tuple(dict.fromkeys((*rated, *(run for of_task in self.entries.values() for run in of_task))))

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The runs that are in a pair."""
        return tuple(run for run in self.runs if any(run in names for names in self.pairs))

    @cached_property
    def places(self) -> Mapping[str, tuple[int, int]]:
        """Run -> the ranks that it may have, best and worst; empty unless all pairs were compared."""
        if not self.complete:
            return {}
        ahead = self._ahead
        return {
            run: (
                1 + sum((other, run) in ahead for other in self.compared),
                len(self.compared) - sum((run, other) in ahead for other in self.compared),
            )
            for run in self.compared
        }

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Runs that can't be told apart, best first; empty where nothing is rated or not all are compared."""
        if not self.ratings or not self.complete:
            return ()
        different = {frozenset(names) for names in self._ahead}
        return tuple(groups([rating.name for rating in self.ratings], different))

    @cached_property
    def _ahead(self) -> frozenset[Names]:
        decided = [(pair, winner) for pair in self.pairs.values() if (winner := pair.ahead) is not None]
        return frozenset(
            (winner, pair.first if winner == pair.second else pair.second) for pair, winner in decided
        )

    def pair(self, one: str, other: str) -> Pair | None:
        """The two runs' pair, whichever of them is the first in it."""
        return self.pairs.get((one, other)) or self.pairs.get((other, one))

    def margin(self, first: str, second: str, task: str | None = None) -> Estimate | None:
        """Win - loss of the first run against the second, overall or on a task; None if it isn't known."""
        pair = self.pair(first, second)
        found = None if pair is None else pair.overall if task is None else pair.tasks.get(task)
        if pair is None or found is None:
            return None
        margin = found.margin
        if pair.first == first:
            return margin
        low, high = (None if end is None else -end for end in (margin.high, margin.low))
        return Estimate(-margin.value, margin.stderr, low, high, margin.questions)


def table_of(
    entries: Mapping[str, Mapping[str, Entry]],
    *,
    baseline: str | None = None,
    settings: Settings | None = None,
    known: Comparisons | None = None,
    all_pairs: bool = True,
) -> Table:
    """Compares runs.

    Args:
        entries: Task -> run -> entry. Runs without judged explanations are in no pair.
        baseline: The run that the others are measured by; its rating is 1000.
        settings: How to estimate.
        known: Comparisons that were made before, with these settings.
        all_pairs: Whether to compare every two runs, or with the baseline only.
    """
    settings = settings or Settings()
    runs = list(dict.fromkeys(run for of_task in entries.values() for run in of_task))
    if baseline not in runs:
        baseline = None
    runs.sort(key=lambda run: run == baseline)
    wanted = [names for names in combinations(runs, 2) if all_pairs or baseline in names]
    found = {names: _on_tasks(names, entries, settings, known or {}) for names in wanted}
    whole = {
        names: overall(list(tasks.values()), settings.confidence) for names, tasks in found.items() if tasks
    }
    adjusted = _adjusted({names: together.p_value for names, together in whole.items()}, baseline)
    pairs = {
        names: Pair(*names, found[names], together, adjusted[names]) for names, together in whole.items()
    }
    return Table(
        entries,
        baseline,
        pairs,
        tuple(_rated(runs, entries, pairs, baseline, settings)),
        complete=all_pairs or baseline is None,
    )


def family_of(names: Names, baseline: str | None) -> str:
    """Over which pairs the p value of these two is corrected, in words."""
    if baseline is None:
        return "all pairs"
    return f"the pairs with {baseline}" if baseline in names else f"the pairs without {baseline}"


def _adjusted(p_values: Mapping[Names, float | None], baseline: str | None) -> dict[Names, float | None]:
    """Holm's correction within each family."""
    families: dict[str, list[Names]] = {}
    for names in p_values:
        families.setdefault(family_of(names, baseline), []).append(names)
    return {
        names: p
        for family in families.values()
        for names, p in zip(family, holm([p_values[names] for names in family]), strict=True)
    }


def _on_tasks(
    names: Names, entries: Mapping[str, Mapping[str, Entry]], settings: Settings, known: Comparisons
) -> dict[str, Comparison]:
    first, second = names
    found: dict[str, Comparison] = {}
    for task, of_task in entries.items():
        comparison = known.get(task, {}).get(names)
        if comparison is None and first in of_task and second in of_task:
            comparison = _on_task(of_task[first], of_task[second], settings)
        if comparison is not None:
            found[task] = comparison
    return found


def _on_task(first: Entry, second: Entry, settings: Settings) -> Comparison | None:
    if not (first.marks.judged and second.marks.judged):
        return None
    judge = first.task_run.judge or second.task_run.judge
    top = judge.max_score if judge else max(int(side.marks.scores.max()) for side in (first, second))
    return compare(first.marks, second.marks, top_score=top, settings=settings)


def _rated(
    runs: Sequence[str],
    entries: Mapping[str, Mapping[str, Entry]],
    pairs: Iterable[Names],
    baseline: str | None,
    settings: Settings,
) -> list[Rating]:
    """Empty if there is nothing to rate by, or nothing links all runs that are in a pair."""
    pairs = list(pairs)
    compared = [run for run in runs if any(run in names for names in pairs)]
    linked = set(compared[:1])
    for _ in compared:
        linked |= {run for names in pairs if linked & set(names) for run in names}
    if len(linked) < max(2, len(compared)):
        return []
    of_tasks = [
        outcomes(
            [of_task[run].marks if run in of_task else NO_MARKS for run in compared],
            draws=settings.draws,
            seed=settings.of_task(task).seed,
        )
        for task, of_task in entries.items()
    ]
    reference = baseline if baseline in compared else None
    return ratings(compared, of_tasks, baseline=reference, confidence=settings.confidence)
