"""Supervised fine-tuning on a tiny model: what it changes, what it leaves, how it goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from anchor_train.recipes.training_settings import LoraSettings, ModelSettings
from anchor_train.training.job import OutputFolder
from anchor_train.training.rendering import tokenise_example
from anchor_train.training.train import take_up
from judges.errors import ConfigError
from tests.anchor_train.small_training import (
    job_of,
    optimiser,
    sft_examples,
    sft_settings,
    train,
    trainer_of,
)
from tests.tiny_models import make_tiny_model


def test_training_changes_the_lora_weights_only(model: ModelSettings, tmp_path: Path) -> None:
    trainer = trainer_of(job_of(sft_settings(), model, sft_examples(), tmp_path))
    trainer.keep_checkpoints = 1
    before = {name: weights.detach().clone() for name, weights in trainer.model.named_parameters()}
    trainer.train()
    changed = {
        name for name, weights in trainer.model.named_parameters() if not torch.equal(weights, before[name])
    }
    assert changed == {name for name in before if "lora_" in name}
    linear = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in changed} == linear


def test_a_training_leaves_an_adapter_a_log_and_a_report(model: ModelSettings, tmp_path: Path) -> None:
    report = train(sft_settings(), model, sft_examples(), tmp_path)
    folder = OutputFolder(tmp_path)
    assert (report.stage, report.steps, report.examples, report.resumed_from) == ("sft", 6, 12, None)
    rows = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["loss"] == report.loss < rows[0]["loss"]
    assert report.tokens == rows[-1]["num_tokens"] > 0
    assert folder.read_report() == report
    assert {path.suffix for path in report.adapter.iterdir()} == {".safetensors", ".json", ".jinja"}
    assert not folder.checkpoints.exists()
    config = json.loads((report.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(Path(model.name).resolve())


def test_a_training_that_has_ended_is_not_done_again(
    model: ModelSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(sft_settings(max_steps=2), model, sft_examples(), tmp_path)
    made = (first.adapter / "adapter_model.safetensors").stat().st_mtime_ns
    again = train(sft_settings(max_steps=2, log_every=5), model, sft_examples(), tmp_path)
    assert again == first
    assert (first.adapter / "adapter_model.safetensors").stat().st_mtime_ns == made

    other = train(sft_settings(max_steps=3), model, sft_examples(), tmp_path)
    assert other.steps == 3
    assert "settings or data have changed; training starts afresh" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["changed", "deleted", "report cut short"])
def test_an_adapter_that_was_spoilt_is_trained_again(
    model: ModelSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    first = train(sft_settings(max_steps=2), model, sft_examples(), tmp_path)
    weights = first.adapter / "adapter_model.safetensors"
    whole = weights.read_bytes()
    if damage == "changed":
        weights.write_bytes(whole[:-4] + bytes(4))
    elif damage == "deleted":
        weights.unlink()
    else:
        OutputFolder(tmp_path).report.write_text('{"stage": "sft"')

    again = train(sft_settings(max_steps=2), model, sft_examples(), tmp_path)

    assert "what it left was changed" in capsys.readouterr().err
    assert weights.read_bytes() == whole
    assert again.content == first.content
    rows = [json.loads(line) for line in OutputFolder(tmp_path).log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]


def test_another_base_model_of_the_same_size_in_the_same_folder_is_trained_on(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path / "base", seed=0)
    first = train(sft_settings(max_steps=2), ModelSettings(name=str(base)), sft_examples(), tmp_path / "out")
    weights = base / "model.safetensors"
    size = weights.stat().st_size
    shutil.copyfile(make_tiny_model(tmp_path / "other", seed=1) / "model.safetensors", weights)
    assert weights.stat().st_size == size

    again = train(sft_settings(max_steps=2), ModelSettings(name=str(base)), sft_examples(), tmp_path / "out")

    assert again.content != first.content


def test_an_interrupted_training_ends_as_if_it_had_run_through(model: ModelSettings, tmp_path: Path) -> None:
    settings = sft_settings(max_steps=7, save_every=2)
    through = train(settings, model, sft_examples(), tmp_path / "through")

    class PowerCut(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            if state.global_step == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(settings, model, sft_examples(), tmp_path / "cut", callbacks=[PowerCut()])
    checkpoints = OutputFolder(tmp_path / "cut").checkpoints
    assert [path.name for path in checkpoints.iterdir()] == ["checkpoint-4"]

    resumed = train(settings, model, sft_examples(), tmp_path / "cut")
    assert (resumed.steps, resumed.resumed_from, resumed.tokens) == (7, 4, through.tokens)
    rows = [json.loads(line) for line in OutputFolder(tmp_path / "cut").log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    expected = load_file(through.adapter / "adapter_model.safetensors")
    found = load_file(resumed.adapter / "adapter_model.safetensors")
    assert expected.keys() == found.keys()
    assert (resumed.adapter / "adapter_config.json").read_bytes() == (
        through.adapter / "adapter_config.json"
    ).read_bytes()
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights)


def test_a_half_written_checkpoint_is_not_gone_on_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = OutputFolder(tmp_path)
    assert take_up(folder, "mark") is None
    for step, whole in ((2, True), (10, True), (12, False)):
        checkpoint = folder.checkpoints / f"checkpoint-{step}"
        checkpoint.mkdir()
        (checkpoint / "adapter_model.safetensors").write_text("weights")
        if whole:
            (checkpoint / "complete").touch()
    assert take_up(folder, "mark") == folder.checkpoints / "checkpoint-10"
    assert "1 half-written checkpoint(s) removed" in capsys.readouterr().err
    assert take_up(folder, "another mark") is None
    assert list(folder.checkpoints.iterdir()) == []


def test_mistakes_are_named_before_anything_is_trained(model: ModelSettings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"12 of 12 SFT examples are longer than max_length 20"):
        train(sft_settings(max_length=20), model, sft_examples(), tmp_path)
    with pytest.raises(ConfigError, match=r"model /nowhere/at-all can't be loaded"):
        train(sft_settings(), ModelSettings(name="/nowhere/at-all"), sft_examples(), tmp_path)
    with pytest.raises(ConfigError, match="no SFT examples to train on"):
        train(sft_settings(), model, [], tmp_path)
    uneven = sft_settings(optimiser=optimiser(batch_size=3))
    with pytest.raises(
        ConfigError, match="batch_size 3 is no multiple of per_device_batch_size 2; the nearest are 2 and 4"
    ):
        train(uneven, model, sft_examples(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": optimiser(name="adamwx")}, "adamwx is not a valid OptimizerNames"),
        ({"optimiser": optimiser(schedule="cosinus")}, "cosinus is not a valid SchedulerType"),
        ({"report_to": ("tensorbord",)}, "tensorbord is not supported"),
        ({"lora": LoraSettings(r=4, alpha=8, dropout=0, target_modules=("w_q",))}, r"sft\.lora .*w_q"),
    ],
)
def test_names_that_the_libraries_do_not_know_are_one_line_errors(
    model: ModelSettings, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        train(sft_settings(**changes), model, sft_examples(), tmp_path)
    assert "\n" not in str(caught.value)


def test_cut_examples_are_counted_in_the_report(model: ModelSettings, tmp_path: Path) -> None:
    lengths = {len(example.target) for example in sft_examples()}
    assert len(lengths) > 1
    from anchor_train.training.base_model import load_tokenizer

    tokenizer = load_tokenizer(model)
    longest = max(tokenise_example(tokenizer, example).length for example in sft_examples())
    settings = sft_settings(max_steps=1, max_length=longest - 1)
    report = train(settings, model, sft_examples(), tmp_path, allow_cut=True)
    assert report.cut >= 1
    assert report.dropped == 0
    assert report.examples == 12
