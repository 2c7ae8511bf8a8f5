"""Self-preference: does the judge favour models of its own family more than people or another judge do?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from judges.models.family import family
from lm_eval_tasks.audit.figures import above, by_question, said, score
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
from lm_eval_tasks.stats.estimation.intervals import Bounds, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums

KIND = "self-preference"


def probes(plan: Plan) -> list[Probe]:
    """One explanation of each run to the same questions."""
    return [Probe(run, drawn, drawn.statement) for run, found in plan.others.items() for drawn in found]


def report(
    plan: Plan,
    answers: Sequence[Answer],
    judge_model: str,
    models: Mapping[str, str],
    reference: Mapping[tuple[str, str, str], float],
    reference_name: str | None,
) -> KindReport:
    """How much further the judge puts its own family above the others than the reference does.

    Args:
        plan: What was drawn.
        answers: Of the judge.
        judge_model: Its model.
        models: Run -> evaluated model.
        reference: (run, question, explanation) -> the reference's score, in points.
        reference_name: Who that is; None without one.
    """
    own = {run for run, model in models.items() if _same(judge_model, model)}
    missing = None
    if reference_name is None:
        missing = "it takes a reference: --reference human, or another judge's judgements"
    elif not own or len(own) == len(models):
        missing = f"of {', '.join(models.values())} {'all are' if own else 'none is'} of the judge's family"
    rows = []
    if missing is None:
        for answer in answers:
            key = answer.probe.variant, answer.probe.question, answer.probe.sample.explanation
            if answer.score is not None and key in reference:
                gap = score(answer) - reference[key]
                mine = answer.probe.variant in own
                rows.append((answer.probe.question, (gap, 1.0, 0.0, 0.0) if mine else (0.0, 0.0, gap, 1.0)))
    sums = by_question(rows)
    enough = len(rows) >= FEWEST and len(sums) >= FEWEST_QUESTIONS
    bounds = Bounds(-2 * plan.span, 2 * plan.span)
    figure = Figure(
        f"{KIND}.beyond",
        f"own family above others, beyond {reference_name or 'a reference'}",
        estimate_of(of_sums(sums, _gap, bounds)) if enough else None,
        len(rows),
        "points",
    )
    return KindReport(
        KIND,
        len(answers),
        sum(answer.score is not None for answer in answers),
        (figure,),
        (_finding(figure, missing, reference_name),),
    )


def _same(judge_model: str, model: str) -> bool:
    mine = family(judge_model)
    return judge_model == model or (mine is not None and mine == family(model))


def _gap(sums: Floats) -> Floats:
    found: Floats = sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3]
    return found


def _finding(figure: Figure, missing: str | None, reference: str | None) -> Finding:
    if missing is not None:
        return Finding("unknown", f"whether it favours its own family can't be told: {missing}")
    if figure.estimate is None:
        return Finding("unknown", f"whether it favours its own family can't be told: {said(figure)} ratings")
    text = f"puts its own family above others by {said(figure)} points more than {reference} does"
    if above(figure, 0):
        return Finding("bad", f"it favours its own family: it {text}")
    return Finding("good", f"no favour for its own family that can be told: it {text}")
