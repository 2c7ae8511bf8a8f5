"""The whole pipeline with real models on real questions: every role a tiny model, every number counted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.trained import trained_model, trained_models
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.groups import read_groups
from anchor_train.stages.pairs import WITHOUT, read_pairs
from anchor_train.stages.sample import read_samples
from tests.anchor_train.scripted_run import finish_sft, left, make_run

SHARED = Path(os.environ.get("ANCHOR_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
QUESTIONS = 32

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]


def recipe(model: Path, task: str, data: Path, evaluation_split: str) -> dict[str, Any]:
    return {
        "model": str(model),
        "task": task,
        "data_dir": str(data),
        "questions": {"limit": QUESTIONS},
        "strategies": ["anchor", "rank", "aft", "rft"],
        "engine": {"backend": "transformers", "batch_size": 64},
        "sampler": {"max_tokens": 60},
        "judge": "base",
        "consultant": {"max_tokens": 60},
        "sft": {"lora": {"r": 4}, "max_steps": 3, "optimiser": {"gradient_checkpointing": False}},
        "dpo": {
            "max_steps": 4,
            "sample_every": None,
            "optimiser": {"learning_rate": 1e-3, "gradient_checkpointing": False},
        },
        "listwise": {"max_steps": 2, "sample_every": None, "optimiser": {"gradient_checkpointing": True}},
        "rft": {"max_steps": 2, "optimiser": {"gradient_checkpointing": False}},
        "evaluate": {"judge": "base", "n": 2, "limit": 6, "split": evaluation_split, "max_tokens": 60},
    }


@pytest.mark.parametrize(("task", "folder"), [("arc_challenge_explain", "arc_challenge")])
def test_from_base_model_to_table_one_on_real_questions(tmp_path, talking_model, task, folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no real questions at {SHARED / folder}")
    values = recipe(talking_model, task, SHARED / folder, "validation")
    run = RunFolder.create(tmp_path / "run", yaml.safe_dump(values))

    found = CliRunner().invoke(main, ["run", str(run.path), "--json"])

    assert found.exit_code == 0, found.stderr
    stages = {row["stage"]: row for row in json.loads(found.stdout)["stages"]}
    assert {row["state"] for row in stages.values()} == {"finished"}

    samples = read_samples(run.stage("round-1/sample"))
    assert len(samples) == QUESTIONS
    assert sum(len(sample.completions) for sample in samples) == QUESTIONS * 4
    judged = stages["round-1/judge"]["summary"]
    assert judged["judged"] + judged["without_explanation"] + judged["failed"] == QUESTIONS * 4
    assert judged["judged"] > 0
    assert sum(judged["behaviours"].values()) == QUESTIONS
    for strategy in ("anchor", "rank"):
        pairs = read_pairs(run.stage(f"round-1/{strategy}/pairs"))
        without = left(run.stage(f"round-1/{strategy}/pairs") / WITHOUT)
        assert len(pairs) + len(without) == QUESTIONS
        report = stages[f"round-1/{strategy}/pairs"]["summary"]
        assert (report["total"], sum(report["without"].values())) == (len(pairs), len(without))
    for strategy in ("aft", "rft"):
        folder = run.stage(f"round-1/{strategy}/groups")
        assert len(read_groups(folder)) + len(left(folder / WITHOUT)) == QUESTIONS
        trained = stages[f"round-1/{strategy}/align"]["summary"]
        assert trained["steps"] == 2
        for when in ("before", "after"):
            assert 0 <= trained["metrics"][f"assessment_accuracy/{when}"] <= 1
    table = stages["evaluate/table"]["summary"]
    assert [row["model"] for row in table["rows"]] == ["base", "sft", "anchor", "rank", "aft", "rft"]
    for row in table["rows"]:
        assert (row["questions"], row["responses"]) == (6, 12)
    for row in table["rows"][1:]:
        if row["win"] is not None:
            assert row["win"] + row["tie"] + row["loss"] == pytest.approx(1)
            assert row["margin"] == pytest.approx(row["win"] - row["loss"])

    again = CliRunner().invoke(main, ["run", str(run.path)])
    assert again.exit_code == 0, again.stderr
    assert "started" not in again.stderr
    assert "judge" in again.stdout


def test_a_second_round_samples_and_trains_on_the_first_rounds_model(tmp_path, tiny_model):
    run = make_run(
        tmp_path,
        tiny_model,
        strategies=["anchor"],
        rounds=2,
        sampler={"n": 2, "max_tokens": 12},
        sft={"lora": {"r": 4}, "max_steps": 1, "optimiser": {"gradient_checkpointing": False}},
        dpo={"max_steps": 1, "sample_every": None, "optimiser": {"learning_rate": 1e-2}},
    )
    # Round 1 is sampled from a script, so that there are pairs; round 2 from the model that it made.
    script = f"sampler.backend=scripted:{tmp_path / 'sampler.yaml'}"
    Pipeline(run, run.recipe([script, "rounds=1"])).do({"questions", "sft", "sample", "judge"})
    Pipeline(run, run.recipe([script, "rounds=1"])).do({"consult", "pairs", "dpo"})
    pipeline = Pipeline(run, run.recipe([script]))
    keys = [stage.key for stage in pipeline.stages if stage.round == 2]
    assert keys[:2] == ["round-2/anchor/sample", "round-2/anchor/judge"]
    pipeline.do({"sample", "judge", "consult", "pairs", "dpo"})
    inputs = run.manifest().stages["round-2/anchor/sample"].inputs
    first = run.manifest().stages["round-1/anchor/dpo"].content
    assert inputs["adapter"] == first
    assert run.manifest().stages["round-2/anchor/dpo"].inputs["adapter"] == first
    assert run.manifest().stages["round-2/anchor/dpo"].content != first
    assert set(trained_models(pipeline)) == {"sft", "anchor-round-1", "anchor"}
    assert trained_model(pipeline).stage.key == "round-2/anchor/dpo"


def test_the_vllm_engine_samples_the_adapter(tmp_path, tiny_model, tiny_adapter, vllm_installed):
    engine = {"backend": "vllm", "max_model_len": 2048, "enforce_eager": True, "dtype": "float32"}
    texts = {}
    for name, settings in (("vllm", engine), ("transformers", {"backend": "transformers"})):
        run = make_run(
            tmp_path / name,
            tiny_model,
            engine=settings,
            questions={"limit": 2},
            sampler={"n": 1, "temperature": 0, "max_tokens": 12},
        )
        finish_sft(run, tiny_adapter)
        Pipeline(run, run.recipe()).do({"sample"})
        samples = read_samples(run.stage("round-1/sample"))
        texts[name] = [sample.completions[0].text for sample in samples]
    assert texts["vllm"] == texts["transformers"]
