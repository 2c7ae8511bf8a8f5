"""Stage ``dpo``: preference training that goes on from the SFT adapter (method, section 4.4).

The adapter is loaded once, trainable. TRL keeps a frozen copy of it under the name "ref": the reference is
the SFT model, not the bare base. That both agree before the first step is checked on the first batch. Dropout
is off, as is TRL's custom, so that the loss starts at ln 2 (sigmoid) exactly.

Importing this module imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_from_disk
from trl import DPOConfig, DPOTrainer

from anchor_train.recipes.training_settings import DpoSettings, ModelSettings
from anchor_train.records import PreferenceExample
from anchor_train.training.base_model import check_adapter, load_adapter, load_base, load_tokenizer
from anchor_train.training.callbacks import CollapseWatch
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import OutputFolder, TrainingReport
from anchor_train.training.rendering import TokenisedPair, fit, tokenise_pair
from anchor_train.training.train import can_be_watched, run, take_up, trainer_arguments, training_fingerprint
from judges.errors import TrainingError

# How far policy and reference may be apart before the first step, as a share of a reply's log-probability:
# rounding only. A reference that is another model is further away by orders of magnitude.
AGREEMENT = 1e-4
AGREEMENT_HALF_PRECISION = 1e-2


class AnchorDpoTrainer(WholeCheckpoints, DPOTrainer):  # type: ignore[misc]
    """TRL's trainer on pairs that are tokenised already, with the first batch checked."""

    def _prepare_dataset(self, dataset: Any, *arguments: Any, **options: Any) -> Any:
        return dataset

    def compute_loss(self, model: Any, inputs: Any, *arguments: Any, **options: Any) -> Any:
        """The loss; before the first step also that policy and reference agree.

        Raises:
            TrainingError: If they don't.
        """
        loss = super().compute_loss(model, inputs, *arguments, **options)
        if self.state.global_step == 0 and self.model.training:
            self._require_agreement()
        return loss

    def _require_agreement(self) -> None:
        half = torch.is_autocast_enabled(self.accelerator.device.type) or self.args.bf16 or self.args.fp16
        limit = AGREEMENT_HALF_PRECISION if half else AGREEMENT
        metrics = self._metrics["train"]
        for side in ("chosen", "rejected"):
            log_ratio = metrics[f"rewards/{side}"][-1] / self.beta
            log_prob = metrics[f"logps/{side}"][-1]
            if abs(log_ratio) > limit * max(1.0, abs(log_prob)):
                raise TrainingError(
                    "policy and reference differ before the first step: on the first batch's "
                    f"{side} replies log(policy / reference) is {log_ratio:.4g} at a log-probability of "
                    f"{log_prob:.4g}; the reference is not the adapter that training starts from"
                )


def train_dpo(
    settings: DpoSettings,
    model: ModelSettings,
    adapter: Path,
    pairs: Sequence[PreferenceExample],
    output: Path,
    *,
    seed: int = 42,
    allow_cut: bool = False,
    callbacks: Sequence[Any] = (),
) -> TrainingReport:
    """Trains an adapter further on preference pairs; goes on where a killed training stopped.

    Args:
        settings: Of the stage.
        model: The base model.
        adapter: Adapter to start from, which is the reference too.
        pairs: What to train on.
        output: Folder as :class:`~anchor_train.training.job.OutputFolder` describes it.
        seed: Of the data order.
        allow_cut: Cut what is longer than ``max_length`` instead of refusing it.
        callbacks: Further transformers callbacks.

    Raises:
        ConfigError: A model, adapter or batch that can't be; pairs that are too long; no room on the disk.
        TrainingError: If policy and reference differ at the start, or the loss isn't a number.
    """
    check_adapter(adapter, model)
    tokenizer = load_tokenizer(model)
    tokenised = [tokenise_pair(tokenizer, pair) for pair in pairs]
    fitted = fit(tokenised, settings.max_length, allow_cut=allow_cut, what="pairs")
    mark = training_fingerprint(settings, model, seed, fitted.examples, adapter)

    folder = OutputFolder(output)
    arguments = dpo_arguments(settings, model, folder, seed)
    with arguments.main_process_first():
        resume = take_up(folder, mark)
    finished = folder.read_report()
    if finished is not None:
        return finished
    with arguments.main_process_first():
        rows = _rows_on_disk(folder.tokens, fitted.examples)
    trainer = dpo_trainer(model, adapter, rows, arguments, tokenizer)
    return run(
        trainer,
        stage="dpo",
        folder=folder,
        settings=settings,
        fitted=fitted,
        resume=resume,
        callbacks=callbacks,
        beta=settings.beta,
        watches=_watches(settings, tokenizer, fitted.examples, folder, trainer),
    )


def dpo_trainer(
    model: ModelSettings, adapter: Path, rows: Any, arguments: Any, tokenizer: Any
) -> AnchorDpoTrainer:
    """The trainer: the adapter under the name "default" to train, its frozen copy under "ref"."""
    return AnchorDpoTrainer(
        model=load_adapter(load_base(model), adapter, model, trainable=True),
        args=arguments,
        train_dataset=rows,
        processing_class=tokenizer,
    )


def dpo_arguments(settings: DpoSettings, model: ModelSettings, folder: OutputFolder, seed: int) -> Any:
    """The trl.DPOConfig of these settings."""
    return trainer_arguments(
        DPOConfig,
        settings,
        model,
        folder,
        seed,
        max_length=None,  # examples were held to their length before
        beta=settings.beta,
        loss_type=[settings.loss],
        label_smoothing=settings.label_smoothing,
        precompute_ref_log_probs=settings.precompute_reference,
    )


def training_rows(pairs: Sequence[TokenisedPair]) -> Any:
    """The data set that the trainer takes as it is: ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``."""
    return Dataset.from_dict(
        {
            "prompt_ids": [list(pair.prompt_ids) for pair in pairs],
            "chosen_ids": [list(pair.chosen_ids) for pair in pairs],
            "rejected_ids": [list(pair.rejected_ids) for pair in pairs],
        }
    )


def _rows_on_disk(path: Path, pairs: Sequence[TokenisedPair]) -> Any:
    """The data set in a folder: TRL keeps the reference's log-probabilities there, once for all attempts."""
    if not path.is_dir():
        new = path.with_name(path.name + ".new")
        training_rows(pairs).save_to_disk(str(new))
        os.replace(new, path)
    return load_from_disk(str(path))


def _watches(
    settings: DpoSettings,
    tokenizer: Any,
    pairs: Sequence[TokenisedPair],
    folder: OutputFolder,
    trainer: AnchorDpoTrainer,
) -> list[CollapseWatch]:
    if settings.sample_every is None or not can_be_watched(trainer):
        return []
    prompts = {pair.prompt_ids: pair.id for pair in pairs}
    watch = CollapseWatch.of(settings, tokenizer, prompts, folder.samples)
    return [] if watch is None else [watch]
