from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from judges import ConfigError, MissingExtraError, load_backend
from judges.backends.executor import ExecutorSettings, over, read_executor
from judges.backends.ray import cluster as ray_cluster


def test_what_a_judge_file_may_say() -> None:
    assert read_executor(None, "judge.yaml") is None
    assert read_executor("local", "judge.yaml") is None
    plain = read_executor("ray", "judge.yaml")
    assert plain is not None
    assert (plain.ray.workers, plain.ray.cpus_per_worker, plain.ray.restarts) == (None, 1.0, 3)
    assert read_executor({"ray": None}, "judge.yaml") == plain
    chosen = read_executor({"ray": {"workers": 4, "gpus_per_worker": 1}}, "judge.yaml")
    assert chosen is not None
    assert (chosen.ray.workers, chosen.ray.gpus_per_worker) == (4, 1.0)
    assert read_executor(chosen, "recipe") == chosen


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError, match="expected local, ray or") as caught:
        read_executor("spark", "judge.yaml")
    assert str(caught.value).startswith("judge.yaml: executor = 'spark'")
    with pytest.raises(ConfigError, match=r"ray.restarts = -1.*unknown key 'ray.worker' \(did you"):
        read_executor({"ray": {"worker": 2, "restarts": -1}}, "judge.yaml")


def test_what_a_call_says_of_ray_goes_over_the_file() -> None:
    file = {"ray": {"workers": 2, "gpus_per_worker": 4}}
    assert over(None, file) is file
    assert over("local", file) == "local"
    assert over("ray", file) == file
    assert over({"ray": {"workers": 8}}, file) == {"ray": {"workers": 8, "gpus_per_worker": 4}}
    assert over({"ray": {"workers": 8}}, "local") == {"ray": {"workers": 8}}


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError):
        ExecutorSettings.model_validate({"ray": {}}).ray = None  # type: ignore[assignment,misc]


def test_mistakes_of_the_backend_are_told_before_anything_starts(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="bas_url"):
        load_backend({"backend": "openai", "model": "m", "bas_url": "http://x/v1"}, executor="ray")
    with pytest.raises(ConfigError, match=str(tmp_path / "none.yaml")):
        load_backend(f"scripted:{tmp_path / 'none.yaml'}", executor={"ray": {"workers": 2}})


def test_a_backend_on_ray_is_known_by_what_runs_there(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    replies = tmp_path / "replies.yaml"
    replies.write_text("replies: [{reply: hello}]\n")
    spec = {"backend": "scripted", "replies": str(replies)}
    with load_backend(spec) as here, load_backend(spec | {"executor": "ray"}) as there:
        assert there.identity == here.identity
        assert there.constrains == here.constrains
        assert list(there.replies([], None)) == []  # type: ignore[arg-type] -- no cluster for nothing
    assert ray_cluster._folder is None


def test_without_ray_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from judges import load_backend\n"
        "load_backend({'backend': 'openai', 'model': 'm', 'base_url': 'http://h/v1', 'executor': 'ray'})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    last = done.stderr.strip().splitlines()[-1]
    assert last == "judges.errors.MissingExtraError: " + str(MissingExtraError("Ray", "ray"))
    assert "pip install 'anchored-explanations[ray]'" in last
