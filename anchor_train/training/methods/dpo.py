"""Stage ``dpo``: preference training that goes on from the SFT adapter (method, section 4.4).

The adapter is loaded once, trainable. TRL keeps a frozen copy of it under the name "ref": the reference is
the SFT model, not the bare base. That both agree before the first step is checked on the first batch. Dropout
is off, as is TRL's custom, so that the loss starts at ln 2 (sigmoid) exactly.

Importing this module imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_from_disk
from trl import DPOConfig, DPOTrainer

from anchor_train.recipes.training_settings import DpoSettings
from anchor_train.records import PreferenceExample
from anchor_train.training.base_model import load_trained
from anchor_train.training.callbacks import CollapseWatch
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import OutputFolder, TrainingJob
from anchor_train.training.rendering import TokenisedPair, tokenise_pair
from anchor_train.training.train import Method, Watch
from judges.errors import TrainingError
from judges.storage.files import replacing_folder

# How far policy and reference may be apart before the first step, as a share of a reply's log-probability:
# rounding only. A reference that is another model is further away by orders of magnitude.
AGREEMENT = 1e-4
AGREEMENT_HALF_PRECISION = 1e-2
# Tokens whose logits are held at once on a CPU. There TRL takes up to 4,096, ten numbers for each word of the
# vocabulary: 2 GiB more for a model of 135M parameters, and no faster.
TOKENS_AT_ONCE_ON_CPU = 256


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


class Dpo(Method[PreferenceExample, TokenisedPair]):
    """Training on preference pairs, of the adapter that is the reference too."""

    what = "pairs"
    example = PreferenceExample

    def tokenise(self, tokenizer: Any, examples: Sequence[PreferenceExample]) -> list[TokenisedPair]:
        """Both replies."""
        return [tokenise_pair(tokenizer, pair) for pair in examples]

    def arguments(self, settings: Any) -> tuple[Any, dict[str, Any]]:
        """TRL's; examples were held to their length before."""
        return DPOConfig, {
            "max_length": None,
            "beta": settings.beta,
            "loss_type": [settings.loss],
            "label_smoothing": settings.label_smoothing,
            "precompute_ref_log_probs": settings.precompute_reference,
        }

    def trainer(
        self,
        job: TrainingJob,
        examples: Sequence[TokenisedPair],
        arguments: Any,
        tokenizer: Any,
        held: Sequence[TokenisedPair] = (),
    ) -> AnchorDpoTrainer:
        """The trainer: the adapter under the name "default" to train, its frozen copy under "ref"."""
        assert job.adapter is not None
        if arguments.use_cpu:
            from trl.kernels import chunked_logprob

            chunked_logprob.TOKEN_CHUNK_SIZE = TOKENS_AT_ONCE_ON_CPU
        with arguments.main_process_first():
            tokens = OutputFolder(job.output).tokens
            rows = _rows_on_disk(tokens / "trained", examples)
            held_rows = _rows_on_disk(tokens / "held-out", held) if held else None
        return AnchorDpoTrainer(
            model=load_trained(job.adapter, job.model, trainable=True),
            args=arguments,
            train_dataset=rows,
            eval_dataset=held_rows,
            processing_class=tokenizer,
        )

    def watches(
        self,
        job: TrainingJob,
        examples: Sequence[PreferenceExample],
        trained: Sequence[TokenisedPair],
        tokenizer: Any,
    ) -> list[Watch]:
        """Sample replies, for signs of a collapse."""
        settings = job.settings
        assert isinstance(settings, DpoSettings)
        prompts = {pair.prompt_ids: pair.id for pair in trained}
        watch = CollapseWatch.of(settings, tokenizer, prompts, OutputFolder(job.output).samples)
        return [] if watch is None else [watch]


METHOD = Dpo()


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
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(path) as new:
            training_rows(pairs).save_to_disk(str(new))
    return load_from_disk(str(path))
