"""Preference training on a tiny model: its start, direction and reference, and what a kill does to it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.checkpoints import whole_checkpoints
from anchor_train.training.job import OutputFolder
from anchor_train.training.rendering import TokenisedExample, tokenise_pair
from judges.errors import ConfigError, TrainingError
from tests.anchor_train.small_training import (
    HELD_OUT,
    TRAINED,
    dpo_settings,
    job_of,
    preference_examples,
    train,
    trainer_of,
)
from tests.tiny_models import make_tiny_adapter, make_tiny_model


def test_dpo_starts_at_ln_2_and_raises_the_margin_on_pairs_that_it_has_not_seen(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    report = train(dpo_settings(), model, preference_examples(TRAINED), tmp_path, sft_adapter)
    folder = OutputFolder(tmp_path)
    rows = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[0]["log_ratio/chosen"] == pytest.approx(0, abs=1e-4)
    assert rows[-1]["rewards/margins"] > 0
    assert rows[-1]["log_ratio/chosen"] == pytest.approx(rows[-1]["rewards/chosen"] / 0.1)
    assert report.metrics["rewards/accuracies"] == 1
    assert report.steps == 6
    assert _margin(model, report.adapter, HELD_OUT) > _margin(model, sft_adapter, HELD_OUT) + 1
    assert {path.suffix for path in report.adapter.iterdir()} == {".safetensors", ".json", ".jinja"}

    samples = [json.loads(line) for line in folder.samples.read_text().splitlines()]
    assert [(row["step"], row["id"]) for row in samples] == [
        (step, animal) for step in (0, 3, 6) for animal in TRAINED[:2]
    ]
    assert [row["kl"] for row in samples[:2]] == pytest.approx([0, 0], abs=1e-6)
    assert all(row["kl"] > 0 for row in samples[2:])
    assert report.metrics["kl"] == pytest.approx(sum(row["kl"] for row in samples[4:]) / 2)


@pytest.mark.parametrize("loss", ["ipo", "apo_zero", "robust"])
def test_other_losses_of_trl_are_trained_by_name(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path, loss: str
) -> None:
    settings = dpo_settings(loss=loss, max_steps=3, label_smoothing=0.1 if loss == "robust" else 0.0)
    report = train(settings, model, preference_examples(TRAINED), tmp_path, sft_adapter)
    assert report.metrics["rewards/margins"] > 0


def test_the_reference_computed_once_or_at_each_step_gives_the_same_model(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    once, each = (
        train(
            dpo_settings(precompute_reference=precompute),
            model,
            preference_examples(TRAINED),
            tmp_path / str(precompute),
            sft_adapter,
        )
        for precompute in (True, False)
    )
    _assert_same_adapter(once.adapter, each.adapter)


def test_a_reference_that_is_not_the_start_stops_the_training(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    settings = dpo_settings(precompute_reference=False)
    trainer = trainer_of(job_of(settings, model, preference_examples(), tmp_path, sft_adapter))
    with torch.no_grad():
        for name, weights in trainer.model.named_parameters():
            if "lora_B.ref" in name:
                weights.zero_()
    with pytest.raises(TrainingError, match="policy and reference differ before the first step"):
        trainer.train()


def test_a_kill_of_everything_in_the_middle_changes_nothing_in_the_end(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    settings = dpo_settings(max_steps=24, save_every=4, sample_every=12)
    through = train(settings, model, preference_examples(), tmp_path / "through", sft_adapter)

    job = job_of(settings, model, preference_examples(), tmp_path / "killed", sft_adapter)
    job_file = tmp_path / "killed.json"
    job_file.write_text(json.dumps(job.to_json()))
    # A process that launches the training, and dies with kill -9: the worker notices and ends too.
    launching = (
        "import json, pathlib, sys\n"
        "from anchor_train.training.launch import launch\n"
        "from anchor_train.training.worker import read_job\n"
        "launch(read_job(pathlib.Path(sys.argv[1])))\n"
    )
    folder = OutputFolder(job.output)
    with subprocess.Popen(
        [sys.executable, "-c", launching, str(job_file)], stderr=subprocess.DEVNULL
    ) as launcher:
        while not whole_checkpoints(folder.checkpoints):
            assert launcher.poll() is None, "the training ended before it could be killed"
            time.sleep(0.01)
        worker = _child_of(launcher.pid)
        os.kill(launcher.pid, signal.SIGKILL)
    while Path(f"/proc/{worker}").exists():
        time.sleep(0.01)
    assert folder.read_report() is None

    resumed = train(settings, model, preference_examples(), job.output, sft_adapter)
    assert resumed.steps == 24
    assert resumed.resumed_from is not None
    assert resumed.resumed_from >= 4
    rows = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 25))
    samples = [json.loads(line)["step"] for line in folder.samples.read_text().splitlines()]
    assert samples == [0, 0, 12, 12, 24, 24]
    _assert_same_adapter(resumed.adapter, through.adapter)
    assert resumed.tokens == through.tokens


def test_an_adapter_of_another_base_is_refused(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    other = make_tiny_model(tmp_path / "other", seed=1)
    with pytest.raises(ConfigError, match=rf"belongs to the base model {model.name}, not to {other}"):
        train(
            dpo_settings(),
            ModelSettings(name=str(other)),
            preference_examples(),
            tmp_path / "dpo",
            sft_adapter,
        )
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ConfigError, match=r"not an adapter folder: no adapter_config.json and no adapter_model"
    ):
        train(dpo_settings(), model, preference_examples(), tmp_path / "dpo", tmp_path / "empty")


def test_an_adapter_whose_base_has_moved_must_at_least_fit(
    model: ModelSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = make_tiny_model(tmp_path / "narrow", hidden_size=32, heads=2)
    adapter = make_tiny_adapter(tmp_path / "adapter", narrow)
    narrow.rename(tmp_path / "moved")
    with pytest.raises(ConfigError, match=r"doesn't fit .* belongs to another base"):
        train(dpo_settings(), model, preference_examples(), tmp_path / "dpo", adapter)
    assert "which is gone" in capsys.readouterr().err
    settings = dpo_settings(max_steps=1, sample_every=None)
    moved = ModelSettings(name=str(tmp_path / "moved"))
    report = train(settings, moved, preference_examples(), tmp_path / "dpo", adapter)
    config = json.loads((report.adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == moved.name


def test_pairs_that_are_too_long_are_refused(model: ModelSettings, sft_adapter: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"12 of 12 pairs are longer than max_length 60"):
        train(dpo_settings(max_length=60), model, preference_examples(), tmp_path, sft_adapter)


def _margin(model: ModelSettings, adapter: Path, animals: tuple[str, ...]) -> float:
    """Mean log-probability of chosen less rejected, in nats, by plain transformers and PEFT."""
    tokenizer = load_tokenizer(model)
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model.name), adapter).eval()

    def log_prob(side: TokenisedExample) -> float:
        ids = torch.tensor([[*side.prompt_ids, *side.completion_ids]])
        with torch.no_grad():
            scores = adapted(ids).logits[0, :-1].log_softmax(-1)
        each = scores.gather(1, ids[0, 1:, None])[:, 0]
        return float(each[len(side.prompt_ids) - 1 :].sum())

    pairs = [tokenise_pair(tokenizer, pair) for pair in preference_examples(animals)]
    margins = [log_prob(pair.sides[0]) - log_prob(pair.sides[1]) for pair in pairs]
    return sum(margins) / len(margins)


def _assert_same_adapter(first: Path, second: Path) -> None:
    expected = load_file(first / "adapter_model.safetensors")
    found = load_file(second / "adapter_model.safetensors")
    assert expected.keys() == found.keys()
    assert not any("ref" in name.split(".") for name in expected)
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights, rtol=1e-4, atol=1e-5)


def _child_of(parent: int) -> int:
    return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
