"""Self-consistency: the same statement several times, none from the cache. The noise under the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lm_eval_tasks.audit.figures import above, below, by_question, mean_figure, said
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import (
    FEWEST,
    FEWEST_QUESTIONS,
    Answer,
    Figure,
    Finding,
    KindReport,
    Probe,
)
from lm_eval_tasks.stats.estimation.intervals import SHARE, Bounds, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums
from lm_eval_tasks.stats.raters.coefficients import coefficients

NEVER = "never varies"
STEADY = 0.95
UNSTEADY = 0.8


def probes(plan: Plan) -> list[Probe]:
    """Every statement so many times."""
    return [
        Probe(f"repeat {repeat}", drawn, replace(drawn.statement, repeat=repeat))
        for drawn in plan.statements
        for repeat in range(1, plan.repeats + 1)
    ]


def report(plan: Plan, answers: Sequence[Answer]) -> KindReport:
    """Share of statements with one score, the score's spread, and agreement with itself by criterion."""
    whole = same_statements(plan, answers)
    scores = [(question, [answer.score or 0.0 for answer in found]) for question, found in whole]
    same = mean_figure(
        "consistency.same",
        f"same score in all {plan.repeats} askings",
        [(question, float(len(set(found)) == 1)) for question, found in scores],
        SHARE,
    )
    figures = [same, _spread(plan, scores)]
    for criterion in plan.rubric.criteria:
        table = np.array([[(a.places or {})[criterion.key] for a in found] for _, found in whole]).T
        alpha, known = None, same.estimate is not None
        if known:
            names = [question for question, _ in whole]
            alpha = coefficients(table.astype(np.float64), names, len(plan.rubric.scale)).alpha
        label = f"{criterion.name}: agreement with itself (alpha)"
        key = f"consistency.alpha.{criterion.key}"
        why = NEVER if known else "too few"
        figures.append(Figure(key, label, alpha, len(whole), "correlation", why))
    return KindReport(
        "consistency",
        len(answers),
        sum(answer.score is not None for answer in answers),
        tuple(figures),
        (_finding(same, plan),),
    )


def same_statements(plan: Plan, answers: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    """The answers on each statement all of whose askings got a verdict, with the question."""
    found: dict[tuple[str, str], list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.score is not None:
            found[answer.probe.question, answer.probe.sample.explanation].append(answer)
    return [(question, of) for (question, _), of in found.items() if len(of) == plan.repeats]


def _spread(plan: Plan, scores: Sequence[tuple[str, Sequence[float]]]) -> Figure:
    label = "spread of the score between askings (standard deviation)"
    sums = by_question((question, (float(np.var(found, ddof=1)), 1.0)) for question, found in scores)
    enough = len(scores) >= FEWEST and len(sums) >= FEWEST_QUESTIONS
    found = estimate_of(of_sums(sums, _root, Bounds(0, plan.span))) if enough else None
    return Figure("consistency.spread", label, found, len(scores), "points")


def _root(sums: Floats) -> Floats:
    found: Floats = np.sqrt(np.maximum(sums[:, 0], 0.0) / sums[:, 1])
    return found


def _finding(same: Figure, plan: Plan) -> Finding:
    if same.estimate is None:
        return Finding("unknown", f"whether it says the same again can't be told: {said(same)} statements")
    text = f"the same score in all {plan.repeats} askings: {said(same)} of the statements"
    if below(same, UNSTEADY):
        return Finding("bad", f"it doesn't say the same again; {text}")
    if above(same, UNSTEADY) and same.estimate.value >= STEADY:
        return Finding("good", f"it says the same again; {text}")
    return Finding("doubtful", f"it varies by itself; {text}")
