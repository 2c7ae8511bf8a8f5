"""The Dockerfile asks for what is there. Nothing is built: that takes Docker and gigabytes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUP = (ROOT / "docs" / "setup.md").read_text(encoding="utf-8")
# Instruction -> its words, with lines that go on put together.
INSTRUCTIONS = [
    line.split(" ", 1)
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    if line.strip()
]


def words(instruction: str) -> list[list[str]]:
    return [rest.split() for name, rest in INSTRUCTIONS if name == instruction]


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    copied = {source for *sources, _ in words("COPY") for source in sources}
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignore
    assert copied == {line[1:] for line in ignore if line.startswith("!")}
    assert [source for source in sorted(copied) if not (ROOT / source).exists()] == []
    for *sources, target in words("COPY"):  # a folder's content goes into the target, not the folder
        assert [target] == sources if (ROOT / sources[0]).is_dir() else target == "./"


def test_what_builds_the_package_is_copied() -> None:
    copied = {source for *sources, _ in words("COPY") for source in sources}
    project = PROJECT["project"]
    needed = {"pyproject.toml", "MANIFEST.in", project["readme"], *project["license-files"]}
    packages = {
        name.removesuffix("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    assert needed | packages <= copied


def test_extras_and_index_are_those_of_the_docs() -> None:
    defaults = dict(word[0].split("=", 1) for word in words("ARG"))
    extras = PROJECT["project"]["optional-dependencies"]
    for asked in (defaults["EXTRAS"], *re.findall(r"--build-arg EXTRAS=(\S+)", DOCKERFILE + SETUP)):
        assert set(asked.split(",")) <= set(extras), asked
    assert f"pip install '.[hf]' --extra-index-url {defaults['TORCH_INDEX']}" in SETUP
    (install,) = (line for line in words("RUN") if line[:2] == ["pip", "install"])
    assert install[-1] == '".[${EXTRAS}]"'
    assert "-c constraints.txt" in " ".join(install)


def test_docs_build_it_as_it_says_itself() -> None:
    def commands(text: str) -> list[list[str]]:
        text = re.sub(r"\\\n#?\s*", "", text)
        return [shlex.split(line) for line in re.findall(r"^#?\s*(docker build .*)$", text, re.MULTILINE)]

    assert len(commands(DOCKERFILE)) == 2
    assert commands(SETUP) == commands(DOCKERFILE)
    for command in commands(SETUP):
        settings = [command[at + 1].split("=")[0] for at, word in enumerate(command) if word == "--build-arg"]
        assert set(settings) <= {word[0].split("=")[0] for word in words("ARG")}
