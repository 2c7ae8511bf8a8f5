"""Runs as everybody may see them: without addresses of judges, paths of models, and names of raters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

from judges.judge_info import JudgeInfo
from judges.records import Unjudged
from lm_eval_tasks.publishing.addresses import LEFT_OUT, without_places
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.runs.judgement_files import PEOPLE, JudgementSummary

_ANY = ("adapter", "merged", "model", "final")
_AT = f"@{LEFT_OUT['address']}"


def shown_run(run: Run) -> Run:
    """A run as everybody may see it.

    What models wrote, explanations and judges' replies, stays as it is; why a reply or a verdict is missing
    is told without the addresses in it.
    """
    tasks = {name: _shown_task(task, run.name) for name, task in run.tasks.items()}
    notes = tuple(map(without_places, run.notes))
    return replace(run, model=model_name(run.model, run.name), tasks=tasks, notes=notes)


def model_name(name: str, run: str | None = None) -> str:
    """A model's name; of a folder its last part.

    Args:
        name: The name, also one that the harness has made of a path (``__home__...``).
        run: The run's name, which stands for a folder that is called what all are.
    """
    path = Path(name)
    if name.startswith("__"):
        path = Path(name.rpartition("__")[2])
    elif not (path.is_absolute() or name.startswith((".", "~")) or "\\" in name):
        return without_places(name)
    return run if run is not None and path.name in _ANY else path.name or LEFT_OUT["path"]


def judge_name(name: str) -> str:
    """A judge's name without the address where it answers; of a model that is a folder the last part."""
    kind, colon, rest = name.partition(":")
    if colon and rest.startswith(("/", "~", ".")):
        return f"{kind}:{model_name(rest)}"
    return without_places(name).replace(_AT, "")


class _ShownTask(TaskRun):
    """A task of a run whose replies are read as everybody may see them."""

    def read(self) -> Iterator[ScoredQuestion]:
        return map(_shown_question, super().read())

    def read_samples(self) -> Iterator[ScoredQuestion]:
        return map(_shown_question, super().read_samples())


def _shown_task(task: TaskRun, run: str) -> TaskRun:
    values = {field.name: getattr(task, field.name) for field in fields(task)}
    return _ShownTask(
        **{
            **values,
            "model": model_name(task.model, run),
            "summary": None if task.summary is None else _shown_summary(task.summary, run),
            "inline_judge": None if task.inline_judge is None else _shown_judge(task.inline_judge),
            "judgements": tuple(name for name in task.judgements if not name.startswith(f"{PEOPLE}-")),
            "left_out": tuple(map(without_places, task.left_out)),
        }
    )


def _shown_summary(summary: JudgementSummary, run: str) -> JudgementSummary:
    notes = summary.notes
    if summary.judge.backend == PEOPLE:
        notes = tuple(note.partition(":")[0] for note in notes)  # how many they are, without their names
    return replace(
        summary,
        name=PEOPLE if summary.judge.backend == PEOPLE else summary.name,
        model=model_name(summary.model, run),
        judge=_shown_judge(summary.judge),
        notes=tuple(map(without_places, notes)),
        failures={without_places(reason): count for reason, count in summary.failures.items()},
        unanswered={without_places(reason): count for reason, count in summary.unanswered.items()},
    )


def _shown_judge(judge: JudgeInfo) -> JudgeInfo:
    if judge.backend == PEOPLE:
        return replace(judge, name="people", model="people")
    return replace(judge, name=judge_name(judge.name), model=model_name(judge.model))


def _shown_question(scored: ScoredQuestion) -> ScoredQuestion:
    return replace(scored, responses=tuple(map(_shown_response, scored.responses)))


def _shown_response(scored: ScoredResponse) -> ScoredResponse:
    response, assessment = scored.response, scored.assessment
    if response.failure is not None:
        response = replace(response, failure=without_places(response.failure))
    if assessment is not None and isinstance(assessment.outcome, Unjudged):
        outcome = replace(assessment.outcome, detail=without_places(assessment.outcome.detail))
        assessment = replace(assessment, outcome=outcome)
    return replace(scored, response=response, assessment=assessment)
