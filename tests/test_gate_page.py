"""The workflow of docs/gate.md: its commands take the options it gives, and its cache is kept."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from lm_eval_tasks.cli import main

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "gate.md").read_text(encoding="utf-8")


@pytest.fixture
def steps() -> list[dict[str, Any]]:
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    found: list[dict[str, Any]] = yaml.safe_load(block)["jobs"]["gate"]["steps"]
    return found


def test_its_commands_take_their_options(steps: list[dict[str, Any]]) -> None:
    lines = [step["run"].partition(">")[0] for step in steps if step.get("run", "").startswith("anchor-eval")]
    asked = {}
    for line in lines:
        _, name, *arguments = shlex.split(line)
        command = main.get_command(click.Context(main), name)
        assert command is not None
        asked[name] = command.make_context(name, arguments).params
    assert Path(asked["gate"]["run"]) == asked["run"]["output"]
    assert asked["gate"]["max_cost"] == 5


def test_what_was_paid_for_is_kept_whatever_came_of_it(steps: list[dict[str, Any]]) -> None:
    (restored,) = (step for step in steps if step.get("uses", "").startswith("actions/cache/restore@"))
    (kept,) = (step for step in steps if step.get("uses", "").startswith("actions/cache/save@"))
    assert kept["if"] == "always()"
    assert {name: restored["with"][name] for name in kept["with"]} == kept["with"]
    assert kept["with"]["key"].startswith(restored["with"]["restore-keys"])
    (gate,) = (step for step in steps if "anchor-eval gate" in step.get("run", ""))
    assert gate["env"]["ANCHOR_CACHE"] == kept["with"]["path"]
