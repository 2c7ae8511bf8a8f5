"""Settings of the base model and of every training, as far as a training's own process needs them.

Numbers that the paper fixes stand in ``built_in/paper.yaml`` and have no default here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from judges.errors import ConfigError
from judges.settings import Settings, nearest

ListwiseLoss: TypeAlias = Literal["aft", "rrhf", "pro"]
Constraint: TypeAlias = Literal["boundary", "detached", "none"]
Feedback: TypeAlias = Literal["correctness", "score"]
PrincipleText: TypeAlias = Literal["medoid", "own"]
SftTarget: TypeAlias = Literal["answer", "form", "rationale"]
Dtype: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]

# The losses of trl.DPOConfig.loss_type that need no further numbers; a test compares the list with TRL's own.
DPO_LOSSES = (
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
)


class ModelSettings(Settings):
    """The base model.

    Attributes:
        name: Folder or hub name of a Hugging Face causal language model.
        revision: Branch, tag or commit on the hub.
        dtype: Type of the weights, in training, sampling and evaluation alike; ``auto`` is bfloat16 on a GPU
            that has it and on a CPU that multiplies in it, else float32. The adapter's own weights are
            float32 in training.
        attention: transformers' name of the attention implementation; None takes its default.
        load_in_4bit: Hold the frozen weights in 4 bits while training (QLoRA; needs bitsandbytes).
        chat_template: A Jinja file, for a tokenizer that has no chat template of its own.
        chat_template_kwargs: Further variables of the template, e.g. ``{enable_thinking: false}``; training,
            sampling and evaluation render with the same.
        trust_remote_code: Whether code from the model's repository may run here.
    """

    name: str = Field(min_length=1)
    revision: str | None = None
    dtype: Dtype = "auto"
    attention: str | None = None
    load_in_4bit: bool = False
    chat_template: Path | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    trust_remote_code: bool = False


class LoraSettings(Settings):
    """A LoRA adapter, as peft.LoraConfig takes it.

    Attributes:
        r: Rank.
        alpha: Scale of what it adds: alpha / r, or alpha / sqrt(r) with ``use_rslora``.
        dropout: Of its inputs while it is fine-tuned; preference training has none.
        target_modules: Modules that it sits on.
        use_rslora: Rank-stabilised scale.
        use_dora: Weight-decomposed adapter (DoRA).
        modules_to_save: Modules that are trained whole and saved with the adapter, e.g. ``[lm_head]``.
    """

    r: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"
    use_rslora: bool = False
    use_dora: bool = False
    modules_to_save: tuple[str, ...] = ()

    @model_serializer(mode="wrap")
    def _none_as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is off: what was made before there were these settings stays up to date."""
        values: dict[str, Any] = write(self)
        for name in ("use_rslora", "use_dora", "modules_to_save"):
            if not getattr(self, name):
                values.pop(name, None)
        return values


class OptimiserSettings(Settings):
    """AdamW and its schedule.

    Attributes:
        name: transformers' name of the optimiser.
        learning_rate: At the end of the warm-up.
        weight_decay: AdamW's decoupled decay.
        schedule: transformers' name of the learning-rate schedule.
        warmup: Share of all steps during which the rate rises from 0.
        max_grad_norm: Gradients are clipped to this norm.
        batch_size: Effective batch: examples (or pairs) a step over all processes and accumulation steps.
        per_device_batch_size: Most examples that one process holds at once. Of several processes, each takes
            an equal share of ``batch_size``, in the largest equal parts up to this.
        gradient_checkpointing: Recompute activations in the backward pass: less memory, more time.
    """

    name: str = "adamw_torch"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: str = "cosine"
    warmup: float = Field(ge=0, lt=1)
    max_grad_norm: float = Field(gt=0)
    batch_size: int = Field(ge=1)
    per_device_batch_size: int = Field(ge=1)
    gradient_checkpointing: bool = False

    def at_once(self, processes: int = 1) -> int:
        """Examples that each of that many processes holds at once: as many as fit evenly into the batch.

        Raises:
            ConfigError: If the processes can't share the batch evenly, with the nearest values that can.
        """
        share, rest = divmod(self.batch_size, processes)
        if rest or not share:
            fitting = [size for size in (share * processes, (share + 1) * processes) if size]
            counts = [count for count in range(1, processes + 1) if not self.batch_size % count]
            raise ConfigError(
                f"optimiser.batch_size {self.batch_size} can't be shared evenly by launch.processes "
                f"{processes}: the nearest that can are batch_size {' and '.join(map(str, fitting))}, or "
                f"{counts[-1]} process{'' if counts[-1] == 1 else 'es'}"
            )
        if processes == 1 and share % self.per_device_batch_size:
            fitting = [
                size
                for size in (
                    share // self.per_device_batch_size * self.per_device_batch_size,
                    -(-share // self.per_device_batch_size) * self.per_device_batch_size,
                )
                if size
            ]
            raise ConfigError(
                f"optimiser.batch_size {self.batch_size} is no multiple of per_device_batch_size "
                f"{self.per_device_batch_size}; the nearest are {' and '.join(map(str, fitting))}"
            )
        most = min(share, self.per_device_batch_size)
        return next(size for size in range(most, 0, -1) if not share % size)

    def accumulation_steps(self, processes: int = 1) -> int:
        """Accumulation steps that give the effective batch on that many processes.

        Raises:
            ConfigError: If the batch can't be divided so.
        """
        return self.batch_size // (self.at_once(processes) * processes)


# Settings of a training that change what is seen of it, not what comes of it.
DISPLAY = frozenset({"save_every", "keep_checkpoints", "log_every", "report_to"})
DISPLAY |= {"sample_every", "sample_questions", "sample_max_tokens", "assess_questions"}


class LoopSettings(Settings):
    """What all training loops need.

    Attributes:
        optimiser: Optimiser and batch.
        epochs: Passes over the data; not looked at if ``max_steps`` is set.
        max_steps: Optimiser steps in all.
        max_length: Tokens of prompt and completion together.
        allow_cut: Train although ``max_length`` cuts some examples (a reply's choice stands at its end).
        save_every: Optimiser steps between checkpoints that a killed run resumes from.
        keep_checkpoints: How many of them stay on disk.
        log_every: Optimiser steps between log lines.
        report_to: transformers' names of trackers (tensorboard, wandb, trackio ...).
        eval_every: Optimiser steps between measurements of the loss on held-out examples; None for none, and
            all examples are trained on.
        eval_share: Share of the examples that is held out for it, a seeded draw.
    """

    # Settings that leave no trace where they are off: what was made before there were any stays up to date.
    silent: ClassVar[Mapping[str, Any]] = {"eval_every": None, "eval_share": 0.1}

    optimiser: OptimiserSettings
    epochs: float | None = Field(default=None, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    max_length: int = Field(ge=8)
    allow_cut: bool = False
    save_every: int = Field(default=100, ge=1)
    keep_checkpoints: int = Field(default=1, ge=1)
    log_every: int = Field(default=10, ge=1)
    report_to: tuple[str, ...] = ()
    eval_every: int | None = Field(default=None, ge=1)
    eval_share: float = Field(default=0.1, gt=0, lt=1)

    @model_serializer(mode="wrap")
    def _silent(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        return {
            name: value
            for name, value in values.items()
            if name not in self.silent or getattr(self, name) != self.silent[name]
        }

    @model_validator(mode="after")
    def _ends(self) -> LoopSettings:
        if self.epochs is None and self.max_steps is None:
            raise ValueError("one of epochs and max_steps must be set")
        return self


class SftSettings(LoopSettings):
    """Supervised fine-tuning before sampling (method, section 4.1).

    Attributes:
        lora: The adapter; None trains all weights (full fine-tuning), and so do the trainings that go on.
        target: What is learnt. ``answer``: label and text of the right choice, as in the paper; ``form``: the
            right label within the tag that replies have for it; ``rationale``: a whole reply in the form,
            with the reason that the data set gives.
    """

    lora: LoraSettings | None
    target: SftTarget = "answer"

    silent: ClassVar[Mapping[str, Any]] = {**LoopSettings.silent, "target": "answer"}


class RftSettings(LoopSettings):
    """Fine-tuning of the SFT adapter on its own right replies: strategy ``rft``.

    Attributes:
        assess_questions: Groups on which assessment accuracy is measured before and after training.
    """

    assess_questions: int = Field(default=200, ge=1)


class WatchedSettings(LoopSettings):
    """Training that may ruin a model, and is watched for it.

    Attributes:
        sample_every: Optimiser steps between sample generations that show a collapse early; None for none.
        sample_questions: Prompts that are generated from each time.
        sample_max_tokens: Length of those generations.
    """

    sample_every: int | None = Field(default=100, ge=1)
    sample_questions: int = Field(default=2, ge=1)
    sample_max_tokens: int = Field(default=200, ge=1)


class DpoSettings(WatchedSettings):
    """Preference training from the SFT adapter (method, section 4.4).

    Attributes:
        beta: Strength of the pull towards the reference.
        loss: TRL's name of the loss.
        label_smoothing: Share of pairs believed to be the wrong way round (losses ``robust``, ``exo_pair``).
        precompute_reference: Compute the reference's log-probabilities once, before the first step.
    """

    beta: float = Field(gt=0)
    loss: str = "sigmoid"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    precompute_reference: bool = True

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, value: str) -> str:
        if value not in DPO_LOSSES:
            raise ValueError(f"no such loss ({nearest(value, DPO_LOSSES)})")
        return value

    @model_validator(mode="after")
    def _smoothing(self) -> DpoSettings:
        if self.loss == "exo_pair" and not self.label_smoothing:
            raise ValueError("loss exo_pair needs label_smoothing above 0 (its paper: 0.001)")
        return self


class ListwiseSettings(WatchedSettings):
    """Training on a question's whole group of replies: strategies ``aft``, ``rrhf`` and ``pro``.

    ``optimiser.batch_size`` counts questions; one forward pass holds all replies of
    ``per_device_batch_size`` of them.

    Attributes:
        feedback: What makes a reply better: the right choice (two levels), or the judge's score (a ranking).
        constraint: ``aft`` only: what keeps bad replies from being made ever less likely.
        beta: ``aft`` with ``constraint: boundary``: nats a token between good replies and the boundary.
        detach_boundary: Hold the boundary constant in the gradient.
        sft_weight: Weight of the fine-tuning loss on the best replies beside the alignment loss.
        assess_questions: Groups on which assessment accuracy is measured before and after training.
    """

    feedback: Feedback = "correctness"
    constraint: Constraint = "boundary"
    beta: float = Field(gt=0)
    detach_boundary: bool = True
    sft_weight: float = Field(default=1.0, ge=0)
    assess_questions: int = Field(default=200, ge=1)


class RewardWeights(Settings):
    """What each reward counts for; those of 0 aren't asked for.

    Attributes:
        correctness: 1 for the right choice.
        form: The share of explanation and choice that can be read.
        quality: The training judge's score, as a share of the best one.
    """

    correctness: float = Field(default=1.0, ge=0)
    form: float = Field(default=1.0, ge=0)
    quality: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _something(self) -> RewardWeights:
        if not self.counted:
            raise ValueError("all rewards count for nothing")
        return self

    @property
    def counted(self) -> dict[str, float]:
        """Those that count, by name."""
        return {name: weight for name, weight in self.model_dump().items() if weight > 0}


class GrpoSettings(LoopSettings):
    """Learning from rewards for replies that are written during training: strategy ``grpo``.

    ``optimiser.batch_size`` counts replies: a step takes ``batch_size / replies`` questions.

    Attributes:
        replies: Replies to a question, whose rewards are compared with each other.
        max_tokens: Longest reply.
        temperature: Of the replies.
        beta: Weight of the divergence from the model that training starts from.
        rewards: What counts.
    """

    replies: int = Field(ge=2)
    max_tokens: int = Field(ge=1)
    temperature: float = Field(gt=0)
    beta: float = Field(ge=0)
    rewards: RewardWeights = RewardWeights()

    @field_validator("replies")
    @classmethod
    def _whole_groups(cls, value: int, info: ValidationInfo) -> int:
        optimiser = info.data.get("optimiser")
        if isinstance(optimiser, OptimiserSettings) and optimiser.batch_size % value:
            raise ValueError(
                f"a step has optimiser.batch_size {optimiser.batch_size} replies, no multiple of {value}"
            )
        return value

    @model_validator(mode="after")
    def _nothing_held_out(self) -> GrpoSettings:
        if self.eval_every is not None:
            raise ValueError("eval_every: rewards have no held-out loss; evaluation measures the model")
        return self


class RefineSettings(LoopSettings):
    """M-step of strategy ``staple``: fine-tuning on principle and refined reply, given the first reply.

    Attributes:
        principle: What is learnt to be named: the medoid of its cluster, or the principle as it was found.
    """

    principle: PrincipleText = "medoid"
