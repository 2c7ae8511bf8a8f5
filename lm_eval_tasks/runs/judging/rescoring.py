"""Judges what a run has logged: reads a samples log, has it judged, and puts the judgements beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from judges.errors import ConfigError, NothingJudgedError
from judges.judge import Judge
from judges.models.family import same_family_note
from judges.records import Assessment, Unjudged
from judges.rubrics.rubric_files import rubric_to_json
from judges.spending.estimate import Estimate
from judges.storage.files import held, sha256_of
from lm_eval_tasks.questions.load import left_out_text
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judgement_files import (
    JudgementSummary,
    judgement_paths,
    read_summaries,
    slug,
    write_judgements,
    write_summary,
)
from lm_eval_tasks.runs.judging.ahead import Ahead
from lm_eval_tasks.runs.judging.scoring import explanations, judge_stream, statements_of
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.metrics import failures_of, metric_names, summarise
from lm_eval_tasks.tasks.spec import TaskSpec

UNIFORM = 0.2
"""From this share of judgements with one verdict on everything on, the summary says so."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What a samples log holds for a judge.

    Attributes:
        questions: Questions.
        responses: Responses.
        explanations: Responses whose explanation is readable: as many judgements.
        unreadable: The others: reason -> count.
        unanswered: Replies that failed, which aren't among the responses: reason -> count.
    """

    questions: int
    responses: int
    explanations: int
    unreadable: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """One line for a person."""
        lost = self.responses - self.explanations
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.unreadable.most_common())
        return (
            f"{self.questions} questions, {self.responses} responses, "
            f"{self.explanations} explanations to judge"
            + (f" ({lost} unreadable: {reasons})" if lost else "")
            + (f"; {self.unanswered.total()} replies failed" if self.unanswered else "")
        )


def workload(run: TaskRun) -> Workload:
    """Reads a samples log to its end, so that whatever is wrong with it shows before a judge is paid.

    Raises:
        DataError: With file and line.
    """
    questions = responses = readable = 0
    unreadable: Counter[str] = Counter()
    unanswered: Counter[str] = Counter()
    for scored in run.read_samples():
        questions += 1
        unanswered += failures_of([scored])
        responses += len(scored.answered)
        readable += explanations(scored)
        unreadable.update(
            str(sample.response.explanation_problem)
            for sample in scored.answered
            if sample.response.explanation is None
        )
    return Workload(questions, responses, readable, unreadable, unanswered)


def estimate(run: TaskRun, spec: TaskSpec, judge: Judge) -> Estimate:
    """What judging a samples log would take now; looks everything up in the cache, and asks nothing."""
    return judge.estimate(
        statement for scored in run.read_samples() for _, statement in statements_of(spec, scored)
    )


def score_task(
    run: TaskRun,
    spec: TaskSpec,
    judge: Judge,
    *,
    name: str | None = None,
    force: bool = False,
    progress: bool = True,
    ahead: Ahead | None = None,
) -> JudgementSummary:
    """Has a task's samples log judged and writes the judgements beside it, whole or not at all.

    Args:
        run: The task's samples.
        spec: The task.
        judge: The judge.
        name: Name of the judgements; default: the judge's.
        force: Whether to replace another judge's judgements of the same name.
        progress: Whether the user sees how far it is.
        ahead: What was judged while the log was still being written; part of the summary's accounts.

    Raises:
        ConfigError: If another judge's judgements have that name already.
        DataError: If the log can't be read, or the folder can't be written to.
        NothingJudgedError: If there were explanations, and not a single one got a verdict.
        BackendError: If the judge can't serve, or writes no verdicts; its replies so far are in the cache.
        BudgetSpentError: If it may spend no more; its replies so far are in the cache.
    """
    metric_names(judge.rubric, compared=True)
    folder = run.samples_file.parent
    name = slug(name or judge.info.slug)
    questions_path, summary_path = judgement_paths(folder, run.task, name)
    # Under other names too, one judge is asked by one process at a time, so that the next finds its replies.
    by_this_judge = folder / f"judgements_{run.task}_by_{slug(judge.info.slug)}"
    with nullcontext() if judge.cache_path is None else held(by_this_judge), held(questions_path):
        if not force:
            _refuse_to_replace(summary_path, judge)
        return _judged(run, spec, judge, name, progress, ahead)


def require_judgements(summaries: Sequence[JudgementSummary]) -> None:
    """Says so where a judge had nothing to judge.

    Raises:
        NothingJudgedError: If no task has an explanation that can be read.
    """
    if any(summary.judged for summary in summaries):
        return
    reasons: Counter[str] = Counter()
    for summary in summaries:
        reasons.update(summary.unreadable)
    named = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    replies = sum(summary.responses for summary in summaries)
    raise NothingJudgedError(
        f"nothing could be judged: no explanation of {replies} replies can be read ({named})"
    )


def _judged(
    run: TaskRun, spec: TaskSpec, judge: Judge, name: str, progress: bool, ahead: Ahead | None
) -> JudgementSummary:
    questions_path, summary_path = judgement_paths(run.samples_file.parent, run.task, name)
    found = workload(run)
    tally = _Tally("choice" in judge.rubric.shows)
    before = judge.accounts
    # Closed here, so that the progress bar ends before an error is told.
    with closing(judge_stream(spec, run.read_samples(), judge, found.explanations, progress)) as judged:
        write_judgements(questions_path, tally.counted(judged))
    accounts = judge.accounts.since(before)
    if ahead is not None:
        accounts = accounts.after(ahead.accounts, ahead.verdicts)
    notes = [
        same_family_note(judge.info.model, run.model),
        _left_out_note(judge),
        left_out_text(run.rows_left_out, run.left_out) if run.rows_left_out else None,
        *tally.sameness(judge.info.criteria),
    ]
    summary = JudgementSummary(
        name=name,
        task=run.task,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        judge=judge.info,
        source=run.samples_file.name,
        source_sha256=sha256_of(run.samples_file),
        model=run.model,
        questions=found.questions,
        responses=found.responses,
        judged=tally.judged,
        unreadable=dict(found.unreadable),
        unjudged=dict(tally.unjudged),
        flagged=dict(tally.flagged),
        prompt_tokens=tally.prompt_tokens,
        completion_tokens=tally.completion_tokens,
        price=tally.price,
        accounts=accounts.to_json(),
        metrics=summarise(read_judgement_file(questions_path), judge.rubric),
        notes=tuple(filter(None, notes)),
        failures=dict(tally.failures.most_common(5)),
        unanswered=dict(found.unanswered.most_common()),
        rubric=rubric_to_json(judge.rubric),
    )
    write_summary(summary_path, summary)
    return summary


def _left_out_note(judge: Judge) -> str | None:
    left_out = judge.info.left_out
    if not left_out:
        return None
    return f"the judge's endpoint takes no {', '.join(left_out)}; its own setting holds"


class _Tally:
    """Counts judgements as they pass on their way to the file.

    Args:
        by_choice: Whether the judge is shown choices, so that one explanation may be asked about twice.
    """

    def __init__(self, by_choice: bool) -> None:
        self._by_choice = by_choice
        self.judged = 0
        self.unjudged: Counter[str] = Counter()
        self.flagged: Counter[str] = Counter()
        self.prompt_tokens: int | None = 0
        self.completion_tokens: int | None = 0
        self.price: float | None = None
        self.failures: Counter[str] = Counter()
        self.uniform = 0
        self._verdicts: dict[str, set[str]] = {}
        self._first: Unjudged | None = None

    def counted(self, questions: Iterable[ScoredQuestion]) -> Iterator[ScoredQuestion]:
        for scored in questions:
            paid: set[tuple[str | None, str | None]] = set()
            for sample in scored.responses:
                if sample.assessment is not None:
                    asked = sample.response.explanation, sample.response.choice if self._by_choice else None
                    self._count(sample.assessment, new=asked not in paid)
                    paid.add(asked)
            yield scored
        if self._first is not None and not self.judged:
            number = sum(self.unjudged.values())
            raise NothingJudgedError(
                f"nothing could be judged: none of {number} explanations got a verdict; "
                f"the first: {self._first}"
            )

    def sameness(self, criteria: Mapping[str, str]) -> Iterator[str]:
        """How little the judge tells apart: criteria in a judgement, judgements by a criterion.

        Args:
            criteria: Key -> name.
        """
        if self.judged < 2:
            return
        if len(criteria) > 1 and self.uniform >= UNIFORM * self.judged:
            yield f"{self.uniform} of {self.judged} judgements give every criterion the same verdict"
        constant = {key: min(found) for key, found in self._verdicts.items() if len(found) == 1}
        if len(constant) == len(self._verdicts):
            each = ", ".join(f"{criteria.get(key, key)} {verdict}" for key, verdict in constant.items())
            yield f"the judge tells no explanation from another: all {self.judged} judgements say {each}"
            return
        for key, verdict in constant.items():
            yield f"{criteria.get(key, key)} never varies: all {self.judged} judgements say {verdict}"

    def _count(self, assessment: Assessment, *, new: bool) -> None:
        self.flagged.update(assessment.flagged)
        if isinstance(assessment.outcome, Unjudged):
            self.unjudged[assessment.outcome.reason] += 1
            if assessment.outcome.reason == "failed":
                self.failures[assessment.outcome.detail] += 1
            self._first = self._first or assessment.outcome
        else:
            self.judged += 1
            verdicts = assessment.outcome.verdicts
            self.uniform += len(set(verdicts.values())) == 1
            for criterion, verdict in verdicts.items():
                self._verdicts.setdefault(criterion, set()).add(verdict)
        if not new:  # a judge is asked once about the same explanation
            return
        if assessment.usage is None or self.prompt_tokens is None or self.completion_tokens is None:
            self.prompt_tokens = self.completion_tokens = self.price = None
            return
        self.prompt_tokens += assessment.usage.prompt_tokens
        self.completion_tokens += assessment.usage.completion_tokens
        if assessment.price is not None:
            self.price = (self.price or 0.0) + assessment.price


def _refuse_to_replace(path: Path, judge: Judge) -> None:
    for questions, summary in read_summaries(path.parent):
        if questions.with_suffix(".json") != path:
            continue
        mine, theirs = judge.info, summary.judge
        same_judge = (mine.name, mine.sampling) == (theirs.name, theirs.sampling)
        if not same_judge or mine.yardstick != theirs.yardstick:
            raise ConfigError(
                f"{path}: holds judgements by {theirs.name}, rubric {theirs.asked}, "
                "made with other settings; keep both with --as NAME, or replace them with --force"
            )
