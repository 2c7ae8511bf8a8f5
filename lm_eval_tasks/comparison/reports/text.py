"""Compared runs as text for people and as JSON for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.faithfulness import faithfulness_json, faithfulness_text
from lm_eval_tasks.comparison.named import Report
from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings
from lm_eval_tasks.comparison.standings import Pair, Table, family_of
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import INTERVAL_METHOD
from lm_eval_tasks.tables import percent, signed_percent, text_table


def as_text(report: Report, settings: Settings, *, details: bool = False) -> str:
    """Tables: the runs, the pairs, the ratings; then what a reader must know.

    Args:
        report: What came out.
        settings: How it was estimated.
        details: Whether to add rates by correctness and at equal length.
    """
    table = report.table
    interval = f"{100 * settings.confidence:g}% interval"
    judged = f"judge: {_listed(report.judges)}; rubric: {_listed(report.rubrics)}"
    parts = [judged, _entries(table, settings)]
    parts += [_pair(pair, interval, table) for pair in table.pairs.values()]
    parts.append(faithfulness_text(table))
    if details:
        parts += [_details(pair, interval) for pair in table.pairs.values()]
    if len(table.runs) > 2 and table.ratings:
        parts.append(_ratings(table, interval))
    for lines in (_legend(table, settings), map(str, report.notes)):
        parts.append("\n".join(map(_wrapped, lines)))
    return "\n\n".join(part for part in parts if part)


def as_json(report: Report, settings: Settings) -> dict[str, Any]:
    """Everything, in shares of 1 (not percent)."""
    table = report.table
    several = len(table.runs) > 2
    return {
        "settings": {**asdict(settings), "interval": INTERVAL_METHOD, "unit": "question"},
        "judges": list(report.judges),
        "rubrics": list(report.rubrics),
        "runs": [
            _entry_json(task, entry, settings)
            for task, of_task in table.entries.items()
            for entry in of_task.values()
        ],
        "pairs": [_pair_json(pair, table) for pair in table.pairs.values()],
        "ratings": [asdict(rating) for rating in table.ratings if several],
        "groups": [list(group) for group in table.groups if several],
        "notes": [str(note) for note in report.notes],
    }


def _entries(table: Table, settings: Settings) -> str:
    rows = [
        (
            entry.run,
            task,
            str(len(entry.marks.ids)),
            str(entry.samples),
            _accuracy(entry, settings),
            _score(entry, settings),
            percent(entry.readable),
            percent(entry.judged),
            "-" if entry.words is None else f"{entry.words:.0f}",
        )
        for task, of_task in table.entries.items()
        for entry in of_task.values()
    ]
    header = ("run", "task", "questions", "N", "accuracy", "score", "readable", "judged", "words")
    return text_table(header, rows, left=2)


def _accuracy(entry: Entry, settings: Settings) -> str:
    if entry.accuracy is None:
        return "-"
    found = entry.accuracy.estimate(settings.confidence)
    spread = "" if entry.spread is None else f" ± {percent(entry.spread)}"
    error = "" if found.stderr is None else f" (se {percent(found.stderr)})"
    return f"{percent(found.value)}{spread}{error}"


def _score(entry: Entry, settings: Settings) -> str:
    if entry.score is None:
        return "-"
    found = entry.score.estimate(settings.confidence)
    error = "" if found.stderr is None else f" (se {found.stderr:.2f})"
    return f"{found.value:.2f}{error}"


def _pair(pair: Pair, interval: str, table: Table) -> str:
    rows = [
        _rates(task, len(found.matched.shared) - found.unscored, found, found.p_value)
        for task, found in pair.tasks.items()
    ]
    total = pair.overall
    if len(rows) > 1:
        rows.append(_rates(f"mean of {len(rows)} tasks", total.margin.questions, total, total.p_value))
    header = ("task", "questions", "win", "tie", "loss", "win - loss", interval, "p")
    title = f"{pair.first} against {pair.second}"
    if len(table.pairs) > 1:
        title += f" (p {p_text(pair.adjusted_p)} after Holm's correction)"
    return f"{title}\n{text_table(header, rows)}"


def _rates(name: str, questions: int, found: Comparison | Overall, p: float | None) -> tuple[str, ...]:
    return (
        name,
        str(questions),
        percent(found.win.value),
        percent(found.tie.value),
        percent(found.loss.value),
        signed_percent(found.margin.value),
        _interval(found.margin),
        p_text(p),
    )


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"[{signed_percent(estimate.low)}, {signed_percent(estimate.high)}]"


def p_text(p: float | None) -> str:
    """A p value as tables have it."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _details(pair: Pair, interval: str) -> str:
    lines = [f"{pair.first} against {pair.second}, in detail"]
    for task, found in pair.tasks.items():
        rows = [
            (
                stratum.name,
                percent(stratum.share),
                str(stratum.questions),
                *(
                    (percent(stratum.win.value), percent(stratum.loss.value))
                    if stratum.win and stratum.loss
                    else ("-", "-")
                ),
                "-" if stratum.margin is None else signed_percent(stratum.margin.value),
                "-" if stratum.margin is None else _interval(stratum.margin),
            )
            for stratum in found.strata
        ]
        header = ("pairs of samples", "share", "questions", "win", "loss", "win - loss", interval)
        if rows:
            lines += [f"{task}, by correctness", text_table(header, rows)]
        length = found.equal_length
        if length is not None:
            lines.append(
                f"{task}, at equal length: "
                f"win {percent(length.win.value)}, loss {percent(length.loss.value)}, "
                f"win - loss {signed_percent(length.margin.value)} {_interval(length.margin)}; "
                f"{pair.first} writes {length.length_ratio:.2f} times as much"
            )
        if found.accuracy is not None:
            lines.append(
                f"{task}, accuracy: {signed_percent(found.accuracy.value)} {_interval(found.accuracy)} "
                f"on the {len(found.matched.shared)} shared questions"
            )
    return "\n".join(lines)


def _ratings(table: Table, interval: str) -> str:
    letters = {group: chr(ord("a") + place % 26) for place, group in enumerate(table.groups)}
    rows = [
        (
            rating.name,
            f"{rating.value:.0f}",
            f"[{rating.low:.0f}, {rating.high:.0f}]",
            "".join(letter for group, letter in letters.items() if rating.name in group),
        )
        for rating in table.ratings
    ]
    head = ("rating", "points", interval, "group")
    if not letters:  # compared with a baseline only: who can be told apart from whom wasn't tested
        return text_table(head[:-1], [row[:-1] for row in rows])
    return text_table(head, rows)


def _legend(table: Table, settings: Settings) -> Iterator[str]:
    yield (
        "Rates in percent, over all pairs of samples; differences in points. Intervals and p: "
        f"{INTERVAL_METHOD}. Accuracy: mean ± spread over the samples (no interval). Score: points of the "
        "rubric. Readable: both tags; judged: with a verdict, of all replies."
    )
    if len(table.pairs) > 1:
        names = next(iter(table.pairs))
        yield f"Holm's correction is over {family_of(names, table.baseline)}."
    if len(table.runs) > 2 and table.ratings:
        yield (
            "Ratings: Bradley-Terry with ties, 400 points are odds of 10 : 1; percentile bootstrap by "
            f"question, {settings.draws} draws, seed {settings.seed}. They count how often a run is better, "
            "scores by how much on average: the two orders may differ."
        )
        if table.groups:
            yield "Runs with a letter in common can't be told apart (Holm-corrected tests, 5%)."


def _wrapped(line: str) -> str:
    return textwrap.fill(line, width=100, subsequent_indent="  ", break_on_hyphens=False)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(names) if names else "not known"


def _entry_json(task: str, entry: Entry, settings: Settings) -> dict[str, Any]:
    return {
        "run": entry.run,
        "task": task,
        "questions": len(entry.marks.ids),
        "samples": entry.samples,
        "accuracy": None if entry.accuracy is None else asdict(entry.accuracy.estimate(settings.confidence)),
        "spread": entry.spread,
        "score": None if entry.score is None else asdict(entry.score.estimate(settings.confidence)),
        "readable": entry.readable,
        "explanation_readable": entry.explained,
        "judged": entry.judged,
        "words": entry.words,
        "length_correlation": entry.length_correlation,
        **({"faithfulness": faithfulness_json(entry)} if entry.task_run.probes else {}),
    }


def _pair_json(pair: Pair, table: Table) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "adjusted_p": pair.adjusted_p,
        "adjusted_over": family_of((pair.first, pair.second), table.baseline),
        "overall": asdict(pair.overall),
        "tasks": {task: _comparison_json(found) for task, found in pair.tasks.items()},
    }


def _comparison_json(found: Comparison) -> dict[str, Any]:
    return {
        "questions": len(found.matched.shared) - found.unscored,
        "only_first": list(found.matched.only_first),
        "only_second": list(found.matched.only_second),
        "unscored": found.unscored,
        **{name: asdict(getattr(found, name)) for name in ("win", "tie", "loss", "margin")},
        "accuracy": None if found.accuracy is None else asdict(found.accuracy),
        "p_value": found.p_value,
        "bounds": found.bounds,
        "length_matters": found.length_matters,
        "equal_length": None if found.equal_length is None else asdict(found.equal_length),
        "strata": [asdict(stratum) for stratum in found.strata],
    }
