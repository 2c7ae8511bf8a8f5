"""A recipe: everything that a run depends on, checked before any model loads.

The numbers of the paper stand in ``recipes/paper.yaml`` and nowhere else: settings below that the paper fixes
have no default here, and a recipe says only what differs from the one that it ``extends`` (``paper``).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast, get_args

import yaml
from pydantic import Field, ValidationInfo, field_validator, model_validator

from judges.errors import ConfigError
from judges.executor import ExecutorSettings, read_executor
from judges.settings import Settings, load_yaml, nearest, parse

RECIPES = Path(__file__).parent / "recipes"
PAPER = "paper"

PairStrategy: TypeAlias = Literal["anchor", "rank"]
ListwiseLoss: TypeAlias = Literal["aft", "rrhf", "pro"]
Strategy: TypeAlias = Literal[PairStrategy, ListwiseLoss, "rft", "staple"]
Constraint: TypeAlias = Literal["boundary", "detached", "none"]
Feedback: TypeAlias = Literal["correctness", "score"]
Acceptance: TypeAlias = Literal["judge", "rouge"]
Reference: TypeAlias = Literal["reply_or_argument", "reply"]
PrincipleText: TypeAlias = Literal["medoid", "own"]
LoserRule: TypeAlias = Literal["below_top", "minimum"]
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
        dtype: Type of the frozen weights; ``auto`` is bfloat16 on a GPU that has it, else float32. The
            adapter's own weights are float32 in training.
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
    """A LoRA adapter (peft.LoraConfig): ``r``, ``alpha``, ``dropout`` and which modules it sits on."""

    r: int = Field(ge=1)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


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
        per_device_batch_size: Examples that one process holds at once; ``batch_size`` must be a multiple of
            it times the number of processes.
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

    def accumulation_steps(self, processes: int = 1) -> int:
        """Accumulation steps that give the effective batch on that many processes.

        Raises:
            ConfigError: If the batch can't be divided so.
        """
        at_once = self.per_device_batch_size * processes
        if self.batch_size % at_once:
            raise ConfigError(
                f"optimiser.batch_size {self.batch_size} is no multiple of per_device_batch_size "
                f"{self.per_device_batch_size} x {processes} process(es)"
            )
        return self.batch_size // at_once


class LoopSettings(Settings):
    """What both training loops need.

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
    """

    optimiser: OptimiserSettings
    epochs: float | None = Field(default=None, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    max_length: int = Field(ge=8)
    allow_cut: bool = False
    save_every: int = Field(default=100, ge=1)
    keep_checkpoints: int = Field(default=1, ge=1)
    log_every: int = Field(default=10, ge=1)
    report_to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _ends(self) -> LoopSettings:
        if self.epochs is None and self.max_steps is None:
            raise ValueError("one of epochs and max_steps must be set")
        return self


class SftSettings(LoopSettings):
    """Supervised fine-tuning on the answers alone (method, section 4.1)."""

    lora: LoraSettings


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


class QuestionSettings(Settings):
    """Which questions are trained on.

    Attributes:
        split: Split of the task's data set.
        limit: A seeded draw of that many; None takes all.
    """

    split: str = "train"
    limit: int | None = Field(default=None, ge=1)


# A role's backend: null (this run's own model on ``engine``), ``base``, ``latest``, ``KIND:MODEL[@URL]``,
# a judge file, or the mapping that such a file holds.
RoleBackend: TypeAlias = str | dict[str, Any] | None


class SampleSettings(Settings):
    """The sampler: how training replies are drawn (method, section 1).

    Attributes:
        n: Replies a question.
        temperature: Must be positive for n > 1.
        top_p: Nucleus mass.
        max_tokens: Most tokens of a reply.
        backend: None samples the model in training on ``engine``; otherwise an endpoint that serves it.
    """

    n: int = Field(ge=1)
    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)
    backend: RoleBackend = None

    @model_validator(mode="after")
    def _not_greedy(self) -> SampleSettings:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(f"n={self.n} samples at temperature 0 would all be the same")
        return self


class ConsultantSettings(Settings):
    """The consultant: argues for the gold label of questions that every sample got wrong.

    Attributes:
        temperature: Of its arguments.
        top_p: Nucleus mass.
        max_tokens: Most tokens of an argument.
        backend: Who it is.
        guide: A constitution that it is told to follow.
    """

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)
    backend: str | dict[str, Any] = "base"
    guide: Path | None = None


class DiscoverSettings(Settings):
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


class RefineSettings(LoopSettings):
    """M-step of strategy ``staple``: fine-tuning on principle and refined reply, given the first reply.

    Attributes:
        principle: What is learnt to be named: the medoid of its cluster, or the principle as it was found.
    """

    principle: PrincipleText = "medoid"


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


class EvaluateSettings(Settings):
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


class LaunchSettings(Settings):
    """How many processes train.

    Attributes:
        processes: Above 1, ``accelerate launch`` starts that many.
        accelerate_config: accelerate's own YAML file (FSDP, DeepSpeed, many machines); None for plain
            data-parallel training.
    """

    processes: int = Field(default=1, ge=1)
    accelerate_config: Path | None = None


STRATEGY_NAMES: tuple[Strategy, ...] = get_args(Strategy)
# Sections that a variant may set otherwise.
VARIED = ("pairs", "dpo", "listwise", "rft", "staple")
VARIANT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
# What a strategy's name would be taken for: another model of the evaluation, a round of another strategy, a
# folder beside those of the strategies.
TAKEN = re.compile(r"base|sft|table|sample|judge|consult|.*-round-\d+")


class Variant(Settings):
    """A strategy with some settings of its own, so that one run compares settings, too.

    Attributes:
        strategy: The strategy that it is a variant of.
        pairs: Its own ``pairs``; in a recipe, only what differs. None for the recipe's.
        dpo: The same of ``dpo``.
        listwise: The same of ``listwise``.
        rft: The same of ``rft``.
        staple: The same of ``staple``.
    """

    strategy: Strategy
    pairs: PairSettings | None = None
    dpo: DpoSettings | None = None
    listwise: ListwiseSettings | None = None
    rft: RftSettings | None = None
    staple: StapleSettings | None = None

    @property
    def own(self) -> dict[str, Settings]:
        """Section -> its settings, of those that it sets."""
        return {name: getattr(self, name) for name in VARIED if getattr(self, name) is not None}


S = TypeVar("S", LoopSettings, StapleSettings)

# Section of the recipe -> strategies that train with it; a section that isn't here is used by all.
_USERS = {
    "dpo": frozenset(get_args(PairStrategy)),
    "listwise": frozenset(get_args(ListwiseLoss)),
    "rft": frozenset({"rft"}),
    "staple": frozenset({"staple"}),
}


class Recipe(Settings):
    """One run, from base model to aligned model and its evaluation.

    Attributes:
        model: The base model. A plain string is its name.
        task: Name of a task of ``lm_eval_tasks``, or the path of a task file.
        data_dir: Folder with the task's data files; None takes the task's own source.
        seed: Every draw of the run derives from it.
        rounds: How often replies are sampled and a model aligned with them.
        variants: Further strategies by name: one of the strategies with some settings of its own.
        strategies: Which models are aligned, all from one sampling: ``anchor``, its baseline ``rank``; on
            groups of replies ``aft``, ``rrhf``, ``pro``; ``rft``; ``staple``, which learns principles; and
            variants by their names.
        questions: Which questions are trained on.
        engine: How local models run: the settings of a chat backend without its model and adapter. A plain
            string is the backend's name.
        executor: Where models are asked, by sampler, judges and consultant alike: ``local``, ``ray`` or
            ``{ray: {workers: ...}}``; None: as each role's own settings say. No result depends on it.
        launch: Processes of the training loops.
        sft: Stage ``sft``.
        sampler: Role and stage ``sample``.
        judge: Role and stage ``judge``: ``base`` (the base model on ``engine``), ``latest`` (from round 2 on
            the newest aligned model), a judge as ``KIND:MODEL[@URL]``, a judge file, or its mapping.
        consultant: Role in stage ``pairs``.
        pairs: Stage ``pairs``.
        dpo: Stage ``dpo``, strategies ``anchor`` and ``rank``.
        listwise: Stage ``align``, strategies ``aft``, ``rrhf`` and ``pro``.
        rft: Stage ``align``, strategy ``rft``.
        staple: Stages ``discover``, ``cluster`` and ``train``, strategy ``staple``.
        evaluate: Stage ``evaluate``.
    """

    model: ModelSettings
    task: str = Field(min_length=1)
    data_dir: Path | None = None
    seed: int = Field(default=42, ge=0, lt=2**31)
    rounds: int = Field(default=1, ge=1)
    variants: dict[str, Variant] = Field(default_factory=dict)
    strategies: tuple[str, ...] = Field(default=("anchor",), min_length=1)
    questions: QuestionSettings = QuestionSettings()
    engine: dict[str, Any]
    executor: ExecutorSettings | Literal["local"] | None = None
    launch: LaunchSettings = LaunchSettings()
    sft: SftSettings
    sampler: SampleSettings
    judge: str | dict[str, Any]
    consultant: ConsultantSettings
    pairs: PairSettings = PairSettings()
    dpo: DpoSettings
    listwise: ListwiseSettings
    rft: RftSettings
    staple: StapleSettings
    evaluate: EvaluateSettings

    @field_validator("engine")
    @classmethod
    def _engine_is_general(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(value.get("backend"), str):
            raise ValueError("say which backend runs local models, e.g. 'transformers' or 'vllm'")
        if given := {"model", "adapter"} & set(value):
            raise ValueError(f"{', '.join(sorted(given))} is set by each role, not here")
        if "chat_template_kwargs" in value:
            raise ValueError("chat_template_kwargs belongs to model, so that training renders with it, too")
        if "executor" in value:
            raise ValueError("executor stands beside engine, not in it: it is for all roles")
        return value

    @model_validator(mode="before")
    @classmethod
    def _whole_variants(cls, values: Any) -> Any:
        """Lays what a variant says over the recipe's own sections, so that it is checked as a whole."""
        given = values.get("variants") if isinstance(values, Mapping) else None
        if not isinstance(given, Mapping):
            return values
        return {**values, "variants": {name: _whole(variant, values) for name, variant in given.items()}}

    @field_validator("variants")
    @classmethod
    def _variants_have_names_of_their_own(cls, value: dict[str, Variant]) -> dict[str, Variant]:
        for name, variant in value.items():
            if not VARIANT_NAME.fullmatch(name):
                raise ValueError(f"name {name!r}: lower-case letters, digits, - and _ alone")
            if name in STRATEGY_NAMES or TAKEN.fullmatch(name):
                raise ValueError(f"name {name!r} is taken")
            for section in variant.own:
                if section in _USERS and variant.strategy not in _USERS[section]:
                    raise ValueError(f"{name}: {variant.strategy} doesn't train with {section}")
        return value

    @field_validator("executor", mode="before")
    @classmethod
    def _executor(cls, value: Any) -> Any:
        try:
            return value if value in (None, "local") else read_executor(value)
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("strategies", mode="before")
    @classmethod
    def _one_strategy(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("strategies")
    @classmethod
    def _known_and_distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "variants" in info.data:
            known = [*STRATEGY_NAMES, *info.data["variants"]]
            unknown = [f"{name!r} ({nearest(name, known)})" for name in value if name not in known]
            if unknown:
                raise ValueError(f"no strategy {', '.join(unknown)}")
        if len(set(value)) < len(value):
            raise ValueError("a strategy is named twice")
        return value

    @field_validator("sft", "dpo", "listwise", "rft", "staple")
    @classmethod
    def _batch_divides(cls, value: S, info: ValidationInfo) -> S:
        launch = info.data.get("launch")
        loop = value.train if isinstance(value, StapleSettings) else value
        if isinstance(launch, LaunchSettings) and _is_used(info):
            try:
                loop.optimiser.accumulation_steps(launch.processes)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("staple")
    @classmethod
    def _questions_of_each_round(cls, value: StapleSettings, info: ValidationInfo) -> StapleSettings:
        given, rounds = value.discover.questions, info.data.get("rounds")
        if given is not None and rounds is not None and _is_used(info) and len(given) < rounds:
            raise ValueError(
                f"discover.questions has {len(given)} number(s) for {rounds} rounds; give one for each"
            )
        return value

    @model_validator(mode="after")
    def _variants_fit_in(self) -> Recipe:
        for name, variant in self.variants.items():
            pairs = variant.pairs
            if pairs is not None and pairs.unreadable_losers != self.pairs.unreadable_losers:
                raise ValueError(
                    f"variants.{name}.pairs.unreadable_losers: the same for all strategies, since they share "
                    "the replies and the consultant's arguments"
                )
            for section, settings in variant.own.items():
                loop = settings.train if isinstance(settings, StapleSettings) else settings
                if isinstance(loop, LoopSettings):
                    try:
                        loop.optimiser.accumulation_steps(self.launch.processes)
                    except ConfigError as error:
                        raise ValueError(f"variants.{name}.{section}: {error}") from None
        return self

    def strategy_of(self, name: str) -> Strategy:
        """The strategy behind a name in ``strategies``: itself, or what it is a variant of."""
        if name in self.variants:
            return self.variants[name].strategy
        return cast("Strategy", name)

    def as_of(self, name: str | None) -> Recipe:
        """The recipe as a strategy sees it, with a variant's settings in place; None stands for all."""
        if name is None or name not in self.variants:
            return self
        return self.model_copy(update=self.variants[name].own)


def _is_used(info: ValidationInfo) -> bool:
    """Whether one of the recipe's strategies trains with the section that is being checked."""
    users = _USERS.get(info.field_name or "")
    return users is None or bool(users & set(info.data.get("strategies", ())))


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Reads a recipe file with what it extends, and applies ``a.b=value`` overrides.

    Args:
        path: The YAML file.
        overrides: Each ``dotted.key=value``; the value is read as YAML.

    Raises:
        ConfigError: Naming every wrong key and value at once.
    """
    return recipe_from(load_yaml(path), path, overrides)


def recipe_from(values: Mapping[str, Any], path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Builds a recipe from what its file holds.

    Args:
        values: The file's keys.
        path: The file, for messages and for what it extends.
        overrides: As for :func:`load_recipe`.

    Raises:
        ConfigError: Naming every wrong key and value at once.
    """
    layered = _over_parents(values, path, seen=())
    for override in overrides:
        # One key of a backend is set here, not the whole of it.
        layered = _merged(layered, _override(override), whole=frozenset())
    return parse(Recipe, layered, str(path))


def _whole(variant: Any, recipe: Mapping[str, Any]) -> Any:
    """A variant with its sections completed by the recipe's."""
    if not isinstance(variant, Mapping):
        return variant
    own = {name: value for name, value in variant.items() if name in VARIED and isinstance(value, Mapping)}
    below = {}
    for name in own:
        section = recipe.get(name)
        if isinstance(section, Mapping):  # its unknown keys are told where they stand
            known = _model_fields(name)
            below[name] = {key: value for key, value in section.items() if key in known}
    return {**variant, **_merged(below, own)}


def _model_fields(section: str) -> frozenset[str]:
    kind = Recipe.model_fields[section].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, Settings)
    return frozenset(kind.model_fields)


def resolved_yaml(recipe: Recipe) -> str:
    """The recipe with nothing left out, as YAML."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _built_in(name: str) -> Path:
    path = RECIPES / f"{name}.yaml"
    if not path.is_file():
        names = [found.stem for found in RECIPES.glob("*.yaml")]
        raise ConfigError(f"no recipe {name!r}: {nearest(name, names)}; or a .yaml file")
    return path


def _over_parents(values: Mapping[str, Any], path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        raise ConfigError(f"{path}: extends itself")
    own = _spelt_out(values)
    fallback = None if path == (RECIPES / f"{PAPER}.yaml").resolve() else PAPER
    parent = own.pop("extends", fallback)
    if parent is None:
        return own
    if not isinstance(parent, str):
        raise ConfigError(f"{path}: extends = {parent!r}: expected the name of a recipe or a .yaml file")
    parent_path = path.parent / parent if parent.endswith((".yaml", ".yml")) else _built_in(parent)
    return _merged(_over_parents(load_yaml(parent_path), parent_path, (*seen, path)), own)


# Settings whose mappings replace what they extend as a whole: keys of one backend mean nothing to another.
_WHOLE = frozenset(
    {
        ("engine",),
        ("judge",),
        ("evaluate", "judge"),
        ("consultant", "backend"),
        ("sampler", "backend"),
        ("staple", "discover", "backend"),
    }
)
# Settings that may be given as a plain string -> the key that the string stands for.
_SHORT = {"model": "name", "engine": "backend"}


def _merged(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    at: tuple[str, ...] = (),
    whole: frozenset[tuple[str, ...]] = _WHOLE,
) -> dict[str, Any]:
    merged = dict(copy.deepcopy(below))
    for key, value in above.items():
        path = (*at, str(key))
        under = merged.get(key)
        if isinstance(under, dict) and isinstance(value, dict) and path not in whole:
            merged[key] = _merged(under, value, path, whole)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _spelt_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings without short forms, so that single keys can be laid over them."""
    return {
        key: {_SHORT[key]: value} if key in _SHORT and isinstance(value, str) else value
        for key, value in values.items()
    }


def _override(text: str) -> dict[str, Any]:
    name, equals, value_text = text.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {text!r}: expected KEY=VALUE, e.g. dpo.beta=0.2")
    try:
        value = yaml.safe_load(value_text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text!r}: the value is not valid YAML") from None
    for key in reversed(keys):
        value = {key: value}
    return _spelt_out(value)
