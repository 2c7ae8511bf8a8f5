"""What a dry run says of time and memory: in proportion to the work, and from measured steps where asked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.inspection.estimate import Shape, Speed, estimate, in_words, shape_of, speed_here
from anchor_train.stages.parts.kind import Work
from tests.anchor_train.scripted_run import make_run

SEVEN_B = Shape(7_000_000_000, 32, 4096, 1024, 32_000)
GPU = Speed(operations=400e12, memory=2e12)
TRAINING = Work(trained=1_000_000, at_once=4, longest=1024, checkpointed=True)
WRITING = Work(read=100_000, written=1_000_000, at_once=64, longest=1024)


@pytest.fixture
def recipe(tmp_path, tiny_model):
    return make_run(tmp_path, tiny_model).recipe(["model.dtype=bfloat16", "sft.lora.r=64"])


def test_a_model_of_known_size_takes_what_is_known_of_it(recipe):
    """Some 14 GB of weights in 16 bits; a million tokens at 2 PFLOP for each forward and half a backward."""
    found = estimate(TRAINING, recipe, SEVEN_B, GPU)
    assert 14e9 < found.memory < 40e9
    assert 100 < found.seconds < 600
    writing = estimate(WRITING, recipe, SEVEN_B, GPU)
    assert 14e9 < writing.memory < 30e9
    assert 100 < writing.seconds < 1200


@pytest.mark.parametrize("work", [TRAINING, WRITING])
def test_twice_the_work_takes_longer_and_a_faster_machine_less(recipe, work):
    once = estimate(work, recipe, SEVEN_B, GPU).seconds
    double = replace(work, read=2 * work.read, written=2 * work.written, trained=2 * work.trained)
    assert 1.5 * once < estimate(double, recipe, SEVEN_B, GPU).seconds < 2 * once
    faster = Speed(2 * GPU.operations, 2 * GPU.memory)
    assert estimate(work, recipe, SEVEN_B, faster).seconds < once


def test_what_was_measured_is_gone_by(recipe):
    measured = replace(GPU, trained=1000.0, written=500.0, held=90 * 2**30)
    assert estimate(TRAINING, recipe, SEVEN_B, measured).seconds == pytest.approx(1020, rel=0.01)
    assert estimate(TRAINING, recipe, SEVEN_B, measured).memory == 90 * 2**30
    assert estimate(WRITING, recipe, SEVEN_B, measured).seconds == pytest.approx(2020, rel=0.05)


def test_recomputed_activations_take_less_memory_and_more_time(recipe):
    plain = estimate(replace(TRAINING, checkpointed=False), recipe, SEVEN_B, GPU)
    saving = estimate(TRAINING, recipe, SEVEN_B, GPU)
    assert saving.memory < plain.memory
    assert saving.seconds > plain.seconds


def test_the_shape_is_the_models(recipe, tiny_model):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    found = shape_of(recipe)
    assert found is not None
    assert found.parameters == sum(weights.numel() for weights in model.parameters())
    assert (found.layers, found.width) == (model.config.num_hidden_layers, model.config.hidden_size)
    assert found.keys == model.model.layers[0].self_attn.k_proj.out_features


def test_this_machine_multiplies_and_copies_at_some_speed():
    speed = speed_here("float32")
    assert 1e8 < speed.operations < 1e16
    assert 1e7 < speed.memory < 1e14


@pytest.mark.parametrize(
    ("seconds", "words"), [(3, "1 s"), (44, "40 s"), (400, "7 min"), (9000, "2.5 h"), (86400, "24.0 h")]
)
def test_durations_are_told_as_exactly_as_they_are_known(seconds, words):
    assert in_words(seconds) == words


def call(*arguments: object) -> str:
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert found.exit_code == 0, found.stderr
    return found.stdout


def test_a_dry_run_says_what_each_stage_takes(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, judge="base", sampler={"n": 2, "max_tokens": 8})
    text = call("run", run.path, "--dry-run")
    assert "on this machine, and" in text
    assert "reckoned; --measure makes a few steps" in text
    rows = {row["stage"]: row for row in json.loads(call("run", run.path, "--dry-run", "--json"))["stages"]}
    for stage in ("sft", "round-1/sample", "round-1/judge", "round-1/anchor/dpo", "evaluate/sft/generate"):
        assert rows[stage]["seconds"] > 0, stage
        assert rows[stage]["memory_bytes"] > 0, stage
    for stage in ("questions", "round-1/consult", "evaluate/sft/score", "evaluate/table"):
        assert rows[stage]["seconds"] is None, "scripts are asked, or nobody"


def test_measured_steps_are_real_ones_and_leave_nothing(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, sampler={"n": 2, "max_tokens": 8})
    before = sorted(run.path.rglob("*"))
    text = call("run", run.path, "--dry-run", "--measure")
    assert "from a few measured steps" in text
    assert sorted(run.path.rglob("*")) == before


def test_measuring_without_a_dry_run_is_refused(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    found = CliRunner().invoke(main, ["run", str(run.path), "--measure"])
    assert found.exit_code == 2
    assert "--dry-run" in found.stderr
