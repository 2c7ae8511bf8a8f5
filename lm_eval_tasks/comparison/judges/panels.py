"""Panels, member by member: how each agrees with the others, and what the runs' order would be without it.

A member is compared with the median of the others and not with the panel, which its own verdicts are part of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import numpy as np

from judges.errors import AnchorError
from judges.judge_info import JudgeInfo
from judges.records import Judgement
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Rubric
from judges.rubrics.rubric_files import rubric_from
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun, load_run
from lm_eval_tasks.runs.judging.panel import KIND, members_of
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import Bounds, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums
from lm_eval_tasks.stats.raters.coefficients import coefficients

FEWEST = 30
"""Explanations below which a member is given no figures."""


@dataclass(frozen=True, slots=True)
class Member(JsonRecord):
    """A member of a panel beside the others.

    Attributes:
        name: Its name.
        kappa: Agreement of its scores with the median verdicts of the others, quadratic weights.
        same: Share of explanations with the same score.
        above: How many points its scores are above theirs.
        order: Runs by the mean score that the panel would give without it, best first.
    """

    name: str
    kappa: Estimate | None
    same: Estimate | None
    above: Estimate | None
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PanelReport(JsonRecord):
    """A panel.

    Attributes:
        name: Its name.
        rubric: By which it judges.
        members: Its members.
        statements: Explanations that all members gave verdicts on.
        missing: Explanations that some didn't.
        order: Runs by the panel's mean score, best first.
    """

    name: str
    rubric: str
    members: tuple[Member, ...]
    statements: int
    missing: int
    order: tuple[str, ...]


@dataclass(slots=True)
class _Collected:
    """What a panel said about some runs.

    Attributes:
        questions: Question of each explanation.
        runs: Its run.
        own: Member -> its scores, in units.
        others: Member -> the scores of the others' median verdicts.
        whole: Scores of the median of all.
    """

    info: JudgeInfo
    names: tuple[str, ...]
    questions: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    own: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    others: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    whole: list[int] = field(default_factory=list)
    missing: int = 0


def panel_reports(runs: Sequence[Run], confidence: float) -> tuple[PanelReport, ...]:
    """The panels that have judged some runs, of which all members' judgements lie there, too.

    Raises:
        DataError: If a judgement file can't be read.
    """
    found: dict[tuple[str, str], _Collected] = {}
    for run in runs:
        for task in run.tasks.values():
            of_log = {name: _by(task, name) for name in task.judgements}
            infos = {name: of.judge for name, of in of_log.items() if of.judge is not None}
            for info in infos.values():
                if info.backend != KIND:
                    continue
                names = members_of(info)
                files = {
                    one: of_log[name]
                    for one in names
                    for name, other in infos.items()
                    if other.name == one and other.yardstick == info.yardstick
                }
                rubric = _rubric(info, files)
                if len(files) == len(names) and rubric is not None:
                    into = found.setdefault((info.name, info.asked), _Collected(info, names))
                    _collect(into, run.name, task.task, files, rubric)
    return tuple(_report(collected, confidence) for collected in found.values() if collected.questions)


def _by(task: TaskRun, name: str) -> TaskRun:
    return load_run(task.samples_file.parent, judge=name, date=task.date).task(task.task)


def _rubric(info: JudgeInfo, files: Mapping[str, TaskRun]) -> Rubric | None:
    """The rubric that members judged by; None where it isn't known any more."""
    for task in files.values():
        if task.summary is not None and task.summary.rubric is not None:
            return rubric_from(task.summary.rubric, str(task.judgements_file))
    try:
        rubric = load_rubric(info.rubric)
    except AnchorError:
        return None
    return rubric if rubric.fingerprint == info.rubric_fingerprint else None


def _collect(into: _Collected, run: str, task: str, files: Mapping[str, TaskRun], rubric: Rubric) -> None:
    for question, several in _statements([files[name] for name in into.names]):
        given = [
            one.assessment.outcome
            for one in several
            if one.assessment is not None and isinstance(one.assessment.outcome, Judgement)
        ]
        if len(given) < len(several):
            into.missing += any(one.assessment is not None for one in several)
            continue
        into.questions.append(f"{task}/{question}")
        into.runs.append(run)
        into.whole.append(rubric.score(rubric.median(given)))
        for place, name in enumerate(into.names):
            into.own[name].append(rubric.score(given[place]))
            into.others[name].append(rubric.score(rubric.median([*given[:place], *given[place + 1 :]])))


def _statements(tasks: Sequence[TaskRun]) -> Iterator[tuple[str, tuple[ScoredResponse, ...]]]:
    """Question and what each member made of it, explanation by explanation."""
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(_rows(task))) for task in tasks]
        for found in zip(*streams, strict=True):
            for several in zip(*(scored.responses for scored in found), strict=True):
                yield found[0].question.id, several


def _rows(task: TaskRun) -> Generator[ScoredQuestion, None, None]:
    yield from task.read()


def _report(collected: _Collected, confidence: float) -> PanelReport:
    units = collected.info.units
    low, high = collected.info.score_range
    members = []
    for name in collected.names:
        own = np.array(collected.own[name], dtype=np.float64) / units
        others = np.array(collected.others[name], dtype=np.float64) / units
        kappa = same = above = None
        if len(own) >= FEWEST:
            agreed = coefficients(np.stack([own, others]), collected.questions, None, confidence)
            kappa, same = agreed.kappa, agreed.exact
            above = _mean(own - others, collected.questions, Bounds(low - high, high - low), confidence)
        members.append(Member(name, kappa, same, above, _order(others, collected)))
    whole = np.array(collected.whole, dtype=np.float64)
    return PanelReport(
        collected.info.name,
        collected.info.asked,
        tuple(members),
        len(collected.questions),
        collected.missing,
        _order(whole, collected),
    )


def _mean(values: Floats, questions: Sequence[str], bounds: Bounds, confidence: float) -> Estimate | None:
    sums: dict[str, Floats] = {}
    for question, value in zip(questions, values, strict=True):
        sums[question] = sums.get(question, np.zeros(2)) + np.array([value, 1.0])
    return estimate_of(
        of_sums(np.array(list(sums.values())), lambda of: of[:, 0] / of[:, 1], bounds), confidence
    )


def _order(scores: Floats, collected: _Collected) -> tuple[str, ...]:
    """The runs by their mean score; equal ones by name."""
    of_run: dict[str, list[float]] = defaultdict(list)
    for run, score in zip(collected.runs, scores, strict=True):
        of_run[run].append(float(score))
    return tuple(sorted(of_run, key=lambda run: (-sum(of_run[run]) / len(of_run[run]), run)))
