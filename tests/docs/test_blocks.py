"""Every block of code runs in the tests or says why it can't; pages name no command that there isn't."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from anchor_train.cli import main as anchor_train
from lm_eval_tasks.cli import main as anchor_eval
from tests.docs.blocks import (
    DATA,
    OTHER,
    PAGES,
    ROOT,
    SHELL,
    Block,
    MarkError,
    all_blocks,
    block_with,
    blocks_in,
    blocks_of,
)

RECIPES = sorted((ROOT / "anchor_train" / "recipes" / "built_in").glob("*.yaml"))
PROGRAMS: dict[str, click.Command] = {"anchor-eval": anchor_eval, "anchor-train": anchor_train}
_CALL = re.compile(r"^\s*(anchor-eval|anchor-train|lm_eval|pip|chromium) ", re.M)


# --- every block has its place


def complaint(block: Block) -> str | None:
    """What is wrong with how a block is marked."""
    if block.run_by is not None:
        file = ROOT / block.run_by
        if not file.is_file():
            return f"there is no {block.run_by}"
        source = file.read_text(encoding="utf-8")
        named = {block.page, Path(block.page).name}
        return None if any(name in source for name in named) else f"{block.run_by} doesn't name {block.page}"
    if block.not_run is not None:
        there = [name for name in re.findall(r"tests/[\w/.]+", block.not_run) if (ROOT / name).exists()]
        named_files = re.findall(r"tests/[\w/.]+", block.not_run)
        return None if there == named_files else f"the reason names what isn't there: {named_files}"
    if block.language in OTHER:
        return None
    if block.but_for and block.language not in SHELL:
        return "only commands are run but for a program"
    if missing := [name for name in block.but_for if not re.search(rf"^{name}\b", block.text, re.M)]:
        return f"it calls no {missing[0]}"
    if block.language == "python":
        return "Python is run by a file of tests that the comment above it names: <!-- run by tests/... -->"
    if block.language in SHELL and not _CALL.search(block.text):
        return "no line of it calls a program that a reader of it has here; output is `text`"
    if block.language not in SHELL | DATA:
        return f"nothing runs the language {block.language!r}; output is `text`"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_run_or_says_why_not(page: Path) -> None:
    faults = [f"{block}: {found}" for block in blocks_of(page) if (found := complaint(block))]
    assert not faults, "\n".join(faults)


def test_most_blocks_are_run() -> None:
    code = [block for block in all_blocks() if block.language not in OTHER]
    assert len(code) > 80
    assert sum(block.not_run is not None for block in code) < len(code) / 4


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("```rust\nfn\n```", "nothing runs the language 'rust'"),
        ("```\nacc 0.25\n```", "output is `text`"),
        ("```python\n1\n```", "Python is run by a file"),
        ("<!-- run by tests/docs/no_such.py -->\n```\nls\n```", "there is no tests/docs/no_such.py"),
        ("<!-- run by tests/test_links.py -->\n```\nls\n```", "tests/test_links.py doesn't name docs/x.md"),
        ("<!-- not run: tests/no_such runs it -->\n```\nls\n```", "names what isn't there"),
        ("<!-- run but for ollama: needs Ollama -->\n```\nls\n```", "it calls no ollama"),
    ],
)
def test_a_block_without_a_place_is_found(text: str, wrong: str) -> None:
    (block,) = blocks_in(text, "docs/x.md")
    assert wrong in str(complaint(block))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("<!-- not run: needs a GPU -->\n\nNo block.\n", "has no block of code below it"),
        ("```\nls\n```\n<!-- not run: needs a GPU -->", "has no block of code below it"),
        ("<!-- not run: -->\n```\nls\n```", "nor why nothing does"),
        ("<!-- run by magic -->\n```\nls\n```", "nor why nothing does"),
        ("```\nls\n", "has no end"),
    ],
)
def test_a_comment_that_says_nothing_is_an_error(text: str, wrong: str) -> None:
    with pytest.raises(MarkError, match=wrong):
        blocks_in(text, "docs/x.md")


def test_blocks_are_read_with_their_comments() -> None:
    text = "1. x\n   <!-- not run: needs a GPU -->\n   ```bash\n   ls\n     -l\n   ```\n"
    text += "```text\n<!-- not run: x -->\n```\n"
    first, second = blocks_in(text, "docs/x.md")
    assert (first.line, first.language, first.text, first.not_run) == (3, "bash", "ls\n  -l\n", "needs a GPU")
    assert (second.line, second.text, second.marked) == (7, "<!-- not run: x -->\n", False)


# --- also what isn't run names commands and options that there are


def called(page: Path) -> Iterator[list[str]]:
    """What calls one of our commands, as words: lines of blocks, code within a text, comments of a recipe."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        lines = re.findall(r"^#\s+(anchor-.*)$", text, re.M)
    else:
        inner = [block.text for block in blocks_of(page) if block.language in SHELL]
        lines = [line for one in inner for line in re.sub(r"\\\n\s*", " ", one).splitlines()]
        prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
        lines += [" ".join(code.split()) for code in re.findall(r"`(anchor-\w+ \w[^`]*)`", prose)]
    for line in lines:
        bare = re.sub(r"^(\w*\$ |\w+=\S+ )*", "", line.strip())
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


@pytest.mark.parametrize("block", [one for one in all_blocks() if one.language == "python"], ids=str)
def test_python_can_be_read(block: Block) -> None:
    ast.parse(block.text)


def test_there_are_many_and_a_wrong_one_is_found() -> None:
    assert sum(1 for page in PAGES for _ in called(page)) > 60
    assert fault(["anchor-eval", "run", "--taks", "x"]) == "anchor-eval run has no option --taks"
    assert fault(["anchor-train", "rnu"]) == "anchor-train has no command rnu"


def test_a_block_is_found_by_what_it_holds() -> None:
    assert block_with("docs/tasks.md", "task: animals_explain\n").language == "yaml"
