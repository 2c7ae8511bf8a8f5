"""GRPO on the pocket model: prompts as they are sent elsewhere, rewards by name, a stop in the middle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import TrainerCallback

from anchor_train.recipes.training_settings import GrpoSettings, ModelSettings, RewardWeights
from anchor_train.records import RewardExample
from anchor_train.training.job import OutputFolder, RewardSource, TrainingJob
from judges.errors import ConfigError
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.few_questions import POCKET, small_task
from tests.anchor_train.small_training import (
    job_of,
    loop,
    optimiser,
    sft_examples,
    sft_settings,
    train,
    trainer_of,
)

MODEL = ModelSettings(name=str(POCKET), dtype="float32")


class StopsAt(TrainerCallback):  # type: ignore[misc]
    """A machine that goes down behind a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        if state.global_step == self.step:
            raise KeyboardInterrupt


def grpo_settings(**changes: Any) -> GrpoSettings:
    values = {
        "optimiser": optimiser(batch_size=8, per_device_batch_size=8, learning_rate=1e-3),
        "max_steps": 3,
        "max_length": 400,
        "replies": 4,
        "max_tokens": 70,
        "temperature": 1.0,
        "beta": 0.05,
    }
    return GrpoSettings(**loop(**{**values, **changes}))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def examples(task: Path) -> list[RewardExample]:
    spec = load_task(task)
    return [RewardExample(one, spec.explain_conversation(one)) for one in spec.load_questions("train")]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gently = sft_settings(max_steps=1, optimiser=optimiser(learning_rate=1e-6))
    return train(gently, MODEL, sft_examples(), tmp_path_factory.mktemp("sft")).adapter


def source(folder: Path, task: Path) -> RewardSource:
    return RewardSource(str(task), "pocket-oracle:ground-truth", None, folder / "replies.sqlite")


def test_a_training_that_goes_on_ends_where_one_that_ran_through_does(
    tmp_path: Path, task: Path, examples: list[RewardExample], adapter: Path
) -> None:
    settings = grpo_settings(save_every=1)
    through, stopped = tmp_path / "through", tmp_path / "stopped"
    whole = train(settings, MODEL, examples, through, adapter, rewards=source(through, task))
    for last in (False, True):
        callbacks = [] if last else [StopsAt(2)]
        given = {"rewards": source(stopped, task), "callbacks": callbacks}
        if last:
            went_on = train(settings, MODEL, examples, stopped, adapter, **given)
        else:
            with pytest.raises(KeyboardInterrupt):
                train(settings, MODEL, examples, stopped, adapter, **given)
    assert (whole.stage, whole.steps, whole.resumed_from, went_on.resumed_from) == ("grpo", 3, None, 1)
    weights = [load_file(report.adapter / "adapter_model.safetensors") for report in (whole, went_on)]
    before = load_file(adapter / "adapter_model.safetensors")
    assert all(weights[0][name].equal(weights[1][name]) for name in before)
    assert any(not weights[0][name].equal(before[name]) for name in before)

    rows = [json.loads(line) for line in OutputFolder(through).log.read_text().splitlines()]
    for row in rows:
        assert 0 < row["rewards/quality/mean"] <= 1
        assert 0 <= row["rewards/correctness/mean"] <= 1
        total = sum(row[f"rewards/{name}/mean"] for name in ("correctness", "form", "quality"))
        assert row["reward"] == pytest.approx(total, abs=1e-5)
    assert rows[-1]["kl"] > rows[0]["kl"]


def test_prompts_are_those_of_sampling_and_evaluation(
    tmp_path: Path, task: Path, examples: list[RewardExample], adapter: Path
) -> None:
    from anchor_train.training.base_model import load_tokenizer
    from anchor_train.training.rendering import prompt_ids

    alone = grpo_settings(rewards=RewardWeights(form=0, quality=0), beta=0.0)
    missing = RewardSource(str(task), "openai:nobody@http://127.0.0.1:9/v1", None, tmp_path / "r.sqlite")
    trainer = trainer_of(job_of(alone, MODEL, examples, tmp_path, adapter, rewards=missing))
    rows = trainer.train_dataset
    found, _, _ = trainer._tokenize_prompts(rows["prompt"])
    tokenizer = load_tokenizer(MODEL)
    assert found == [list(prompt_ids(tokenizer, one.prompt)) for one in examples]
    assert trainer.reward_func_names == ["correctness"], "what counts for nothing isn't asked for"


def test_settings_that_cannot_be_are_refused_before_anything_is_loaded(
    tmp_path: Path, task: Path, examples: list[RewardExample], adapter: Path
) -> None:
    with pytest.raises(ValueError, match=r"8 replies, no multiple of 3"):
        grpo_settings(replies=3)
    with pytest.raises(ValueError, match="count for nothing"):
        RewardWeights(correctness=0, form=0, quality=0)
    with pytest.raises(ValueError, match="held-out"):
        grpo_settings(eval_every=5)
    with pytest.raises(ValueError, match="GRPO has rewards"):
        TrainingJob(MODEL, grpo_settings(), tmp_path / "x", tmp_path, adapter=adapter)
    short = grpo_settings(max_length=80)
    with pytest.raises(ConfigError, match=r"leave less than max_tokens 70 of max_length 80"):
        train(short, MODEL, examples, tmp_path / "short", adapter, rewards=source(tmp_path, task))
