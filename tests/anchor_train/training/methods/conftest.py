"""A tiny model, and what fine-tuning made of it: where the trainings here start."""

from pathlib import Path

import pytest

from anchor_train.recipes.training_settings import ModelSettings
from tests.anchor_train.small_training import sft_examples, sft_settings, train


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ModelSettings:
    # Whatever this machine's processor is fast in: tests compute the same themselves.
    return ModelSettings(name=str(tiny_model), dtype="float32")


@pytest.fixture(scope="module")
def sft_adapter(model: ModelSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(sft_settings(), model, sft_examples(), tmp_path_factory.mktemp("sft")).adapter
