"""What a recipe asks for and this machine lacks is told before anything runs, a dry run included."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from anchor_train.inspection.installed import ATTENTION, KNOWN_ATTENTION, TRACKERS, lacking
from anchor_train.inspection.preflight import check
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.files import load_recipe
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import make_run


def recipe_with(tmp_path: Path, *overrides: str) -> Recipe:
    path = tmp_path / "recipe.yaml"
    path.write_text("model: some/model\ntask: aqua_rat_explain\nengine: transformers\n", encoding="utf-8")
    return load_recipe(path, ["evaluate.judge=base", *overrides])


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("dpo.report_to=[wandbb]", "dpo.report_to: no tracker 'wandbb': did you mean 'wandb'?"),
        ("model.attention=sdpaa", "model.attention: no 'sdpaa': did you mean 'sdpa'?"),
        ("sft.optimiser.name=galore_adamw", "galore_torch is not installed: pip install galore-torch"),
    ],
)
def test_names_that_there_are_not_and_libraries_that_lack(tmp_path, override, told):
    assert any(told in problem for problem in lacking(recipe_with(tmp_path, override)))


@pytest.mark.parametrize(
    ("override", "library", "told"),
    [
        ("sft.report_to=[wandb]", "wandb", "sft.report_to: wandb is not installed: pip install wandb"),
        ("model.load_in_4bit=true", "bitsandbytes", "model.load_in_4bit: bitsandbytes is not installed"),
        ("model.attention=flash_attention_2", "flash_attn", "flash_attn is not installed"),
        ("dpo.optimiser.name=paged_adamw_8bit", "bitsandbytes", "pip install bitsandbytes"),
    ],
)
def test_libraries_are_named_where_they_are_not_installed(tmp_path, override, library, told):
    problems = list(lacking(recipe_with(tmp_path, override)))
    assert any(told in problem for problem in problems) == (find_spec(library) is None)


def test_trackers_of_trainings_that_are_not_done_do_not_matter(tmp_path):
    assert list(lacking(recipe_with(tmp_path, "rft.report_to=[nonsense]"))) == []
    assert list(lacking(recipe_with(tmp_path, "rft.report_to=[nonsense]", "strategies=[rft]"))) != []


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["sft.lora.r=600"], "sft.lora.r 600: vLLM serves ranks up to 512"),
        (["engine.max_lora_rank=8", "sft.lora.r=24"], "engine.max_lora_rank 8: less than sft.lora.r 24"),
        (["sft.lora.use_dora=true"], "sft.lora.use_dora: vLLM can't serve it"),
        (["sft.lora.modules_to_save=[lm_head]"], "sft.lora.modules_to_save: vLLM can't serve them"),
        (["sft.lora.r=24"], None),
    ],
)
def test_what_vllm_cannot_serve_is_told_where_vllm_serves(tmp_path, overrides, told, vllm_installed):
    vllm = list(lacking(recipe_with(tmp_path, "engine={backend: vllm}", *overrides)))
    assert vllm == [] if told is None else any(told in problem for problem in vllm)
    changed = [override for override in overrides if not override.startswith("engine")]
    assert list(lacking(recipe_with(tmp_path, *changed))) == []


def test_the_names_are_the_librarys_own():
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    assert set(INTEGRATION_TO_CALLBACK) == set(TRACKERS)
    assert set(ATTENTION) < set(KNOWN_ATTENTION)


def test_all_of_it_comes_with_the_other_mistakes(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    with pytest.raises(ConfigError) as caught:
        check(run.recipe(["sft.report_to=[nonsense]", "model.attention=nonsense"]))
    assert "no tracker 'nonsense'" in str(caught.value)
    assert "model.attention: no 'nonsense'" in str(caught.value)
