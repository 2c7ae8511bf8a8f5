"""Questions and scored samples that several tests use."""

from __future__ import annotations

from judges import load_rubric
from judges.records import Assessment, Judgement, Unjudged
from lm_eval_tasks.records import Choice, Question, Response, ScoredQuestion, ScoredResponse

RUBRIC = load_rubric()
BEST, MIDDLE, WORST = "EXCELLENT", "SATISFACTORY", "UNSATISFACTORY"

QUESTION = Question(
    id="ice",
    question="What does ice do in warm water?",
    choices=(Choice("A", "It melts."), Choice("B", "It sinks."), Choice("C", "It burns.")),
    gold="A",
)


def sample(choice: str | None, verdict: str | None = None, words: int = 3) -> ScoredResponse:
    """A readable sample with the same verdict on every criterion; None if it stayed unjudged."""
    response = Response(
        text="...",
        explanation="word " * words,
        choice=choice,
        choice_problem=None if choice else "no_tag",
    )
    outcome = (
        Unjudged("failed", "no answer")
        if verdict is None
        else Judgement({criterion.key: verdict for criterion in RUBRIC.criteria})
    )
    score = RUBRIC.score(outcome) if isinstance(outcome, Judgement) else None
    return ScoredResponse(response, choice == QUESTION.gold, Assessment(outcome), score)


def silent() -> ScoredResponse:
    """A sample that nobody can read."""
    return ScoredResponse(Response("", None, None, "empty_reply", "empty_reply"), False)


def scored(*samples: ScoredResponse, question: Question = QUESTION) -> ScoredQuestion:
    """The question with these samples."""
    return ScoredQuestion(question, samples)
