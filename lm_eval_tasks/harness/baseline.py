"""The run that a task is compared with while it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping

from judges.errors import ConfigError, DataError
from judges.judge_info import JudgeInfo
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.tasks.spec import TaskSpec


def load_baseline(path: str, spec: TaskSpec, judge: JudgeInfo | None) -> Mapping[str, ScoredQuestion]:
    """The baseline's scored questions of one task, by question id.

    Args:
        path: Its run folder.
        spec: The task.
        judge: Who judges the new run; the baseline must have been judged by the same one.

    Raises:
        ConfigError: If scores of the two could not be compared.
        DataError: If the folder holds no samples of the task.
    """
    if judge is None:
        raise ConfigError(f"baseline {path}: comparing needs a judge for the new run as well (option judge)")
    task = load_run(path).task(spec.name)
    if task.judge is not None and not _same(task.judge, judge):
        task = _judged_by(judge, path, task)
    if task.judge is None:
        raise ConfigError(
            f"baseline {path}: its {spec.name} is not judged yet; "
            f"anchor-eval score {path} --judge ... does that"
        )
    if task.reply_form not in (None, str(spec.form)):
        raise ConfigError(
            f"baseline {path}: its model was asked {spec.name} in reply form {task.reply_form}, now it is "
            f"{spec.form}; set reply_form to {task.reply_form}"
        )
    if task.prompt_fingerprint not in (None, spec.fingerprint):
        raise ConfigError(
            f"baseline {path}: its model was asked {spec.name} with other prompts "
            f"({task.prompt_fingerprint}, now {spec.fingerprint})"
        )
    return task.questions


def _judged_by(judge: JudgeInfo, path: str, other: TaskRun) -> TaskRun:
    """The same task with this judge's judgements, where the folder has those of several."""
    try:
        task = load_run(path, judge=judge.name).task(other.task)
    except DataError:
        task = other
    if task.judge is None or not _same(task.judge, judge):
        known = task.judge
        raise ConfigError(
            f"baseline {path}: judged by {known.name if known else 'nobody'} with rubric "
            f"{known.asked if known else '-'}, the new run by {judge.name} with {judge.asked}; "
            f"anchor-eval score {path} --judge ... judges it again"
        )
    return task


def _same(first: JudgeInfo, second: JudgeInfo) -> bool:
    return (first.name, first.yardstick, dict(first.sampling)) == (
        second.name,
        second.yardstick,
        dict(second.sampling),
    )
