"""Full fine-tuning (``sft.lora: null``): every weight is trained, and what goes on trains every weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anchor_train.publishing.export import export
from anchor_train.recipes.training_settings import LoraSettings, ModelSettings
from anchor_train.run.roles import own_model
from anchor_train.run.trained_folder import is_whole
from anchor_train.stages.evaluate import harness_model
from anchor_train.training.base_model import load_trained
from judges.errors import ConfigError
from tests.anchor_train import small_training as small
from tests.anchor_train.scripted_run import make_run


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ModelSettings:
    return ModelSettings(name=str(tiny_model), dtype="float32")


@pytest.fixture(scope="module")
def tuned(model: ModelSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of which all weights were fine-tuned. Read only."""
    folder = tmp_path_factory.mktemp("whole")
    settings = small.sft_settings(lora=None, optimiser=small.optimiser(learning_rate=1e-3))
    report = small.train(settings, model, small.sft_examples(), folder)
    assert report.steps == 6
    return report.adapter


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}


def changed(before: Path, after: Path) -> float:
    """Share of the tensors that differ; both folders have the same ones."""
    old, new = weights_of(before), weights_of(after)
    assert set(old) == set(new)
    return sum(not torch.equal(old[name], new[name]) for name in old) / len(old)


def test_every_weight_is_trained_and_saved_as_a_model(model, tuned):
    assert is_whole(tuned)
    assert changed(Path(model.name), tuned) > 0.9
    assert not list(tuned.glob("*.bin"))
    load_trained(tuned, model, trainable=False)


@pytest.mark.parametrize("method", ["dpo", "listwise", "rft"])
def test_what_goes_on_from_it_trains_every_weight_too(model, tuned, tmp_path, method):
    settings, examples = {
        "dpo": (small.dpo_settings(), small.preference_examples()),
        "listwise": (small.listwise_settings(), small.group_examples()),
        "rft": (small.rft_settings(), small.group_examples()),
    }[method]
    loss = "aft" if method == "listwise" else None
    report = small.train(settings, model, examples, tmp_path, tuned, loss=loss)
    assert changed(tuned, report.adapter) > 0.9
    if method == "dpo":
        first = (tmp_path / "log.jsonl").read_text().splitlines()[0]
        assert '"loss": 0.693' in first, "the reference is the model that training starts from"


def test_sampling_and_evaluation_take_the_trained_folder(tuned, tiny_model, tmp_path):
    recipe = make_run(tmp_path, tiny_model).recipe(["sft.lora=null"])
    spec = own_model(recipe, tuned)
    assert spec["model"] == str(tuned)
    assert "adapter" not in spec
    _, arguments = harness_model(recipe, tuned, tmp_path)
    assert arguments["pretrained"] == str(tuned)
    assert "peft" not in arguments


def test_it_is_exported_whole_and_only_so(model, tuned, tmp_path):
    export("merged", tuned, model, tmp_path / "out", "card")
    assert set(weights_of(tmp_path / "out")) == set(weights_of(tuned))
    assert (tmp_path / "out" / "tokenizer.json").is_file()
    with pytest.raises(ConfigError, match="--form merged"):
        export("adapter", tuned, model, tmp_path / "other", "card")


@pytest.mark.parametrize("kind", ["use_dora", "use_rslora"])
def test_kinds_of_adapters_reach_peft(model, tmp_path, kind):
    # The tiny model's other projections are zero, and DoRA divides by their norms.
    lora = LoraSettings(r=4, alpha=8, dropout=0.0, target_modules=("q_proj", "v_proj"), **{kind: True})
    report = small.train(small.sft_settings(lora=lora, max_steps=1), model, small.sft_examples(), tmp_path)
    assert f'"{kind}": true' in (report.adapter / "adapter_config.json").read_text()


def test_modules_that_are_saved_whole_are_trained_whole(model, tmp_path):
    lora = LoraSettings(r=4, alpha=8, dropout=0.0, target_modules=("q_proj",), modules_to_save=("lm_head",))
    report = small.train(small.sft_settings(lora=lora, max_steps=2), model, small.sft_examples(), tmp_path)
    names = weights_of(report.adapter)
    assert any("lm_head" in name for name in names)
    assert any("q_proj.lora_A" in name for name in names)
