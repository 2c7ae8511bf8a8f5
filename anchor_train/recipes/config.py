"""A recipe: everything that a run depends on, checked before any model loads.

The numbers of the paper stand in ``built_in/paper.yaml`` and nowhere else: settings below that the paper
fixes have no default here, and a recipe says only what differs from the one that it ``extends`` (``paper``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from anchor_train.recipes.merge import merged
from anchor_train.recipes.section_settings import (
    ConsultantSettings,
    EvaluateSettings,
    LaunchSettings,
    PairSettings,
    QuestionSettings,
    SampleSettings,
    StapleSettings,
)
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import (
    DpoSettings,
    GrpoSettings,
    ListwiseSettings,
    LoopSettings,
    ModelSettings,
    RftSettings,
    SftSettings,
)
from judges.backends.executor import ExecutorSettings, read_executor
from judges.errors import ConfigError
from judges.settings import Settings, nearest
from lm_eval_tasks.prompts.reply_form import AUTO, read_reply_form
from lm_eval_tasks.tracking.target import read_target

# Sections that a variant may set otherwise.
VARIED = ("pairs", "dpo", "listwise", "rft", "grpo", "staple")
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
        grpo: The same of ``grpo``.
        staple: The same of ``staple``.
    """

    strategy: str
    pairs: PairSettings | None = None
    dpo: DpoSettings | None = None
    listwise: ListwiseSettings | None = None
    rft: RftSettings | None = None
    grpo: GrpoSettings | None = None
    staple: StapleSettings | None = None

    @field_validator("strategy")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in STRATEGIES:
            raise ValueError(f"no strategy {value!r} ({nearest(value, STRATEGIES)})")
        return value

    @property
    def own(self) -> dict[str, Settings]:
        """Section -> its settings, of those that it sets."""
        return {name: getattr(self, name) for name in VARIED if getattr(self, name) is not None}


S = TypeVar("S", LoopSettings, StapleSettings)


class Recipe(Settings):
    """One run, from base model to aligned model and its evaluation.

    Attributes:
        model: The base model. A plain string is its name.
        task: Name of a task of ``lm_eval_tasks``, or the path of a task file.
        data_dir: Folder with the task's data files; None takes the task's own source.
        reply_form: How replies get into the form that can be read, in sampling, training and evaluation
            (``lm_eval_tasks.prompts.reply_form``); ``auto`` tries on the base model, in stage ``form``.
        seed: Every draw of the run derives from it.
        rounds: How often replies are sampled and a model aligned with them.
        variants: Further strategies by name: one of the strategies with some settings of its own.
        strategies: Which models are aligned, all from one sampling: ``anchor``, its baseline ``rank``,
            ``anchor-faithful``; on groups of replies ``aft``, ``rrhf``, ``pro``; ``rft``; ``grpo``,
            which learns from rewards; ``staple``, which learns principles; and variants by their names.
        questions: Which questions are trained on.
        engine: How local models run: the settings of a chat backend without its model and adapter. A plain
            string is the backend's name.
        executor: Where models are asked, by sampler, judges and consultant alike: ``local``, ``ray`` or
            ``{ray: {workers: ...}}``; None: as each role's own settings say. No result depends on it.
        launch: Processes of the training loops.
        track: Experiment tracker that finished stages are put into: ``trackio``, ``wandb`` or ``mlflow``, or
            with ``:project`` behind it; None for none. No result depends on it.
        track_samples: Whether evaluated replies go there, too; without it no text does.
        sft: Stage ``sft``.
        sampler: Role and stage ``sample``.
        judge: Role and stage ``judge``: ``base`` (the base model on ``engine``), ``latest`` (from round 2 on
            the newest aligned model), a judge as ``KIND:MODEL[@URL]``, a judge file, or its mapping.
        consultant: Role in stage ``pairs``.
        pairs: Stage ``pairs``.
        dpo: Stage ``dpo``, strategies ``anchor``, ``anchor-faithful`` and ``rank``.
        listwise: Stage ``align``, strategies ``aft``, ``rrhf`` and ``pro``.
        rft: Stage ``align``, strategy ``rft``.
        grpo: Stage ``grpo``, strategy ``grpo``.
        staple: Stages ``discover``, ``cluster`` and ``train``, strategy ``staple``.
        evaluate: Stage ``evaluate``.
    """

    model: ModelSettings
    task: str = Field(min_length=1)
    data_dir: Path | None = None
    reply_form: str = AUTO
    seed: int = Field(default=42, ge=0, lt=2**31)
    rounds: int = Field(default=1, ge=1)
    variants: dict[str, Variant] = Field(default_factory=dict)
    strategies: tuple[str, ...] = Field(default=("anchor",), min_length=1)
    questions: QuestionSettings = QuestionSettings()
    engine: dict[str, Any]
    executor: ExecutorSettings | Literal["local"] | None = None
    launch: LaunchSettings = LaunchSettings()
    track: str | None = None
    track_samples: bool = False
    sft: SftSettings
    sampler: SampleSettings
    judge: str | dict[str, Any]
    consultant: ConsultantSettings
    pairs: PairSettings = PairSettings()
    dpo: DpoSettings
    listwise: ListwiseSettings
    rft: RftSettings
    grpo: GrpoSettings
    staple: StapleSettings
    evaluate: EvaluateSettings

    @field_validator("reply_form", mode="before")
    @classmethod
    def _known_form(cls, value: Any) -> str:
        try:
            return str(read_reply_form(value, "reply_form"))
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @field_validator("track")
    @classmethod
    def _known_tracker(cls, value: str | None) -> str | None:
        try:
            return None if value is None else str(read_target(value, "track"))
        except ConfigError as error:
            raise ValueError(str(error)) from None

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
    def _limit_of_its_task(cls, values: Any) -> Any:
        questions = values.get("questions") if isinstance(values, Mapping) else None
        if not isinstance(questions, Mapping) or not isinstance(limits := questions.get("limit"), Mapping):
            return values
        return {**values, "questions": {**questions, "limit": limits.get(values.get("task"))}}

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
            if name in STRATEGIES or TAKEN.fullmatch(name):
                raise ValueError(f"name {name!r} is taken")
            for section in variant.own:
                if section in _sections() and section != STRATEGIES[variant.strategy].section:
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
            known = [*STRATEGIES, *info.data["variants"]]
            unknown = [f"{name!r} ({nearest(name, known)})" for name in value if name not in known]
            if unknown:
                raise ValueError(f"no strategy {', '.join(unknown)}")
        if len(set(value)) < len(value):
            raise ValueError("a strategy is named twice")
        return value

    @field_validator("sft", "dpo", "listwise", "rft", "grpo", "staple")
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

    def strategy_of(self, name: str) -> str:
        """The strategy behind a name in ``strategies``: itself, or what it is a variant of."""
        return self.variants[name].strategy if name in self.variants else name

    def as_of(self, name: str | None) -> Recipe:
        """The recipe as a strategy sees it, with a variant's settings in place; None stands for all."""
        if name is None or name not in self.variants:
            return self
        return self.model_copy(update=self.variants[name].own)


def _is_used(info: ValidationInfo) -> bool:
    """Whether one of the recipe's strategies trains with the section that is being checked."""
    section, variants = info.field_name, info.data.get("variants", {})
    if section not in _sections():
        return True
    for name in info.data.get("strategies", ()):
        variant = variants.get(name)
        strategy = STRATEGIES.get(name if variant is None else variant.strategy)
        if strategy is None:  # told where it stands
            continue
        if strategy.section == section and (variant is None or section not in variant.own):
            return True
    return False


def _sections() -> set[str]:
    """Sections of the recipe that some strategies train with, and others don't."""
    return {strategy.section for strategy in STRATEGIES.values()}


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
    return {**variant, **merged(below, own)}


def _model_fields(section: str) -> frozenset[str]:
    kind = Recipe.model_fields[section].annotation
    assert isinstance(kind, type)
    assert issubclass(kind, Settings)
    return frozenset(kind.model_fields)
