"""docs/explanations.ipynb runs from top to bottom, and shows what it shows in the docs.

Its replies are drawn with seeds, but another processor rounds otherwise: numbers and replies may differ.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.notebooks import ROOT, execute, outputs, shapes

PAGE = ROOT / "docs" / "explanations.ipynb"


@pytest.fixture(scope="module")
def kept() -> nbformat.NotebookNode:
    """The notebook with what came out when it was written."""
    return nbformat.read(PAGE, as_version=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it runs."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def ended(folder: Path) -> nbformat.NotebookNode:
    """The same notebook, run now."""
    return execute(nbformat.read(PAGE, as_version=4), folder)


def test_every_cell_shows_what_the_docs_have(
    kept: nbformat.NotebookNode, ended: nbformat.NotebookNode
) -> None:
    both = list(zip(kept.cells, ended.cells, strict=True))
    code = [(before, now) for before, now in both if before.cell_type == "code"]
    assert len(code) >= 9
    for before, now in code:
        assert shapes(now) == shapes(before), f"{before.source}\npython -m tests.notebooks {PAGE.name}"
        assert outputs(before), before.source


def test_bars_pictures_and_tables_are_a_notebooks(ended: nbformat.NotebookNode, folder: Path) -> None:
    kinds = [output.get("data", {}) for cell in ended.cells for output in cell.get("outputs", [])]
    assert sum("<progress value=" in data.get("text/html", "") for data in kinds) == 1
    assert sum("<table" in data.get("text/html", "") for data in kinds) == 4
    assert sum("image/png" in data for data in kinds) == 1
    assert (folder / "site" / "index.html").exists()


def test_no_folder_of_a_machine_is_kept() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for part in ("/home/", "/root/", "/tmp/", "site-packages"):
        assert part not in text
