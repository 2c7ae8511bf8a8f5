"""What the docs start with ``anchor-train`` outside of blocks that run as they stand passes a dry run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anchor_train.cli import main
from anchor_train.recipes.files import RECIPES, load_recipe
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.registry import commands
from tests.anchor_train.scripted_run import write_rows
from tests.docs.blocks import PAGES, blocks_of

ROOT = Path(__file__).resolve().parents[2]
TASK = "arc_challenge_explain"


def launch_lines() -> list[str]:
    """Code within a text, comments of recipes, and lines of blocks that are run elsewhere; each once."""
    found: dict[str, None] = {}
    for page in PAGES:
        for block in blocks_of(page):
            for line in block.text.splitlines() if block.marked else ():  # the others run: tests/docs
                if line.startswith("anchor-train "):
                    found[line.partition("  #")[0].strip()] = None
        prose = re.sub(
            r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for code in re.findall(r"`(anchor-train \w[^`]*)`", prose):
            found[" ".join(code.split())] = None
    for recipe in RECIPES.glob("*.yaml"):
        for line in re.findall(r"^#\s+(anchor-train .*)$", recipe.read_text(encoding="utf-8"), re.MULTILINE):
            found[line.partition("  #")[0].strip()] = None
    return sorted(found)


def run_lines() -> list[str]:
    stages = {"run", *(command.split()[0] for command in commands())}
    return [line for line in launch_lines() if line.split()[1] in stages and "my-run" in line]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def with_value(arguments: list[str], option: str, value: object) -> list[str]:
    """The arguments with an option at another value."""
    if option in arguments:
        place = arguments.index(option)
        return [*arguments[: place + 1], str(value), *arguments[place + 2 :]]
    return [*arguments, option, str(value)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data"), train=16, validation=3)


def made(folder: Path, model: Path, data: Path, *arguments: str) -> Path:
    """A run folder, from a line's own arguments with a model and questions that are here."""
    given = [*with_value(with_value(list(arguments), "--model", model), "--task", TASK), "--data-dir", data]
    found = call("init", folder, *given)
    assert found.exit_code == 0, found.stderr
    return folder


def test_there_are_such_lines():
    lines = launch_lines()
    assert len(lines) > 20
    assert any("--redo" in line or "--save-set" in line for line in lines) or len(run_lines()) > 5


@pytest.mark.parametrize("line", [line for line in launch_lines() if line.split()[1] == "init"])
def test_a_new_run_of_the_docs_passes_a_dry_run(tmp_path, tiny_model, data, line):
    arguments = shlex.split(re.sub(r"\$\([^)]*\)", "MODEL", line))[2:]
    rest = [argument for argument in arguments if argument != "my-run"]
    if "--data-dir" in rest:
        place = rest.index("--data-dir")
        rest = [*rest[:place], *rest[place + 2 :]]
    folder = made(tmp_path / "my-run", tiny_model, data, *rest)
    found = call("run", folder, "--dry-run", "--set", "evaluate.judge=base", "--set", "engine=transformers")
    assert found.exit_code == 0, found.stderr
    assert "evaluate/table" in found.stdout


@pytest.mark.parametrize("line", run_lines())
def test_a_launch_line_of_the_docs_passes_a_dry_run(tmp_path, tiny_model, data, line):
    folder = made(tmp_path / "my-run", tiny_model, data)
    arguments = [str(folder) if part == "my-run" else part for part in shlex.split(line)[1:]]
    arguments = [part for part in arguments if part not in ("--dry-run", "--retry-failed")]
    every = "strategies=[anchor, rank, aft, rft, grpo, staple]"
    found = call(*arguments, "--dry-run", "--set", every, "--set", "engine=transformers")
    assert found.exit_code == 0, found.stderr


@pytest.mark.engine
@pytest.mark.timeout(900)
def test_the_first_run_of_the_docs_goes_from_start_to_end(tmp_path):
    """The lines of that section as they stand, on the pocket model, whose questions are made on the spot."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = text.partition("## A first run")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("anchor-train ")]
    assert [shlex.split(line)[1] for line in lines][:1] == ["init"]
    assert {shlex.split(line)[1] for line in lines} == {"init", "run", "status", "show", "export"}
    model, sizes = call("pocket", "path").stdout.strip(), {"questions.limit": 24, "evaluate.limit": 4}
    for line in lines:
        arguments = []
        for part in shlex.split(line)[1:]:
            name, equals, _ = part.partition("=")
            smaller = equals and name in sizes
            arguments.append(f"{name}={sizes[name]}" if smaller else part.replace("my-", f"{tmp_path}/my-"))
        if arguments[0] == "init":
            place = arguments.index("--data-dir")
            arguments = [*arguments[:place], *arguments[place + 2 :]]
            arguments = with_value(with_value(arguments, "--model", model), "--task", "pocket_explain")
        if arguments[0] == "run":
            for setting in POCKET:
                arguments += ["--set", setting]
        found = call(*arguments)
        assert found.exit_code == 0, f"{line}\n{found.stderr[-3000:]}"
    run = RunFolder.open(tmp_path / "my-run")
    assert run.recipe().questions.limit == 24, "--save-set wrote it down"
    table = json.loads((run.stage("evaluate/table") / "table.json").read_text())
    assert {row["model"] for row in table["rows"]} == {"base", "sft", "anchor"}
    assert table["beside"] == "sft"
    card = (tmp_path / "my-model" / "README.md").read_text(encoding="utf-8")
    assert "library_name: transformers" in card
    assert "## Merged weights" in card


# What the pocket model needs to be aligned in seconds, and judged by the truth.
POCKET = (
    "reply_form=asked",
    "engine={backend: transformers, batch_size: 64}",
    "sampler.max_tokens=160",
    "consultant.max_tokens=160",
    "evaluate.max_tokens=160",
    "evaluate.n=2",
    "evaluate.judge=pocket-oracle:ground-truth",
    "sft.max_steps=4",
    "sft.max_length=512",
    "dpo.max_length=512",
    "dpo.sample_every=null",
)


def test_the_numbers_of_processes_that_the_docs_name_fit_the_recipes(tmp_path):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    named = re.findall(r"launch: (\{processes: \d+\})", text)
    assert len(named) >= 2
    for recipe in ("small", "gpu"):
        for launch in named:
            path = tmp_path / "recipe.yaml"
            path.write_text(f"extends: {recipe}\nmodel: m\ntask: {TASK}\nlaunch: {launch}\n")
            load_recipe(path, ["strategies=[anchor, rank, aft, rrhf, pro, rft, staple]"])
    for processes in (2, 3, 6):
        path.write_text(f"model: m\ntask: {TASK}\nlaunch: {{processes: {processes}}}\n")
        load_recipe(path)
