"""Stage ``sft``: the base model learns the task's answers (method, section 4.1).

Completion-only loss on the target and its end of turn, LoRA on all linear layers, TRL's SFTTrainer; also for
:mod:`anchor_train.training.methods.rft` and the M-step of ``staple``, which train an adapter further.

Importing this module imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from anchor_train.recipes.training_settings import ModelSettings, RefineSettings, RftSettings, SftSettings
from anchor_train.records import SftExample
from anchor_train.training.base_model import (
    check_adapter,
    first_line,
    load_adapter,
    load_base,
    load_tokenizer,
    lora_config,
)
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import OutputFolder, Stage, TrainingReport
from anchor_train.training.rendering import TokenisedExample, fit, tokenise_example
from anchor_train.training.train import (
    Watch,
    can_be_watched,
    run,
    take_up,
    trainer_arguments,
    training_fingerprint,
)
from judges.errors import ConfigError


class AnchorSftTrainer(WholeCheckpoints, SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with this project's checkpoints."""


def train_sft(
    settings: SftSettings | RftSettings | RefineSettings,
    model: ModelSettings,
    examples: Sequence[SftExample],
    output: Path,
    *,
    seed: int = 42,
    allow_cut: bool = False,
    callbacks: Sequence[Any] = (),
    adapter: Path | None = None,
    watches: Sequence[Watch] = (),
) -> TrainingReport:
    """Trains an adapter on prompts and targets; goes on where a killed training stopped.

    Args:
        settings: Of the stage.
        model: The base model.
        examples: What to train on.
        output: Folder as :class:`~anchor_train.training.job.OutputFolder` describes it.
        seed: Of adapter initialisation, data order and dropout.
        allow_cut: Cut what is longer than ``max_length`` instead of refusing it.
        callbacks: Further transformers callbacks.
        adapter: Adapter to train further; None for a fresh one, as ``SftSettings.lora`` says.
        watches: Callbacks whose findings belong to the report.

    Raises:
        ConfigError: A model, tokenizer or batch that can't be; examples that are too long; no room on the
        disk.
        TrainingError: If the loss isn't a number.
    """
    if adapter is not None:
        check_adapter(adapter, model)
    tokenizer = load_tokenizer(model)
    tokenised = [tokenise_example(tokenizer, example) for example in examples]
    fitted = fit(tokenised, settings.max_length, allow_cut=allow_cut, what="SFT examples")
    mark = training_fingerprint(settings, model, seed, fitted.examples, adapter)

    folder = OutputFolder(output)
    # Examples were held to their length before.
    arguments = trainer_arguments(SFTConfig, settings, model, folder, seed, max_length=None)
    with arguments.main_process_first():
        resume = take_up(folder, mark)
    finished = folder.read_report()
    if finished is not None:
        return finished
    trainer = sft_trainer(settings, model, fitted.examples, arguments, tokenizer, adapter)
    return run(
        trainer,
        stage=_stage(settings),
        folder=folder,
        settings=settings,
        fitted=fitted,
        resume=resume,
        callbacks=callbacks,
        watches=watches if watches and can_be_watched(trainer) else (),
    )


def sft_trainer(
    settings: SftSettings | RftSettings | RefineSettings,
    model: ModelSettings,
    examples: Sequence[TokenisedExample],
    arguments: Any,
    tokenizer: Any,
    adapter: Path | None = None,
) -> AnchorSftTrainer:
    """The trainer, with a fresh adapter on the base model, or one that is trained further.

    Raises:
        ConfigError: For target modules that the model doesn't have, or that can't be trained.
    """
    base = load_base(model)
    lora = lora_config(settings.lora) if isinstance(settings, SftSettings) else None
    try:
        return AnchorSftTrainer(
            model=base if adapter is None else load_adapter(base, adapter, model, trainable=True),
            args=arguments,
            train_dataset=training_rows(examples),
            processing_class=tokenizer,
            peft_config=lora,
        )
    except ValueError as error:
        raise ConfigError(f"sft.lora doesn't suit {model.name}: {first_line(error)}") from error


def _stage(settings: SftSettings | RftSettings | RefineSettings) -> Stage:
    if isinstance(settings, SftSettings):
        return "sft"
    return "rft" if isinstance(settings, RftSettings) else "staple"


def training_rows(examples: Sequence[TokenisedExample]) -> Any:
    """The data set that the trainer takes as it is: ``input_ids`` and ``labels``."""
    return Dataset.from_dict(
        {
            "input_ids": [[*example.prompt_ids, *example.completion_ids] for example in examples],
            "labels": [example.labels for example in examples],
        }
    )
