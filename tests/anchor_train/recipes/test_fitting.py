"""Which recipe ``init`` takes: by the parameters that are counted or named, and by the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.recipes.fitting import GPU, SMALL, Machine, fitting, parameters_of, this_machine
from anchor_train.recipes.new_run import AUTO, new_recipe

CPU = Machine((), vllm=False)
ONE_GPU = Machine((24 * 2**30,), vllm=True)


def test_parameters_are_counted_in_a_folder(tiny_model: Path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    assert parameters_of(str(tiny_model)) == sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("Qwen/Qwen2.5-1.5B-Instruct", 1.5e9),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135e6),
        ("meta-llama/Meta-Llama-3-8B-Instruct", 8e9),
        ("some/thing-70b", 70e9),
        ("some/model", None),
        ("some/v3base", None),
    ],
)
def test_or_are_as_the_name_says(name, count):
    assert parameters_of(name) == count


@pytest.mark.parametrize(
    ("model", "machine", "recipe", "warning"),
    [
        ("a/b-135M", CPU, SMALL, False),
        ("a/b-135M", ONE_GPU, SMALL, False),
        ("a/b-1B", ONE_GPU, SMALL, False),
        ("a/b-3B", ONE_GPU, GPU, False),
        ("a/b-7B", CPU, GPU, True),
        ("a/b-70B", ONE_GPU, GPU, True),
        ("a/b", CPU, SMALL, True),
        ("a/b", ONE_GPU, GPU, True),
    ],
)
def test_the_recipe_follows_from_model_and_machine(model, machine, recipe, warning):
    found = fitting(model, machine)
    assert (found.recipe, found.warning) == (recipe, warning)
    assert str(machine) in found.why
    assert found.engine == ("vllm" if machine is ONE_GPU else "transformers")
    assert fitting(model, Machine((), vllm=True)).engine == "transformers"


def test_this_machine_is_seen_as_torch_sees_it():
    import torch

    assert len(this_machine().gpus) == (torch.cuda.device_count() if torch.cuda.is_available() else 0)


@pytest.mark.parametrize("machine", [CPU, ONE_GPU])
@pytest.mark.parametrize("model", ["a/b-135M", "a/b-3B"])
def test_the_written_recipe_says_why_and_names_the_knobs_with_their_values(tmp_path, model, machine):
    fits = fitting(model, machine)
    text, recipe = new_recipe(tmp_path, model, "openbookqa_explain", recipe=AUTO, fits=fits)
    assert fits.why in text
    assert recipe.engine["backend"] == fits.engine
    for knob in (
        f"limit: {recipe.questions.limit}",
        f"max_tokens: {recipe.sampler.max_tokens}",
        f"r: {recipe.sft.lora.r},",
        f"max_steps: {recipe.dpo.max_steps}",
        f"learning_rate: {recipe.dpo.optimiser.learning_rate}",
    ):
        assert knob in text


@pytest.mark.parametrize("name", [SMALL, GPU])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_its_batches_can_be_shared_by_two_and_four_processes(tmp_path, name, processes):
    from anchor_train.recipes.files import load_recipe

    path = tmp_path / "recipe.yaml"
    path.write_text(f"model: m\ntask: aqua_rat_explain\nextends: {name}\nengine: transformers\n")
    every = "strategies=[anchor, rank, aft, rrhf, pro, rft, grpo, staple]"
    recipe = load_recipe(path, [f"launch.processes={processes}", every])
    for section in (recipe.sft, recipe.dpo, recipe.listwise, recipe.rft, recipe.grpo, recipe.staple.train):
        batch = section.optimiser
        at_once = batch.at_once(processes) * batch.accumulation_steps(processes) * processes
        assert at_once == batch.batch_size


def test_the_recipes_check_the_consultant_and_the_papers_does_not(tmp_path):
    from anchor_train.recipes.files import load_recipe

    checks = {}
    for name in (SMALL, GPU, "paper"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"model: m\ntask: aqua_rat_explain\nextends: {name}\n")
        checks[name] = load_recipe(path).consultant.check
    assert checks == {SMALL: True, GPU: True, "paper": False}
