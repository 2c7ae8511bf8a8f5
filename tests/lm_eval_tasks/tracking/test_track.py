"""``--track`` of the commands, with the real trackers on this machine; what they hold is read back."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lm_eval_tasks.cli import main
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.tracking.figures import task_figures
from tests.lm_eval_tasks.run_folders import RUBRIC
from tests.lm_eval_tasks.test_cli import TASK, make_run, write_judge
from tests.lm_eval_tasks.tracking.reading import trackio_database, trackio_rows, wandb_runs

SECRET = "What is 2 + 2"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def call(*arguments: object) -> Result:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return done


def runs(folder: Path) -> None:
    """A base model and two checkpoints of its training."""
    make_run(folder / "base", better=0.0, seed=1, questions=8)
    make_run(folder / "step-100", better=0.5, seed=2, questions=8)
    make_run(folder / "step-20", better=0.3, seed=3, questions=8, judged=False)


def steps(folder: Path) -> dict[str, list[int]]:
    """Run of W&B -> the steps at which it has an accuracy."""
    return {
        name: [row["training_step"] for row in rows if f"eval/{TASK}/acc" in row]
        for name, rows in wandb_runs(folder).items()
    }


def test_trackio_has_the_figures_of_score_and_compare_under_one_name(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed: extra track")
    runs(tmp_path)
    judge = write_judge(tmp_path / "script.json", "GOOD", "EXCELLENT")
    scored = call("score", "step-20", "--judge", judge, "--track", "trackio:tests", "--json")
    call("compare", "step-20", "base", "--track", "trackio:tests")
    (summary,) = json.loads(scored.stdout)  # standard output has the results alone
    metrics = summary["metrics"]
    judged, compared = trackio_rows("tests", "step-20")
    assert judged["step"] == compared["step"] == 20
    assert judged[f"eval/{TASK}/explanation_score"] == pytest.approx(metrics["explanation_score"]["value"])
    assert judged[f"eval/{TASK}/acc_low"] == pytest.approx(metrics["acc"]["low"])
    assert judged[f"eval/{TASK}/coverage"] == summary["coverage"] == 1.0
    start = f"compare/{TASK}/base"
    rates = [compared[f"{start}/{name}"] for name in ("win", "tie", "loss")]
    assert sum(rates) == pytest.approx(1)
    assert (
        compared[f"{start}/win_minus_loss_low"]
        <= rates[0] - rates[2]
        <= compared[f"{start}/win_minus_loss_high"]
    )
    assert SECRET not in trackio_database("tests").read_bytes().decode("utf-8", "replace")


def test_two_folders_of_one_name_are_two_runs(tmp_path: Path) -> None:
    pytest.importorskip("trackio", reason="trackio is not installed: extra track")
    from lm_eval_tasks.tracking.target import read_target, tracked

    names = set()
    for folder in (tmp_path / "a" / "m1", tmp_path / "b" / "m1"):
        folder.mkdir(parents=True)
        for value in (0.25, 0.5):
            with tracked(read_target("trackio:tests", "--track"), folder) as tracker:
                tracker.log({"acc": value}, 1)
        names.add(tracker.name)
    assert len(names) == 2
    assert all([row["acc"] for row in trackio_rows("tests", name)] == [0.25, 0.5] for name in names)


def test_wandb_offline_has_a_run_for_each_folder_and_texts_where_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: extra track")
    runs(tmp_path)
    judge = write_judge(tmp_path / "script.json", "GOOD")
    call("score", "step-100", "--judge", judge, "--track", "wandb:tests", "--track-samples")
    call("score", "step-20", "--judge", judge, "--track", "wandb:tests")
    wanted = {"tests/step-100": [100], "tests/step-20": [20]}
    deadline = time.monotonic() + 20
    while (found := steps(tmp_path / "wandb")) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)  # W&B's own process writes, a moment after the run is finished
    assert found == wanted
    tables = sorted((tmp_path / "wandb").rglob("*.table.json"))
    (table,) = [json.loads(path.read_text()) for path in tables]
    assert len(table["data"]) == 24
    assert any(SECRET in str(cell) for cell in table["data"][0])


def test_mlflow_has_each_step_of_a_metric_and_one_run_for_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: extra track")
    from mlflow.tracking import MlflowClient

    runs(tmp_path)
    for _ in range(2):
        call("compare", "step-100", "base", "--track", "mlflow:tests")
    client = MlflowClient()
    experiment = client.get_experiment_by_name("tests")
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, f"compare/{TASK}/base/win_minus_loss")
    assert (run.info.run_name, run.info.status) == ("step-100", "FINISHED")
    assert [entry.step for entry in history] == [100, 100]


def test_names_that_there_are_not_and_a_tracker_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(tmp_path)

    def refused(*arguments: str) -> str:
        done = CliRunner().invoke(main, ["compare", "step-100", "base", *arguments])
        assert done.exit_code in (1, 2)
        return done.stderr.strip().splitlines()[-1]

    assert "did you mean 'wandb'" in refused("--track", "wandbb")
    assert "is no project" in refused("--track", "trackio:a/b")
    pytest.importorskip("mlflow", reason="mlflow is not installed: extra track")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///proc/nowhere")
    assert "the results themselves are in step-100" in refused("--track", "mlflow")


def test_figures_are_finite_and_every_interval_has_its_figure(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "m1", better=0.5, seed=2, questions=8, judged=False)
    found: dict[str, Any] = task_figures(load_run(folder).task(TASK))
    assert found
    assert all(math.isfinite(value) for value in found.values())
    ends = [name for name in found if name.endswith(("_low", "_high"))]
    assert ends
    assert all(name.rpartition("_")[0] in found for name in ends)
    assert not any(criterion.key in name for name in found for criterion in RUBRIC.criteria)
