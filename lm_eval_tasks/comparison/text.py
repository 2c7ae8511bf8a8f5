"""A tournament as text for people and as JSON for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lm_eval_tasks.comparison.pair import Comparison, Overall, Settings
from lm_eval_tasks.comparison.tournament import Entry, Pair, Tournament
from lm_eval_tasks.stats.estimates import Estimate
from lm_eval_tasks.stats.intervals import INTERVAL_METHOD
from lm_eval_tasks.tables import percent, signed_percent, text_table


def as_text(tournament: Tournament, settings: Settings, *, details: bool = False) -> str:
    """Tables: the runs, the pairs, the ratings; then what a reader must know.

    Args:
        tournament: What came out.
        settings: How it was estimated.
        details: Whether to add rates by correctness and at equal length.
    """
    interval = f"{100 * settings.confidence:g}% interval"
    judged = f"judge: {_listed(tournament.judges)}; rubric: {_listed(tournament.rubrics)}"
    parts = [judged, _entries(tournament)]
    parts += [_pair(pair, interval, adjusted=len(tournament.pairs) > 1) for pair in tournament.pairs]
    if details:
        parts += [_details(pair, interval) for pair in tournament.pairs]
    if tournament.ratings:
        parts.append(_ratings(tournament, interval))
    for lines in (_legend(tournament, settings), tournament.notes):
        parts.append("\n".join(map(_wrapped, lines)))
    return "\n\n".join(part for part in parts if part)


def as_json(tournament: Tournament, settings: Settings) -> dict[str, Any]:
    """Everything, in shares of 1 (not percent)."""
    return {
        "settings": {**asdict(settings), "interval": INTERVAL_METHOD, "unit": "question"},
        "judges": list(tournament.judges),
        "rubrics": list(tournament.rubrics),
        "runs": [asdict(entry) for entry in tournament.entries],
        "pairs": [_pair_json(pair) for pair in tournament.pairs],
        "ratings": [asdict(rating) for rating in tournament.ratings],
        "groups": [list(group) for group in tournament.groups],
        "notes": list(tournament.notes),
    }


def _entries(tournament: Tournament) -> str:
    rows = [
        (
            entry.run,
            entry.task,
            str(entry.questions),
            str(entry.samples),
            _accuracy(entry),
            _score(entry),
            percent(entry.readable),
            percent(entry.judged),
            "-" if entry.words is None else f"{entry.words:.0f}",
        )
        for entry in tournament.entries
    ]
    header = ("run", "task", "questions", "N", "accuracy", "explanation", "readable", "judged", "words")
    return text_table(header, rows, left=2)


def _accuracy(entry: Entry) -> str:
    spread = "" if entry.spread is None else f" ± {percent(entry.spread)}"
    error = "" if entry.accuracy.stderr is None else f" (se {percent(entry.accuracy.stderr)})"
    return f"{percent(entry.accuracy.value)}{spread}{error}"


def _score(entry: Entry) -> str:
    if entry.score is None:
        return "-"
    error = "" if entry.score.stderr is None else f" (se {entry.score.stderr:.2f})"
    return f"{entry.score.value:.2f}{error}"


def _pair(pair: Pair, interval: str, *, adjusted: bool) -> str:
    rows = [
        _rates(task, len(found.matched.shared) - found.unscored, found, found.p_value)
        for task, found in pair.tasks.items()
    ]
    total = pair.overall
    if len(rows) > 1:
        rows.append(_rates(f"mean of {len(rows)} tasks", total.margin.questions, total, total.p_value))
    header = ("task", "questions", "win", "tie", "loss", "win - loss", interval, "p")
    title = f"{pair.first} against {pair.second}"
    if adjusted:
        title += f" (p {_p(pair.adjusted_p)} after Holm's correction)"
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
        _p(p),
    )


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return "-"
    return f"[{signed_percent(estimate.low)}, {signed_percent(estimate.high)}]"


def _p(p: float | None) -> str:
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
        lines += [f"{task}, by correctness", text_table(header, rows)]
        length = found.equal_length
        if length is not None:
            lines.append(
                f"{task}, at equal length: "
                f"win {percent(length.win.value)}, loss {percent(length.loss.value)}, "
                f"win - loss {signed_percent(length.margin.value)} {_interval(length.margin)}; "
                f"{pair.first} writes {length.length_ratio:.2f} times as much"
            )
        lines.append(
            f"{task}, accuracy: {signed_percent(found.accuracy.value)} {_interval(found.accuracy)} "
            f"on the {len(found.matched.shared)} shared questions"
        )
    return "\n".join(lines)


def _ratings(tournament: Tournament, interval: str) -> str:
    letters = {group: chr(ord("a") + place % 26) for place, group in enumerate(tournament.groups)}
    rows = [
        (
            rating.name,
            f"{rating.value:.0f}",
            f"[{rating.low:.0f}, {rating.high:.0f}]",
            "".join(letter for group, letter in letters.items() if rating.name in group),
        )
        for rating in tournament.ratings
    ]
    head = ("rating", "points", interval, "group")
    if not letters:  # compared with a baseline only: who can be told apart from whom wasn't tested
        return text_table(head[:-1], [row[:-1] for row in rows])
    return text_table(head, rows)


def _legend(tournament: Tournament, settings: Settings) -> Iterator[str]:
    yield (
        f"Rates in percent, over all pairs of samples. Intervals and p: {INTERVAL_METHOD}. "
        "Accuracy: mean ± spread over the samples."
    )
    if tournament.ratings:
        yield (
            "Ratings: Bradley-Terry with ties, 400 points are odds of 10 : 1; "
            f"percentile bootstrap by question, {settings.draws} draws, seed {settings.seed}."
        )
        if tournament.groups:
            yield "Runs with a letter in common can't be told apart (Holm-corrected tests, 5%)."


def _wrapped(line: str) -> str:
    return textwrap.fill(line, width=100, subsequent_indent="  ", break_on_hyphens=False)


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(names) if names else "not known"


def _pair_json(pair: Pair) -> dict[str, Any]:
    return {
        "first": pair.first,
        "second": pair.second,
        "adjusted_p": pair.adjusted_p,
        "overall": asdict(pair.overall),
        "tasks": {task: _comparison_json(found) for task, found in pair.tasks.items()},
    }


def _comparison_json(found: Comparison) -> dict[str, Any]:
    return {
        "questions": len(found.matched.shared) - found.unscored,
        "only_first": list(found.matched.only_first),
        "only_second": list(found.matched.only_second),
        "unscored": found.unscored,
        **{name: asdict(getattr(found, name)) for name in ("win", "tie", "loss", "margin", "accuracy")},
        "p_value": found.p_value,
        "bounds": found.bounds,
        "length_matters": found.length_matters,
        "equal_length": None if found.equal_length is None else asdict(found.equal_length),
        "strata": [asdict(stratum) for stratum in found.strata],
    }
