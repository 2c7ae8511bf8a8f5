"""Commands of README and docs are run as they stand there, in a folder that has what a reader of them has."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import SHELL, Block, all_blocks
from tests.docs.reader import Reader, made_by, make_folder, play
from tests.docs.reciting_model import make_reciting_model
from tests.docs.shell import Done, bash
from tests.judges.endpoint import Endpoint

BLOCKS = [block for block in all_blocks() if block.language in SHELL]
HERE = [block for block in BLOCKS if not block.marked]


@pytest.fixture(scope="module")
def reader(fork_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader with a folder, who finds every server that a page names."""
    place = tmp_path_factory.mktemp("reader")
    with Endpoint(play) as endpoint, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHOR_CACHE", str(place / "cache.sqlite"))
        patch.setenv("GATEWAY_KEY", "a key of the tests")
        patch.delenv("OPENAI_API_KEY", raising=False)
        model = make_reciting_model(place / "model")
        yield Reader(make_folder(place / "original", model), endpoint, place)


@pytest.mark.parametrize("block", HERE, ids=str)
def test_a_block_runs_as_it_stands(reader: Reader, block: Block) -> None:
    if "chromium" in block.text and shutil.which("chromium") is None:
        pytest.skip("no chromium: apt-get install chromium")
    if "--track trackio" in block.text:
        pytest.importorskip("trackio", reason="trackio is not installed: pip install -e '.[track]'")
    folder = reader.folder_for(block)
    done = bash(reader.script(block), folder, reader.programs(block))
    assert done.code == 0, f"{block} (output would be ```text)\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    for made in made_by(block.text):
        assert list(folder.glob(re.sub(r"\$\w+", "*", made))), f"{block}: no {made}"
    for written in re.findall(r"#.*?\b(?:open|writes) ([\w/]+\.\w+)", block.text):
        assert (folder / written).is_file(), f"{block}: no {written}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.marked], ids=str)
def test_a_block_that_is_not_run_here_can_be_read_by_bash(block: Block) -> None:
    prompts = re.sub(r"^\w+\$ ", "", block.text, flags=re.M)
    done = subprocess.run(["bash", "-n", "-c", prompts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_shell_stops_where_a_line_fails_and_keeps_folder_variables_and_loops(tmp_path: Path) -> None:
    seen: list[tuple[str, list[str]]] = []

    def program(arguments: list[str]) -> Done:
        seen.append((Path.cwd().name, arguments))
        return Done(3 if arguments == ["b c"] else 0, "out\n", "")

    script = 'mkdir x && cd x\nfor one in a "b c"; do\n  ours "$one" | cat\ndone\nours never\n'
    done = bash(script, tmp_path, {"ours": program})
    assert (done.code, done.stdout) == (3, "out\nout\n")
    assert seen == [("x", ["a"]), ("x", ["b c"])]


def test_what_does_not_exist_is_no_block_that_runs(reader: Reader) -> None:
    wrong = ("anchor-eval compar runs/m1", "anchor-eval compare runs/m1 runs/none", "pip install '.[vlm]'")
    for number, text in enumerate(wrong):
        block = Block("wrong", number, "", text)
        assert bash(text, reader.folder_for(block), reader.programs(block)).code != 0, text
