"""What probes ask: the vocabulary between a probe, which is pure, and who answers (``model``, ``writer``).

A probe of one reply is a generator: it yields what it wants to know next, all that can be asked at once, and
gets the answers in the same order. So many replies are probed side by side in full batches.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from judges.records import Conversation, OutputForm
from lm_eval_tasks.records import Question


@dataclass(frozen=True, slots=True)
class Sampled:
    """A reply that is probed.

    Attributes:
        run: Name of the run.
        task: The task.
        question: The question.
        sample: Number of the reply among those to the question, from 0.
        explanation: What the model wrote as its explanation.
        choice: What it chose.
        shown: The question as the model sees it.
        choices: The choices of all readable replies to the question, in their order.
    """

    run: str
    task: str
    question: Question
    sample: int
    explanation: str
    choice: str
    shown: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskChoice:
    """Which choice does the model take, once it has written this explanation and nothing else?

    Attributes:
        question: As it is shown to the model.
        explanation: Put into the model's mouth; may be empty.
    """

    question: Question
    explanation: str


@dataclass(frozen=True, slots=True)
class AskReply:
    """What does the model reply?

    Attributes:
        question: As it is shown to the model.
        before: Text between the question and the paragraphs before it; for a hint.
        behind: Text behind the question, in the same turn.
        begun: The beginning of an explanation, which the model goes on from; empty for a reply of its own.
        draw: 0 for the greedy reply; others are drawn as the run drew its own, each number another one.
    """

    question: Question
    before: str = ""
    behind: str = ""
    begun: str = ""
    draw: int = 0


@dataclass(frozen=True, slots=True)
class AskWriter:
    """What does the writer, who isn't the model under test, make of this?

    Attributes:
        conversation: The turns.
        form: What its reply is held to, where its backend can do that.
        max_tokens: Room for its reply.
    """

    conversation: Conversation
    form: OutputForm | None = None
    max_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Chosen:
    """The answer to :class:`AskChoice`.

    Attributes:
        label: The likeliest choice; None if there is none to tell.
        shares: Label -> probability; all on ``label`` where only a reply was had; empty without one.
        problem: Why there is no label.
    """

    label: str | None
    shares: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to :class:`AskReply` and :class:`AskWriter`.

    Attributes:
        text: What was written, thoughts left out; of a reply the explanation, with its given beginning.
        choice: Of a reply; None if it can't be read.
        problem: Why there is no text, or no choice.
    """

    text: str | None
    choice: str | None = None
    problem: str = ""


Ask: TypeAlias = AskChoice | AskReply | AskWriter
Answers: TypeAlias = Sequence[Any]
"""An answer to each ask, in their order: ``Chosen`` to ``AskChoice``, ``Written`` to the others."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a probe made of one reply.

    Attributes:
        values: The probe's own record, as its file has it.
        lost: Why it tells nothing of this reply; empty if it does.
    """

    values: Mapping[str, Any]
    lost: str = ""


Probing: TypeAlias = Generator[Sequence[Ask], Answers, Found]
