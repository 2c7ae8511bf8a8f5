"""Blocks of code in README, docs and CONTRIBUTING, and what a comment above one says of how it is tested.

A block without a comment is run, or read, by ``tests/docs`` as it stands there. A comment is on the line
above it, where no reader sees it:

    <!-- run by tests/some/test_file.py -->      that file takes the block from the page
    <!-- not run: needs Docker -->               and why
    <!-- run but for ollama, vllm: need ... -->  those programs do nothing, the other lines are run

What isn't code (output, layouts, forms) is a block of the language ``text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = frozenset({"", "bash"})
DATA = frozenset({"yaml", "json", "toml"})
OTHER = frozenset({"text", "{eval-rst}"})
"""Output; and what the site makes the API of, which ``make docs`` holds."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\s*$")
_COMMENT = re.compile(r"^ *<!-- (?P<said>(?:run by|not run|run but for)\b.*?) -->$")
_RUN_BY = re.compile(r"run by (?P<file>tests/[\w/]+\.py)")
_NOT_RUN = re.compile(r"not run: (?P<why>.{8,})")
_BUT_FOR = re.compile(r"run but for (?P<programs>[\w-]+(?:, [\w-]+)*): (?P<why>.{8,})")


class MarkError(Exception):
    """A comment above a block that says nothing that is known, or a block that never ends."""


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: Its file, below the root.
        line: The line of its first fence, from 1.
        language: As the fence names it; empty for commands.
        text: What stands between the fences.
        run_by: The file of tests that runs it, if it isn't run here.
        not_run: Why it can't be run.
        but_for: Programs that do nothing when it is run -> why.
    """

    page: str
    line: int
    language: str
    text: str
    run_by: str | None = None
    not_run: str | None = None
    but_for: Mapping[str, str] = field(default_factory=dict)

    @property
    def marked(self) -> bool:
        """Whether it is run elsewhere or nowhere."""
        return self.run_by is not None or self.not_run is not None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_in(text: str, page: str) -> list[Block]:
    """The blocks of a page.

    Raises:
        MarkError: If a comment can't be read, or has no block below it, or a block has no end.
    """
    found: list[Block] = []
    lines = text.splitlines()
    number, said = 0, ""
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            if said:
                raise MarkError(f"{page}:{number}: <!-- {said} --> has no block of code below it")
            comment = _COMMENT.match(lines[number])
            said = comment["said"] if comment else ""
            number += 1
            continue
        indent, start = fence["indent"], number + 1
        while number := number + 1:
            if number == len(lines):
                raise MarkError(f"{page}:{start}: the block has no end")
            if lines[number].rstrip() == f"{indent}```":
                break
        inner = "".join(f"{line.removeprefix(indent)}\n" for line in lines[start:number])
        found.append(_marked(page, start, fence["language"], inner, said))
        number, said = number + 1, ""
    if said:
        raise MarkError(f"{page}:{number}: <!-- {said} --> has no block of code below it")
    return found


def _marked(page: str, line: int, language: str, text: str, said: str) -> Block:
    if not said:
        return Block(page, line, language, text)
    if found := _RUN_BY.fullmatch(said):
        return Block(page, line, language, text, run_by=found["file"])
    if found := _NOT_RUN.fullmatch(said):
        return Block(page, line, language, text, not_run=found["why"])
    if found := _BUT_FOR.fullmatch(said):
        programs = dict.fromkeys(found["programs"].split(", "), found["why"])
        return Block(page, line, language, text, but_for=programs)
    raise MarkError(f"{page}:{line}: <!-- {said} --> says neither what runs the block nor why nothing does")


def blocks_of(page: Path) -> list[Block]:
    """The blocks of one of the pages."""
    return blocks_in(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for page in PAGES for block in blocks_of(page)]


def block_with(page: str, part: str) -> Block:
    """The one block of a page that holds some text: for tests elsewhere that run it."""
    (found,) = [block for block in blocks_of(ROOT / page) if part in block.text]
    return found
