"""Win - loss by a cheap judge, as a better one would see it, that saw only some of the explanations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from judges.errors import DataError
from lm_eval_tasks.comparison.pair import Settings, match
from lm_eval_tasks.comparison.standings import Table
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.stats.estimation.corrected import FEWEST_LABELLED, Corrected, Parts, corrected, summary_of
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import MARGIN
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.win_rate import pair_counts
from lm_eval_tasks.tables import signed_percent, text_table


@dataclass(frozen=True, slots=True)
class CorrectedPair:
    """Two runs' win - loss, corrected.

    Attributes:
        first: Name of the run that wins or loses.
        second: Of the other.
        tasks: Task -> what came out.
        overall: The mean of the tasks.
    """

    first: str
    second: str
    tasks: Mapping[str, Corrected]
    overall: Corrected

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "first": self.first,
            "second": self.second,
            "tasks": {task: found.to_json() for task, found in self.tasks.items()},
            "overall": self.overall.to_json(),
        }


def correct(table: Table, name: str, settings: Settings) -> tuple[CorrectedPair, ...]:
    """Corrects every pair of a table.

    Args:
        table: The runs by the judge that saw everything.
        name: Of the better judge's judgements, e.g. ``human``.
        settings: How to estimate.

    Raises:
        DataError: If a run has no such judgements, if people rated the two runs of a pair on different pages,
            or if the better judge has seen both on fewer than 30 questions.
    """
    found = []
    for pair in table.pairs.values():
        parts: dict[str, Parts] = {}
        for task in pair.tasks:
            entries = table.entries[task]
            cheap = margins(entries[pair.first].marks, entries[pair.second].marks)
            better = [_by(name, entries[run].task_run) for run in (pair.first, pair.second)]
            _require_one_draw(name, task, {pair.first: better[0], pair.second: better[1]})
            dear = margins(*(run.marks for run in better))
            labelled = _labelled(cheap, dear, f"{pair.first} against {pair.second}", task, name)
            parts[task] = corrected(
                np.array([dear[question] for question in labelled]),
                np.array([cheap[question] for question in labelled]),
                np.array([value for question, value in cheap.items() if question not in dear]),
                MARGIN,
            )
        found.append(
            CorrectedPair(
                pair.first,
                pair.second,
                {task: summary_of([one], settings.confidence) for task, one in parts.items()},
                summary_of(list(parts.values()), settings.confidence),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class LabelVariance:
    """What labels vary by, and how much a judge knows of it, as measured on two runs.

    Attributes:
        variance: Of a labelled question's win - loss.
        correlation: Of it and the judge's on the same questions; 0 where one of them doesn't vary.
        tie: Share of ties among the labelled pairs.
        questions: Labelled questions that it was measured on.
    """

    variance: float
    correlation: float
    tie: float
    questions: int


def label_variance(runs: Mapping[str, TaskRun], name: str) -> LabelVariance:
    """Measures it on two runs of a task that a judge saw all of, and a better one some.

    Args:
        runs: Name of each of the two runs -> it, by the judge that saw everything.
        name: Of the better judge's judgements, e.g. ``human``.

    Raises:
        DataError: As :func:`correct`.
    """
    (first, second), task = runs.values(), next(iter(runs.values())).task
    cheap = margins(first.marks, second.marks)
    better = {run: _by(name, of) for run, of in runs.items()}
    _require_one_draw(name, task, better)
    marks = [of.marks for of in better.values()]
    dear = margins(*marks)
    labelled = _labelled(cheap, dear, " against ".join(runs), task, name)
    y, f = (np.array([of[question] for question in labelled]) for of in (dear, cheap))
    counts = pair_counts(*(of.rows(match(marks[0].ids, marks[1].ids).shared).scores for of in marks))
    known = counts.pairs > 0
    differing = (counts.wins + counts.losses)[known] / counts.pairs[known]
    varies = y.std() > 0 and f.std() > 0
    return LabelVariance(
        variance=float(y.var(ddof=1)),
        correlation=float(np.corrcoef(y, f)[0, 1]) if varies else 0.0,
        tie=float(1 - differing.mean()),
        questions=len(labelled),
    )


def _labelled(
    cheap: Mapping[str, float], dear: Mapping[str, float], runs: str, task: str, name: str
) -> list[str]:
    """The questions that both judges saw.

    Raises:
        DataError: If they are fewer than a correction takes.
    """
    labelled = [question for question in cheap if question in dear]
    if len(labelled) < FEWEST_LABELLED:
        raise DataError(
            f"{runs}, {task}: {name} has seen both runs' explanations to {len(labelled)} questions, and a "
            f"correction takes {FEWEST_LABELLED}; anchor-eval annotate RUN RUN draws them so that both are "
            "seen"
        )
    return labelled


def _by(name: str, run: TaskRun) -> TaskRun:
    """The same log as another judge has it."""
    return load_run(run.samples_file.parent, judge=name, date=run.date).task(run.task)


def _require_one_draw(name: str, task: str, runs: Mapping[str, TaskRun]) -> None:
    """Refuses people's ratings from a page of one run, whose statements weren't drawn evenly from all."""
    pages = {run: found.summary.pages for run, found in runs.items() if found.summary is not None}
    if len(set(pages.values())) > 1:
        where = "; ".join(f"{run}: {', '.join(names) or 'none'}" for run, names in pages.items())
        raise DataError(
            f"{task}: {name} rated the runs on different pages ({where}); a page of one run shows rare "
            "kinds of explanations more often, so a correction takes one page for both: "
            "anchor-eval annotate RUN RUN"
        )


def margins(first: Marks, second: Marks) -> dict[str, float]:
    """Win - loss of each question on which both have scored samples."""
    shared = match(first.ids, second.ids).shared
    counts = pair_counts(first.rows(shared).scores, second.rows(shared).scores)
    return {
        question: float((wins - losses) / pairs)
        for question, wins, losses, pairs in zip(
            shared, counts.wins, counts.losses, counts.pairs, strict=True
        )
        if pairs
    }


def correction_text(found: CorrectedPair, name: str, settings: Settings) -> str:
    """One pair: corrected, by labels alone, by the judge alone; what the correction is worth."""
    interval = f"{100 * settings.confidence:g}% interval"
    rows = []
    shown = dict(found.tasks)
    if len(shown) > 1:
        shown[f"mean of {len(shown)} tasks"] = found.overall
    for task, one in shown.items():
        for what, estimate, questions in (
            ("corrected", one.corrected, one.labelled + one.others),
            (f"{name} alone", one.labels, one.labelled),
            ("the judge alone", one.judge, one.labelled + one.others),
        ):
            rows.append((task, what, str(questions), signed_percent(estimate.value), _interval(estimate)))
    total = found.overall
    return "\n".join(
        [
            f"{found.first} against {found.second}, corrected with {name} (PPI++)",
            text_table(("task", "", "questions", "win - loss", interval), rows, left=2),
            f"The judge is trusted by {total.trust:.2f} (0: not at all, 1: to the word). The interval is "
            f"{total.shrink:.2f} times as wide as with {name} alone; with twice as many labelled questions "
            f"it would be about {total.shrink_twice:.2f} times.",
            f"It holds if the {total.labelled} labelled questions were drawn at random, as anchor-eval "
            "annotate does for several runs.",
        ]
    )


def _interval(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return "-"
    return f"[{signed_percent(found.low)}, {signed_percent(found.high)}]"
