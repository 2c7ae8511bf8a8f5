"""``anchor-eval doctor``: on this machine, on broken libraries, on judges that are there or not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from tests.judges.endpoint import Endpoint, Handler

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache" / "replies.sqlite"))


def doctor(*options: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, findings by name, and what else was said."""
    done = CliRunner().invoke(main, ["doctor", "--json", *options])
    found = json.loads(done.stdout)["findings"] if done.stdout else []
    return done.exit_code, {one["about"]: one for one in found}, done.stderr


def package(folder: Path, name: str, version: str, code: str = "") -> Path:
    """A package as pip leaves it: a module, and beside it its version."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code)
    (folder / f"{name}-{version}.dist-info").mkdir()
    (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    return folder


def test_a_machine_on_which_all_is_well(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        code, found, _ = doctor("--quick", "--judge", f"openai:tiny@{endpoint.url}")
        judged = found[f"openai:tiny@{endpoint.url}"]
    assert code == 0
    assert judged["state"] == "ok"
    assert "held to the verdict form" in judged["said"]
    assert found["libraries"]["state"] == "ok"
    assert "no replies yet" in found["cache"]["said"]
    assert not (tmp_path / "cache").exists(), "looking changes nothing"


def test_judges_that_are_not_ready(tmp_path: Path) -> None:
    def refuse(k: int, body: dict[str, Any], handler: Handler) -> None:
        handler.error(401, "invalid key")

    def chat(k: int, body: dict[str, Any], handler: Handler) -> None:
        handler.reply("I like it.")

    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    (tmp_path / "wrong.yaml").write_text("backend: openai\nmodell: m\n")
    (tmp_path / "panel.yaml").write_text(f"panel: ['openai:a@{nobody}', wrong.yaml]\n")
    with Endpoint(refuse) as refusing, Endpoint(chat) as chatting:
        judges = [f"openai:m@{nobody}", f"openai:m@{refusing.url}", f"openai:m@{chatting.url}", "panel.yaml"]
        code, found, _ = doctor("--quick", *(word for judge in judges for word in ("--judge", judge)))
    assert code == 1
    assert "connection failed" in found[judges[0]]["said"]
    assert found[judges[0]]["mend"] == f"curl -sS -i {nobody}/models"
    assert "401" in found[judges[1]]["said"]
    assert "without verdicts" in found[judges[2]]["said"]
    assert found[f"openai:a@{nobody}"]["state"] == "amiss"
    assert "did you mean 'model'" in found["wrong.yaml"]["said"]


def test_a_judge_that_is_told_the_right_answer_and_sends_batches_is_asked_once(tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        judge = tmp_path / "judge.yaml"
        rubric = "rubric: explanation_quality_right_answer"
        judge.write_text(f"backend: openai\nmodel: m\nbase_url: {endpoint.url}\nbatch: true\n{rubric}\n")
        _, found, _ = doctor("--quick", "--judge", "judge.yaml")
        (asked,) = endpoint.bodies
    assert found["judge.yaml"]["state"] == "ok", found["judge.yaml"]["said"]
    assert "<right_answer>\nB) 85 minutes" in asked["messages"][-1]["content"]


def test_every_address_of_a_judge_is_asked(tmp_path: Path) -> None:
    with Endpoint() as good, Endpoint(lambda k, body, handler: handler.error(500, "no memory")) as bad:
        judge = tmp_path / "judge.yaml"
        judge.write_text(f"backend: openai\nmodel: m\nbase_url: ['{good.url}', '{bad.url}']\n")
        code, found, _ = doctor("--quick", "--judge", "judge.yaml")
    assert code == 1
    assert found[f"judge.yaml at {good.url}"]["state"] == "ok"
    assert "no memory" in found[f"judge.yaml at {bad.url}"]["said"]


def test_engines_that_are_broken(tmp_path: Path) -> None:
    """Each of them ends the process that imports it; the doctor goes on."""
    code = "raise RuntimeError('operator torchvision::nms does not exist')"
    path = package(tmp_path / "site", "transformers", "5.9.0", code)
    package(tmp_path / "site", "vllm", "0.30.0", "import os; os.kill(os.getpid(), 6)")
    package(tmp_path / "site", "torch", "2.1.0")
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval_tasks", "doctor", "--json", "--extra", "hf"],
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    findings = json.loads(done.stdout)["findings"]
    of_engines = {one["about"]: one for one in findings if one["section"] == "engines"}
    extras = {one["about"]: one for one in findings if one["section"] == "extras"}
    assert done.returncode == 1
    assert of_engines["transformers"]["mend"] == "pip uninstall -y torchvision torchaudio torchcodec"
    assert "ended with -6" in of_engines["vllm"]["said"]
    assert "torch 2.1.0 is there, >=2.5 is needed" in extras["hf"]["said"]
    assert extras["hf"]["mend"].startswith("pip install -U")


def test_a_disk_that_cannot_be_written_to_and_a_cache_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.sqlite"
    broken.write_text("this is no database, " * 100)
    monkeypatch.setenv("ANCHOR_CACHE", str(broken))
    code, found, _ = doctor("--quick", "-o", "/proc/runs")
    assert code == 1
    assert found["runs"]["state"] == "amiss"
    assert found["cache"]["mend"] == f"mv {broken} {broken}.broken"


def test_an_extra_that_nobody_has() -> None:
    code, _, said = doctor("--extra", "trian")
    assert code == 1
    assert "did you mean 'train'" in said


def test_looking_for_pip_leaves_setuptools_as_it_is() -> None:
    """vLLM imports it, perhaps later in the same process."""
    program = "from lm_eval_tasks.doctor.libraries import _pip; _pip(); import setuptools"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
