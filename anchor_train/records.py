"""The vocabulary of training: examples to learn from, replies to judge, pairs to prefer by.

``to_json`` / ``from_json`` are the one definition of what the artifacts of a run folder hold, one a line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from judges.models.thoughts import said
from judges.records import Completion, Conversation, Message
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Json, Question

Behaviour: TypeAlias = Literal["variable", "consistently_correct", "consistently_incorrect"]

# Why a question gave no pair: the first cause, not its last effect.
NoPairReason: TypeAlias = Literal[
    "no_samples",
    "no_readable_explanation",
    "none_judged",
    "right_ones_unreadable",
    "right_ones_not_judged",
    "wrong_ones_unreadable",
    "wrong_ones_not_judged",
    "all_scores_equal",
    "no_wrong_one_scored_lower",
    "one_scored_only",
    "no_argument",
    "argument_not_usable",
    "argument_says_too_little",
    "argument_not_judged",
    "argument_scored_below_all",
    "same_text",
    # As earlier versions wrote them:
    "nothing_scored",
    "no_right_sample_scored",
    "no_loser",
    "consultant_failed",
]


@dataclass(frozen=True, slots=True)
class SftExample(JsonRecord):
    """A prompt and what is to be replied: an answer (method, section 4.1), or the rest of a reply.

    Attributes:
        id: The question's id.
        prompt: System and user turn.
        target: The assistant turn; the loss is on its tokens alone.
        given: How the assistant turn begins, directly before the target; without loss.
    """

    id: str
    prompt: Conversation
    target: str
    given: str = ""

    def to_json(self) -> Json:
        """``{id, prompt: [{role, content}], target}``, and ``given`` if there is any."""
        row = JsonRecord.to_json(self)
        if not self.given:
            del row["given"]
        return row


@dataclass(frozen=True, slots=True)
class PreferenceExample(JsonRecord):
    """What preference training learns from: one prompt, the reply to prefer and the reply to avoid.

    Attributes:
        id: The question's id.
        prompt: System and user turn, as evaluation shows them.
        chosen: The whole preferred reply, explanation and choice.
        rejected: The whole other reply.
    """

    id: str
    prompt: Conversation
    chosen: str
    rejected: str


@dataclass(frozen=True, slots=True)
class RewardExample:
    """What learning from rewards starts from: a question, and how it is asked.

    Attributes:
        question: The question.
        prompt: System and user turn, worked examples between them if the run shows any.
    """

    question: Question
    prompt: Conversation

    @property
    def id(self) -> str:
        """The question's id."""
        return self.question.id

    def to_json(self) -> Json:
        """``{question: {...}, prompt: [{role, content}]}``."""
        prompt = [{"role": turn.role, "content": turn.content} for turn in self.prompt]
        return {"question": self.question.to_json(), "prompt": prompt}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> RewardExample:
        """Reads the form back."""
        prompt = tuple(Message(turn["role"], turn["content"]) for turn in row["prompt"])
        return RewardExample(Question.from_json(row["question"]), prompt)


@dataclass(frozen=True, slots=True)
class SampledQuestion:
    """A question with what the sampler wrote.

    Attributes:
        question: The question.
        completions: In sample order; none after a failure.
        failure: Why there is none.
        prompt_tokens: Tokens read; None where the backend doesn't tell.
        completion_tokens: Tokens written, all completions together.
    """

    question: Question
    completions: tuple[Completion, ...]
    failure: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    def to_json(self) -> Json:
        """``{question, completions: [{text, finish_reason}], failure, tokens}``."""
        return {
            "question": self.question.to_json(),
            "completions": [{"text": c.text, "finish_reason": c.finish_reason} for c in self.completions],
            "failure": self.failure,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> SampledQuestion:
        """Reads the form back."""
        return SampledQuestion(
            Question.from_json(row["question"]),
            tuple(Completion(c["text"], c["finish_reason"]) for c in row["completions"]),
            row["failure"],
            row["prompt_tokens"],
            row["completion_tokens"],
        )


@dataclass(frozen=True, slots=True)
class Argument(JsonRecord):
    """What the consultant argued for a question's gold label.

    Attributes:
        question_id: The question.
        text: What it wrote; None if no reply came.
        failure: Why the text can't be used; None if it can.
        too_little: That it says too little (``consultant.check``); None if it says enough or wasn't checked.
        judged: Whether it was had judged (``consultant.check``).
        score: In the rubric's units; None if it wasn't judged, or without readable verdicts.
    """

    question_id: str
    text: str | None
    failure: str | None = None
    too_little: str | None = None
    judged: bool = False
    score: int | None = None

    @property
    def problem(self) -> str | None:
        """Why it isn't used, in words; None if nothing speaks against it but perhaps its score."""
        return self.failure or self.too_little

    def to_json(self) -> Json:
        """``{question_id, text, failure}``, and what a check found."""
        row: Json = {"question_id": self.question_id, "text": self.text, "failure": self.failure}
        if self.too_little is not None:
            row["too_little"] = self.too_little
        return {**row, "score": self.score} if self.judged else row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Argument:
        """Reads the form back."""
        return cls(
            row["question_id"],
            row["text"],
            row["failure"],
            row.get("too_little"),
            "score" in row,
            row.get("score"),
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sample as the choice of pairs sees it.

    Attributes:
        index: Place among the question's samples.
        text: The whole reply.
        correct: Whether its choice is the gold label; an unreadable choice is wrong.
        readable: Whether it has an explanation that can be judged.
        score: In the rubric's units; None if unreadable or unjudged.
    """

    index: int
    text: str
    correct: bool
    readable: bool
    score: int | None


@dataclass(frozen=True, slots=True)
class Side(JsonRecord):
    """One side of a pair and where it came from.

    Attributes:
        text: The whole reply, explanation and choice.
        source: A sample of the model, or the consultant's argument in the reply's form.
        sample: Index of the sample; None for the consultant.
        score: The sample's score in units; None if it has none.
        correct: Whether the reply chooses the gold label.
    """

    text: str
    source: Literal["sample", "consultant"]
    sample: int | None = None
    score: int | None = None
    correct: bool = True


@dataclass(frozen=True, slots=True)
class PreferencePair(JsonRecord):
    """A winner and a loser of one question, with everything that led to them.

    Attributes:
        question_id: The question.
        strategy: ``anchor``, ``rank`` or ``anchor-faithful``.
        behaviour: Behaviour of the model on the question.
        chosen: The winner.
        rejected: The loser.
        winners: Sample indices of A_w; empty if the consultant wins.
        losers: Sample indices that the loser was drawn from: A_l without the winner and its text's copies.
        scores: Scores of all N samples, None where unjudged.
        correct: Whether each of the N samples chose the gold label.
        gold: The gold label.
        why: Why these winners and losers, where a probe had a say.
        areas: Of each sample, how much of its explanation its choice needs (early answering, area over the
            curve); None where that wasn't asked. Empty without a probe.
    """

    question_id: str
    strategy: str
    behaviour: Behaviour
    chosen: Side
    rejected: Side
    winners: tuple[int, ...]
    losers: tuple[int, ...]
    scores: tuple[int | None, ...]
    correct: tuple[bool, ...]
    gold: str
    why: str = ""
    areas: tuple[float | None, ...] = ()

    def to_json(self) -> Json:
        """As a row; without a probe as rows were before there was one."""
        values = JsonRecord.to_json(self)
        return {key: value for key, value in values.items() if value or key not in ("why", "areas")}

    def example(self, prompt: Conversation) -> PreferenceExample:
        """The pair as preference training takes it."""
        return PreferenceExample(self.question_id, prompt, self.chosen.text, self.rejected.text)


@dataclass(frozen=True, slots=True)
class NoPair(JsonRecord):
    """A question that gave no pair, and why; these are counted, never dropped unseen."""

    question_id: str
    strategy: str
    behaviour: Behaviour | None
    reason: NoPairReason


def spoken(reply: str) -> str:
    """A reply without its thoughts, which aren't learnt; as it is where it has none."""
    found = said(reply)
    return reply if found.text == reply and not found.cut else found.text.strip()


def conversation_to_json(conversation: Conversation) -> list[Json]:
    """``[{role, content}]``, the form that chat templates take."""
    return [{"role": message.role, "content": message.content} for message in conversation]


def conversation_from_json(rows: list[Mapping[str, Any]]) -> Conversation:
    """Reads the form back."""
    return tuple(Message(row["role"], row["content"]) for row in rows)


@dataclass(frozen=True, slots=True)
class Assessment(JsonRecord):
    """What a model thinks of groups of replies at one step.

    Attributes:
        step: Optimiser steps made before.
        groups: Groups in which some reply is better than another.
        accuracy: Assessment accuracy over them, 0 to 1.
        good: Mean over groups of the mean score of the best replies, in nats a token.
        bad: The same of all other replies.
    """

    step: int
    groups: int
    accuracy: float
    good: float
    bad: float
