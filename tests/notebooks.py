"""Notebooks run as a reader runs them: in a kernel of their own, cell by cell.

python -m tests.notebooks docs/explanations.ipynb     # runs one anew and keeps what comes out
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
_FOLDER = re.compile(r"/[^\s']*/(?=lm_eval_tasks/)")
_PROGRESS = re.compile(r"^(generating|judging): .*\n?", re.MULTILINE)
_PACE = re.compile(r", [\d.,]+/(s|min|h)\b.*? in all")


def notebook_of(*cells: str) -> nbformat.NotebookNode:
    """A notebook with these cells of code."""
    return new_notebook(cells=[new_code_cell(cell) for cell in cells])


def execute(
    notebook: nbformat.NotebookNode, folder: Path, *, allow_errors: bool = False
) -> nbformat.NotebookNode:
    """Runs a notebook in a folder; returns it with what came out. Nothing of the user's Jupyter is read.

    Args:
        notebook: Is changed.
        folder: Where it runs.
        allow_errors: Whether later cells run where one fails.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(folder / ".jupyter"))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))))
        patch.setenv("ANCHOR_CACHE", str(folder / "cache.sqlite"))
        patch.setenv("OMP_NUM_THREADS", "1")  # small models: more threads only wait for each other
        patch.delenv("MPLBACKEND", raising=False)  # a kernel sets its own
        client = nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            allow_errors=allow_errors,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        return client.execute()


def outputs(cell: nbformat.NotebookNode) -> list[Any]:
    """What a cell shows, without what is another each time: paces, pictures and warnings."""
    found: list[Any] = []
    for output in _tidy(cell.outputs):
        if output.get("name") == "stderr":  # a library's remark on this machine
            continue
        if output.output_type == "stream":
            found.append((output.name, _PROGRESS.sub("", output.text)))
        elif output.output_type == "error":
            found.append(("error", output.ename, output.evalue))
        else:
            found.append({kind: _same(kind, text) for kind, text in sorted(output.data.items())})
    return found


def shapes(cell: nbformat.NotebookNode) -> list[Any]:
    """The same without what hangs on the replies: kinds of outputs, and the columns of tables."""
    found: list[Any] = []
    for output in outputs(cell):
        if isinstance(output, tuple):
            found.append(output if output[0] == "error" else output[0])
        else:
            columns = re.findall(r"<th>([^<\d]*)</th>", output.get("text/html", ""))
            found.append((sorted(output), columns))
    return found


def _tidy(given: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Outputs as a notebook shows them: streams in one piece, of a moving line its end."""
    found: list[nbformat.NotebookNode] = []
    for output in given:
        if output.output_type != "stream":
            found.append(output)
        elif found and found[-1].get("name") == output.name:
            found[-1].text += output.text
        else:
            found.append(nbformat.from_dict(output))
    for output in found:
        if output.output_type == "stream":
            lines = re.sub(r" *\r*\n", "\n", output.text).split("\n")
            output.text = _FOLDER.sub("", "\n".join(line.rpartition("\r")[2] for line in lines))
    return found


def _same(kind: str, text: str) -> str:
    return "a picture" if kind.startswith("image/") else _PACE.sub("", text)


def main(path: Path) -> None:
    """Runs a notebook in an empty folder and writes what came out into it."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        execute(notebook, Path(folder))
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _tidy(cell.outputs)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
