"""Several runs compared with each other: every task, every pair, and what they come to together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from judges.errors import ConfigError, DataError
from judges.judge import JudgeInfo
from judges.settings import nearest
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings, compare, overall
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.stats.estimates import Estimate, holm, means
from lm_eval_tasks.stats.intervals import SHARE, Bounds, Floats
from lm_eval_tasks.stats.length_control import rank_correlation
from lm_eval_tasks.stats.marks import NO_MARKS, Marks
from lm_eval_tasks.stats.ratings import Rating, groups, outcomes, ratings
from lm_eval_tasks.stats.win_rate import UNSCORED
from lm_eval_tasks.tables import signed_percent
from lm_eval_tasks.tasks.spec import REFINED

ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One run on one task, over all its questions.

    Attributes:
        run: The run's name.
        task: The task's name.
        questions: How many questions.
        samples: Most samples a question.
        accuracy: Mean over samples and questions.
        spread: Standard deviation of the accuracy over the samples; None with one sample.
        score: Mean explanation score in points; None if a log doesn't tell the rubric.
        readable: Share of responses with a readable explanation.
        judged: Share of responses with a score.
        words: Mean length of a readable explanation; None if there is none.
        length_correlation: Spearman's correlation of score and words.
    """

    run: str
    task: str
    questions: int
    samples: int
    accuracy: Estimate
    spread: float | None
    score: Estimate | None
    readable: float
    judged: float
    words: float | None
    length_correlation: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One run against another.

    Attributes:
        first: Name of the run that wins or loses.
        second: Name of the run it is compared with.
        tasks: Task -> comparison.
        overall: Mean of the tasks; the comparison itself if there is one task.
        adjusted_p: The overall p-value after Holm's correction over all pairs of the tournament.
    """

    first: str
    second: str
    tasks: Mapping[str, Comparison]
    overall: Overall
    adjusted_p: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Tournament:
    """What came out.

    Attributes:
        entries: Each run on each task.
        pairs: Each pair of runs, or each run against the baseline.
        ratings: Best first; empty for two runs, or if the pairs don't link all runs.
        groups: Runs that can't be told apart, best first; empty where ``ratings`` is.
        judges: Names of the judges; one unless they differ.
        rubrics: Names and versions of the rubrics; several if tasks differ in them.
        notes: What a reader must know.
    """

    entries: tuple[Entry, ...]
    pairs: tuple[Pair, ...]
    ratings: tuple[Rating, ...]
    groups: tuple[tuple[str, ...], ...]
    judges: tuple[str, ...]
    rubrics: tuple[str, ...]
    notes: tuple[str, ...]


def play(
    runs: Sequence[Run],
    *,
    tasks: Sequence[str] = (),
    baseline: str | None = None,
    settings: Settings | None = None,
) -> Tournament:
    """Compares runs.

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
    marks = {
        (name, task): run.tasks[task].marks
        for task in chosen
        for name, run in by_name.items()
        if task in run.tasks
    }
    pairs = [
        _compared(first, second, by_name, marks, settings)
        for first, second in combinations(by_name, 2)
        if baseline in (None, second)
    ] + [
        _compared(second, baseline, by_name, marks, settings)
        for first, second in combinations(by_name, 2)
        if first == baseline
    ]
    corrected = holm([pair.overall.p_value for pair in pairs])
    pairs = [replace(pair, adjusted_p=p) for pair, p in zip(pairs, corrected, strict=True)]
    rated = _rated(by_name, chosen, marks, baseline, settings) if len(by_name) > 2 else []
    different = {frozenset((p.first, p.second)) for p in pairs if (p.adjusted_p or 0) < ALPHA}
    alike = groups([rating.name for rating in rated], different) if rated and baseline is None else []
    return Tournament(
        entries=tuple(
            _entry(name, task, of_run, by_name[name].tasks[task].judge, settings)
            for (name, task), of_run in marks.items()
        ),
        pairs=tuple(pairs),
        ratings=tuple(rated),
        groups=tuple(alike),
        judges=tuple(sorted({info.name for info in _judges(by_name, chosen)})),
        rubrics=tuple(sorted({info.asked for info in _judges(by_name, chosen)})),
        notes=tuple(_notes(by_name, chosen, pairs)),
    )


def _named(runs: Sequence[Run], baseline: str | None) -> dict[str, Run]:
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
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
    shared = [task for task in wanted or sorted(counts) if counts[task] > 1]
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
                raise DataError(
                    f"{run.path}: {task}: "
                    + (
                        f"{info.name} gave no verdict on any of its explanations; nothing to compare"
                        if info
                        else f"has no judgements; make them with anchor-eval score {run.path} --judge ..."
                    )
                )
            if info is not None:
                rubrics.setdefault(info.yardstick, f"{name} by {info.asked}")
        if len(rubrics) > 1:
            raise DataError(
                f"{task}: judged by different rubrics or verdict forms ({'; '.join(rubrics.values())}): "
                "their scores can't be compared; judge again with the same, or choose with --judge"
            )


def _compared(
    first: str,
    second: str,
    runs: Mapping[str, Run],
    marks: Mapping[tuple[str, str], Marks],
    settings: Settings,
) -> Pair:
    found: dict[str, Comparison] = {}
    for number, task in enumerate(dict.fromkeys(task for _, task in marks)):
        if (first, task) not in marks or (second, task) not in marks:
            continue
        info = runs[first].tasks[task].judge or runs[second].tasks[task].judge
        both = marks[first, task], marks[second, task]
        top = info.max_score if info else max(int(side.scores.max()) for side in both)
        # Tasks are independent, so must their draws be.
        comparison = compare(*both, top_score=top, settings=replace(settings, seed=settings.seed + number))
        if comparison is not None:
            found[task] = comparison
    if not found:
        raise DataError(f"{first} and {second} share no question on which both have judged explanations")
    return Pair(first, second, found, overall(list(found.values()), settings.confidence), None)


def _rated(
    runs: Mapping[str, Run],
    tasks: Sequence[str],
    marks: Mapping[tuple[str, str], Marks],
    baseline: str | None,
    settings: Settings,
) -> list[Rating]:
    of_tasks = [
        outcomes(
            [marks.get((name, task), NO_MARKS) for name in runs],
            draws=settings.draws,
            seed=settings.seed + number,
        )
        for number, task in enumerate(tasks)
    ]
    return ratings(list(runs), of_tasks, baseline=baseline, confidence=settings.confidence)


def _entry(name: str, task: str, marks: Marks, judge: JudgeInfo | None, settings: Settings) -> Entry:
    def mean(values: Floats, bounds: Bounds) -> Estimate:
        return means(values, bounds)[0].estimate(settings.confidence)

    scored = marks.scores != UNSCORED
    judged_rows = scored.any(axis=1)
    points = np.where(scored, marks.scores, 0).sum(axis=1)[judged_rows] / scored.sum(axis=1)[judged_rows]
    explained = int(marks.readable.sum())
    return Entry(
        run=name,
        task=task,
        questions=len(marks.ids),
        samples=marks.present.shape[1],
        accuracy=mean(marks.accuracies, SHARE),
        spread=marks.accuracy_spread,
        score=mean(points / judge.units, Bounds(*judge.score_range)) if judge else None,
        readable=explained / marks.samples,
        judged=marks.judged / marks.samples,
        words=float(marks.words.sum()) / explained if explained else None,
        length_correlation=rank_correlation(marks),
    )


def _judges(runs: Mapping[str, Run], tasks: Sequence[str]) -> list[JudgeInfo]:
    found = [run.tasks[task].judge for run in runs.values() for task in tasks if task in run.tasks]
    return [info for info in found if info is not None]


def _notes(runs: Mapping[str, Run], tasks: Sequence[str], pairs: Sequence[Pair]) -> Iterator[str]:
    for name, run in runs.items():
        for note in run.notes:
            yield f"{name}: {note}"
        left = [task for task in run.tasks if task not in tasks]
        if left:
            yield f"{name}: {', '.join(left)} not compared"
    for task in tasks:
        held = {name: run.tasks[task] for name, run in runs.items() if task in run.tasks}
        for what, values in (
            ("judges", {name: of.judge.name if of.judge else None for name, of in held.items()}),
            ("versions of the task", {name: of.version for name, of in held.items()}),
            ("prompts", {name: of.prompt_fingerprint for name, of in held.items()}),
            ("sampling settings", {name: _sampling(of) for name, of in held.items()}),
        ):
            known = {value for value in values.values() if value is not None}
            if len(known) > 1:
                each = "; ".join(f"{name}: {value}" for name, value in values.items())
                yield f"warning: {task}: different {what} ({each})"
    for pair in pairs:
        for task, comparison in pair.tasks.items():
            yield from _pair_notes(f"{pair.first} against {pair.second}, {task}", comparison)


def _pair_notes(where: str, comparison: Comparison) -> Iterator[str]:
    matched = comparison.matched
    for ids, side in ((matched.only_first, "first"), (matched.only_second, "second")):
        if ids:
            some = ", ".join(ids[:3]) + (", ..." if len(ids) > 3 else "")
            yield f"{where}: {len(ids)} questions only the {side} has are left out ({some})"
    if comparison.unscored:
        yield f"{where}: {comparison.unscored} shared questions without a judged sample are left out"
    if comparison.bounds is not None:
        low, high = comparison.bounds
        yield (
            f"{where}: not everything is judged; win - loss would be between "
            f"{signed_percent(low)} and {signed_percent(high)} if all of it were"
        )
    controlled = comparison.equal_length
    if controlled is not None and comparison.length_matters:
        yield (
            f"warning: {where}: length changes the verdict: win - loss is "
            f"{signed_percent(comparison.margin.value)} as it is and "
            f"{signed_percent(controlled.margin.value)} at equal length"
            + (" (extrapolated: lengths hardly overlap)" if controlled.extrapolated else "")
        )


def _sampling(run: TaskRun) -> str | None:
    if run.sampling is None:
        return None
    kept = {key: run.sampling[key] for key in ("do_sample", "temperature", "top_p") if key in run.sampling}
    return ", ".join(f"{key} {value}" for key, value in kept.items())
