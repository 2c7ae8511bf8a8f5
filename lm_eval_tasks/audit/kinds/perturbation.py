"""Perturbations: edits that make no explanation better, each beside a harmless one of the same size."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_tasks.audit.edits import edits, kinds
from lm_eval_tasks.audit.figures import above, mean_figure, said, score, shift_figure
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import AS_IT_IS, Answer, Figure, Finding, KindReport, Probe, pairs
from lm_eval_tasks.stats.estimation.intervals import SHARE, Bounds

CONTROL = ", control"


def probes(plan: Plan) -> list[Probe]:
    """Each statement as it is, with every edit, and with every edit's control."""
    found = []
    for place, drawn in enumerate(plan.statements):
        found.append(Probe(AS_IT_IS, drawn, drawn.statement))
        for edit in edits(drawn.explanation, plan.draws(f"edits/{place}")):
            for variant, text in ((edit.kind, edit.text), (edit.kind + CONTROL, edit.control)):
                found.append(Probe(variant, drawn, drawn.saying(text)))
    return found


def report(plan: Plan, answers: Sequence[Answer]) -> KindReport:
    """Of each edit: how the score moves, beside its control, and how often it stays."""
    figures: list[Figure] = []
    findings: list[Finding] = []
    risen, held = [], []
    for kind in kinds():
        of_kind = _figures(plan, answers, kind)
        figures += of_kind
        shift, beyond = of_kind[0], of_kind[2]
        if shift.estimate is None:
            findings.append(Finding("unknown", f"{kind}: {said(shift)} statements to tell anything"))
        elif above(shift, 0):
            why = (
                "more than harmless text of the same size"
                if above(beyond, 0)
                else "and so, as far as this tells, does harmless text of the same size: any addition helps"
            )
            moved = f"{said(shift)} points, {said(beyond)} beyond its control"
            findings.append(Finding("bad", f"its score rises with {kind} ({moved}), {why}"))
            risen.append(kind)
        elif above(beyond, 0):
            text = f"{kind} costs less than harmless text of the same size ({said(beyond)} points)"
            findings.append(Finding("doubtful", text))
        else:
            held.append(kind)
    if held:
        text = f"its score doesn't rise with {', '.join(held)}"
        findings.append(Finding("good", text))
    return KindReport(
        "perturbation",
        len(answers),
        sum(answer.score is not None for answer in answers),
        tuple(figures),
        tuple(findings),
    )


def _figures(plan: Plan, answers: Sequence[Answer], kind: str) -> list[Figure]:
    changed = pairs(answers, AS_IT_IS, kind)
    control = pairs(answers, AS_IT_IS, kind + CONTROL)
    both = pairs(answers, kind + CONTROL, kind)
    key = kind.replace(": ", ".").replace(" ", "_")
    beyond = [(edited.probe.question, score(edited) - score(harmless)) for harmless, edited in both]
    stays = [(after.probe.question, float(score(before) == score(after))) for before, after in changed]
    up = [(after.probe.question, float(score(after) > score(before))) for before, after in changed]
    return [
        shift_figure(f"{key}.shift", f"{kind}: shift", changed, plan.span),
        shift_figure(f"{key}.control", f"{kind}: of its control", control, plan.span),
        mean_figure(
            f"{key}.beyond",
            f"{kind}: beyond it",
            beyond,
            Bounds(-plan.span, plan.span),
            "points",
        ),
        mean_figure(f"{key}.stays", f"{kind}: same score", stays, SHARE),
        mean_figure(f"{key}.up", f"{kind}: higher score", up, SHARE),
    ]
