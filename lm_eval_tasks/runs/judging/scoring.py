"""Replies -> scored questions: read all replies, then have all readable explanations judged in one go."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from judges.errors import BackendError, DataError
from judges.judge import Judge
from judges.output.progress import progress as phase
from judges.records import Assessment, Judgement, Statement
from judges.rubrics.rubric import EXTRAS, Rubric
from judges.rubrics.suspicion import signs
from lm_eval_tasks.records import (
    Choice,
    Draft,
    FailedReply,
    Question,
    Response,
    ScoredQuestion,
    ScoredResponse,
)
from lm_eval_tasks.replies.responses import read_refined, read_response
from lm_eval_tasks.tasks.spec import Protocol, TaskSpec

NO_CHOICE = "(none that can be read)"
"""In the place of a choice, where a judge is shown choices and a reply has none."""


def score_questions(
    spec: TaskSpec,
    items: Sequence[tuple[Question, Sequence[str]]],
    judge: Judge | None,
    progress: bool = True,
) -> list[ScoredQuestion]:
    """Reads the replies to questions and has their explanations judged.

    Args:
        spec: The task; it says how the judge is shown a question.
        items: Questions, each with its replies in sample order.
        judge: Sees every explanation that could be read, all of them at once; None to read only.
        progress: Whether the user sees how far it is.

    Returns:
        One scored question for each item, in the same order.
    """
    read = [read_replies(question, replies, spec.protocol) for question, replies in items]
    return read if judge is None else judge_questions(spec, read, judge, progress)


def read_replies(
    question: Question, replies: Sequence[str], protocol: Protocol = "explain"
) -> ScoredQuestion:
    """Reads the replies to one question, as they were asked for; nothing is judged."""
    return ScoredQuestion(question, tuple(read_reply(question, reply, protocol) for reply in replies))


def read_reply(question: Question, reply: str, protocol: Protocol = "explain") -> ScoredResponse:
    """Reads one reply. Where it refines itself, the refined part counts and the first is its draft."""
    if isinstance(reply, FailedReply):
        nothing = Response(str(reply), None, None, "no_reply", "no_reply", failure=reply.reason)
        return ScoredResponse(nothing, correct=False)
    if protocol == "explain":
        response = read_response(question, reply)
        return ScoredResponse(response, correct=response.choice == question.gold)
    read = read_refined(question, reply)
    first = read.first
    draft = Draft(first.explanation, first.choice, first.choice == question.gold, read.principle)
    return ScoredResponse(read.refined, correct=read.refined.choice == question.gold, draft=draft)


def judge_questions(
    spec: TaskSpec, questions: Sequence[ScoredQuestion], judge: Judge, progress: bool = True
) -> list[ScoredQuestion]:
    """Has every readable explanation judged; assessments that were there before are replaced."""
    total = sum(explanations(scored) for scored in questions)
    return list(judge_stream(spec, questions, judge, total, progress=progress))


def judge_stream(
    spec: TaskSpec,
    questions: Iterable[ScoredQuestion],
    judge: Judge,
    total: int | None = None,
    progress: bool = True,
) -> Generator[ScoredQuestion, None, None]:
    """As :func:`judge_questions`, keeping only those questions in memory whose judgements are under way.

    Args:
        spec: The task; it says how the judge is shown a question.
        questions: Read as the judge gets to them.
        judge: Sees every readable explanation.
        total: How many explanations there are, for the progress bar.
        progress: Whether the user sees how far it is.

    Yields:
        The questions with their judgements, in the order given.
    """
    waiting: deque[_Waiting] = deque()
    owners: dict[int, tuple[_Waiting, int]] = {}

    def statements() -> Iterator[Statement]:
        number = 0
        for scored in questions:
            given = statements_of(spec, scored)
            entry = _Waiting(scored, len(given), {})
            waiting.append(entry)
            for j, statement in given:
                owners[number] = (entry, j)
                number += 1
                yield statement

    with phase(total, "judging", shown=progress) as bar:
        for number, assessment in judge.assess(statements()):
            entry, j = owners.pop(number)
            entry.found[j] = assessment
            bar.update()
            while waiting and waiting[0].complete:
                yield waiting.popleft().marked(judge.rubric)
    while waiting and waiting[0].complete:
        yield waiting.popleft().marked(judge.rubric)
    if waiting:
        raise BackendError(f"the judge left out explanations of question {waiting[0].scored.question.id}")


def statements_of(spec: TaskSpec, scored: ScoredQuestion) -> list[tuple[int, Statement]]:
    """What a judge is shown of a question: index of each response with an explanation, and statement."""
    shown = spec.shown_question(scored.question)
    return [
        (j, statement_of(shown, scored.question, sample.response.explanation, sample.response.choice))
        for j, sample in enumerate(scored.responses)
        if sample.response.explanation is not None
    ]


def statement_of(shown: str, question: Question, explanation: str, choice: str | None) -> Statement:
    """What a judge can be shown of one explanation; its rubric says what of that it is.

    Args:
        shown: The question as it is shown.
        question: The question.
        explanation: The explanation.
        choice: Label of the choice that goes with it; None if none can be read.
    """
    if question.is_open:
        return Statement(shown, explanation, reference=question.reference)
    chosen = next((one for one in question.choices if one.label == choice), None)
    return Statement(
        shown,
        explanation,
        choice=NO_CHOICE if chosen is None else _as_printed(chosen),
        right_answer=_as_printed(question.gold_choice),
        reference=question.reference,
    )


def require_shown(task: str, questions: Sequence[Question], rubric: Rubric) -> None:
    """Refuses a rubric that shows a judge what questions don't have, before anything is generated for it.

    Raises:
        DataError: Saying how many questions lack what.
    """
    for name in rubric.shows:
        lacking = [one.id for one in questions if getattr(statement_of("", one, "", None), name) is None]
        if lacking:
            raise DataError(
                f"{task}: rubric {rubric.name} shows the judge {EXTRAS[name]}, and {len(lacking)} of "
                f"{len(questions)} questions have none, the first {lacking[0]!r}; take a rubric that doesn't "
                "show it" + ("" if name != "reference" else ", or name its field: fields.rationale of a task")
            )


def _as_printed(choice: Choice) -> str:
    return f"{choice.label}) {choice.text}"


def explanations(scored: ScoredQuestion) -> int:
    """How many responses have an explanation to judge."""
    return sum(sample.response.explanation is not None for sample in scored.responses)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A question whose ``expected`` judgements are under way; ``found`` has those that are in, by sample."""

    scored: ScoredQuestion
    expected: int
    found: dict[int, Assessment]

    @property
    def complete(self) -> bool:
        return len(self.found) == self.expected

    def marked(self, rubric: Rubric) -> ScoredQuestion:
        samples = enumerate(self.scored.responses)
        return ScoredQuestion(
            self.scored.question,
            tuple(_marked(sample, self.found.get(j), rubric) for j, sample in samples),
        )


def _marked(sample: ScoredResponse, assessment: Assessment | None, rubric: Rubric) -> ScoredResponse:
    outcome = None if assessment is None else assessment.outcome
    score = rubric.score(outcome) if isinstance(outcome, Judgement) else None
    if assessment is not None:
        assessment = replace(assessment, flagged=signs(rubric, sample.response.explanation or ""))
    return replace(sample, assessment=assessment, score=score)
