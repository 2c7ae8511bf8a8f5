"""Length and lists: whether the longer one of two explanations of a question gets the better score."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from lm_eval_tasks.audit.figures import above, below, better, by_question, ratio_figure, said
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import (
    AS_IT_IS,
    FEWEST,
    FEWEST_QUESTIONS,
    Answer,
    Figure,
    Finding,
    KindReport,
    Probe,
)
from lm_eval_tasks.stats.estimation.intervals import MARGIN, SHARE, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums

LONGER = 30
"""Characters by which an explanation is longer; less is no difference."""
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_STRONG = 0.65


def probes(plan: Plan) -> list[Probe]:
    """Several explanations of each of some questions."""
    return [Probe(AS_IT_IS, drawn, drawn.statement) for group in plan.groups for drawn in group]


def report(plan: Plan, answers: Sequence[Answer]) -> KindReport:
    """How often the longer one is preferred, or the one with a list; ties count a half."""
    longer = preference("longer", "the longer one is preferred", answers, _length, LONGER)
    alike = preference(
        "longer.alike", "the same, of two right or two wrong ones", answers, _length, LONGER, alike=True
    )
    lists = preference("list", "the one with a list is preferred", answers, _has_list, 0)
    rank = _rank_correlation(answers)
    finding = Finding("unknown", f"whether length moves its score can't be told: {said(alike)} pairs")
    if alike.estimate is not None:
        text = f"of two right or two wrong explanations it prefers the longer one in {said(alike)}"
        if above(alike, 0.5):
            grade = "bad" if alike.estimate.value >= _STRONG else "doubtful"
            text += "; longer ones may be better, so read it beside padding and its control"
            finding = Finding(grade, text)  # type: ignore[arg-type]
        elif below(alike, 0.5):
            finding = Finding("doubtful", f"{text}: it prefers short ones")
        else:
            finding = Finding("good", f"{text}: no preference that can be told")
    return KindReport(
        "length",
        len(answers),
        sum(answer.score is not None for answer in answers),
        (longer, alike, lists, rank),
        (finding,),
    )


def preference(
    key: str,
    label: str,
    answers: Sequence[Answer],
    size: Callable[[str], float],
    least: float,
    *,
    alike: bool = False,
) -> Figure:
    """How often the explanation of the larger size has the better score, over pairs of a question.

    Args:
        key: As in :class:`Figure`.
        label: Likewise.
        answers: On explanations as they are.
        size: Of a text.
        least: Pairs that differ by more than this count.
        alike: Whether only pairs count of which both choose right, or both wrong.
    """
    parts = []
    for question, found in grouped(answers).items():
        for first, second in combinations(found, 2):
            one, other = first.probe.sample, second.probe.sample
            if alike and one.sample.correct != other.sample.correct:
                continue
            gap = size(one.explanation) - size(other.explanation)
            if abs(gap) > least:
                parts.append((question, better(first, second) if gap > 0 else better(second, first), 1.0))
    return ratio_figure(key, label, parts, SHARE)


def grouped(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Answers with a verdict by question; each explanation once."""
    found: dict[str, dict[str, Answer]] = {}
    for answer in answers:
        if answer.score is not None and answer.probe.variant == AS_IT_IS:
            found.setdefault(answer.probe.question, {})[answer.probe.sample.explanation] = answer
    return {question: list(of.values()) for question, of in found.items()}


def _length(text: str) -> float:
    return float(len(text))


def _has_list(text: str) -> float:
    return float(bool(_LIST.search(text)))


def _rank_correlation(answers: Sequence[Answer]) -> Figure:
    """Spearman's, of score and words, where right and wrong ones are ranked by themselves."""
    from scipy.stats import rankdata

    rows = [answer for found in grouped(answers).values() for answer in found]
    table = []
    for right in (True, False):
        of = [answer for answer in rows if answer.probe.sample.sample.correct is right]
        if len(of) < 2:
            continue
        scores = rankdata([answer.score or 0.0 for answer in of])
        words = rankdata([len(answer.probe.sample.explanation.split()) for answer in of])
        x, y = scores - scores.mean(), words - words.mean()
        table += [
            (answer.probe.question, (a * b, a * a, b * b)) for answer, a, b in zip(of, x, y, strict=True)
        ]
    sums = by_question(table)
    enough = len(table) >= FEWEST and len(sums) >= FEWEST_QUESTIONS
    found = estimate_of(of_sums(sums, _correlation, MARGIN)) if enough else None
    label = "rank correlation of score and words, right and wrong ones apart"
    return Figure("length.correlation", label, found, len(table), "correlation")


def _correlation(sums: Floats) -> Floats:
    scale = np.sqrt(sums[:, 1] * sums[:, 2])
    found: Floats = np.where(scale > 0, sums[:, 0] / np.where(scale > 0, scale, 1.0), np.nan)
    return found
