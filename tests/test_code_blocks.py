"""Code of README, docs and recipes says what exists: commands and options, Python and YAML that can be read.

Many of them are run elsewhere (the first run of docs/training.md, docs/python.md, the gate's workflow);
those that need a paid key, a GPU or hours aren't. None of them names an option that there isn't.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from anchor_train.cli import main as anchor_train
from lm_eval_tasks.cli import main as anchor_eval

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RECIPES = sorted((ROOT / "anchor_train" / "recipes" / "built_in").glob("*.yaml"))
PROGRAMS: dict[str, click.Command] = {"anchor-eval": anchor_eval, "anchor-train": anchor_train}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def called(page: Path) -> Iterator[list[str]]:
    """What calls one of our commands, as words: lines of blocks, code within a text, comments of a recipe."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^#\s+(anchor-.*)$", text, re.M) if page.suffix == ".yaml" else []
    for block in blocks(page, "", "sh", "bash", "console"):
        lines += re.sub(r"\\\n\s*", " ", block).splitlines()
    lines += [" ".join(code.split()) for code in re.findall(r"`(anchor-\w+ \w[^`]*)`", _BLOCK.sub("", text))]
    for line in lines:
        bare = line.strip().removeprefix("$ ")
        if not bare.startswith(tuple(f"{name} " for name in PROGRAMS)):
            continue
        try:
            words = shlex.split(bare, comments=True)
        except ValueError:  # a quotation that goes on below
            words = bare.split(" #")[0].split()
        yield words


def fault(words: list[str]) -> str | None:
    """What a call names that there isn't."""
    command = PROGRAMS[words[0]]
    context = click.Context(command, info_name=words[0])
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"{words[0]} has no command {rest[0]}"
        command, context, rest = found, click.Context(found, parent=context, info_name=rest[0]), rest[1:]
    known = {name for one in command.get_params(context) for name in (*one.opts, *one.secondary_opts)}
    for word in rest:
        if word in ("|", ">", "&&", ";", "||"):
            break
        if re.match(r"--[a-z]", word) and word.split("=")[0] not in known:
            return f"{' '.join(words[:2])} has no option {word}"
    return None


@pytest.mark.parametrize("page", [*PAGES, *RECIPES], ids=lambda page: page.name)
def test_commands_and_options_are_there(page: Path) -> None:
    faults = [f"{' '.join(words)}: {found}" for words in called(page) if (found := fault(words))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_and_yaml_can_be_read(page: Path) -> None:
    for text in blocks(page, "python"):
        ast.parse(text)
    for text in blocks(page, "yaml"):
        yaml.compose(re.sub(r"^\.\.\.\n", "", text, flags=re.M))  # "..." is what isn't shown


def test_there_are_many_and_a_wrong_one_is_found() -> None:
    assert sum(1 for page in PAGES for _ in called(page)) > 60
    assert fault(["anchor-eval", "run", "--taks", "x"]) == "anchor-eval run has no option --taks"
    assert fault(["anchor-train", "rnu"]) == "anchor-train has no command rnu"
