"""Audits a judge: probes of all kinds asked in one go, measured kind by kind, kept beside the samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from judges.errors import DataError
from judges.judge import Judge
from judges.output.progress import progress as phase
from judges.records import Assessment, Judgement
from judges.rubrics.rubric import Rubric
from judges.spending.estimate import Estimate
from judges.storage.files import read_object, sha256_of, write_json
from lm_eval_tasks.audit.kinds import (
    consistency,
    discrimination,
    length,
    order,
    perturbation,
    self_preference,
)
from lm_eval_tasks.audit.plan import Plan
from lm_eval_tasks.audit.records import KINDS, Answer, AuditReport, By, KindReport, Probe
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.runs.judgement_files import slug

_PROBES = {
    "consistency": consistency.probes,
    "perturbation": perturbation.probes,
    "order": order.probes,
    "length": length.probes,
    "discrimination": discrimination.probes,
    "self-preference": self_preference.probes,
}
_REPORTS = {
    "consistency": consistency.report,
    "perturbation": perturbation.report,
    "order": order.report,
    "length": length.report,
    "discrimination": discrimination.report,
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Whose judgements self-preference is measured against.

    Attributes:
        name: Of the judgements, e.g. ``human``.
        scores: (run, task/question, explanation) -> score in points.
    """

    name: str
    scores: Mapping[tuple[str, str, str], float]


def probes_of(plan: Plan, kinds: Sequence[str]) -> dict[str, list[Probe]]:
    """What the judge is asked for each kind."""
    return {kind: _PROBES[kind](plan) for kind in kinds}


def estimate(probes: Mapping[str, Sequence[Probe]], judge: Judge) -> dict[By, Estimate]:
    """What asking them would take now; what several kinds ask counts once."""
    judges = _judges(judge)
    return {
        by: judges[by].estimate(
            probe.statement for found in probes.values() for probe in found if probe.by == by
        )
        for by in judges
        if any(probe.by == by for found in probes.values() for probe in found)
    }


def ask(
    probes: Mapping[str, Sequence[Probe]], judge: Judge, progress: bool = True
) -> dict[str, list[Answer]]:
    """Has all probes judged; replies are in the judge's cache, so an audit that is stopped goes on there."""
    judges = _judges(judge)
    every = [(kind, probe) for kind, found in probes.items() for probe in found]
    assessments: dict[int, Assessment] = {}
    with phase(len(every), "auditing", shown=progress) as bar:
        for by, one in judges.items():
            places = [place for place, (_, probe) in enumerate(every) if probe.by == by]
            # Statements of one question after the other, so that an engine reads what they share once.
            places.sort(key=lambda place: every[place][1].question)
            for index, assessment in one.assess([every[place][1].statement for place in places]):
                assessments[places[index]] = assessment
                bar.update()
    answers: dict[str, list[Answer]] = {kind: [] for kind in probes}
    for place, (kind, probe) in enumerate(every):
        answers[kind].append(_answer(probe, assessments[place], judge.rubric))
    return answers


def audit(
    run: Run,
    plan: Plan,
    kinds: Sequence[str],
    judge: Judge,
    *,
    models: Mapping[str, str],
    reference: Reference | None = None,
    progress: bool = True,
) -> AuditReport:
    """Audits a judge on a run.

    Args:
        run: The run that the statements are of.
        plan: What was drawn of it.
        kinds: Which kinds of probes.
        judge: The judge.
        models: Run -> evaluated model, of the runs that self-preference is measured on.
        reference: Whom self-preference is measured against.
        progress: Whether the user sees how far it is.
    """
    before = judge.accounts
    probes = probes_of(plan, kinds)
    answers = ask(probes, judge, progress)
    spent = judge.accounts.since(before)
    found: list[KindReport] = []
    for kind in kinds:
        if kind == self_preference.KIND:
            found.append(
                self_preference.report(
                    plan,
                    answers[kind],
                    judge.info.model,
                    models,
                    {} if reference is None else reference.scores,
                    None if reference is None else reference.name,
                )
            )
        else:
            found.append(_REPORTS[kind](plan, answers[kind]))
    info = judge.info
    return AuditReport(
        judge=info.name,
        rubric=info.asked,
        model=run.model,
        run=run.name,
        tasks=tuple(plan.specs),
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        statements=len(plan.statements),
        seed=plan.seed,
        kinds=tuple(found),
        calls=spent.asked,
        price=spent.price,
        seconds=round(spent.seconds, 1),
        max_score=info.max_score / info.units,
        sources={
            run.task(task).samples_file.name: sha256_of(run.task(task).samples_file) for task in plan.specs
        },
    )


def reference_of(paths: Sequence[Path], name: str, tasks: Sequence[str]) -> Reference:
    """Reads whom self-preference is measured against.

    Raises:
        DataError: If a run lacks these judgements.
    """
    scores = {}
    for path in paths:
        run = load_run(path, judge=name)
        for task in tasks:
            if task not in run.tasks:
                continue
            of_task = run.task(task)
            units = of_task.judge.units if of_task.judge is not None else 1
            for scored in of_task.read():
                for sample in scored.responses:
                    if sample.score is not None and sample.response.explanation is not None:
                        key = run.name, f"{task}/{scored.question.id}", sample.response.explanation
                        scores[key] = sample.score / units
    return Reference(name, scores)


def audit_path(run: Run, judge: Judge) -> Path:
    """Where an audit is written: beside the samples of the run's first task."""
    folder = next(iter(run.tasks.values())).samples_file.parent
    return folder / f"audit_{slug(judge.info.slug)}.json"


def write_audit(path: Path, report: AuditReport) -> None:
    """Writes an audit; the file appears whole or not at all.

    Kinds that an earlier audit of the same replies has there, and this one hasn't, stay.
    """
    if path.is_file():
        with suppress(DataError, ValueError):  # no audit, or one of before
            report = _joined(report, AuditReport.from_json(read_object(path)))
    write_json(path, report.to_json(), "what the judge answered is stored")


def _joined(report: AuditReport, before: AuditReport) -> AuditReport:
    same = (before.judge, before.rubric, before.sources) == (report.judge, report.rubric, report.sources)
    anew = {found.kind for found in report.kinds}
    kept = [found for found in before.kinds if found.kind not in anew] if same else []
    if not kept:
        return report
    return replace(
        report,
        statements=max(before.statements, report.statements),
        kinds=tuple(sorted((*kept, *report.kinds), key=lambda found: KINDS.index(found.kind))),
        calls=before.calls + report.calls,
        price=None if before.price is None or report.price is None else before.price + report.price,
        seconds=round(before.seconds + report.seconds, 1),
    )


def read_audits(run: Run) -> list[AuditReport]:
    """The audits that were made with a run's explanations, by the judge's name.

    Raises:
        DataError: If a file isn't one.
    """
    found = []
    for folder in sorted({task.samples_file.parent for task in run.tasks.values()}):
        for path in sorted(folder.glob("audit_*.json")):
            try:
                found.append(replace(AuditReport.from_json(read_object(path)), run=run.name))
            except ValueError as error:
                raise DataError(f"{path}: not an audit ({error})") from None
    return found


def _judges(judge: Judge) -> dict[By, Judge]:
    turned = replace(judge.rubric, criteria=tuple(reversed(judge.rubric.criteria)))
    return {"rubric": judge, "reversed criteria": judge.asking_by(turned)}


def _answer(probe: Probe, assessment: Assessment, rubric: Rubric) -> Answer:
    outcome = assessment.outcome
    if not isinstance(outcome, Judgement):
        return Answer(probe, None, None)
    worst_first = {verdict: place for place, verdict in enumerate(reversed(list(rubric.scale)))}
    places = {key: worst_first[verdict] for key, verdict in outcome.verdicts.items()}
    return Answer(probe, rubric.score(outcome) / rubric.units, places)
