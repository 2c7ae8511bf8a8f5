"""A trained model goes up with its card: by the real client, to a stand-in of the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import ModelCard

from anchor_train.cli import main
from lm_eval_tasks.pocket import model_folder
from tests.hub_stand_in import Hub, card_errors

FINISHED = Path(__file__).parents[2] / "fixtures" / "earlier_version" / "training"
TO, BASE = "lab/pocket-anchor", "lab/pocket"
ADAPTER = ("--model", "anchor", "--base-model", BASE)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose models are trained and evaluated, and its base model. Read only."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(FINISHED, folder / "run")
    shutil.copytree(model_folder(), folder / "pocket-model")
    for adapter in folder.glob("run/**/adapter"):  # what is the same is stored once
        shutil.copy(model_folder() / "tokenizer.json", adapter)
    for log in folder.glob("run/evaluate/*/generate/log"):
        shutil.copytree(log, log.parents[1] / "score" / "log", dirs_exist_ok=True)
    return folder


@pytest.fixture
def here(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(finished)
    return finished


def call(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["publish", "run", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def refused(*arguments: object) -> str:
    code, _, err = call(*arguments)
    assert code == 1, err
    return err.rstrip().rpartition("\n")[2]


def test_an_adapter_goes_up_with_a_card_that_the_hub_reads(hub: Hub, here: Path) -> None:
    code, out, err = call("--to", TO, *ADAPTER, "--license", "apache-2.0", "--dataset", "lab/stories")
    assert code == 0, err
    assert out.startswith(f"{hub.url}/{TO} (private): 6 files, ")
    files = hub.repositories[f"models/{TO}"].files
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == BASE
    assert (
        files["adapter_model.safetensors"]
        == (here / "run/round-1/anchor/dpo/adapter/adapter_model.safetensors").read_bytes()
    )
    assert not any(str(here).encode() in content for content in files.values())
    assert not [path for path in (here / "run").iterdir() if path.name.startswith(".publish")]
    text = files["README.md"].decode()
    assert not card_errors(text, "model")
    data = ModelCard(text).data
    assert (data.base_model, data.base_model_relation, data.library_name) == (BASE, "adapter", "peft")
    assert (data.pipeline_tag, data.license, data.datasets) == (
        "text-generation",
        "apache-2.0",
        ["lab/stories"],
    )
    assert {"anchored-explanations", "dpo"} <= set(data.tags)
    for part in ("95% interval", "## Limits", "preference pairs", f'from_pretrained("{TO}")', "lab/stories"):
        assert part in text, part


def test_its_results_are_those_of_the_evaluation(hub: Hub, here: Path) -> None:
    code, out, err = call("--to", TO, *ADAPTER, "--license", "mit", "--dry-run", "--json")
    assert code == 0, err
    told = json.loads(out)
    results = {one.metric_type: one for one in ModelCard(told["card"]).data.eval_results}
    (row,) = [
        row
        for row in json.loads((here / "run/evaluate/table/table.json").read_text())["rows"]
        if row["model"] == "anchor"
    ]
    assert results["accuracy"].metric_value == pytest.approx(row["accuracy"], abs=1e-6)
    assert results["win_minus_loss"].metric_value == pytest.approx(row["margin"], abs=1e-6)
    assert (
        f"95% interval {row['margin_low']:.3f} to {row['margin_high']:.3f}"
        in results["win_minus_loss"].metric_name
    )
    assert {one.dataset_type for one in results.values()} == {"pocket_explain"}
    assert ("holds 0" in told["card"]) == (row["margin_low"] <= 0 <= row["margin_high"])
    assert {file["path"] for file in told["files"]} >= {"README.md", "adapter_model.safetensors"}
    assert not hub.requests


def test_whole_weights_are_of_another_library_and_need_no_name_of_the_base(hub: Hub, here: Path) -> None:
    code, _, err = call(
        "--to", "lab/whole", "--model", "anchor", "--form", "merged", "--license", "mit", "--public"
    )
    assert code == 0, err
    whole = hub.repositories["models/lab/whole"]
    assert not whole.private
    data = ModelCard(whole.files["README.md"].decode()).data
    assert (data.base_model, data.base_model_relation, data.library_name) == (
        None,
        "finetune",
        "transformers",
    )
    assert "model.safetensors" in whole.files
    assert "adapter_config.json" not in whole.files


def test_a_broken_upload_goes_on_and_sends_no_weights_twice(hub: Hub, here: Path) -> None:
    line = ("--to", TO, *ADAPTER, "--license", "mit")
    hub.breaks = {"/commit/"}
    assert "run the same line again" in refused(*line)
    assert hub.asked("PUT /objects/") == 1
    hub.breaks = set()
    assert call(*line)[0] == 0
    assert hub.asked("PUT /objects/") == 1
    commits = len(hub.repositories[f"models/{TO}"].commits)
    assert call(*line)[0] == 0
    assert len(hub.repositories[f"models/{TO}"].commits) == commits
    again = ("--to", TO, "--model", "rank", "--base-model", BASE, "--license", "mit")
    assert f"{TO} is there with other content (README.md, adapter_model.safetensors): --replace" in refused(
        *again
    )


def test_the_licence_is_that_of_the_base_model(hub: Hub, here: Path, finished: Path) -> None:
    line = ("--to", TO, *ADAPTER)
    assert "licence of the base model lab/pocket isn't known: --license ID" in refused(*line)
    assert not hub.repositories
    terms = {"license": "other", "license_name": "pocket-terms", "license_link": "https://example.com/terms"}
    hub.cards[BASE] = {**terms, "tags": ["x"]}
    assert call(*line)[0] == 0
    data = ModelCard(hub.repositories[f"models/{TO}"].files["README.md"].decode()).data
    assert {key: data[key] for key in terms} == terms


def test_the_licence_is_read_beside_the_weights_too(hub: Hub, here: Path, tmp_path: Path) -> None:
    from anchor_train.publishing.facts import licence_of
    from anchor_train.recipes.training_settings import ModelSettings

    (tmp_path / "README.md").write_text(
        "---\nlicense: llama3.1\nlicense_link: https://example.com\n---\n# x\n"
    )
    found = licence_of(ModelSettings(name=str(tmp_path)))
    assert found == {"license": "llama3.1", "license_link": "https://example.com"}
    (tmp_path / "README.md").write_text("---\nlicense: [a\n---\n")
    assert licence_of(ModelSettings(name=str(tmp_path))) == {}


def test_what_cannot_go_up_is_one_line(hub: Hub, here: Path) -> None:
    said = refused("--to", TO, "--model", "anchor", "--license", "mit")
    assert "a folder of this machine: --base-model ORG/NAME" in said
    assert "--form merged" in said
    assert "--base-model 'pocket' is no name on the hub" in refused("--to", TO, "--base-model", "pocket")
    assert "is no name on the hub: ORG/NAME" in refused("--to", "pocket", *ADAPTER)
    assert not hub.repositories
