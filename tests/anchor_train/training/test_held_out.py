"""Held-out loss: some questions aren't trained on, and the loss on them stands in the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.training.train import held_out
from judges.errors import ConfigError
from tests.anchor_train import small_training as small

HELD = {"eval_every": 3, "eval_share": 0.25}


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["sft", "dpo", "listwise", "rft"])
def test_the_loss_on_what_is_not_trained_on_is_logged(tmp_path, tiny_model, tiny_adapter, method):
    settings = {
        "sft": small.sft_settings(**HELD),
        "dpo": small.dpo_settings(**HELD, sample_every=None),
        "listwise": small.listwise_settings(**HELD, sample_every=None),
        "rft": small.rft_settings(**HELD),
    }[method]
    examples = {"sft": small.sft_examples, "dpo": small.preference_examples}.get(
        method, small.group_examples
    )()
    report = small.train(
        settings,
        ModelSettings(name=str(tiny_model), dtype="float32"),
        examples,
        tmp_path,
        None if method == "sft" else tiny_adapter,
        loss="aft" if method == "listwise" else None,
    )
    measured = [row for row in log_of(tmp_path) if "eval_loss" in row]
    assert [row["step"] for row in measured] == [3, 6]
    assert measured[0]["eval_loss"] != measured[1]["eval_loss"]
    assert report.metrics["eval_loss"] == measured[-1]["eval_loss"]
    assert [row["step"] for row in log_of(tmp_path) if "loss" in row] == [1, 2, 3, 4, 5, 6]
    trained = 9 if method != "rft" else 18
    assert report.examples == trained


def test_replies_to_one_question_stay_together():
    class Example:
        def __init__(self, id: str) -> None:
            self.id = id

    examples = [Example(id) for id in "aabbccddee"]
    trained, held = held_out(examples, small.sft_settings(**HELD), 1)
    assert {one.id for one in trained} & {one.id for one in held} == set()
    assert len(trained) + len(held) == 10
    assert held_out(examples, small.sft_settings(**HELD), 1) == (trained, held)
    assert held_out(examples, small.sft_settings(), 1) == (tuple(examples), ())
    with pytest.raises(ConfigError, match="none is left to train on"):
        held_out(examples[:2], small.sft_settings(**HELD), 1)


def test_settings_that_are_off_leave_no_trace():
    off, on = small.sft_settings().model_dump(mode="json"), small.sft_settings(**HELD).model_dump(mode="json")
    assert {"eval_every", "eval_share", "target"} & set(off) == set()
    assert set(on) - set(off) == {"eval_every", "eval_share"}
    assert set(off["lora"]) == {"r", "alpha", "dropout", "target_modules"}
