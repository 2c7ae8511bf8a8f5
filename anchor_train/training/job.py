"""One training, as data: what to train on, where to put it, and what came of it.

A job crosses a process border: :mod:`anchor_train.training.launch` writes it,
:mod:`anchor_train.training.worker` carries it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from anchor_train.recipes.training_settings import (
    DpoSettings,
    GrpoSettings,
    ListwiseLoss,
    ListwiseSettings,
    ModelSettings,
    RefineSettings,
    RftSettings,
    SftSettings,
)
from judges.settings import parse
from judges.storage.files import content_hash
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Json

Stage: TypeAlias = Literal["sft", "dpo", "listwise", "rft", "grpo", "staple"]
TrainingSettings: TypeAlias = (
    SftSettings | DpoSettings | ListwiseSettings | RftSettings | GrpoSettings | RefineSettings
)

_SETTINGS: Mapping[Stage, type[TrainingSettings]] = {
    "sft": SftSettings,
    "dpo": DpoSettings,
    "listwise": ListwiseSettings,
    "rft": RftSettings,
    "grpo": GrpoSettings,
    "staple": RefineSettings,
}


@dataclass(frozen=True, slots=True)
class RewardSource(JsonRecord):
    """Who says what a reply is worth, where replies are written and rewarded during training.

    Attributes:
        task: The task's name or file.
        judge: What ``judges.load_judge`` takes.
        executor: Where the judge is asked, as ``judges.load_judge`` takes it.
        cache: File that keeps its replies, so that a training that goes on asks for none of them twice.
    """

    task: str
    judge: str | dict[str, Any]
    executor: str | dict[str, Any] | None
    cache: Path


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What one training needs.

    Attributes:
        model: The base model.
        settings: Of the stage; their type says which stage it is.
        examples: JSON Lines of ``SftExample`` (sft, staple), ``PreferenceExample`` (dpo), ``RewardExample``
            (grpo) or ``GroupExample``.
        output: Folder that gets adapter, checkpoints, logs and report.
        seed: Of adapter initialisation, data order and dropout.
        adapter: Adapter to start from, which is DPO's reference too; None for SFT.
        allow_cut: Train on examples that ``max_length`` cuts, instead of refusing them.
        loss: Of list-wise training; None for the others.
        rewards: Of GRPO; None for the others.
    """

    model: ModelSettings
    settings: TrainingSettings
    examples: Path
    output: Path
    seed: int = 42
    adapter: Path | None = None
    allow_cut: bool = False
    loss: ListwiseLoss | None = None
    rewards: RewardSource | None = None

    def __post_init__(self) -> None:
        if (self.stage == "sft") != (self.adapter is None):
            raise ValueError("SFT starts from no adapter, any other training from one")
        if (self.stage == "listwise") != (self.loss is not None):
            raise ValueError("list-wise training has a loss, any other none")
        if (self.stage == "grpo") != (self.rewards is not None):
            raise ValueError("GRPO has rewards, any other training none")

    @property
    def stage(self) -> Stage:
        """What the settings are for."""
        return next(stage for stage, kind in _SETTINGS.items() if isinstance(self.settings, kind))

    def to_json(self) -> Json:
        """Its attributes, and the stage; who rewards, where somebody does."""
        row: Json = {
            "stage": self.stage,
            "model": self.model.model_dump(mode="json"),
            "settings": self.settings.model_dump(mode="json"),
            "examples": str(self.examples.resolve()),
            "output": str(self.output.resolve()),
            "seed": self.seed,
            "adapter": None if self.adapter is None else str(self.adapter.resolve()),
            "allow_cut": self.allow_cut,
            "loss": self.loss,
        }
        return row if self.rewards is None else {**row, "rewards": self.rewards.to_json()}

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> TrainingJob:
        """Reads the form back."""
        stage: Stage = row["stage"]
        return TrainingJob(
            model=parse(ModelSettings, row["model"], "model"),
            settings=parse(_SETTINGS[stage], row["settings"], stage),
            examples=Path(row["examples"]),
            output=Path(row["output"]),
            seed=row["seed"],
            adapter=None if row["adapter"] is None else Path(row["adapter"]),
            allow_cut=row["allow_cut"],
            loss=row["loss"],
            rewards=RewardSource.from_json(row["rewards"]) if "rewards" in row else None,
        )


@dataclass(frozen=True, slots=True)
class TrainingReport(JsonRecord):
    """What came of a training.

    Attributes:
        stage: ``sft``, ``dpo``, ``listwise``, ``rft``, ``grpo`` or ``staple``.
        adapter: Folder of the trained adapter: safetensors, its config, the tokenizer; nothing pickled.
        content: Hash of what is in that folder.
        steps: Optimiser steps in all, those before an interruption included.
        loss: Loss of the last log line.
        metrics: The last log line's other numbers (rewards, margins, accuracies, ... as TRL names them); with
            sample generations also ``kl``, their mean divergence from the reference in nats a token; after
            training on groups also ``assessment_accuracy/before`` and ``/after``.
        seconds: Spent in training, all attempts together.
        tokens: Tokens read in training, padding left out.
        examples: Examples (or pairs, or groups) trained on.
        cut: How many of them lost their end to ``max_length``.
        dropped: Examples left out since their prompt alone exceeds ``max_length``.
        processes: Processes that trained.
        resumed_from: Step of the checkpoint that this training went on from; None if it ran through.
        warnings: Signs of a collapse, as they were printed.
    """

    stage: Stage
    adapter: Path
    content: str
    steps: int
    loss: float
    metrics: Mapping[str, float]
    seconds: float
    tokens: int
    examples: int
    cut: int = 0
    dropped: int = 0
    processes: int = 1
    resumed_from: int | None = None
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """Where a training puts what.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def adapter(self) -> Path:
        """The trained adapter; it is there only once training has ended."""
        return self.path / "adapter"

    @property
    def checkpoints(self) -> Path:
        """What an interrupted training goes on from; removed when it has ended.

        The trainer's own state (optimiser, schedule, random numbers) is in torch's format there: not for
        export.
        """
        return self.path / "checkpoints"

    @property
    def tokens(self) -> Path:
        """The tokenised pairs with the reference's log-probabilities; removed when training has ended."""
        return self.path / "tokens"

    @property
    def log(self) -> Path:
        """One JSON line a log step: loss, learning rate, rewards, margins, accuracies, tokens, seconds."""
        return self.path / "log.jsonl"

    @property
    def samples(self) -> Path:
        """One JSON line a sample reply: step, question, text, repetition, divergence from the reference."""
        return self.path / "samples.jsonl"

    @property
    def assessments(self) -> Path:
        """One :class:`~anchor_train.records.Assessment` a line, of groups that are trained on."""
        return self.path / "assessments.jsonl"

    @property
    def made(self) -> tuple[Path, ...]:
        """What belongs to one training, and goes when another one takes its place."""
        logs = (self.report, self.log, self.samples, self.assessments)
        return (*logs, self.adapter, self.checkpoints, self.tokens)

    @property
    def report(self) -> Path:
        """The :class:`TrainingReport`; written last."""
        return self.path / "report.json"

    @property
    def job(self) -> Path:
        """The :class:`TrainingJob`."""
        return self.path / "job.json"

    @property
    def fingerprint(self) -> Path:
        """Hash of everything that the training depends on; what doesn't match it is not gone on from."""
        return self.path / "fingerprint"

    @property
    def error(self) -> Path:
        """What stopped a worker, for the process that launched it."""
        return self.path / "error.json"

    def read_report(self) -> TrainingReport | None:
        """The report of an ended training; None if it hasn't ended, or what it left was spoilt since."""
        if not (self.report.is_file() and self.adapter.is_dir()):
            return None
        try:
            report = TrainingReport.from_json(json.loads(self.report.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError):  # of another version, or cut short: trained again
            return None
        return report if report.content == content_hash(self.adapter) else None
