"""A recipe's ``track``: the stages of a finished run in real trackers, each told once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from anchor_train.inspection.installed import lacking
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.pipeline.tracked import Tracked
from anchor_train.run.run_folder import RunFolder
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import finish_sft, make_run

FINISHED = Path(__file__).parents[2] / "fixtures" / "earlier_version" / "training"


def test_a_finished_run_with_curves_evaluations_and_texts(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed: extra track")
    from tests.lm_eval_tasks.tracking.reading import trackio_rows

    shutil.copytree(FINISHED, tmp_path / "run")
    for log in (tmp_path / "run").glob("evaluate/*/generate/log"):  # what is the same is stored once
        shutil.copytree(log, log.parents[1] / "score" / "log", dirs_exist_ok=True)
    run = RunFolder.open(tmp_path / "run")
    recipe = run.recipe(["track=trackio:trainings", "track_samples=true"])
    for _ in range(2):  # the second time there is nothing to tell
        Tracked(run, recipe, plan(recipe)).bring_up(run.manifest())
    rows = trackio_rows("trainings", "run")
    log = [json.loads(line) for line in (run.path / "sft" / "log.jsonl").read_text().splitlines()]
    losses = {row["step"]: row["train/sft/loss"] for row in rows if "train/sft/loss" in row}
    assert losses == {row["step"]: pytest.approx(row["loss"]) for row in log}
    task = recipe.task
    evaluated = {
        key.split("/")[1]: row["step"] for row in rows for key in row if key.endswith(f"/{task}/acc")
    }
    assert evaluated["base"] == 0
    assert evaluated["anchor"] == run.manifest().stages["round-1/anchor/dpo"].summary["steps"]
    assert all(sum(f"eval/{model}/{task}/acc" in row for row in rows) == 1 for model in evaluated)
    table = json.loads((run.path / "evaluate" / "table" / "table.json").read_text())
    (anchor,) = [row for row in table["rows"] if row["model"] == "anchor"]
    (compared,) = [row for row in rows if "compare/anchor/base/win" in row]
    assert compared["compare/anchor/base/win"] == anchor["win"]
    assert any("samples/anchor" in row for row in rows)
    assert any(key.startswith("spent/evaluate/base/score/") for row in rows for key in row)


def test_a_tracker_that_fails_stops_nothing_and_is_told_later(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: extra track")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///proc/nowhere")
    run = make_run(tmp_path, tiny_model, track="mlflow:tests")
    finish_sft(run, tiny_adapter)
    said: list[str] = []
    Pipeline(run, run.recipe(), said.append).do({"sample"})
    assert "round-1/sample" in run.manifest().stages
    assert any(line.startswith("warning: mlflow:tests: ") for line in said)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    Pipeline(run, run.recipe(), said.append).do({"judge"})
    client = MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("tests").experiment_id])
    assert found.info.run_name == "run"
    assert {"seconds/sft", "seconds/round-1/sample", "seconds/round-1/judge"} <= set(found.data.metrics)


def test_no_stage_depends_on_the_tracker(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model)
    plain, other = plan(run.recipe()), plan(run.recipe(["track=wandb", "track_samples=true"]))
    assert [(stage.settings, stage.externals) for stage in plain] == [
        (stage.settings, stage.externals) for stage in other
    ]
    with pytest.raises(ConfigError, match=r"track.*did you mean 'trackio'"):
        run.recipe(["track=trakio"])


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_paid_for(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anchor_train.inspection.installed.find_spec", lambda name: None)
    recipe = make_run(tmp_path, tiny_model, track="wandb").recipe()
    assert "track: wandb is not installed: pip install 'anchored-explanations[track]'" in list(
        lacking(recipe)
    )
