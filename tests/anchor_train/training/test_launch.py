"""Training in processes of its own: one or several, and what comes back from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchor_train.recipes.section_settings import LaunchSettings
from anchor_train.recipes.training_settings import ListwiseSettings, ModelSettings, SftSettings
from anchor_train.training.job import OutputFolder, TrainingJob, TrainingReport, TrainingSettings
from anchor_train.training.launch import command, launch
from judges.errors import DataError
from judges.output.run_log import quiet
from tests.anchor_train.small_training import (
    ANIMALS,
    dpo_settings,
    group_examples,
    job_of,
    listwise_settings,
    optimiser,
    preference_examples,
    rft_settings,
    sft_settings,
)


def test_two_processes_make_the_same_steps_as_one(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = dpo_settings(
        max_steps=None, epochs=2, sample_every=3, optimiser=optimiser(per_device_batch_size=1), save_every=2
    )
    model = ModelSettings(name=str(tiny_model))
    job = job_of(settings, model, preference_examples(), tmp_path / "dpo", tiny_adapter)
    with quiet(tmp_path / "log.txt"):
        report = launch(job, LaunchSettings(processes=2))
    assert report.processes == 2
    assert report.steps == 6  # 12 pairs, twice, in batches of 4
    assert report == OutputFolder(job.output).read_report()
    rows = [json.loads(line) for line in OutputFolder(job.output).log.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[0]["loss"] == pytest.approx(0.6931, abs=1e-4)
    assert rows[-1]["rewards/margins"] > 0
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "dpo steps: 6 of 6" in shown.err
    assert {line.partition(":")[0] for line in shown.err.splitlines()} == {"dpo steps"}


def test_two_processes_share_the_groups_of_a_step(
    tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    model, groups = ModelSettings(name=str(tiny_model)), group_examples(ANIMALS[:4])
    settings = listwise_settings(max_steps=1, sample_every=None, optimiser=optimiser(per_device_batch_size=1))
    one, two = (
        launch(
            job_of(settings, model, groups, tmp_path / str(processes), tiny_adapter, loss="aft"),
            LaunchSettings(processes=processes),
        )
        for processes in (1, 2)
    )
    assert (one.processes, two.processes) == (1, 2)
    assert two.tokens == one.tokens
    assert two.loss == pytest.approx(one.loss, rel=1e-4)
    assert two.metrics["score_bad"] == pytest.approx(one.metrics["score_bad"], rel=1e-4)
    assert two.metrics["score_bad/after"] == pytest.approx(one.metrics["score_bad/after"], rel=1e-3)


def test_an_error_of_the_worker_is_raised_here(tiny_model: Path, tmp_path: Path) -> None:
    examples = tmp_path / "none.jsonl"
    job = TrainingJob(ModelSettings(name=str(tiny_model)), sft_settings(), examples, tmp_path / "sft")
    with pytest.raises(DataError, match=r"none\.jsonl: can't be read"):
        launch(job)


def test_several_processes_are_started_by_accelerate() -> None:
    job = Path("job.json")
    two = command(job, LaunchSettings(processes=2))
    assert two[1:6] == ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    sharded = command(job, LaunchSettings(accelerate_config=Path("fsdp.yaml")))
    assert sharded[3:] == ["--config_file", "fsdp.yaml", "-m", "anchor_train.training.worker", "job.json"]


def test_jobs_and_reports_survive_their_files(tmp_path: Path) -> None:
    model = ModelSettings(name="org/model")
    for job in (
        TrainingJob(model, sft_settings(), tmp_path / "a.jsonl", tmp_path / "out", seed=3),
        TrainingJob(model, dpo_settings(), tmp_path / "a.jsonl", tmp_path / "out", adapter=tmp_path / "sft"),
    ):
        assert TrainingJob.from_json(json.loads(json.dumps(job.to_json()))) == job
    report = TrainingReport(
        "dpo", tmp_path, "1a2b", 6, 0.5, {"rewards/margins": 1.5}, 3.25, 100, 12, warnings=("a",)
    )
    assert TrainingReport.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_a_job_has_an_adapter_unless_it_is_sft_and_a_loss_if_it_is_listwise(tmp_path: Path) -> None:
    model = ModelSettings(name="m")
    for settings in (dpo_settings(), rft_settings()):
        with pytest.raises(ValueError, match="any other training from one"):
            TrainingJob(model, settings, tmp_path, tmp_path)
    with pytest.raises(ValueError, match="SFT starts from no adapter"):
        TrainingJob(model, sft_settings(), tmp_path, tmp_path, adapter=tmp_path)
    with pytest.raises(ValueError, match="list-wise training has a loss"):
        TrainingJob(model, listwise_settings(), tmp_path, tmp_path, adapter=tmp_path)


@pytest.mark.parametrize("settings", [sft_settings(), dpo_settings(), listwise_settings(), rft_settings()])
def test_a_job_crosses_a_process_border_whole(tmp_path: Path, settings: TrainingSettings) -> None:
    job = TrainingJob(
        ModelSettings(name="m"),
        settings,
        tmp_path / "examples",
        tmp_path / "out",
        adapter=None if isinstance(settings, SftSettings) else tmp_path / "adapter",
        loss="pro" if isinstance(settings, ListwiseSettings) else None,
    )
    assert TrainingJob.from_json(json.loads(json.dumps(job.to_json()))) == job
