"""A leaderboard of judges: what each is worth, what it costs and how fast it is, from what lies on disk.

Nothing is asked: figures come from the judgements of the runs, from audits, and from what people said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from judges.errors import DataError
from judges.judge_info import JudgeInfo
from lm_eval_tasks.audit.audit import read_audits
from lm_eval_tasks.comparison.agreement import TOTAL, marked_by, stand_ins
from lm_eval_tasks.comparison.pair import Settings, compare, verdict
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun, load_run
from lm_eval_tasks.runs.judgement_files import PEOPLE, JudgementSummary
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import SHARE, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, of_sums
from lm_eval_tasks.stats.marks import Marks
from lm_eval_tasks.stats.raters.coefficients import coefficients
from lm_eval_tasks.tables import listed

LONGER = 30
"""Characters by which the longer one of two explanations is longer."""
FEWEST = 30


@dataclass(frozen=True, slots=True)
class JudgeRow(JsonRecord):
    """One judge.

    Attributes:
        name: Its name.
        rubric: The rubric with its version, and the form.
        runs: Runs that it has judged.
        judged: Explanations with its verdict.
        coverage: Share of the readable explanations that have one.
        kappa: Agreement of its scores with the gold judgements', quadratic weights; None without gold.
        rho: How often it does at least as well as a person; None with fewer than three people.
        flaw: AUC of planted errors, of its newest audit; None without one.
        right: AUC of right choices' explanations over wrong ones' of the same question.
        consistency: Share of statements with the same score again, of its newest audit.
        longer: How often it prefers the longer of two right or two wrong explanations of a question.
        separated: Pairs of runs that it tells apart.
        pairs: Pairs of runs that it has judged both of.
        price: Of 1,000 statements; None without prices.
        seconds: That 1,000 statements took when it was asked last; None if that isn't known.
    """

    name: str
    rubric: str
    runs: int
    judged: int
    coverage: float
    kappa: Estimate | None
    rho: Estimate | None
    flaw: Estimate | None
    right: Estimate | None
    consistency: Estimate | None
    longer: Estimate | None
    separated: int
    pairs: int
    price: float | None
    seconds: float | None


EVIDENCE = {
    "rho": "does at least as well as a person",
    "kappa": "agreement with the gold judgements",
    "flaw": "planted errors found (AUC)",
    "right": "right over wrong explanations (AUC)",
}
"""What judges are sorted by: the first of these that all of them have."""


@dataclass(frozen=True, slots=True)
class JudgeBoard:
    """All judges.

    Attributes:
        rows: Best first.
        by: What they are sorted by, of ``EVIDENCE``; None if nothing can be told of all of them.
        gold: Name of the gold judgements; None without.
    """

    rows: tuple[JudgeRow, ...]
    by: str | None
    gold: str | None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {"by": self.by, "gold": self.gold, "judges": [row.to_json() for row in self.rows]}

    def evidence(self, row: JudgeRow) -> Estimate:
        """What a judge is sorted by.

        Raises:
            ValueError: If nothing can be told of all of them.
        """
        found = None if self.by is None else getattr(row, self.by)
        if not isinstance(found, Estimate):
            raise ValueError("nothing is known of all judges that would rank them")
        return found


@dataclass(slots=True)
class _Collected:
    """What is gathered of one judge over its runs."""

    info: JudgeInfo
    summaries: list[JudgementSummary] = field(default_factory=list)
    right: list[tuple[str, float, float]] = field(default_factory=list)
    longer: list[tuple[str, float, float]] = field(default_factory=list)
    marks: dict[str, dict[str, Marks]] = field(default_factory=lambda: defaultdict(dict))
    scores: list[Floats] = field(default_factory=list)
    gold: list[Floats] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    rho: list[Estimate] = field(default_factory=list)


def judge_board(runs: Sequence[Run], gold: str | None, settings: Settings) -> JudgeBoard:
    """Gathers everything that is known of the judges of some runs.

    Args:
        runs: The runs.
        gold: Name of judgements that are taken for true, e.g. ``human``; they have no row of their own.
        settings: How to estimate.

    Raises:
        DataError: If nobody has judged, or no run has the gold judgements.
    """
    found: dict[tuple[str, str], _Collected] = {}
    golden = 0
    for run in runs:
        for task in run.tasks.values():
            golden += _collect(run, task, gold, found)
    if not found:
        raise DataError(f"no judge's judgements in {listed([str(run.path) for run in runs], 4)}")
    if gold is not None and not golden:
        raise DataError(f"no run has judgements {gold!r}; anchor-eval score RUN --ratings reads in people's")
    audits = [(report, run) for run in runs for report in read_audits(run)]
    rows = []
    for (name, asked), collected in found.items():
        mine = [report for report, _ in audits if (report.judge, report.rubric) == (name, asked)]
        figures = {
            figure.key: figure.estimate
            for report in sorted(mine, key=lambda report: report.date)
            for kind in report.kinds
            for figure in kind.figures
        }
        rows.append(_row(collected, figures, settings))
    by = next((key for key in EVIDENCE if all(getattr(row, key) is not None for row in rows)), None)
    if by is not None:
        rows.sort(key=lambda row: -getattr(row, by).value)
    return JudgeBoard(tuple(rows), by, gold)


def _collect(run: Run, task: TaskRun, gold: str | None, found: dict[tuple[str, str], _Collected]) -> bool:
    """Reads what a log's judges said; whether the gold judgements are among it."""
    truth = None
    if gold is not None and gold in task.judgements:
        truth = load_run(task.samples_file.parent, judge=gold, date=task.date).task(task.task)
    stand = {one.judge: one.found for one in stand_ins(task)} if gold == PEOPLE else {}
    for name in task.judgements:
        judged = load_run(task.samples_file.parent, judge=name, date=task.date).task(task.task)
        info = judged.judge
        if info is None or judged.summary is None or info.backend == PEOPLE or name == gold:
            continue
        key = info.name, info.asked
        into = found.setdefault(key, _Collected(info))
        if run.name in into.marks[task.task]:
            continue  # a repeat of the same judge under another name counts once
        into.summaries.append(judged.summary)
        into.marks[task.task][run.name] = judged.marks
        for scored in judged.read():
            unit = f"{task.task}/{scored.question.id}"
            into.right += [(unit, *_right(scored))]
            into.longer += [(unit, *_longer(scored))]
        if truth is not None and truth.judge is not None:
            marked = marked_by({name: judged.read(), str(gold): truth.read()}, info)
            both = marked.marks[TOTAL]
            into.scores.append(both[0] / info.units)
            into.gold.append(both[1] / truth.judge.units)
            into.questions += [f"{task.task}/{question}" for question in marked.questions]
        test = stand.get(name)
        if test is not None:
            into.rho.append(test.rho)
    return truth is not None


def _row(collected: _Collected, audited: Mapping[str, Estimate | None], settings: Settings) -> JudgeRow:
    summaries, info = collected.summaries, collected.info
    readable = sum(one.responses - sum(one.unreadable.values()) for one in summaries)
    judged = sum(one.judged for one in summaries)
    kappa = None
    if collected.scores:
        table = np.stack([np.concatenate(collected.scores), np.concatenate(collected.gold)])
        agreed = coefficients(table, collected.questions, None, settings.confidence)
        kappa = agreed.kappa if agreed.statements >= FEWEST else None
    told = [
        verdict(compared.margin)
        for of_task in collected.marks.values()
        for first, second in combinations(of_task.values(), 2)
        if (compared := compare(first, second, top_score=info.max_score, settings=settings)) is not None
    ]
    accounts = [one.accounts for one in summaries if one.accounts.get("asked")]
    asked = sum(one["asked"] for one in accounts)
    prices = [one.price for one in summaries if one.price is not None]
    return JudgeRow(
        name=info.name,
        rubric=info.asked,
        runs=len({run for of_task in collected.marks.values() for run in of_task}),
        judged=judged,
        coverage=judged / readable if readable else 0.0,
        kappa=kappa,
        rho=_pooled(collected.rho),
        flaw=audited.get("flaw"),
        right=_share(collected.right, settings),
        consistency=audited.get("consistency.same"),
        longer=_share(collected.longer, settings),
        separated=sum(side != 0 for side in told),
        pairs=len(told),
        price=1000 * sum(prices) / judged if prices and judged else None,
        seconds=1000 * sum(one.get("seconds", 0.0) for one in accounts) / asked if asked else None,
    )


def _pooled(found: Sequence[Estimate]) -> Estimate | None:
    """The mean of several runs' figures, whose errors are taken to be of the same questions."""
    if not found or any(one.low is None or one.high is None for one in found):
        return None
    mean = {name: float(np.mean([getattr(one, name) for one in found])) for name in ("value", "low", "high")}
    return Estimate(mean["value"], None, mean["low"], mean["high"], max(one.questions for one in found))


def _share(parts: Iterable[tuple[str, float, float]], settings: Settings) -> Estimate | None:
    """Sum of parts / sum of pairs, by question."""
    sums: dict[str, Floats] = {}
    for question, part, pairs in parts:
        if pairs:
            sums[question] = sums.get(question, np.zeros(2)) + np.array([part, pairs])
    table = np.array(list(sums.values()))
    if not len(table) or table[:, 1].sum() < FEWEST:
        return None
    return estimate_of(of_sums(table, lambda of: of[:, 0] / of[:, 1], SHARE), settings.confidence)


def _right(scored: ScoredQuestion) -> tuple[float, float]:
    """Of the pairs of a right and a wrong sample: how many the right one wins (ties a half), and all."""
    marked = _marked(scored)
    won = [
        _better(right, wrong) for right in marked if right.correct for wrong in marked if not wrong.correct
    ]
    return sum(won), float(len(won))


def _longer(scored: ScoredQuestion) -> tuple[float, float]:
    """Of the pairs of two right or two wrong samples that differ in length: how many the longer one wins."""
    won = []
    for first, second in combinations(_marked(scored), 2):
        gap = len(first.response.explanation or "") - len(second.response.explanation or "")
        if first.correct == second.correct and abs(gap) > LONGER:
            won.append(_better(first, second) if gap > 0 else _better(second, first))
    return sum(won), float(len(won))


def _marked(scored: ScoredQuestion) -> list[ScoredResponse]:
    return [sample for sample in scored.responses if sample.score is not None]


def _better(first: ScoredResponse, second: ScoredResponse) -> float:
    one, other = first.score or 0, second.score or 0
    return 0.5 if one == other else float(one > other)
