"""Where a run's models are asked: in recipes and on the command line, and that no result depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.recipes.config import Recipe
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.judge import read_scored
from anchor_train.stages.sample import read_samples
from judges.backends.executor import ExecutorSettings
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import finish_sft, make_run
from tests.calling import call


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> RunFolder:
    return make_run(tmp_path, tiny_model)


def test_a_recipe_says_it_beside_the_engine(run: RunFolder) -> None:
    assert run.recipe().executor is None
    assert run.recipe(["executor=local"]).executor == "local"
    chosen = run.recipe(["executor={ray: {workers: 4}}"])
    assert isinstance(chosen.executor, ExecutorSettings)
    assert chosen.executor.ray.workers == 4
    assert Recipe.model_validate(chosen.model_dump(mode="json")) == chosen
    with pytest.raises(ConfigError, match=r"unknown key 'ray\.worker'"):
        run.recipe(["executor={ray: {worker: 4}}"])
    with pytest.raises(ConfigError, match="executor stands beside engine"):
        run.recipe(["engine.executor=ray"])


def test_no_stage_depends_on_it(run: RunFolder) -> None:
    here = plan(run.recipe())
    assert plan(run.recipe(["executor=ray"])) == here
    judge = {"backend": "openai", "model": "m"}
    with_judge = plan(run.recipe([f"judge={json.dumps(judge)}"]))
    assert plan(run.recipe([f"judge={json.dumps(judge | {'executor': 'ray'})}"])) == with_judge


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_sampling_and_judging_on_ray_leave_the_same_files(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    pytest.importorskip("ray")
    found = []
    for name, options in (("here", []), ("there", ["--executor", "ray", "--workers", "2"])):
        (tmp_path / name).mkdir()
        run = make_run(tmp_path / name, tiny_model)
        finish_sft(run, tiny_adapter)
        for stage in ("sample", "judge"):
            done = call("anchor-train", stage, run.path, *options)
            assert done.returncode == 0, done.stderr
            assert "raylet" not in done.stdout + done.stderr
        states = {status.stage.key: status.state for status in Pipeline(run, run.recipe()).status()}
        assert (states["round-1/sample"], states["round-1/judge"]) == ("finished", "finished")
        replies = [sample.completions for sample in read_samples(run.stage("round-1/sample"))]
        scored = read_scored(run.stage("round-1/judge"))
        found.append((replies, [[sample.score for sample in question.responses] for question in scored]))
    assert found[0] == found[1]
