"""Runs go up as a data set that loads again, and as a site: by the real client, to a stand-in of the hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from huggingface_hub import DatasetCard, SpaceCard

from lm_eval_tasks.cli import main
from lm_eval_tasks.publishing.shown_runs import model_name, shown_run
from lm_eval_tasks.runs.discovery import load_run
from tests.docs.blocks import block_with
from tests.hub_stand_in import TOKEN, Hub, card_errors
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, Evaluation, write_run

ARC = Evaluation(task="arc_challenge_explain", questions=6, repeats=2, seed=1)
HOSTILE = "<script>alert(1)</script> | a\nb ``` \\u2028 \u2028 x"
KEY = "sk-" + "proj-4fQ9xT2mVbLr8sWcYz01AbCd"
TO = "lab/explanations"


def _hostile(text: str, question: str, sample: int) -> str:
    return HOSTILE if sample == 0 else text


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two judged runs, by a judge on localhost, one of which nobody judged on another task."""
    folder = tmp_path / "runs"
    write_run(folder, BASE, replace(ARC, retext=_hostile))
    write_run(folder, replace(ANCHOR, name="anchor"), ARC)
    write_run(folder, replace(ANCHOR, name="all"), replace(ARC, task="own_task", questions=3), judged=False)
    return folder


def call(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["publish", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def refused(*arguments: object) -> str:
    code, _, err = call(*arguments)
    assert code == 1, err
    (line,) = [line for line in err.splitlines() if line.startswith("Error:")]
    assert err.rstrip().endswith(line), "one line, and the last"
    return line


def sent(hub: Hub, name: str = f"datasets/{TO}") -> dict[str, bytes]:
    return hub.repositories[name].files


def test_a_data_set_goes_up_and_loads_again(
    hub: Hub, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    code, out, err = call(runs, "--to", TO, "--license", "cc-by-4.0")
    assert code == 0, err
    assert out == f"{hub.url}/datasets/{TO} (private): 4 files, {out.rpartition(', ')[2]}"
    repository = hub.repositories[f"datasets/{TO}"]
    assert repository.private
    assert set(repository.files) == {
        ".gitattributes",
        "README.md",
        *(f"data/{name}.jsonl" for name in ("all-2", "anchor", "base")),
    }
    for path, content in repository.files.items():
        (tmp_path / "copy" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / path).write_bytes(content)
        assert b"localhost" not in content, path
    copy, cache = str(tmp_path / "copy"), str(tmp_path / "cache")
    shown = block_with("docs/publishing.md", "load_dataset").text
    names: dict[str, Any] = {}
    monkeypatch.setattr(datasets, "load_dataset", partial(datasets.load_dataset, cache_dir=cache))
    exec(shown.replace("ORG/explanations", copy), names)
    every = names["replies"]
    assert set(names["base"]["run"]) == {"base"}
    assert len(every) == 6 * 2 * 2 + 3 * 2
    assert set(every["run"]) == {"base", "anchor", "all"}
    assert {row["judge"] for row in every if row["run"] == "base"} == {"openai:judge-70b"}
    hostile = [row["explanation"] for row in every if row["run"] == "base" and row["sample"] == 0]
    assert set(hostile) == {HOSTILE}
    unjudged = datasets.load_dataset(copy, "all-2", split="test")
    assert unjudged.features == every.features
    assert unjudged.features["choices"].feature.dtype == "string"
    assert {unjudged.features[key].dtype for key in ("clarity", "relevance")} == {"string"}
    assert set(unjudged["score"]) == set(unjudged["clarity"]) == {None}


def test_the_card_says_what_is_in_it_and_is_valid(hub: Hub, runs: Path) -> None:
    code, out, err = call(runs, "--to", TO, "--license", "cc-by-4.0", "--dry-run", "--json")
    assert code == 0, err
    assert not hub.requests
    told = json.loads(out)
    assert (told["sent"], told["public"], told["type"]) == (False, False, "dataset")
    card = DatasetCard(told["card"])
    assert not card_errors(told["card"], "dataset")
    assert "&id" not in told["card"], "not every reader of YAML knows anchors"
    assert card.data.license == "cc-by-4.0"
    assert card.data.source_datasets == ["allenai/ai2_arc"]
    assert card.data.size_categories == ["n<1K"]
    assert card.data.language is None, "nobody knows the language of a task of one's own"
    for part in ("95% intervals", "| base | made/base |", "openai:judge-70b", "are no truth", "`clarity`"):
        assert part in card.text, part


def test_a_dry_run_lists_files_with_sizes_needs_no_token_and_shows_the_card(
    hub: Hub, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    code, out, err = call(runs, "--to", TO, "--dry-run")
    assert code == 0, err
    head, *rest = out.splitlines()
    assert head.startswith(f"would go to {TO} (dataset, private): 4 files")
    assert any(line.startswith("data/base.jsonl ") and line.endswith("kB") for line in rest)
    assert "pretty_name: explanations" in rest
    assert not hub.requests


def test_the_site_goes_up_as_a_static_space(hub: Hub, runs: Path) -> None:
    title = "Who explains: best? <b>"
    code, _, err = call(
        runs, "--to", "lab/board", "--site", "--baseline", "base", "--title", title, "--public", "-q"
    )
    assert code == 0, err
    space = hub.repositories["spaces/lab/board"]
    assert (space.sdk, space.private) == ("static", False)
    assert "style.css" not in space.files, "what the hub puts in at first is none of the site"
    card = SpaceCard(space.files["README.md"].decode())
    assert (card.data.sdk, card.data.app_file, card.data.title) == ("static", "index.html", title)
    assert "<b>" not in card.text.replace("\\<b\\>", "")
    assert b"<b>" not in space.files["index.html"]
    assert not any(b"localhost" in content for path, content in space.files.items() if path.endswith(".html"))
    assert any(path.startswith("models/") for path in space.files)


def test_it_is_the_same_from_another_process(hub: Hub, runs: Path) -> None:
    """With everything from the environment, and the client's own way of sending (Xet) for small files."""
    command = [sys.executable, "-m", "lm_eval_tasks", "publish", str(runs), "--to", TO, "--public", "--json"]
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "0",
    }
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["url"] == f"{hub.url}/datasets/{TO}"
    assert not hub.repositories[f"datasets/{TO}"].private
    assert "data/base.jsonl" in sent(hub)


def with_reply(runs: Path, text: str) -> None:
    """Puts a text into a reply of run ``base``, in log and judgements."""
    for log in (runs / "base").rglob("*.jsonl"):
        lines = log.read_text(encoding="utf-8").split("\n")
        lines[1] = lines[1].replace("<script>alert(1)", f"<script>alert(1) {text}")
        log.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize("site", [False, True])
def test_keys_and_addresses_in_what_models_wrote_stop_it(hub: Hub, runs: Path, site: bool) -> None:
    more = ["--site", "-q"] if site else []
    with_reply(runs, "http://10.1.2.3:8000/x")
    line = refused(runs, "--to", TO, *more)
    assert "an internal address (http://10.1.2.3:8000/x)" in line
    if not site:
        assert "data/base.jsonl line 3" in line
    assert not hub.repositories
    assert call(runs, "--to", TO, *more, "--allow", "10.1.2.3")[0] == 0
    with_reply(runs, KEY)
    line = refused(runs, "--to", TO, "--allow", "10.1.2.3", "--allow", KEY, *more)
    assert "an API key (sk-p…)" in line
    assert KEY not in line


def test_what_is_up_there_stays_unless_it_is_to_be_replaced(hub: Hub, runs: Path) -> None:
    assert call(runs, "--to", TO)[0] == 0
    commits = list(hub.repositories[f"datasets/{TO}"].commits)
    assert call(runs, "--to", TO)[0] == 0, "the same again is nothing new"
    assert hub.repositories[f"datasets/{TO}"].commits == commits
    sent(hub)["data/mine.csv"] = b"a,b\n"
    sent(hub)["README.md"] += b"a line of mine\n"
    line = refused(runs, "--to", TO)
    assert "other content (README.md, data/mine.csv): --replace" in line
    assert "data/mine.csv" in sent(hub)
    assert call(runs, "--to", TO, "--replace")[0] == 0
    assert "data/mine.csv" not in sent(hub)
    assert b"a line of mine" not in sent(hub)["README.md"]


def test_a_public_repository_is_not_written_to_unasked(hub: Hub, runs: Path) -> None:
    assert call(runs, "--to", TO, "--public")[0] == 0
    assert "everybody may see it: --public" in refused(runs, "--to", TO)
    assert call(runs, "--to", TO, "--public")[0] == 0


def test_a_broken_upload_goes_on_with_the_same_line(hub: Hub, runs: Path) -> None:
    hub.breaks = {"/commit/"}
    line = refused(runs, "--to", TO)
    assert f"{TO}: the connection broke off" in line
    assert "run the same line again" in line
    hub.breaks = set()
    assert call(runs, "--to", TO)[0] == 0
    assert "data/base.jsonl" in sent(hub)


Break = Callable[[Hub, pytest.MonkeyPatch], Any]
WRONG: dict[str, tuple[str, Break]] = {
    "no token": ("no token for the hub: log in", lambda hub, patch: patch.delenv("HF_TOKEN")),
    "a wrong token": ("refuses the token", lambda hub, patch: patch.setenv("HF_TOKEN", "hf_x")),
    "a hub that fails": ("the hub failed with 503", lambda hub, patch: hub.statuses.update({"/create": 503})),
    "a card that the hub refuses": (
        "the hub refuses the card",
        lambda hub, patch: hub.statuses.update({"/validate-yaml": 400}),
    ),
    "offline": (
        "HF_HUB_OFFLINE is set",
        lambda hub, patch: patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True),
    ),
    "nobody there": (
        "the connection broke off",
        lambda hub, patch: patch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9"),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_goes_wrong_is_told_in_one_line(
    hub: Hub, runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    said, happens = WRONG[what]
    happens(hub, monkeypatch)
    assert said in refused(runs, "--to", TO)


def test_an_organisation_of_others_is_told(hub: Hub, runs: Path) -> None:
    assert "the token may not write there (You don't have the rights" in refused(runs, "--to", "others/x")


@pytest.mark.parametrize(
    "name", ["explanations", "a/b/c", "lab/", "lab/a b", "lab/a..b", "lab/x.git", "../x"]
)
def test_a_name_that_is_none_is_refused_before_anything_else(runs: Path, name: str) -> None:
    assert "is no name on the hub: ORG/NAME" in refused(runs, "--to", name)


def test_a_baseline_is_of_the_site_alone(runs: Path) -> None:
    code, _, err = call(runs, "--to", TO, "--baseline", "base")
    assert code == 2
    assert "add --site" in err


def test_people_who_rated_are_not_named(runs: Path) -> None:
    run = load_run(runs / "base")
    (task,) = run.tasks.values()
    assert task.summary is not None
    by_people = replace(task.summary.judge, name="human:Zelda", backend="human", model="human:Zelda")
    note = "the median of 2 people: Zelda, Bob"
    summary = replace(task.summary, name="human-zelda", judge=by_people, notes=(note,))
    shown = shown_run(
        replace(run, tasks={task.task: replace(task, summary=summary, judgements=("human-zelda", "human"))})
    ).tasks[task.task]
    assert shown.judge is not None
    assert shown.summary is not None
    assert shown.judge.name == "people"
    assert shown.summary.notes == ("the median of 2 people",)
    assert "zelda" not in str(shown).lower()


def test_a_model_that_is_a_folder_goes_by_its_name() -> None:
    assert model_name("/home/ada/models/llama-8b") == "llama-8b"
    assert model_name("meta/llama-8b") == "meta/llama-8b"
    assert model_name("__home__ada__models__llama-8b") == "llama-8b"
    assert model_name("/home/ada/run/round-1/anchor/dpo/adapter", "anchor") == "anchor"
    assert model_name("judge@http://localhost:8000/v1") == "judge@(address left out)"
