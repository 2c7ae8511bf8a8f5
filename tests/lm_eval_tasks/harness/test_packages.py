"""The account of installed packages is the one that pip would give, and pip isn't started for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch.utils import collect_env

from lm_eval_tasks.harness.packages import installed, packages_read_here


def test_it_is_what_pip_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asking for pip's spec in this process would make setuptools unimportable.
    command = [sys.executable, "-m", "pip", "list", "--format=freeze"]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)
    if pip.returncode:
        pytest.skip("pip isn't installed here")
    vendored = tmp_path / "_vendor"
    (vendored / "else_1-1.0.dist-info").mkdir(parents=True)
    (vendored / "else_1-1.0.dist-info" / "METADATA").write_text("Name: else-1\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(vendored)
    installed.cache_clear()
    assert set(installed().splitlines()) == set(pip.stdout.splitlines())


def test_no_pip_is_started_and_all_else_is_asked_as_before() -> None:
    before, commands = collect_env.get_pip_packages, []

    def run(command: Any) -> tuple[int, str, str]:
        commands.append(command)
        return collect_env.run(command)

    with packages_read_here():
        _, found = collect_env.get_pip_packages(run)
        assert not commands
        assert collect_env.get_gcc_version(run) == collect_env.get_gcc_version(collect_env.run)
        assert commands
    assert f"torch=={collect_env.torch.__version__}" in found.splitlines()
    assert not any(line.startswith("click==") for line in found.splitlines())  # PyTorch keeps its own
    assert collect_env.get_pip_packages is before
