"""Sections of a recipe except the trainings: questions, sampling, roles, pairs, evaluation, launch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from anchor_train.recipes.training_settings import (
    RefineSettings,
)
from judges.settings import Settings

Acceptance: TypeAlias = Literal["judge", "rouge"]
Reference: TypeAlias = Literal["reply_or_argument", "reply"]
LoserRule: TypeAlias = Literal["below_top", "minimum"]


class QuestionSettings(Settings):
    """Which questions are trained on.

    Attributes:
        split: Split of the task's data set.
        limit: A seeded draw of that many; None takes all. In a recipe also a mapping of tasks to numbers: a
            task that isn't in it is taken whole. Read, it is the number for the recipe's task.
        skip_unreadable_rows: Whether rows that can't be read are left out and counted, here and in the
            evaluation; otherwise they are named and the run is refused.
    """

    split: str = "train"
    limit: int | None = Field(default=None, ge=1)
    skip_unreadable_rows: bool = False

    @model_serializer(mode="wrap")
    def _none_as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the setting where it is off: what was made before there was one stays up to date."""
        values: dict[str, Any] = write(self)
        if not self.skip_unreadable_rows:
            values.pop("skip_unreadable_rows", None)
        return values


# A role's backend: null (this run's own model on ``engine``), ``base``, ``latest``, ``KIND:MODEL[@URL]``,
# a judge file, or the mapping that such a file holds.
RoleBackend: TypeAlias = str | dict[str, Any] | None


class ThinkingSettings(Settings):
    """Settings of who may think before replying.

    Attributes:
        thinking_tokens: Tokens for the thought of a model that thinks, beside ``max_tokens`` for its reply.
    """

    thinking_tokens: int = Field(default=0, ge=0)

    @model_serializer(mode="wrap")
    def _none_as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without the setting where it is off: what was made before there was one stays up to date."""
        values: dict[str, Any] = write(self)
        if not self.thinking_tokens:
            values.pop("thinking_tokens", None)
        return values


class SampleSettings(ThinkingSettings):
    """The sampler: how training replies are drawn (method, section 1).

    Attributes:
        n: Replies a question.
        temperature: Must be positive for n > 1.
        top_p: Nucleus mass.
        max_tokens: Most tokens of a reply.
        backend: None samples the model in training on ``engine``; otherwise an endpoint that serves it.
        stop_unreadable: The stage stops if none of its first so many replies can be read, before all others
            are paid for; None never stops.
        allow_cut: Let replies be cut where prompt and ``max_tokens`` don't fit the model's context together,
            instead of refusing that.
    """

    unfelt: ClassVar[frozenset[str]] = frozenset({"stop_unreadable", "allow_cut"})

    n: int = Field(ge=1)
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)
    backend: RoleBackend = None
    stop_unreadable: int | None = Field(default=32, ge=1)
    allow_cut: bool = False

    @model_validator(mode="after")
    def _not_greedy(self) -> SampleSettings:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n={self.n} samples at temperature 0 would all be the same")
        return self


class ConsultantSettings(ThinkingSettings):
    """The consultant: argues for the gold label of questions that every sample got wrong.

    Attributes:
        temperature: Of its arguments.
        top_p: Nucleus mass.
        max_tokens: Most tokens of an argument.
        backend: Who it is.
        guide: A constitution that it is told to follow.
        check: Whether its arguments are checked before they win: they must say something beside the choice,
            and be judged, by the training judge, no worse than what they win against. Without, whatever it
            writes wins, as in the paper.
        min_words: With ``check``, least words of an argument beside those of the choice and of announcing it.
    """

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)
    backend: str | dict[str, Any] = "base"
    guide: Path | None = None
    check: bool = False
    min_words: int = Field(default=8, ge=1)

    @model_serializer(mode="wrap")
    def _none_as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without settings that are off: what was made before there were any stays up to date."""
        values: dict[str, Any] = write(self)
        if not self.thinking_tokens:
            values.pop("thinking_tokens", None)
        if not self.check:
            values.pop("check", None)
            values.pop("min_words", None)
        return values


class DiscoverSettings(ThinkingSettings):
    """E-step of strategy ``staple``: principles that make a reply better.

    Attributes:
        n: Principles that are tried on a reply; the best one is kept.
        first_replies: Samples of a question that are improved on: its first so many.
        temperature: Of principles and refined replies.
        top_p: Nucleus mass of both.
        principle_tokens: Most tokens of a principle with its tags.
        max_tokens: Most tokens of a refined reply.
        acceptance: What must have risen: the training judge's score of the explanation, or its Rouge-L F1
            with the reference's.
        reference: What is shown as a hint: the best-judged right reply to the question and, where none is
            right, the consultant's argument; or such a reply alone.
        right_only: Whether a refined reply must choose the gold label.
        questions: Questions of each round, one number a round; None takes equal parts of those drawn.
        backend: Who names principles and refines, as ``sampler.backend``; None is the model in training.
    """

    n: int = Field(ge=1)
    first_replies: int = Field(default=1, ge=1)
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    principle_tokens: int = Field(ge=1)
    max_tokens: int = Field(ge=1)
    acceptance: Acceptance = "judge"
    reference: Reference = "reply_or_argument"
    right_only: bool = True
    questions: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    backend: RoleBackend = None

    @model_validator(mode="after")
    def _not_greedy(self) -> DiscoverSettings:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n={self.n} principles at temperature 0 would all be the same")
        return self


class ClusterSettings(Settings):
    """From accepted principles to a constitution.

    Attributes:
        embedding: Name or folder of a sentence-transformers model; None compares by TF-IDF of character
            n-grams, offline.
        threshold: Cosine distance up to which clusters are joined (average linkage).
        allow_one: Go on where only one principle is left.
    """

    embedding: str | None = None
    threshold: float = Field(gt=0, le=2)
    allow_one: bool = False


class StapleSettings(Settings):
    """Strategy ``staple``, section by section as its stages.

    Attributes:
        start: What is sampled and trained on from in round 1: the SFT adapter, or the base model.
        discover: Stage ``discover``.
        cluster: Stage ``cluster``.
        train: Stage ``train``.
    """

    start: Literal["sft", "base"] = "sft"
    discover: DiscoverSettings
    cluster: ClusterSettings
    train: RefineSettings


class PairSettings(Settings):
    """How scored samples become preference pairs (method, section 4.3).

    Attributes:
        loser: Losers of consistently correct questions: all below the top score, or those at the minimum.
        unreadable_losers: Whether a reply without a readable explanation may lose. It has no score, so it
            is a loser only among wrong samples.
    """

    loser: LoserRule = "below_top"
    unreadable_losers: bool = False


class EvaluateSettings(ThinkingSettings):
    """How base and trained models are compared (method, section 3).

    Attributes:
        judge: Evaluation judge, like ``Recipe.judge``; should be stronger than the training judge.
        n: Replies a question.
        temperature: Must be positive for n > 1.
        top_p: Nucleus mass.
        max_tokens: Most tokens of a reply.
        split: Split of the task's data set; None is the one that the task evaluates on.
        limit: The first so many questions; None takes all.
        engine: lm-eval's model type that generates (``hf`` or ``vllm``); None follows ``Recipe.engine``.
        baseline: What the table compares with: ``base``, ``sft``, or another of the run's models by its name.
    """

    judge: str | dict[str, Any]
    n: int = Field(ge=1)
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)
    split: str | None = None
    limit: int | None = Field(default=None, ge=1)
    engine: Literal["hf", "vllm"] | None = None
    batch_size: int = Field(default=8, ge=1)
    baseline: str = "base"


class LaunchSettings(Settings):
    """How many processes train.

    Attributes:
        processes: Above 1, ``accelerate launch`` starts that many.
        accelerate_config: accelerate's own YAML file (FSDP, DeepSpeed, many machines); None for plain
            data-parallel training.
    """

    processes: int = Field(default=1, ge=1)
    accelerate_config: Path | None = None
