"""What works without any extra: everything that asks no local model, as `pip install .` leaves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import tomllib
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.lm_eval_tasks.pocket_runs import Explainer, write_pocket_run

ROOT = Path(__file__).resolve().parents[1]
JUDGE = ("--judge", "pocket-oracle:ground-truth")
COMMANDS = [
    ["score", "runs/m1", *JUDGE],
    ["score", "runs/m2", *JUDGE],
    ["show", "runs/m1", "--json"],
    ["compare", "runs/m1", "runs/m2", "--details"],
    ["compare", "runs/m1", "runs/m2", "--baseline", "m2", "--latex"],
    ["leaderboard", "runs", "-o", "site"],
    ["gate", "runs/m1", "--baseline", "runs/m2", "--margin", "-0.9"],
    ["power", "--questions", "254", "--samples", "16"],
    ["annotate", "runs/m1", "runs/m2", "-n", "6", "-o", "rating"],
    ["audit", "runs/m1", *JUDGE, "--kinds", "consistency,length", "-n", "5"],
    ["judges", "runs"],
    ["tasks-path"],
]
PROGRAM = """
import json, sys
from importlib.machinery import PathFinder
absent, commands = json.loads(sys.argv[1])

class Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in absent else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Installed
from click.testing import CliRunner
from lm_eval_tasks.cli import main
for command in commands:
    done = CliRunner().invoke(main, command)
    print(json.dumps([command[0], done.exit_code, done.output[-800:], repr(done.exception)]))
"""


def core() -> set[str]:
    """The distributions that the package needs without any extra, and all that these need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [Requirement(line) for line in project["dependencies"]]
    found: dict[tuple[str, frozenset[str]], None] = {}
    while waiting:
        wanted = waiting.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in found:
            continue
        found[key] = None
        try:
            lines = requires(wanted.name) or []
        except PackageNotFoundError:  # of another platform
            continue
        for line in lines:
            needed = Requirement(line)
            extras = [{"extra": extra} for extra in wanted.extras or {""}]
            if needed.marker is None or any(needed.marker.evaluate(extra) for extra in extras):
                waiting.append(needed)
    return {name for name, _ in found}


def test_judging_comparing_and_pages_need_no_extra(tmp_path: Path) -> None:
    mine = core() | {"anchored-explanations", "pip", "setuptools"}
    absent = [
        module
        for module, of in packages_distributions().items()
        if not any(canonicalize_name(name) in mine for name in of)
    ]
    assert {"torch", "vllm", "trl", "sklearn", "wandb"} & set(absent)
    for name, slips in (("m1", 0.1), ("m2", 0.5)):
        write_pocket_run(tmp_path / "runs", Explainer(name, slips=slips), questions=12)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([absent, COMMANDS])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ended = [json.loads(line) for line in done.stdout.splitlines()]
    assert [command for command, *_ in ended] == [command[0] for command in COMMANDS]
    assert [one for one in ended if one[1] != (4 if one[0] == "gate" else 0)] == []  # 4: undecided
    assert (tmp_path / "site" / "index.html").exists()
