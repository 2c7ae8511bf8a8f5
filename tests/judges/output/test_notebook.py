"""In a notebook a phase is one bar in the cell that works."""

from __future__ import annotations

import nbformat
import pytest

from tests.notebooks import execute, notebook_of

CELLS = """
from judges.output.progress import progress
with progress(3, "judging <a>") as bar:
    for _ in range(3):
        bar.update()
---
with progress(40, "judging", initial=10) as bar:
    bar.update(5)
    raise KeyError("endpoint")
---
with progress(7, "judging", initial=7):
    pass
---
with progress(None, "reading") as bar:
    bar.update(12)
---
from judges.output.notices import tell
with progress(2, "judging") as bar:
    bar.update()
    tell("the endpoint takes no seed")
    bar.update()
---
from judges import Statement, load_judge
with load_judge({"backend": "pocket-oracle"}, cache=None) as judge:
    found = judge.assess_all([Statement("Why?", "So.")])
---
from pathlib import Path
from judges.output.run_log import quiet
with quiet(Path("log.txt")), progress(2, "judging") as bar:
    bar.update(2)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[list[nbformat.NotebookNode]]:
    """What is in the cells when all have run."""
    notebook = notebook_of(*CELLS.strip().split("\n---\n"))
    done = execute(notebook, tmp_path_factory.mktemp("notebook"), allow_errors=True)
    return [cell.outputs for cell in done.cells]


def test_a_bar_moves_in_its_place(ended: list[list[nbformat.NotebookNode]]) -> None:
    (shown,) = ended[0]  # every state was shown in the place of the one before
    assert shown.output_type == "display_data"
    assert shown.data["text/html"].startswith(
        '<div><progress value="3" max="3"></progress> judging &lt;a&gt;: 3 of 3, '
    )
    assert shown.data["text/plain"].startswith("judging <a>: 3 of 3, ")
    assert shown.data["text/plain"].endswith(" s in all")


def test_a_phase_that_breaks_off_says_how_far_it_came(ended: list[list[nbformat.NotebookNode]]) -> None:
    shown, error = ended[1]
    assert '<progress value="15" max="40">' in shown.data["text/html"]
    assert shown.data["text/plain"].endswith(" left")
    assert error.ename == "KeyError"


def test_where_nothing_is_to_be_done_nothing_is_shown(ended: list[list[nbformat.NotebookNode]]) -> None:
    assert ended[2] == []


def test_an_unknown_total_has_no_bar(ended: list[list[nbformat.NotebookNode]]) -> None:
    (shown,) = ended[3]
    assert "progress" not in shown.data["text/html"]
    assert shown.data["text/plain"].startswith("reading: 12, ")


def test_told_lines_stand_below_the_bar(ended: list[list[nbformat.NotebookNode]]) -> None:
    shown, told = ended[4]
    assert shown.data["text/plain"].startswith("judging: 2 of 2, ")
    assert (told.name, told.text) == ("stderr", "the endpoint takes no seed\n")


def test_a_command_in_this_process_shows_one(ended: list[list[nbformat.NotebookNode]]) -> None:
    (shown,) = ended[6]
    assert shown.data["text/plain"].startswith("judging: 2 of 2, ")


def test_a_judge_shows_one(ended: list[list[nbformat.NotebookNode]]) -> None:
    (shown,) = ended[5]
    assert shown.data["text/plain"].startswith("judging: 1 of 1, ")
