"""Replies -> scored questions: read all replies, then have all readable explanations judged in one go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from judges.judge import Judge
from judges.records import Assessment, Judgement, Statement
from judges.rubric import Rubric
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.responses import read_response
from lm_eval_tasks.specs import TaskSpec


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
        progress: Whether the judge shows a progress bar on stderr.

    Returns:
        One scored question for each item, in the same order.
    """
    read = [read_replies(question, replies) for question, replies in items]
    return read if judge is None else judge_questions(spec, read, judge, progress)


def read_replies(question: Question, replies: Sequence[str]) -> ScoredQuestion:
    """Reads the replies to one question; nothing is judged."""
    responses = [read_response(question, reply) for reply in replies]
    return ScoredQuestion(
        question, tuple(ScoredResponse(found, correct=found.choice == question.gold) for found in responses)
    )


def judge_questions(
    spec: TaskSpec, questions: Sequence[ScoredQuestion], judge: Judge, progress: bool = True
) -> list[ScoredQuestion]:
    """Has every readable explanation judged; assessments that were there before are replaced."""
    places = [
        (i, j)
        for i, scored in enumerate(questions)
        for j, sample in enumerate(scored.responses)
        if sample.response.explanation is not None
    ]
    shown = [spec.shown_question(scored.question) for scored in questions]
    statements = [
        Statement(shown[i], questions[i].responses[j].response.explanation or "") for i, j in places
    ]
    assessments = judge.assess_all(statements, progress=progress)
    found = dict(zip(places, assessments, strict=True))
    return [
        ScoredQuestion(
            scored.question,
            tuple(
                _marked(sample, found.get((i, j)), judge.rubric) for j, sample in enumerate(scored.responses)
            ),
        )
        for i, scored in enumerate(questions)
    ]


def _marked(sample: ScoredResponse, assessment: Assessment | None, rubric: Rubric) -> ScoredResponse:
    outcome = None if assessment is None else assessment.outcome
    score = rubric.score(outcome) if isinstance(outcome, Judgement) else None
    return replace(sample, assessment=assessment, score=score)
