"""Is a new run no worse than its baseline, by more than a margin? Judged until that is told, and no further.

Questions come in an order that doesn't depend on what was answered. After each of them the confidence
sequence of win - loss (:mod:`lm_eval_tasks.stats.estimation.sequence`) is looked at: the gate passes as soon
as it lies above the margin, and fails as soon as it lies below; then nothing more is judged. However often it
is looked at, the side that it tells is wrong in 5% of the gates at most. With several tasks each has its
share of these 5%, the gate passes where all do, and fails where one does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from judges.errors import ConfigError, DataError, NothingJudgedError
from judges.judge import Judge
from judges.models.family import same_family_note
from judges.settings import nearest
from judges.spending.estimate import Estimate
from judges.storage.files import held
from lm_eval_tasks.comparison.reports.notes import MUCH
from lm_eval_tasks.comparison.setting import asked_facts
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.runs.judgement_files import slug
from lm_eval_tasks.runs.judging.scoring import explanations, judge_stream, statements_of
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, MARGIN
from lm_eval_tasks.stats.estimation.sequence import FIRST_LOOK, Decision, decide
from lm_eval_tasks.stats.metrics import scores_of
from lm_eval_tasks.stats.win_rate import Rates, rates
from lm_eval_tasks.tables import number_of, percent
from lm_eval_tasks.tasks.spec import TaskSpec

Verdict: TypeAlias = Literal["pass", "fail", "undecided"]
_VERDICTS: dict[str, Verdict] = {"above": "pass", "below": "fail", "open": "undecided"}


@dataclass(frozen=True, slots=True)
class Rule:
    """What a gate asks.

    Attributes:
        margin: The new run's win - loss against the baseline must be above this; between -1 and 1.
        confidence: Probability that the gate tells no wrong side.
        look_every: Questions that are judged at once, between two stops; looks are after each of them.
        seed: Of the order of the questions.
    """

    margin: float
    confidence: float = CONFIDENCE
    look_every: int = FIRST_LOOK
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuses what is no rule."""
        if not -1 < self.margin < 1:
            raise ConfigError(f"margin {self.margin}: a win - loss lies between -1 and 1, e.g. -0.02")

    def shared_by(self, tasks: int) -> Rule:
        """The rule for each of several tasks, so that all together keep to the confidence."""
        return Rule(self.margin, 1 - (1 - self.confidence) / tasks, self.look_every, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """What is compared on one task: the shared questions in the order in which they are looked at.

    Attributes:
        task: Its name.
        new: The new run's replies, a question each.
        base: The baseline's, in the same order.
        only_one: Questions that only one of the runs has; they count nowhere.
        notes: What a reader must know about the two.
    """

    task: str
    new: Sequence[ScoredQuestion]
    base: Sequence[ScoredQuestion]
    only_one: int
    notes: tuple[str, ...] = ()

    def pairs(self, start: int = 0, end: int | None = None) -> Iterator[ScoredQuestion]:
        """New, baseline, new, baseline ... of some of the questions."""
        for pair in zip(self.new[start:end], self.base[start:end], strict=True):
            yield from pair


@dataclass(frozen=True, slots=True)
class TaskGate:
    """What came out on one task.

    Attributes:
        task: Its name.
        verdict: ``undecided`` also where the new run's replies can be judged much less often (``doubt``).
        questions: Questions looked at until it was told.
        shared: Questions that both runs have.
        unscored: Of those looked at, questions without a judged sample of both; they are in no figure.
        win_minus_loss: Of the new run against the baseline, on those looked at; None if none is scored.
        low: Lower end of what holds at every look.
        high: Upper end.
        judged_new: Share of the new run's replies to these questions that were judged.
        judged_base: The same of the baseline.
        doubt: Why it isn't passed although win - loss is above the margin; None if it isn't so.
        notes: What a reader must know.
    """

    task: str
    verdict: Verdict
    questions: int
    shared: int
    unscored: int
    win_minus_loss: float | None
    low: float
    high: float
    judged_new: float
    judged_base: float
    doubt: str | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {name: getattr(self, name) for name in self.__slots__} | {"notes": list(self.notes)}


def overall(tasks: Iterable[TaskGate]) -> Verdict:
    """Fails if one task does, passes if all do."""
    verdicts = {task.verdict for task in tasks}
    if "fail" in verdicts:
        return "fail"
    return "pass" if verdicts == {"pass"} else "undecided"


def shared_tasks(new: Run, base: Run, wanted: Sequence[str] = ()) -> list[str]:
    """The tasks that are compared: those asked for, or all that both runs have.

    Raises:
        ConfigError: If one that was asked for isn't in both.
        DataError: If there is none.
    """
    shared = [task for task in new.tasks if task in base.tasks]
    for task in wanted:
        if task not in shared:
            raise ConfigError(f"task {task!r} isn't in both runs: {nearest(task, shared)}")
    if not shared:
        raise DataError(
            f"{new.path} and {base.path} have no task in common "
            f"({', '.join(new.tasks)}; {', '.join(base.tasks)})"
        )
    return list(dict.fromkeys(wanted)) or shared


def sides_of(new: TaskRun, base: TaskRun, rule: Rule, *, judged: bool) -> Sides:
    """Reads what two runs wrote on a task, and puts the questions in their order.

    Args:
        new: The task's samples of the new run.
        base: Those of the baseline.
        rule: For its seed.
        judged: Whether the judgements that are there are wanted; else the bare samples.

    Raises:
        DataError: If a log can't be read, they share no question, or a question isn't the same in both, or
            (where judgements are wanted) they aren't judged, or by different rubrics.
    """
    if judged:
        _refuse_unlike_judges(new, base)
    mine, theirs = (
        {scored.question.id: scored for scored in (run.read() if judged else run.read_samples())}
        for run in (new, base)
    )
    shared = sorted(mine.keys() & theirs.keys(), key=lambda id_: _place(rule.seed, new.task, id_))
    if not shared:
        raise DataError(f"{new.task}: {new.samples_file} and {base.samples_file} share no question")
    for id_ in shared:
        if mine[id_].question.question != theirs[id_].question.question:
            raise DataError(
                f"{new.task}: question {id_!r} isn't the same in {new.samples_file} and {base.samples_file}"
            )
    only_one = len(mine) + len(theirs) - 2 * len(shared)
    most = [max(len(scored.responses) for scored in of_run.values()) for of_run in (mine, theirs)]
    return Sides(
        new.task,
        [mine[id_] for id_ in shared],
        [theirs[id_] for id_ in shared],
        only_one,
        tuple(_notes(new, base, most, only_one, judged)),
    )


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a gate on one task may take.

    Attributes:
        task: Its name.
        questions: Shared questions.
        least: Questions that are judged before anything can be told.
        first: What judging these takes.
        whole: What judging everything takes.
    """

    task: str
    questions: int
    least: int
    first: Estimate
    whole: Estimate

    def __str__(self) -> str:
        """Two lines for a person."""
        return (
            f"{self.task}: at least {self.least} of {number_of(self.questions, 'shared question')}: "
            f"{self.first}\n"
            f"{self.task}: at most all of them: {self.whole}"
        )


def outlook(sides: Sides, rule: Rule, spec: TaskSpec, judge: Judge, what: str = "a gate") -> Outlook:
    """What looking may take now; looks everything up in the cache, and asks nothing.

    Args:
        sides: The two runs' replies.
        rule: For how many questions are judged at a time.
        spec: The task.
        judge: Who would be asked.
        what: Who looks, for messages.

    Raises:
        ConfigError: If the judge answers in batches.
    """
    judge.refuse_batches(what)
    least = min(len(sides.new), -(-FIRST_LOOK // rule.look_every) * rule.look_every)
    first, whole = (
        judge.estimate(
            statement for scored in sides.pairs(0, end) for _, statement in statements_of(spec, scored)
        )
        for end in (least, None)
    )
    return Outlook(sides.task, len(sides.new), least, first, whole)


def gate_task(
    sides: Sides,
    rule: Rule,
    judging: tuple[Judge, TaskSpec] | None,
    on_look: Callable[[Sides, Decision], None] = lambda sides, decision: None,
) -> TaskGate:
    """Looks at question after question until the rule is told to hold or not.

    Args:
        sides: The two runs' replies.
        rule: The rule of this task.
        judging: Who judges, and the task; None to take the judgements that are there.
        on_look: Told how it stands after each ``look_every`` questions.

    Raises:
        BackendError: If the judge can't serve; its replies so far are in the cache.
        BudgetSpentError: If it may spend no more; its replies so far are in the cache.
        NothingJudgedError: If on no question both runs have an explanation with a verdict.
    """
    seen = Seen()
    decision = Decision("open", 0, None, MARGIN.low, MARGIN.high)
    size = len(sides.new)
    for seen in looks(sides, rule.look_every, judging):
        decision = decide(
            seen.margins,
            MARGIN,
            threshold=rule.margin,
            expected=max(FIRST_LOOK, size // 2),
            confidence=rule.confidence,
        )
        on_look(sides, decision)
        if decision.side != "open":
            break
    until = seen.questions_until(decision.questions if decision.side != "open" else None)
    new_share, base_share = seen.judged_shares(until)
    verdict, doubt = _VERDICTS[decision.side], None
    if verdict == "pass" and base_share - new_share > MUCH:
        verdict = "undecided"
        doubt = (
            f"only {percent(new_share)}% of the new run's replies could be judged, and "
            f"{percent(base_share)}% of the baseline's: what can't be judged is in no win - loss"
        )
    return TaskGate(
        task=sides.task,
        verdict=verdict,
        questions=until,
        shared=size,
        unscored=until - decision.questions,
        win_minus_loss=decision.value,
        low=decision.low,
        high=decision.high,
        judged_new=new_share,
        judged_base=base_share,
        doubt=doubt,
        notes=sides.notes,
    )


@dataclass(slots=True)
class Seen:
    """The questions of two runs that were looked at so far.

    Attributes:
        pairs: The new run's and the baseline's, question by question.
        rates: Of each question with a judged sample of both.
        places: Of each of these, how many questions had been seen with it.
    """

    pairs: list[tuple[ScoredQuestion, ScoredQuestion]] = field(default_factory=list)
    rates: list[Rates] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def add(self, new: ScoredQuestion, base: ScoredQuestion) -> None:
        """One more question."""
        self.pairs.append((new, base))
        own, other = scores_of(new), scores_of(base)
        if own and other:
            self.rates.append(rates(own, other))
            self.places.append(len(self.pairs))

    @property
    def margins(self) -> list[float]:
        """Win - loss of each question with a judged sample of both."""
        return [float(one.margin) for one in self.rates]

    def questions_until(self, scored: int | None) -> int:
        """Questions seen when so many had a judged sample of both; all of them for None."""
        return len(self.pairs) if scored is None else self.places[scored - 1]

    def judged_shares(self, until: int) -> tuple[float, float]:
        """Shares of the replies that were judged, of the new run and of the baseline."""
        new, base = (_judged_share(pair[side] for pair in self.pairs[:until]) for side in (0, 1))
        return new, base


def looks(sides: Sides, look_every: int, judging: tuple[Judge, TaskSpec] | None) -> Iterator[Seen]:
    """Sees so many questions more at a time, in their order.

    Args:
        sides: The two runs' replies.
        look_every: How many.
        judging: Who judges, and the task; None to take the judgements that are there.

    Yields:
        All that was seen so far; who needs no more of it stops.

    Raises:
        ConfigError: If the judge answers in batches.
        BackendError: If the judge can't serve; its replies so far are in the cache.
        BudgetSpentError: If it may spend no more; its replies so far are in the cache.
        NothingJudgedError: If on no question both runs have an explanation with a verdict.
    """
    seen = Seen()
    for start in range(0, len(sides.new), look_every):
        some = list(sides.pairs(start, start + look_every))
        if judging is not None:
            judge, spec = judging
            some = list(judge_stream(spec, some, judge, sum(map(explanations, some)), progress=False))
        for new, base in zip(some[::2], some[1::2], strict=True):
            seen.add(new, base)
        yield seen
    if not seen.rates:
        raise NothingJudgedError(
            f"{sides.task}: nothing could be judged: on none of {number_of(len(sides.new), 'question')} do "
            "both runs have an explanation with a verdict"
        )


@contextmanager
def alone(judge: Judge, runs: Iterable[TaskRun]) -> Iterator[None]:
    """Keeps other processes from asking this judge about these runs, so that nothing is paid for twice.

    A gate writes nothing beside the samples, so a run that lies where nobody may write is gated without.
    """
    with ExitStack() as stack:
        if judge.cache_path is not None:
            name = slug(judge.info.slug)
            paths = {run.samples_file.parent / f"judgements_{run.task}_by_{name}" for run in runs}
            for path in sorted(paths):
                with suppress(DataError):
                    stack.enter_context(held(path))
        yield


def judge_notes(judge: Judge, models: Iterable[str]) -> list[str]:
    """What a reader must know about the judge and the models."""
    found = [same_family_note(judge.info.model, model) for model in dict.fromkeys(models)]
    return [note for note in found if note is not None]


def _place(seed: int, task: str, id_: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{task}\0{id_}".encode("utf-8", "surrogatepass")).digest()


def _judged_share(questions: Iterable[ScoredQuestion]) -> float:
    answered = judged = 0
    for scored in questions:
        answered += len(scored.answered)
        judged += len(scores_of(scored))
    return judged / answered if answered else 0.0


def _refuse_unlike_judges(new: TaskRun, base: TaskRun) -> None:
    for run in (new, base):
        if run.judge is None:
            raise DataError(
                f"{run.samples_file}: not judged; name a judge with --judge, or judge it all with "
                "anchor-eval score"
            )
    assert new.judge is not None
    assert base.judge is not None
    if new.judge.yardstick != base.judge.yardstick:
        raise DataError(
            f"{new.task}: judged by different rubrics or verdict forms ({new.judge.asked}; "
            f"{base.judge.asked}): their scores can't be compared; judge both with --judge"
        )


def _notes(new: TaskRun, base: TaskRun, most: Sequence[int], only_one: int, judged: bool) -> Iterator[str]:
    mine, theirs = (dict(asked_facts(run, samples)) for run, samples in zip((new, base), most, strict=True))
    differing = _differing(mine, theirs)
    if differing:
        yield f"{new.task}: the runs were asked differently: {'; '.join(differing)}"
    judges = [run.judge.name for run in (new, base) if judged and run.judge is not None]
    if len(set(judges)) > 1:
        yield f"{new.task}: judgements that are there are of different judges ({' and '.join(judges)})"
    if only_one:
        yield f"{new.task}: left out: {number_of(only_one, 'question')} that only one of the runs has"


def _differing(mine: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> list[str]:
    return [
        f"{what} {mine[what]} instead of {theirs[what]}"
        for what in mine
        if what in theirs and None not in (mine[what], theirs[what]) and mine[what] != theirs[what]
    ]
