"""One training, as data: what to train on, where to put it, and what came of it.

A job crosses a process border: :mod:`anchor_train.launch` writes it, :mod:`anchor_train.worker`
carries it out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from anchor_train.config import DpoSettings, ModelSettings, SftSettings
from judges.errors import DataError
from judges.settings import parse
from lm_eval_tasks.records import Json

Stage: TypeAlias = Literal["sft", "dpo"]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What one training needs.

    Attributes:
        model: The base model.
        settings: Of the stage; their type says which stage it is.
        examples: JSON Lines of ``SftExample`` (sft) or ``PreferenceExample`` (dpo).
        output: Folder that gets adapter, checkpoints, logs and report.
        seed: Of adapter initialisation, data order and dropout.
        adapter: Adapter that DPO starts from and holds as its reference; None for SFT.
        allow_cut: Train on examples that ``max_length`` cuts, instead of refusing them.
    """

    model: ModelSettings
    settings: SftSettings | DpoSettings
    examples: Path
    output: Path
    seed: int = 42
    adapter: Path | None = None
    allow_cut: bool = False

    def __post_init__(self) -> None:
        if (self.stage == "dpo") != (self.adapter is not None):
            raise ValueError("DPO starts from an adapter, SFT from none")

    @property
    def stage(self) -> Stage:
        """``sft`` or ``dpo``."""
        return "dpo" if isinstance(self.settings, DpoSettings) else "sft"

    def to_json(self) -> Json:
        """Its attributes, and the stage."""
        return {
            "stage": self.stage,
            "model": self.model.model_dump(mode="json"),
            "settings": self.settings.model_dump(mode="json"),
            "examples": str(self.examples.resolve()),
            "output": str(self.output.resolve()),
            "seed": self.seed,
            "adapter": None if self.adapter is None else str(self.adapter.resolve()),
            "allow_cut": self.allow_cut,
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> TrainingJob:
        """Reads the form back."""
        settings: SftSettings | DpoSettings
        if row["stage"] == "dpo":
            settings = parse(DpoSettings, row["settings"], "dpo")
        else:
            settings = parse(SftSettings, row["settings"], "sft")
        return TrainingJob(
            model=parse(ModelSettings, row["model"], "model"),
            settings=settings,
            examples=Path(row["examples"]),
            output=Path(row["output"]),
            seed=row["seed"],
            adapter=None if row["adapter"] is None else Path(row["adapter"]),
            allow_cut=row["allow_cut"],
        )


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What came of a training.

    Attributes:
        stage: ``sft`` or ``dpo``.
        adapter: Folder of the trained adapter: safetensors, its config, the tokenizer; nothing pickled.
        steps: Optimiser steps in all, those before an interruption included.
        loss: Loss of the last log line.
        metrics: The last log line's other numbers (rewards, margins, accuracies, ... as TRL names them); with
            sample generations also ``kl``, their mean divergence from the reference in nats a token.
        seconds: Spent in training, all attempts together.
        tokens: Tokens read in training, padding left out.
        examples: Examples (or pairs) trained on.
        cut: How many of them lost their end to ``max_length``.
        dropped: Examples left out since their prompt alone exceeds ``max_length``.
        processes: Processes that trained.
        resumed_from: Step of the checkpoint that this training went on from; None if it ran through.
        warnings: Signs of a collapse, as they were printed.
    """

    stage: Stage
    adapter: Path
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

    def to_json(self) -> Json:
        """Its attributes."""
        return {
            "stage": self.stage,
            "adapter": str(self.adapter),
            "steps": self.steps,
            "loss": self.loss,
            "metrics": dict(self.metrics),
            "seconds": self.seconds,
            "tokens": self.tokens,
            "examples": self.examples,
            "cut": self.cut,
            "dropped": self.dropped,
            "processes": self.processes,
            "resumed_from": self.resumed_from,
            "warnings": list(self.warnings),
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> TrainingReport:
        """Reads the form back."""
        return TrainingReport(
            **{**row, "adapter": Path(row["adapter"]), "warnings": tuple(row["warnings"])},
        )


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
        """The report of an ended training; None if it hasn't ended."""
        if not (self.report.is_file() and self.adapter.is_dir()):
            return None
        try:
            return TrainingReport.from_json(json.loads(self.report.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.report}: not a training report: {error}") from None
