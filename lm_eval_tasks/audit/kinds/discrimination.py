"""Discrimination without people: right against wrong choices of a question, and planted errors."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_tasks.audit.figures import above, below, better, mean_figure, ratio_figure, said
from lm_eval_tasks.audit.flaws import FLAWS
from lm_eval_tasks.audit.kinds.length import grouped
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import AS_IT_IS, Answer, Figure, Finding, KindReport, Probe, pairs
from lm_eval_tasks.stats.estimation.intervals import SHARE

CLEAN = "right, as it is"
FACTS = "factual_accuracy"
_GOOD = 0.8
"""Points from which on a verdict is GOOD, of 1 for the best."""
_USEFUL = 0.75
_WEAK = 0.6
_MANY_FOOLED = 0.5


def probes(plan: Plan) -> list[Probe]:
    """Explanations of a question beside each other; right ones as they are and with one error each."""
    found = [Probe(AS_IT_IS, drawn, drawn.statement) for group in plan.groups for drawn in group]
    for place, drawn in enumerate(plan.right):
        found.append(Probe(CLEAN, drawn, drawn.statement))
        for name, rule in FLAWS.items():
            text = rule(drawn.explanation, drawn.text, plan.draws(f"{name}/{place}"))
            if text is not None and text != drawn.explanation:
                found.append(Probe(name, drawn, drawn.saying(text)))
    return found


def report(plan: Plan, answers: Sequence[Answer]) -> KindReport:
    """How often the better one of two has the better score (0.5: as a coin does), and who is fooled."""
    planted = [
        (after.probe.question, better(before, after), 1.0)
        for name in FLAWS
        for before, after in pairs(answers, CLEAN, name)
    ]
    flaw = ratio_figure("flaw", "planted error found (AUC)", planted, SHARE)
    each = [
        mean_figure(
            f"flaw.{name.replace(' ', '_')}",
            f"planted error found, {name}",
            [(after.probe.question, better(before, after)) for before, after in pairs(answers, CLEAN, name)],
            SHARE,
        )
        for name in FLAWS
    ]
    right = _right_over_wrong(answers)
    fooled = _fooled(plan, answers)
    figures = [flaw, *each, right, *([] if fooled is None else [fooled])]
    findings = [_of_flaws(flaw), _of_choices(right), *([] if fooled is None else [_of_fooled(fooled)])]
    return KindReport(
        "discrimination",
        len(answers),
        sum(answer.score is not None for answer in answers),
        tuple(figures),
        tuple(findings),
        () if fooled is not None else (f"the rubric has no criterion {FACTS}: nobody can be fooled by it",),
    )


def _right_over_wrong(answers: Sequence[Answer]) -> Figure:
    parts = [
        (question, better(right, wrong), 1.0)
        for question, found in grouped(answers).items()
        for right in found
        if right.probe.sample.sample.correct
        for wrong in found
        if not wrong.probe.sample.sample.correct
    ]
    return ratio_figure("right", "right choice's explanation above a wrong one's (AUC)", parts, SHARE)


def _fooled(plan: Plan, answers: Sequence[Answer]) -> Figure | None:
    if FACTS not in {criterion.key for criterion in plan.rubric.criteria}:
        return None
    points = [float(value) for value in plan.rubric.scale.values()]
    good = [len(points) - 1 - place for place, value in enumerate(points) if value >= _GOOD * max(points)]
    values = [
        (question, float((answer.places or {})[FACTS] in good))
        for question, found in grouped(answers).items()
        for answer in found
        if not answer.probe.sample.sample.correct
    ]
    return mean_figure("fooled", "wrong choices whose explanation is called factually good", values, SHARE)


def _of_flaws(flaw: Figure) -> Finding:
    if flaw.estimate is None:
        return Finding("unknown", f"whether it finds planted errors can't be told: {said(flaw)} pairs")
    if not above(flaw, 0.5) or below(flaw, _WEAK):
        text = f"it can't tell explanations with a planted error from clean ones: AUC {said(flaw)}"
        return Finding("bad", text)
    if flaw.estimate.value < _USEFUL:
        return Finding("doubtful", f"it finds planted errors, but few of them: AUC {said(flaw)}")
    return Finding("good", f"it tells explanations with a planted error from clean ones: AUC {said(flaw)}")


def _of_choices(right: Figure) -> Finding:
    if right.estimate is None:
        return Finding("unknown", f"whether it prefers right choices can't be told: {said(right)} pairs")
    if not above(right, 0.5) or below(right, _WEAK):
        return Finding("bad", f"it can't tell right from wrong explanations: AUC {said(right)}")
    if right.estimate.value < _USEFUL:
        return Finding("doubtful", f"it tells right from wrong explanations weakly: AUC {said(right)}")
    return Finding("good", f"it tells right from wrong explanations: AUC {said(right)}")


def _of_fooled(fooled: Figure) -> Finding:
    if fooled.estimate is None:
        return Finding("unknown", f"how often wrong choices fool it can't be told: {said(fooled)} of them")
    text = f"calls {said(fooled)} of the explanations of wrong choices factually good"
    if above(fooled, _MANY_FOOLED):
        return Finding("bad", f"it is easily fooled: it {text}")
    return Finding("good" if below(fooled, _MANY_FOOLED / 2) else "doubtful", f"it {text}")
