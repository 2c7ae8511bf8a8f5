"""Stage ``sft``: the base model learns the task's answers (method, section 4.1).

Completion-only loss on the target and its end of turn, LoRA on all linear layers, TRL's SFTTrainer; also for
:mod:`anchor_train.training.methods.rft` and the M-step of ``staple``, which train an adapter further.

Importing this module imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from anchor_train.recipes.training_settings import SftSettings
from anchor_train.records import SftExample
from anchor_train.training.base_model import first_line, load_base, load_trained, load_whole, lora_config
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import TrainingJob
from anchor_train.training.rendering import TokenisedExample, tokenise_example
from anchor_train.training.train import E, Method
from judges.errors import ConfigError


class AnchorSftTrainer(WholeCheckpoints, SFTTrainer):  # type: ignore[misc]
    """TRL's trainer with this project's checkpoints."""


class FineTuning(Method[E, TokenisedExample]):
    """Training on prompts and targets: a fresh adapter on the base model, or one that is trained further."""

    def arguments(self, settings: Any) -> tuple[Any, dict[str, Any]]:
        """TRL's; examples were held to their length before."""
        return SFTConfig, {"max_length": None}

    def trainer(
        self,
        job: TrainingJob,
        examples: Sequence[TokenisedExample],
        arguments: Any,
        tokenizer: Any,
        held: Sequence[TokenisedExample] = (),
    ) -> AnchorSftTrainer:
        """The trainer.

        Raises:
            ConfigError: For target modules that the model doesn't have, or that can't be trained.
        """
        given = job.settings.lora if isinstance(job.settings, SftSettings) else None
        lora = None if given is None else lora_config(given)
        if job.adapter is not None:
            model = load_trained(job.adapter, job.model, trainable=True)
        else:
            model = load_whole(job.model) if lora is None else load_base(job.model)
        try:
            return AnchorSftTrainer(
                model=model,
                args=arguments,
                train_dataset=training_rows(examples),
                eval_dataset=training_rows(held) if held else None,
                processing_class=tokenizer,
                peft_config=lora,
            )
        except ValueError as error:
            raise ConfigError(f"sft.lora doesn't suit {job.model.name}: {first_line(error)}") from error


class Sft(FineTuning[SftExample]):
    """On targets as they are."""

    what = "SFT examples"
    example = SftExample

    def tokenise(self, tokenizer: Any, examples: Sequence[SftExample]) -> list[TokenisedExample]:
        """Prompt and target."""
        return [tokenise_example(tokenizer, example) for example in examples]


METHOD = Sft()


def training_rows(examples: Sequence[TokenisedExample]) -> Any:
    """The data set that the trainer takes as it is: ``input_ids`` and ``labels``."""
    return Dataset.from_dict(
        {
            "input_ids": [[*example.prompt_ids, *example.completion_ids] for example in examples],
            "labels": [example.labels for example in examples],
        }
    )
