"""One precision for training, sampling and evaluation."""

from __future__ import annotations

import json

import pytest
import torch

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.run.precision import dtype_of, told_dtype
from anchor_train.run.roles import own_model
from anchor_train.stages.evaluate import harness_model
from anchor_train.training.base_model import load_base, weights_dtype
from tests.anchor_train.scripted_run import make_run


@pytest.mark.parametrize("dtype", ["auto", "float32", "bfloat16"])
def test_all_that_run_the_model_run_it_in_one_precision(tmp_path, tiny_model, dtype):
    recipe = make_run(tmp_path, tiny_model).recipe([f"model.dtype={dtype}"])
    expected = dtype_of(recipe.model)
    assert expected in ("float32", "bfloat16")
    assert dtype in ("auto", expected)
    assert weights_dtype(recipe.model) == getattr(torch, expected)
    assert load_base(recipe.model).dtype == getattr(torch, expected)
    stored = json.loads((tiny_model / "config.json").read_text())["dtype"]
    told = "auto" if dtype == "auto" and stored == expected else expected
    assert own_model(recipe, None).get("dtype", "auto") == told
    assert harness_model(recipe, None, tmp_path)[1]["dtype"] == told


@pytest.mark.parametrize("stored", ["float32", "bfloat16", None])
def test_an_engine_is_told_what_it_would_not_take_by_itself(tmp_path, stored):
    config = {} if stored is None else {"dtype": stored}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = ModelSettings(name=str(tmp_path))
    assert told_dtype(model) == (None if stored == dtype_of(model) else dtype_of(model))
    assert told_dtype(ModelSettings(name=str(tmp_path), dtype="float32")) == "float32"
    assert told_dtype(ModelSettings(name="some/model")) == dtype_of(model), "a model of the hub"


def test_unless_an_engine_is_told_another_one(tmp_path, tiny_model):
    recipe = make_run(tmp_path, tiny_model).recipe(["engine={backend: transformers, dtype: bfloat16}"])
    assert own_model(recipe, None)["dtype"] == "bfloat16"
    assert harness_model(recipe, None, tmp_path)[1]["dtype"] == "bfloat16"


def test_what_is_named_is_taken():
    assert dtype_of(ModelSettings(name="m", dtype="float16")) == "float16"
