"""Training on groups with a tiny model: scores, direction, the boundary's hold, a kill in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import ListwiseLoss, ModelSettings
from anchor_train.training.assessment import assess
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.checkpoints import whole_checkpoints
from anchor_train.training.job import OutputFolder
from anchor_train.training.methods.group_batches import GroupCollator, reply_scores
from anchor_train.training.rendering import TokenisedGroup, show_group, tokenise_group
from judges.errors import ConfigError
from tests.anchor_train.small_training import (
    ANIMALS,
    HELD_OUT,
    TRAINED,
    group_examples,
    job_of,
    listwise_settings,
    optimiser,
    prompt,
    rft_settings,
    train,
)


def tokenised(model: ModelSettings, animals: tuple[str, ...]) -> list[TokenisedGroup]:
    tokenizer = load_tokenizer(model)
    return [tokenise_group(tokenizer, group) for group in group_examples(animals)]


def adapted(model: ModelSettings, adapter: Path) -> Any:
    return PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model.name), adapter).eval()


def test_a_score_is_the_mean_log_likelihood_of_a_reply_alone(model: ModelSettings) -> None:
    groups = [
        *tokenised(model, ("ant", "gnu")),
        TokenisedGroup("short", (5, 6), ((7,), (8, 9, 10)), (1, 0)),
    ]
    plain = AutoModelForCausalLM.from_pretrained(model.name).eval()
    with torch.no_grad():
        found = reply_scores(plain, GroupCollator(padding=0)(groups))
        expected = []
        for group in groups:
            for completion in group.completions:
                ids = torch.tensor([[*group.prompt_ids, *completion]])
                each = plain(ids).logits[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
                expected.append(each[len(group.prompt_ids) - 1 :].mean())
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["aft", "rrhf", "pro"])
def test_each_loss_makes_good_replies_likelier_than_bad_ones_on_questions_not_seen(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path, loss: ListwiseLoss
) -> None:
    settings = listwise_settings(constraint="none", sft_weight=0.2, max_steps=8)
    report = train(settings, model, group_examples(TRAINED), tmp_path, sft_adapter, loss=loss)
    held_out = tokenised(model, HELD_OUT)
    before = assess(adapted(model, sft_adapter), held_out, padding=0)
    after = assess(adapted(model, report.adapter), held_out, padding=0)
    assert after.good - after.bad > before.good - before.bad + 0.1
    assert after.accuracy >= before.accuracy

    folder = OutputFolder(tmp_path)
    rows = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 9))
    assert {"loss", "num_tokens", "assessment_accuracy", "score_good", "score_bad"} <= set(rows[-1])
    steps = [json.loads(line)["step"] for line in folder.assessments.read_text().splitlines()]
    assert steps == [0, 3, 6, 8]
    first = assess(adapted(model, sft_adapter), tokenised(model, TRAINED), padding=0)
    assert report.metrics["assessment_accuracy/before"] == pytest.approx(first.accuracy)
    assert report.metrics["score_bad/before"] == pytest.approx(first.bad, rel=1e-4)
    assert report.metrics["assessment_accuracy/after"] >= first.accuracy
    assert report.metrics["kl"] > 0
    assert (report.stage, report.steps, report.examples) == ("listwise", 8, 8)
    assert {path.suffix for path in report.adapter.iterdir()} == {".safetensors", ".json", ".jinja"}


def test_the_first_logged_loss_is_that_of_the_batch_it_saw(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    """Accumulated over two batches of two, the loss of one step is the mean over its four groups."""
    settings = listwise_settings(max_steps=1, sample_every=None, sft_weight=0.0)
    report = train(settings, model, group_examples(ANIMALS[:4]), tmp_path, sft_adapter, loss="rrhf")
    start = adapted(model, sft_adapter)
    expected = []
    with torch.no_grad():
        for group in tokenised(model, ANIMALS[:4]):
            scores = reply_scores(start, GroupCollator(0)([group]))
            expected += [sum(float((scores[n] - scores[p]).relu()) for p in (0, 2) for n in (1, 3))]
    assert report.loss == pytest.approx(sum(expected) / 4, rel=1e-4)


def test_only_without_a_constraint_bad_replies_become_ever_less_likely_and_that_is_said(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = {}
    for constraint in ("none", "boundary"):
        settings = listwise_settings(
            constraint=constraint,
            sft_weight=0.0,
            max_steps=30,
            sample_every=None,
            optimiser=optimiser(learning_rate=5e-2, batch_size=2),
        )
        groups = group_examples(ANIMALS[:2])
        reports[constraint] = train(settings, model, groups, tmp_path / constraint, sft_adapter, loss="aft")
    fallen = {name: report.metrics["score_bad/after"] for name, report in reports.items()}
    assert fallen["none"] < fallen["boundary"] - 1
    assert any("bad replies have become very unlikely" in found for found in reports["none"].warnings)
    assert not reports["boundary"].warnings
    assert "bad replies have become very unlikely" in capsys.readouterr().err


def test_a_kill_of_everything_in_the_middle_changes_nothing_in_the_end(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    settings = listwise_settings(max_steps=16, save_every=4, sample_every=8)
    groups = group_examples()
    through = train(settings, model, groups, tmp_path / "through", sft_adapter, loss="aft")

    job = job_of(settings, model, groups, tmp_path / "killed", sft_adapter, loss="aft")
    job_file = tmp_path / "killed.json"
    job_file.write_text(json.dumps(job.to_json()))
    folder = OutputFolder(job.output)
    with subprocess.Popen(
        [sys.executable, "-m", "anchor_train.training.worker", str(job_file)], stderr=subprocess.DEVNULL
    ) as worker:
        while not whole_checkpoints(folder.checkpoints):
            assert worker.poll() is None, "the training ended before it could be killed"
            time.sleep(0.01)
        os.kill(worker.pid, signal.SIGKILL)
    assert folder.read_report() is None

    resumed = train(settings, model, groups, job.output, sft_adapter, loss="aft")
    assert resumed.steps == 16
    assert resumed.resumed_from is not None
    assert resumed.resumed_from >= 4
    rows = [json.loads(line) for line in folder.log.read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 17))
    steps = [json.loads(line)["step"] for line in folder.assessments.read_text().splitlines()]
    assert steps == [0, 8, 16]
    assert resumed.tokens == through.tokens
    assert resumed.metrics["assessment_accuracy/before"] == through.metrics["assessment_accuracy/before"]
    expected = load_file(through.adapter / "adapter_model.safetensors")
    found = load_file(resumed.adapter / "adapter_model.safetensors")
    assert expected.keys() == found.keys()
    for name, weights in expected.items():
        torch.testing.assert_close(found[name], weights, rtol=1e-4, atol=1e-5)


def test_another_loss_on_the_same_groups_is_another_training(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = listwise_settings(max_steps=1, sample_every=None)
    groups = group_examples(ANIMALS[:4])
    for loss, afresh in (("aft", False), ("aft", False), ("pro", True)):
        train(settings, model, groups, tmp_path, sft_adapter, loss=loss)
        assert ("training starts afresh" in capsys.readouterr().err) is afresh


def test_rft_learns_the_right_replies_from_the_adapter_that_it_starts_from(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    report = train(rft_settings(), model, group_examples(TRAINED), tmp_path, sft_adapter)
    assert (report.stage, report.examples, report.steps) == ("rft", 16, 6)
    first = assess(adapted(model, sft_adapter), tokenised(model, TRAINED), padding=0)
    assert report.metrics["score_good/before"] == pytest.approx(first.good, rel=1e-4)
    assert report.metrics["score_good/after"] > first.good
    start = load_file(sft_adapter / "adapter_model.safetensors")
    end = load_file(report.adapter / "adapter_model.safetensors")
    assert start.keys() == end.keys()


def test_groups_without_contrast_are_fine_tuned_on_and_not_assessed(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    alone = [GroupExample("ant", prompt("ant"), ("<choice> B </choice>",), (1,))]
    settings = listwise_settings(max_steps=2, sample_every=None)
    report = train(settings, model, alone, tmp_path / "aft", sft_adapter, loss="aft")
    assert "assessment_accuracy/before" not in report.metrics
    start, end = (adapted(model, adapter) for adapter in (sft_adapter, report.adapter))
    batch = GroupCollator(0)([tokenise_group(load_tokenizer(model), alone[0])])
    with torch.no_grad():
        assert reply_scores(end, batch) > reply_scores(start, batch)


def test_groups_that_are_too_long_are_refused(
    model: ModelSettings, sft_adapter: Path, tmp_path: Path
) -> None:
    settings = listwise_settings(max_length=60)
    with pytest.raises(ConfigError, match=r"12 of 12 groups are longer than max_length 60"):
        train(settings, model, group_examples(), tmp_path, sft_adapter, loss="aft")


def test_a_group_is_shown_with_the_level_of_each_reply(model: ModelSettings) -> None:
    (group,) = tokenised(model, ("ant",))
    shown = show_group(load_tokenizer(model), group)
    assert shown.count("ant level 1") == shown.count("ant level 0") == 2
