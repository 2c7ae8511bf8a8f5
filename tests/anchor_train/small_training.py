"""Settings and examples of trainings that take seconds on a tiny model, and the training of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import (
    DpoSettings,
    ListwiseSettings,
    LoraSettings,
    ModelSettings,
    OptimiserSettings,
    RftSettings,
    SftSettings,
)
from anchor_train.records import PreferenceExample, RewardExample, SftExample
from anchor_train.training.job import TrainingJob, TrainingReport, TrainingSettings
from judges.records import Message

Example: TypeAlias = SftExample | PreferenceExample | GroupExample | RewardExample
ANIMALS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx")
TRAINED, HELD_OUT = ANIMALS[:8], ANIMALS[8:]


def optimiser(**changes: Any) -> OptimiserSettings:
    values: dict[str, Any] = {
        "learning_rate": 1e-2,
        "warmup": 0.1,
        "max_grad_norm": 0.3,
        "batch_size": 4,
        "per_device_batch_size": 2,
    }
    return OptimiserSettings(**{**values, **changes})


def loop(**changes: Any) -> dict[str, Any]:
    """What all trainings are told."""
    return {"optimiser": optimiser(), "max_steps": 6, "max_length": 300, "log_every": 1, **changes}


def watched(questions: int, tokens: int) -> dict[str, Any]:
    """What those are told that may ruin a model."""
    return {"beta": 0.1, "sample_every": 3, "sample_questions": questions, "sample_max_tokens": tokens}


def sft_settings(**changes: Any) -> SftSettings:
    lora = LoraSettings(r=4, alpha=8, dropout=0.05)
    return SftSettings(**loop(**{"lora": lora, "max_length": 200, **changes}))


def dpo_settings(**changes: Any) -> DpoSettings:
    return DpoSettings(**loop(**{**watched(2, 12), **changes}))


def listwise_settings(**changes: Any) -> ListwiseSettings:
    return ListwiseSettings(**loop(**{**watched(1, 6), **changes}))


def rft_settings(**changes: Any) -> RftSettings:
    return RftSettings(**loop(**changes))


def job_of(
    settings: TrainingSettings,
    model: ModelSettings,
    examples: Sequence[Example],
    output: Path,
    adapter: Path | None = None,
    **others: Any,
) -> TrainingJob:
    """A training of these examples, which are written beside its folder."""
    output.mkdir(parents=True, exist_ok=True)
    path = output / "examples.jsonl"
    path.write_text("".join(json.dumps(example.to_json()) + "\n" for example in examples), encoding="utf-8")
    return TrainingJob(model, settings, path, output, adapter=adapter, **others)


def trainer_of(job: TrainingJob) -> Any:
    """The trainer of a job, before its first step."""
    from anchor_train.training.base_model import load_tokenizer
    from anchor_train.training.job import OutputFolder
    from anchor_train.training.train import method_of, read_examples, trainer_arguments

    method, tokenizer, folder = method_of(job.stage), load_tokenizer(job.model), OutputFolder(job.output)
    tokenised = method.tokenise(tokenizer, read_examples(job, method))
    arguments = trainer_arguments(method, job.settings, job.model, folder, job.seed)
    return method.trainer(job, tokenised, arguments, tokenizer)


def train(
    settings: TrainingSettings,
    model: ModelSettings,
    examples: Sequence[Example],
    output: Path,
    adapter: Path | None = None,
    *,
    callbacks: Sequence[Any] = (),
    **others: Any,
) -> TrainingReport:
    """Trains in this process; a fresh adapter for SFT, further from an adapter for the others."""
    from anchor_train.training.train import train as train_job

    return train_job(job_of(settings, model, examples, output, adapter, **others), callbacks)


def prompt(animal: str) -> tuple[Message, ...]:
    return (
        Message("system", "You will be shown a question with its choices. Choose one."),
        Message("user", f"Question: How many legs has the {animal}?\nA) two\nB) four"),
    )


def sft_examples() -> list[SftExample]:
    return [SftExample(animal, prompt(animal), f"A) two {animal}") for animal in ANIMALS]


def group_examples(animals: tuple[str, ...] = ANIMALS) -> list[GroupExample]:
    """Good replies choose B and say why; bad ones choose A."""
    return [
        GroupExample(
            animal,
            prompt(animal),
            (
                f"<explanation> Every {animal} can be checked. </explanation> <choice> B </choice>",
                f"<explanation> The {animal}. </explanation> <choice> A </choice>",
                f"<explanation> The answer follows for the {animal}. </explanation> <choice> B </choice>",
                "<explanation> It is so. </explanation> <choice> A </choice>",
            ),
            (1, 0, 1, 0),
        )
        for animal in animals
    ]


def preference_examples(animals: tuple[str, ...] = ANIMALS) -> list[PreferenceExample]:
    """Preferred replies choose B and say why; the others choose A."""
    return [
        PreferenceExample(
            animal,
            prompt(animal),
            chosen=f"<explanation> Every {animal} can be checked. </explanation> <choice> B </choice>",
            rejected=f"<explanation> The {animal}. </explanation> <choice> A </choice>",
        )
        for animal in animals
    ]
