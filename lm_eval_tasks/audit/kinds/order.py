"""Order inside the prompt: the criteria in the opposite order, and the choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from judges.records import Statement
from lm_eval_tasks.audit.figures import below, mean_figure, said, score, shift_figure
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import AS_IT_IS, Answer, Figure, Finding, KindReport, Probe, pairs
from lm_eval_tasks.records import Choice
from lm_eval_tasks.runs.drawing import Drawn
from lm_eval_tasks.runs.judging.scoring import statement_of
from lm_eval_tasks.stats.estimation.intervals import SHARE

AGAIN = "asked again"
CRITERIA = "criteria reversed"
CHOICES = "choices reversed"


def probes(plan: Plan) -> list[Probe]:
    """Each statement as it is, once more as the control, and in both other orders."""
    found = []
    for drawn in plan.statements:
        plain = drawn.statement
        found += [
            Probe(AS_IT_IS, drawn, plain),
            Probe(AGAIN, drawn, replace(plain, repeat=1)),
            Probe(CRITERIA, drawn, plain, by="reversed criteria"),
        ]
        turned = _turned(plan, drawn)
        if turned is not None:
            found.append(Probe(CHOICES, drawn, turned))
    return found


def report(plan: Plan, answers: Sequence[Answer]) -> KindReport:
    """Share of verdicts that stay, beside the share that stays when nothing is changed."""
    figures: list[Figure] = []
    findings = []
    for variant in (AGAIN, CRITERIA, CHOICES):
        found = pairs(answers, AS_IT_IS, variant)
        key = variant.replace(" ", "_")
        figures.append(_kept(f"{key}.kept", f"{variant}: verdicts that stay", found))
        stays = [(after.probe.question, float(score(before) == score(after))) for before, after in found]
        figures.append(mean_figure(f"{key}.stays", f"{variant}: same score", stays, SHARE))
        figures.append(shift_figure(f"{key}.shift", f"{variant}: shift", found, plan.span))
    again = figures[0]
    for variant, kept in ((CRITERIA, figures[3]), (CHOICES, figures[6])):
        if kept.estimate is None:
            findings.append(Finding("unknown", f"{variant}: {said(kept)} verdicts to tell anything"))
            continue
        floor = again.estimate.low if again.estimate is not None else None
        text = f"{said(kept)} of the verdicts stay with the {variant} ({said(again)} when nothing is changed)"
        if floor is not None and below(kept, floor):
            grade = "bad" if kept.estimate.value < _FEW else "doubtful"
            findings.append(Finding(grade, f"order matters: {text}"))  # type: ignore[arg-type]
        else:
            findings.append(Finding("good", text))
    missing = len(plan.statements) - sum(answer.probe.variant == CHOICES for answer in answers)
    notes = (
        [f"{missing} of {len(plan.statements)} explanations name a choice by its label; its order stays"]
        if missing
        else []
    )
    return KindReport(
        "order",
        len(answers),
        sum(answer.score is not None for answer in answers),
        tuple(figures),
        tuple(findings),
        tuple(notes),
    )


_FEW = 0.8


def _kept(key: str, label: str, found: Sequence[tuple[Answer, Answer]]) -> Figure:
    values = [
        (after.probe.question, float((before.places or {})[criterion] == place))
        for before, after in found
        for criterion, place in (after.places or {}).items()
    ]
    return mean_figure(key, label, values, SHARE)


def _turned(plan: Plan, drawn: Drawn) -> Statement | None:
    """The same with its choices in the opposite order under the same labels; None if they are named."""
    question = drawn.question
    labels = "|".join(map(re.escape, question.labels))
    if re.search(rf"\b(?:{labels})\b", drawn.explanation):
        return None
    texts = [choice.text for choice in reversed(question.choices)]
    choices = tuple(Choice(label, text) for label, text in zip(question.labels, texts, strict=True))
    labelled = dict(zip(question.labels, reversed(question.labels), strict=True))
    gold = labelled.get(question.gold, question.gold)
    turned = replace(question, choices=choices, gold=gold)
    choice = drawn.sample.response.choice
    return statement_of(
        plan.specs[drawn.task].shown_question(turned),
        turned,
        drawn.explanation,
        None if choice is None else labelled[choice],
    )
