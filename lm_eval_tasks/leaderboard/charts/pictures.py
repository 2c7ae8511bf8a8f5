"""Which charts there are, made from entries and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lm_eval_tasks.comparison.checkpoints import AtStep
from lm_eval_tasks.comparison.entry import BEHAVIOURS, Entry
from lm_eval_tasks.comparison.faithfulness import AREA, area_of, told_of
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings, match
from lm_eval_tasks.comparison.standings import Names, Table
from lm_eval_tasks.leaderboard.charts.values import (
    Axis,
    Bars,
    HeatMap,
    Interval,
    Plot,
    Point,
    Shares,
    interval,
    shown,
    span,
)
from lm_eval_tasks.stats.estimation.estimates import Estimate, means
from lm_eval_tasks.stats.estimation.intervals import MARGIN, Bounds
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.strata import STRATA
from lm_eval_tasks.stats.win_rate import UNSCORED, pair_counts

MOST_SERIES = 8
_BINS = 8


def margin_matrix(name: str, table: Table, links: Mapping[Names, str]) -> HeatMap:
    """Win - loss of each model (row) against each other (column), in points."""
    runs = table.compared
    return HeatMap(
        name=name,
        title="Every model against every other",
        caption="Win − loss of the row’s model against the column’s, in points: blue where the row wins, "
        "orange "
        "where it loses, grey where the interval holds 0.",
        corner="",
        rows=tuple(runs),
        columns=tuple(runs),
        values=tuple(tuple(interval(table.margin(a, b)) for b in runs) for a in runs),
        links=tuple(tuple(links.get((a, b)) for b in runs) for a in runs),
    )


def margins_by_task(
    name: str, table: Table, titles: Mapping[str, str], links: Mapping[Names, str]
) -> HeatMap:
    """Win - loss of each model against the baseline on each task, in points."""
    baseline = table.baseline or ""
    runs = [run for run in table.compared if run != baseline]
    return HeatMap(
        name=name,
        title=f"Win − loss against {baseline} by task",
        caption=f"Win − loss of each model against {baseline}, in points: blue where it wins, orange "
        "where it loses, "
        "grey where the interval holds 0.",
        corner="",
        rows=tuple(runs),
        columns=tuple(titles.values()),
        values=tuple(tuple(interval(table.margin(run, baseline, task)) for task in titles) for run in runs),
        links=tuple(tuple(links.get((run, baseline)) for _ in titles) for run in runs),
    )


def criteria_bars(
    name: str, entries: Sequence[Entry], criteria: Sequence[str], task: str = ""
) -> Bars | None:
    """Mean points of each criterion and model (figure 1 of the paper); None if nothing was judged.

    Args:
        name: File name of the picture.
        entries: Of the same task, best first.
        criteria: Names of the criteria.
        task: Name of the task, where the title shall say it.
    """
    judged = [entry for entry in entries if any(value is not None for value in entry.criteria)]
    if not judged or not criteria:
        return None
    kept = judged[:MOST_SERIES]
    rest = f" The first {len(kept)} of {len(judged)} models." if len(kept) < len(judged) else ""
    values = tuple(tuple(interval(value) for value in entry.criteria) for entry in kept)
    top = max((value.value for line in values for value in line if value), default=1.0)
    return Bars(
        name=name,
        title="What the judge thought of each criterion" + (f" ({task})" if task else ""),
        caption=f"Mean points of each criterion (1 is best), with 95% intervals.{rest}",
        groups=tuple(criteria),
        series=tuple(entry.run for entry in kept),
        values=values,
        axis=Axis("points", 0, max(1.0, top)),
    )


def behaviour_shares(name: str, rows: Sequence[tuple[str, Entry]]) -> Shares | None:
    """How steadily models answer: share of questions with only right, mixed and only wrong samples.

    None where all questions are open.
    """
    rows = [(label, entry) for label, entry in rows if entry.behaviour]
    if not rows:
        return None
    unread = any(entry.behaviour[-1] for _, entry in rows)
    parts = BEHAVIOURS if unread else BEHAVIOURS[:-1]
    return Shares(
        name=name,
        title="How steadily it answers"
        if len({entry.run for _, entry in rows}) == 1
        else "How steadily they answer",
        caption="Share of the questions with only right, mixed, and only wrong answers among their samples"
        + (", and of those with no answer that could be read." if unread else "."),
        rows=tuple(label for label, _ in rows),
        parts=parts,
        values=tuple(entry.behaviour[: len(parts)] for _, entry in rows),
    )


def outcome_shares(
    name: str, first: str, second: str, rows: Sequence[tuple[str, Comparison | Overall]]
) -> Shares:
    """Win, tie and loss of one model against another."""
    return Shares(
        name=name,
        title=f"{first} against {second}",
        caption=f"Share of the pairs of explanations in which the judge marks {first} higher, equal and "
        "lower.",
        rows=tuple(label for label, _ in rows),
        parts=(f"{first} wins", "tie", f"{second} wins"),
        values=tuple((c.win.value, c.tie.value, c.loss.value) for _, c in rows),
    )


def strata_map(name: str, first: str, second: str, rows: Sequence[tuple[str, Comparison]]) -> HeatMap:
    """Win - loss by task and by who answered right."""
    columns = ["all", *STRATA]
    values = []
    for _, comparison in rows:
        by_name = {stratum.name: interval(stratum.margin) for stratum in comparison.strata}
        values.append((shown(comparison.margin), *(by_name.get(stratum) for stratum in STRATA)))
    titles = {"only first right": f"only {first} right", "only second right": f"only {second} right"}
    return HeatMap(
        name=name,
        title=f"Win − loss of {first} against {second}, by correctness",
        caption=f"Win − loss of {first} in points, over all pairs of explanations and by whose answer was "
        "right: "
        "whoever answers better also explains better, without explaining better for what it answers.",
        corner="task",
        rows=tuple(label for label, _ in rows),
        columns=tuple(titles.get(column, column) for column in columns),
        values=tuple(values),
    )


def length_overview(name: str, entries: Sequence[Entry]) -> Plot | None:
    """Every model's mean score over the mean length of its explanations; None if nothing was judged."""
    points = [
        (entry, entry.words, shown(entry.score.estimate()))
        for entry in entries
        if entry.score is not None and entry.words is not None
    ]
    if not points:
        return None
    return Plot(
        name=name,
        title="Score and length",
        caption="Mean score, with 95% intervals, over the mean length of an explanation. A cloud that "
        "rises to the right "
        "means that the judge may be paid in words.",
        x=Axis("words an explanation", *span([Interval(words) for _, words, _ in points], margin=0.15)),
        y=Axis("mean score", *span([score for _, _, score in points])),
        series=tuple(entry.run for entry, _, _ in points),
        points=tuple((Point(words, score, entry.run),) for entry, words, score in points),
    )


def faithfulness_plane(name: str, entries: Sequence[Entry], baseline: str | None) -> Plot | None:
    """Every model's area over the curve over its mean score; None unless two models have both."""
    points = [
        (entry.run, shown(entry.score.estimate()), shown(area))
        for entry in entries
        if entry.score is not None and (area := area_of(entry)) is not None
    ]
    if len(points) < 2:
        return None
    low, high = span([area for _, _, area in points])
    told = told_of(entries, *AREA)
    return Plot(
        name=name,
        title="Quality and faithfulness",
        caption="How much of its explanation a model needs for its choice (early answering, area over the "
        "curve), over how good a judge finds its explanations, with 95% intervals; arrows lead from the "
        "baseline. To the right and down: better to read, and less the model’s reason."
        + (f" On models of known faithfulness the area {told}." if told else ""),
        x=Axis("mean score", *span([score for _, score, _ in points], margin=0.15)),
        y=Axis("area over the curve", max(0.0, low), high),
        series=tuple(run for run, _, _ in points),
        points=tuple((Point(score.value, area, run, score),) for run, score, area in points),
        origin=baseline,
    )


def probe_curves(name: str, entries: Sequence[tuple[str, Entry]]) -> Plot | None:
    """Early answering's curve for each task of a model; None without the probe."""
    curves = [
        (label, entry.task_run.probes["early"].curve)
        for label, entry in entries
        if "early" in entry.task_run.probes and entry.task_run.probes["early"].curve
    ]
    if not curves:
        return None
    return Plot(
        name=name,
        title="How much of its explanation it needs",
        caption="Share of replies whose choice after a part of the explanation is the one after the whole. "
        "A flat line at the top: the choice was there before the explanation.",
        x=Axis("share of the explanation, %", 0.0, 100.0),
        y=Axis("same choice, %", 0.0, 105.0),
        series=tuple(label for label, _ in curves),
        points=tuple(
            tuple(Point(100 * share, Interval(100 * same)) for share, same in curve) for _, curve in curves
        ),
        joined=True,
    )


def over_training(rows: Sequence[AtStep], baseline: str) -> tuple[Plot, ...]:
    """Win - loss and accuracy over training steps, a line for each task; none where nothing is known."""
    tasks = tuple(dict.fromkeys(row.task for row in rows))
    drawn = (
        (
            "win_minus_loss_over_steps",
            "Win - loss over training",
            f"Against {baseline}, with 95% intervals by question. Above 0 it explains better.",
            "win - loss, %",
            {
                task: [
                    (row.step, None if row.compared is None else row.compared.margin)
                    for row in rows
                    if row.task == task
                ]
                for task in tasks
            },
            0.0,
        ),
        (
            "accuracy_over_steps",
            "Accuracy over training",
            "Share of right answers, with 95% intervals by question.",
            "accuracy, %",
            {task: [(row.step, row.accuracy) for row in rows if row.task == task] for task in tasks},
            None,
        ),
    )
    plots = []
    for name, title, caption, label, values, include in drawn:
        points = {
            task: tuple(
                Point(float(step), _in_percent(found)) for step, found in of_task if found is not None
            )
            for task, of_task in values.items()
        }
        known = [point for of_task in points.values() for point in of_task]
        if not known:
            continue
        across = span([Interval(point.x) for point in known])
        up = span([point.y for point in known], include=include)
        plots.append(
            Plot(
                name=name,
                title=title,
                caption=caption,
                x=Axis("training steps", *across),
                y=Axis(label, *up),
                series=tasks,
                points=tuple(points.values()),
                joined=True,
            )
        )
    return tuple(plots)


def _in_percent(found: Estimate) -> Interval:
    ends = [None if end is None else 100 * end for end in (found.low, found.high)]
    return Interval(100 * found.value, *ends)


def score_by_length(name: str, entries: Sequence[tuple[str, Entry]], settings: Settings) -> Plot | None:
    """Mean score by length of the explanation, for each task of a model; None if nothing was judged."""
    series = [(label, _length_points(entry, settings)) for label, entry in entries]
    series = [(label, points) for label, points in series if points]
    if not series:
        return None
    known = [point for _, points in series for point in points]
    return Plot(
        name=name,
        title="Score by length",
        caption="Mean score of its shorter and longer explanations (equal numbers of them at each point), "
        "with 95% intervals.",
        x=Axis("words an explanation", *span([Interval(point.x) for point in known])),
        y=Axis("mean score", *span([point.y for point in known])),
        series=tuple(label for label, _ in series),
        points=tuple(points for _, points in series),
        joined=True,
    )


def margin_by_length(name: str, first: Entry, second: Entry, settings: Settings) -> Plot | None:
    """Win - loss by how much longer the first model explains; None with too few questions to tell."""
    shared = match(first.marks.ids, second.marks.ids).shared
    one, other = first.marks.rows(shared), second.marks.rows(shared)
    counts = pair_counts(one.scores, other.scores)
    kept = (counts.pairs > 0) & one.readable.any(axis=1) & other.readable.any(axis=1)
    if kept.sum() < 2 * _BINS:
        return None
    margins = (counts.wins[kept] - counts.losses[kept]) / counts.pairs[kept]
    extra = (_mean_words(one) - _mean_words(other))[kept]
    points = []
    for place in np.array_split(np.argsort(extra, kind="stable"), _BINS):
        estimate = means(margins[place], MARGIN)[0].estimate(settings.confidence)
        points.append(Point(float(extra[place].mean()), shown(estimate)))
    return Plot(
        name=name,
        title="Does the longer one win?",
        caption=f"Win − loss of {first.run} on questions sorted by how many words more it uses than "
        f"{second.run} "
        "(equal numbers of questions at each point), with 95% intervals.",
        x=Axis(f"words more than {second.run}", *span([Interval(point.x) for point in points], include=0)),
        y=Axis("win − loss", *span([point.y for point in points], include=0)),
        series=(first.run,),
        points=(tuple(points),),
        joined=True,
    )


def _mean_words(marks: Marks) -> np.typing.NDArray[np.float64]:
    words: np.typing.NDArray[np.float64] = marks.words.sum(axis=1) / np.maximum(marks.readable.sum(axis=1), 1)
    return words


def _length_points(entry: Entry, settings: Settings) -> tuple[Point, ...]:
    marks, judge = entry.marks, entry.task_run.judge
    rows, columns = np.nonzero(marks.scores != UNSCORED)
    if judge is None or len(rows) < 2 * _BINS:
        return ()
    words, scores = marks.words[rows, columns], marks.scores[rows, columns] / judge.units
    bounds = Bounds(*judge.score_range)
    points = []
    for place in np.array_split(np.argsort(words, kind="stable"), _BINS):
        samples = np.bincount(rows[place], minlength=len(marks.ids))
        totals = np.bincount(rows[place], weights=scores[place], minlength=len(marks.ids))
        by_question = totals[samples > 0] / samples[samples > 0]
        estimate = means(by_question, bounds)[0].estimate(settings.confidence)
        points.append(Point(float(words[place].mean()), shown(estimate)))
    return tuple(points)
