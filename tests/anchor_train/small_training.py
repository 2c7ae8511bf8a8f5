"""Settings and examples of trainings that take seconds on a tiny model."""

from __future__ import annotations

from typing import Any

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import (
    DpoSettings,
    ListwiseSettings,
    LoraSettings,
    OptimiserSettings,
    RftSettings,
    SftSettings,
)
from anchor_train.records import PreferenceExample, SftExample
from judges.records import Message

ANIMALS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "koi", "lynx")


def optimiser(**changes: Any) -> OptimiserSettings:
    values: dict[str, Any] = {
        "learning_rate": 1e-2,
        "warmup": 0.1,
        "max_grad_norm": 0.3,
        "batch_size": 4,
        "per_device_batch_size": 2,
    }
    return OptimiserSettings(**{**values, **changes})


def sft_settings(**changes: Any) -> SftSettings:
    values: dict[str, Any] = {
        "lora": LoraSettings(r=4, alpha=8, dropout=0.05),
        "optimiser": optimiser(),
        "max_steps": 6,
        "max_length": 200,
        "log_every": 1,
    }
    return SftSettings(**{**values, **changes})


def dpo_settings(**changes: Any) -> DpoSettings:
    values: dict[str, Any] = {
        "optimiser": optimiser(),
        "max_steps": 6,
        "max_length": 300,
        "log_every": 1,
        "beta": 0.1,
        "sample_every": 3,
        "sample_questions": 2,
        "sample_max_tokens": 12,
    }
    return DpoSettings(**{**values, **changes})


def listwise_settings(**changes: Any) -> ListwiseSettings:
    values: dict[str, Any] = {
        "optimiser": optimiser(),
        "max_steps": 6,
        "max_length": 300,
        "log_every": 1,
        "beta": 0.1,
        "sample_every": 3,
        "sample_questions": 1,
        "sample_max_tokens": 6,
    }
    return ListwiseSettings(**{**values, **changes})


def rft_settings(**changes: Any) -> RftSettings:
    values: dict[str, Any] = {"optimiser": optimiser(), "max_steps": 6, "max_length": 300, "log_every": 1}
    return RftSettings(**{**values, **changes})


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
