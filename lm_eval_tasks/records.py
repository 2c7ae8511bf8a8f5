"""The vocabulary of measuring: a question, a model's response to it, and what the response is worth.

``to_json`` / ``from_json`` of these records are the one definition of what samples logs, judgement files and
training artifacts hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias

from judges.records import Assessment, Judgement, Unjudged, Usage
from judges.storage.files import Json as Json


@dataclass(frozen=True, slots=True)
class Choice:
    """One option: its label as printed (``A``, ``1`` ...) and its text without the label."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question: multiple-choice, or open, without choices and without a right answer that is known.

    Attributes:
        id: Stable within its data set; the same question has the same id in every run.
        question: The question itself.
        choices: In the order in which they are shown; none for an open question.
        gold: Label of the right choice; always one of ``choices``, and empty where there are none.
        context: Passage to read first; None where the data set has none.
        reference: A reason for the right answer that the data set gives; None where it has none. Questions
            with and without it are the same question.
    """

    id: str
    question: str
    choices: tuple[Choice, ...]
    gold: str
    context: str | None = None
    reference: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        labels = self.labels
        if len(set(labels)) < len(labels):
            raise ValueError(f"question {self.id}: two choices have the same label ({', '.join(labels)})")
        if self.gold not in labels and (labels or self.gold):
            raise ValueError(
                f"question {self.id}: gold {self.gold!r} is none of the labels {', '.join(labels)}"
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in order."""
        return tuple(choice.label for choice in self.choices)

    @property
    def is_open(self) -> bool:
        """Whether it has no choices: then an explanation can be judged, and nothing is right or wrong."""
        return not self.choices

    @property
    def gold_choice(self) -> Choice:
        """The right choice."""
        return next(choice for choice in self.choices if choice.label == self.gold)

    def to_json(self) -> Json:
        """``{id, context, question, choices: {label: [...], text: [...]}, gold}``, ``reference`` if any."""
        return {
            "id": self.id,
            "context": self.context,
            "question": self.question,
            "choices": {"label": list(self.labels), "text": [choice.text for choice in self.choices]},
            "gold": self.gold,
            **({} if self.reference is None else {"reference": self.reference}),
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Question:
        """Reads the row form back."""
        choices = row["choices"]
        pairs = zip(choices["label"], choices["text"], strict=True)
        return Question(
            id=str(row["id"]),
            question=row["question"],
            choices=tuple(Choice(label, text) for label, text in pairs),
            gold=row["gold"],
            context=row.get("context"),
            reference=row.get("reference"),
        )


UnreadableReason: TypeAlias = Literal[
    "empty_reply",
    "unfinished_thinking",
    "no_tag",
    "unclosed_tag",
    "empty_tag",
    "unknown_choice",
    "ambiguous_choice",
    "no_refined_reply",
    "no_reply",
]


class FailedReply(str):
    """A reply that didn't arrive: no word of the model's, and never a wrong answer.

    It passes for the text that arrived, mostly none, where replies travel as texts.

    Attributes:
        reason: Why it didn't.
    """

    reason: str

    def __new__(cls, reason: str, text: str = "") -> FailedReply:
        """Makes one."""
        made = super().__new__(cls, text)
        made.reason = reason
        return made

    def __reduce__(self) -> tuple[type[FailedReply], tuple[str, str]]:
        return FailedReply, (self.reason, str(self))


@dataclass(frozen=True, slots=True)
class Response:
    """One reply of the evaluated model, read.

    Attributes:
        text: The whole reply as generated.
        explanation: Text of the explanation part; None if unreadable.
        choice: Label of the chosen choice; None if unreadable, or if the question is open.
        explanation_problem: Why there is no explanation; None if there is one.
        choice_problem: Why there is no choice; None if there is one, or if the question is open.
        failure: Why the model gave no reply (its endpoint failed, say); None if it did. Such a response
            stands in no metric; how many there are is told.
    """

    text: str
    explanation: str | None
    choice: str | None
    explanation_problem: UnreadableReason | None = None
    choice_problem: UnreadableReason | None = None
    failure: str | None = None

    @property
    def readable(self) -> bool:
        """True if both parts could be read; of a reply to an open question, the explanation."""
        return self.explanation is not None and self.choice_problem is None


@dataclass(frozen=True, slots=True)
class RefinedResponse:
    """A reply that improves on itself, read (STaPLe): first reply, principle, refined reply.

    Attributes:
        first: The reply before the principle; its ``text`` is that part alone.
        principle: In one line; None if there is none.
        refined: The reply that counts; its ``text`` is the whole as generated.
    """

    first: Response
    principle: str | None
    refined: Response


@dataclass(frozen=True, slots=True)
class Draft:
    """What a refined reply started from.

    Attributes:
        explanation: Of the first reply; None if unreadable.
        choice: Of the first reply; None if unreadable.
        correct: True if that choice is the gold label.
        principle: By which it was refined; None if there is none.
    """

    explanation: str | None
    choice: str | None
    correct: bool
    principle: str | None


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """A response with its marks.

    Attributes:
        response: What the model wrote.
        correct: True if the choice is the gold label; an unreadable choice is wrong.
        assessment: What the judge made of the explanation; None if no judge has seen it (no judge, or no
            readable explanation).
        score: Weighted sum of the verdicts in the rubric's units, exact; None unless judged.
        draft: What the response was refined from; None where the task asks for one reply.
    """

    response: Response
    correct: bool
    assessment: Assessment | None = None
    score: int | None = None
    draft: Draft | None = None

    @property
    def verdicts(self) -> Mapping[str, str] | None:
        """Criterion key -> verdict; None unless judged."""
        if self.assessment is not None and isinstance(self.assessment.outcome, Judgement):
            return self.assessment.outcome.verdicts
        return None

    def to_json(self) -> Json:
        """Flat form for logs: text, parts, problems, correct, judgement, score, and the draft if any."""
        response = self.response
        draft = {} if self.draft is None else {"draft": asdict(self.draft)}
        failure = {} if response.failure is None else {"failure": response.failure}
        return {
            "text": response.text,
            "explanation": response.explanation,
            "choice": response.choice,
            "explanation_problem": response.explanation_problem,
            "choice_problem": response.choice_problem,
            "correct": self.correct,
            "judgement": None if self.assessment is None else assessment_to_json(self.assessment),
            "score": self.score,
            **draft,
            **failure,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> ScoredResponse:
        """Reads the flat form back."""
        judgement, draft = row.get("judgement"), row.get("draft")
        return ScoredResponse(
            response=Response(
                text=row["text"],
                explanation=row["explanation"],
                choice=row["choice"],
                explanation_problem=row["explanation_problem"],
                choice_problem=row["choice_problem"],
                failure=row.get("failure"),
            ),
            correct=row["correct"],
            assessment=None if judgement is None else assessment_from_json(judgement),
            score=row["score"],
            draft=None
            if draft is None
            else Draft(**{field.name: draft[field.name] for field in fields(Draft)}),
        )


@dataclass(frozen=True, slots=True)
class ScoredQuestion:
    """A question with the N responses of one model, in sample order."""

    question: Question
    responses: tuple[ScoredResponse, ...]

    @property
    def answered(self) -> tuple[ScoredResponse, ...]:
        """The responses that the model gave, without those that failed."""
        return tuple(sample for sample in self.responses if sample.response.failure is None)

    def to_json(self) -> Json:
        """``{question: ..., responses: [...]}``."""
        return {"question": self.question.to_json(), "responses": [r.to_json() for r in self.responses]}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> ScoredQuestion:
        """Reads the form back."""
        responses = tuple(ScoredResponse.from_json(response) for response in row["responses"])
        return ScoredQuestion(Question.from_json(row["question"]), responses)


def assessment_to_json(assessment: Assessment) -> Json:
    """``{verdicts | unjudged + detail, raw, attempts, tokens, seconds, cached, price, flagged}``.

    Tokens and price are null where they aren't known.
    """
    outcome, usage = assessment.outcome, assessment.usage
    return {
        "verdicts": dict(outcome.verdicts) if isinstance(outcome, Judgement) else None,
        "unjudged": outcome.reason if isinstance(outcome, Unjudged) else None,
        "detail": outcome.detail if isinstance(outcome, Unjudged) else None,
        "raw": assessment.raw,
        "attempts": assessment.attempts,
        "prompt_tokens": None if usage is None else usage.prompt_tokens,
        "completion_tokens": None if usage is None else usage.completion_tokens,
        "cached_prompt_tokens": None if usage is None else usage.cached_prompt_tokens,
        "seconds": round(assessment.seconds, 6),
        "cached": assessment.cached,
        "price": assessment.price,
        "flagged": list(assessment.flagged),
    }


def assessment_from_json(row: Mapping[str, Any]) -> Assessment:
    """Reads the form back."""
    outcome: Judgement | Unjudged
    counts = row["prompt_tokens"], row["completion_tokens"], row["cached_prompt_tokens"]
    if row["verdicts"] is not None:
        outcome = Judgement(row["verdicts"])
    else:
        outcome = Unjudged(row["unjudged"], row["detail"] or "")
    return Assessment(
        outcome=outcome,
        raw=row["raw"],
        attempts=row["attempts"],
        usage=None if None in counts else Usage(*counts),
        seconds=row["seconds"],
        cached=row["cached"],
        price=row["price"],
        flagged=tuple(row.get("flagged", ())),
    )
