"""Files that the pages show are read by what reads them for a user: a key that there isn't is refused.

Engines aren't started and endpoints aren't asked: judges do that when they are first asked to judge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml

from anchor_train.recipes.files import load_recipe
from judges.config import load_backend, load_judge
from judges.errors import AnchorError
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric_files import BUILT_IN
from lm_eval_tasks.runs.judging.panel import read_panel
from lm_eval_tasks.tasks.load import load_task
from tests.docs.blocks import DATA, Block, all_blocks, block_with

HERE = [block for block in all_blocks() if block.language in DATA and not block.marked]
YAML = [block for block in HERE if block.language == "yaml"]
UNKNOWN = "no_such_key: 1\n"
# What else a file has of which a page shows a part.
JUDGE = {"backend": "openai", "model": "m"}
RECIPE = {"model": "m", "task": "arc_challenge_explain"}
RUBRIC = yaml.safe_load((BUILT_IN / "explanation_quality.yaml").read_text(encoding="utf-8"))
BACKEND = """
from judges.backends.scripted import ScriptedBackend, ScriptedEntry
from judges.records import BackendIdentity

def create(settings):
    identity = BackendIdentity("mine", settings["model"], ())
    return ScriptedBackend([ScriptedEntry(reply="Hello.")], identity)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that the shown ones name, on a machine with the keys that they name."""
    for name in ("OPENAI_API_KEY", "OPENROUTER_API_KEY", "GATEWAY_KEY"):
        monkeypatch.setenv(name, "a-key-of-the-tests")
    monkeypatch.setenv("HOME", str(tmp_path))
    key = tmp_path / ".config" / "my_provider.key"
    key.parent.mkdir()
    key.write_text("a-key-of-the-tests\n", encoding="utf-8")
    key.chmod(0o600)
    (tmp_path / "small.yaml").write_text("backend: openai\nmodel: small\n", encoding="utf-8")
    animals = block_with("docs/tasks.md", "task: animals_explain\n").text
    (tmp_path / "animals_explain.yaml").write_text(animals, encoding="utf-8")
    row = block_with("docs/tasks.md", '"Bats are mammals."').text
    (tmp_path / "test.jsonl").write_text(row, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, rest: Mapping[str, Any], text: str) -> Path:
    """A file with the shown text, and above it what it doesn't show."""
    shown = re.findall(r"^(\w+):", text, re.M)
    above = {key: value for key, value in rest.items() if key not in shown}
    path.write_text((yaml.safe_dump(above) if above else "") + text, encoding="utf-8")
    return path


def read(text: str, folder: Path) -> str:
    """Reads a file of whichever kind it is; returns the kind."""
    keys = set(re.findall(r"^(\w+):", text, re.M))
    path = folder / "shown.yaml"
    if "panel" in keys:
        panel = read_panel(str(write(path, {}, text)))
        assert panel is not None
        for member in panel.panel:
            load_judge(member, cache=folder / "cache.sqlite").close()
        return "panel"
    if "replies" in keys:
        load_backend(f"scripted:{write(path, {}, text)}").close()
        return "replies"
    if "principles" in keys:
        assert load_rubric(write(path, {}, text)).criteria
        return "constitution"
    if "shows" in keys:
        shown = yaml.safe_load(text)
        prompt = {**RUBRIC["prompt"], **shown["prompt"]}
        path.write_text(yaml.safe_dump({**RUBRIC, **shown, "prompt": prompt}), encoding="utf-8")
        assert load_rubric(path).shows
        return "rubric"
    if "class" in keys or "include" in keys:
        assert load_task(write(path, {}, text)).load_questions("test")
        return "task"
    if keys & {"strategies", "track"}:
        load_recipe(write(path, RECIPE, text))
        return "recipe"
    load_judge(write(path, JUDGE, text), cache=folder / "cache.sqlite").close()
    return "judge"


@pytest.mark.parametrize("block", YAML, ids=str)
def test_a_file_is_read_as_it_is_shown(block: Block, folder: Path) -> None:
    read(block.text, folder)


@pytest.mark.parametrize("block", YAML, ids=str)
def test_a_key_that_there_is_not_would_be_refused(block: Block, folder: Path) -> None:
    with pytest.raises(AnchorError, match="no_such_key"):
        read(block.text + UNKNOWN, folder)


def test_every_kind_of_file_is_shown(folder: Path) -> None:
    kinds = {read(block.text, folder) for block in YAML}
    assert kinds == {"judge", "panel", "replies", "constitution", "rubric", "task", "recipe"}


def test_the_row_is_read_as_the_task_file_says(folder: Path) -> None:
    (block,) = [block for block in HERE if block.language == "json"]
    row = json.loads(block.text)
    (question,) = load_task(folder / "animals_explain.yaml").load_questions("test")
    assert (question.id, question.context, question.question) == ("17", row["fact"], row["ask"])
    assert [choice.text for choice in question.choices] == [row["a"], row["b"]]
    assert question.gold == "AB"[row["right"] - 1]


@pytest.mark.parametrize("block", [block for block in HERE if block.language == "toml"], ids=str)
def test_a_backend_that_is_registered_so_is_found(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ((group, points),) = tomllib.loads(block.text)["project"]["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {where}" for name, where in points.items())]
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (about / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "backend.py").write_text(BACKEND, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with load_backend("mine:MODEL") as backend:
        assert (backend.identity.kind, backend.identity.model) == ("mine", "MODEL")
