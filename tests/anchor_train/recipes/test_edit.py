"""Settings of a command line, written into a recipe whose comments and order stay."""

from __future__ import annotations

import pytest
import yaml

from anchor_train.recipes.edit import with_settings
from anchor_train.recipes.files import recipe_from
from judges.errors import ConfigError

TEXT = """\
# What this is for.
extends: small

model: some/model        # the base model
task: aqua_rat_explain
engine: transformers
# Who judges.
judge: base
sft: {lora: {r: 16, alpha: 32}, epochs: 1}   # fine-tuning
dpo:
  max_steps: 100   # steps
  optimiser:
    # A rate of ours.
    learning_rate: 2.0e-5
sampler: {}

evaluate:
  judge: base  # better a stronger one
"""


@pytest.mark.parametrize(
    "override",
    [
        "dpo.max_steps=7",
        "dpo.optimiser.learning_rate=1e-4",
        "dpo.optimiser.batch_size=4",
        "dpo.beta=0.3",
        "sft.lora.r=8",
        "sft.target=answer",
        "sft.optimiser.batch_size=4",
        "sampler.n=2",
        "model.dtype=float32",
        "engine.batch_size=4",
        "rounds=2",
        "strategies=[anchor, rank]",
        "judge=openai:m@http://localhost:1/v1",
        "evaluate.judge={backend: openai, model: m}",
        "questions.limit=null",
        "consultant.guide='a guide: one.yaml'",
    ],
)
def test_a_setting_finds_its_place_and_comments_stay(tmp_path, override):
    path = tmp_path / "recipe.yaml"
    text = with_settings(TEXT, [override])
    assert recipe_from(yaml.safe_load(text), path) == recipe_from(yaml.safe_load(TEXT), path, [override])
    comments = [line.partition("#")[2] for line in TEXT.splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in text.splitlines() if "#" in line] == comments
    unchanged = set(TEXT.splitlines()) & set(text.splitlines())
    assert len(unchanged) >= len(set(TEXT.splitlines())) - 1, "one line is another one now, at most"


def test_several_at_once_and_a_second_time(tmp_path):
    path = tmp_path / "recipe.yaml"
    given = ["dpo.beta=0.2", "dpo.max_steps=3", "sft.lora.r=4", "rounds=3", "dpo.beta=0.4"]
    text = with_settings(TEXT, given)
    assert with_settings(text, given) == text
    assert recipe_from(yaml.safe_load(text), path) == recipe_from(yaml.safe_load(TEXT), path, given)
    assert text.count("beta") == 1


def test_a_block_is_replaced_as_a_whole(tmp_path):
    text = with_settings(TEXT, ["dpo.optimiser={learning_rate: 0.5}"])
    assert yaml.safe_load(text)["dpo"] == {"max_steps": 100, "optimiser": {"learning_rate": 0.5}}
    assert yaml.safe_load(text)["evaluate"] == {"judge": "base"}


@pytest.mark.parametrize("override", ["beta", "=3", "a..b=1", "dpo.beta=[1"])
def test_what_is_none_is_refused(override):
    with pytest.raises(ConfigError, match="--set"):
        with_settings(TEXT, [override])
