"""The walks of docs/architecture.md lead through files and names that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_every_step_of_the_walks_names_a_definition_that_is_there():
    steps = re.findall(r"`([\w/]+\.py):(\w+)`", PAGE)
    assert len(steps) > 25
    for file, name in steps:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        assert name in defined, f"{file} defines {', '.join(sorted(defined))}"


def test_every_folder_of_the_packages_is_on_the_page():
    for package in ("judges", "lm_eval_tasks", "anchor_train"):
        for folder in sorted(path.parent for path in (ROOT / package).glob("*/__init__.py")):
            name = folder.name
            assert f"{name}/" in PAGE or name == "commands", folder


def test_every_folder_says_what_it_is():
    for package in ("judges", "lm_eval_tasks", "anchor_train"):
        for init in (ROOT / package).rglob("__init__.py"):
            text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or ""
            assert text.strip() or init.parent.name == "commands", init


def test_no_folder_is_a_heap():
    for package in ("judges", "lm_eval_tasks", "anchor_train"):
        for init in (ROOT / package).rglob("__init__.py"):
            files = [path for path in init.parent.glob("*.py") if not path.name.startswith("__")]
            assert len(files) <= 13, init.parent
