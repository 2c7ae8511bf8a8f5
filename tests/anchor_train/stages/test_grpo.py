"""Strategy ``grpo``: which stages it has, what its training depends on, and the training in its process."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.inspection.dry_run import describe
from anchor_train.inspection.status import status_text
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.run.run_folder import RunFolder
from tests.anchor_train.scripted_run import finish_sft, make_run

SMALL = {
    "grpo": {
        "max_steps": 1,
        "replies": 2,
        "max_tokens": 8,
        "optimiser": {"batch_size": 4, "per_device_batch_size": 4, "gradient_checkpointing": False},
    }
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_adapter: Path) -> RunFolder:
    """A run whose fine-tuning is done. Its stages are looked at, and one is done."""
    found = make_run(tmp_path_factory.mktemp("grpo"), tiny_model, strategies=["grpo"], **SMALL)
    finish_sft(found, tiny_adapter)
    return found


def test_nothing_is_sampled_or_judged_beforehand_for_it_alone(run: RunFolder) -> None:
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert not any(key.startswith("round-1/") and "grpo" not in key for key in stages)
    assert stages["round-1/grpo/grpo"].needs == {"questions": "questions", "adapter": "sft"}
    beside = {stage.key: stage for stage in plan(run.recipe(["strategies=[rank, grpo]"]))}
    alone = {stage.key: stage for stage in plan(run.recipe(["strategies=[rank]"]))}
    assert {key: beside[key] for key in alone if "table" not in key} == {
        key: stage for key, stage in alone.items() if "table" not in key
    }
    assert beside["round-1/grpo/grpo"] == stages["round-1/grpo/grpo"]


def test_later_rounds_go_on_from_its_own_model(run: RunFolder) -> None:
    stages = {stage.key: stage for stage in plan(run.recipe(["rounds=2"]))}
    assert stages["round-2/grpo/grpo"].needs["adapter"] == "round-1/grpo/grpo"
    assert not any("sample" in key for key in stages)


def test_a_judge_matters_where_quality_counts(run: RunFolder) -> None:
    def settings(*changes: str) -> set[str]:
        stages = {stage.key: stage for stage in plan(run.recipe(list(changes)))}
        found = stages["round-1/grpo/grpo"]
        return {*found.settings, *found.externals}

    assert {"judge", "rubric"} <= {name.split(".")[0] for name in settings()}
    without = {name.split(".")[0] for name in settings("grpo.rewards.quality=0")}
    assert not {"judge", "rubric"} & without


def test_it_is_planned_done_and_told(run: RunFolder) -> None:
    pipeline = Pipeline(run, run.recipe())
    (planned,) = describe(pipeline, {"grpo"}).stages
    assert planned.planned.does == (
        "trains 1 steps on 4 replies that it writes, 2 to a question, judges up to 4 explanations"
    )
    pipeline.do({"grpo"})
    assert "1 steps; rewards at the end: correctness 0.00" in status_text(list(pipeline.status()), run)
