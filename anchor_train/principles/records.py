"""What is found in the E-step: attempts to improve on a reply, and the principles that did.

``to_json`` / ``from_json`` are the one definition of what the artifacts hold, one a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from anchor_train.records import SftExample
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec

NoDiscoveryReason: TypeAlias = Literal[
    "no_samples",
    "no_reference",
    "first_unreadable",
    "first_unjudged",
    "first_at_top",
    "no_principle",
    "no_refined_reply",
    "no_right_reply",
    "nothing_scored",
    "no_improvement",
]

ReferenceSource: TypeAlias = Literal["sample", "consultant"]

# The judge's score in the rubric's units, exact; or a Rouge-L F1.
Worth: TypeAlias = int | float


@dataclass(frozen=True, slots=True)
class Attempt:
    """A first reply that is to be improved on.

    Attributes:
        question: The question.
        sample: Index of the reply among the question's samples.
        first: The reply as generated.
        worth: What it is worth.
        reference: A better reply, whole; shown while a principle is sought, hidden while refining.
        source: Whose reference it is.
    """

    question: Question
    sample: int
    first: str
    worth: Worth
    reference: str
    source: ReferenceSource

    @property
    def key(self) -> str:
        """Unique in a round."""
        return f"{self.question.id}/{self.sample}"


@dataclass(frozen=True, slots=True)
class Refinement:
    """One principle that was tried on a reply.

    Attributes:
        principle: The principle.
        explanation: Of the refined reply; None if it can't be read.
        choice: Of the refined reply; None if it can't be read.
        worth: What the refined reply is worth; None if it wasn't scored.
    """

    principle: str
    explanation: str | None = None
    choice: str | None = None
    worth: Worth | None = None


@dataclass(frozen=True, slots=True)
class Discovery(JsonRecord):
    """An accepted principle: the best that was tried on one reply.

    Attributes:
        question_id: The question.
        sample: Index of the first reply among the question's samples.
        first: The first reply as generated.
        before: What it is worth.
        principle: The principle.
        explanation: Of the refined reply.
        choice: Of the refined reply.
        after: What the refined reply is worth; more than ``before``.
        source: Whose reference was the hint.
        tried: Distinct principles that were tried.
        better: How many of them improved the reply.
    """

    question_id: str
    sample: int
    first: str
    before: Worth
    principle: str
    explanation: str
    choice: str
    after: Worth
    source: ReferenceSource
    tried: int
    better: int

    @property
    def gain(self) -> Worth:
        """By how much the reply became better."""
        return self.after - self.before

    def example(self, spec: TaskSpec, question: Question, principle: str) -> SftExample:
        """What the M-step learns from: log p(principle, refined reply | question, first reply)."""
        given, learnt = spec.format_refined(self.first, principle, self.explanation, self.choice)
        return SftExample(self.question_id, spec.refined_explain_conversation(question), learnt, given)


@dataclass(frozen=True, slots=True)
class NoDiscovery(JsonRecord):
    """A reply that no principle improved on, and why; these are counted, never dropped unseen.

    Attributes:
        question_id: The question.
        sample: Index of the reply; None for a question without any.
        reason: Why.
    """

    question_id: str
    sample: int | None
    reason: NoDiscoveryReason
