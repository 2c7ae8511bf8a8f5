"""The script behind `make`'s virtual environment: which installer and which build of PyTorch it takes."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "environment"
GPU = Path("/proc/driver/nvidia/version").exists() or Path("/dev/kfd").exists()
pytestmark = pytest.mark.skipif(
    f"{platform.system()} {platform.machine()}" != "Linux x86_64" or GPU,
    reason="the choice is made on Linux, x86-64, without a GPU",
)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def _wheel(folder: Path, version: str) -> None:
    """An index folder that holds a wheel of torch without code."""
    folder.mkdir(parents=True)
    name, info = f"torch-{version}-py3-none-any.whl", f"torch-{version}.dist-info"
    with zipfile.ZipFile(folder / name, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{name.replace("+", "%2B")}">{name}</a>', encoding="utf-8")


@pytest.fixture
def indexes(tmp_path: Path) -> Iterator[str]:
    """Address of a stand-in for two package indexes: /cpu and /ordinary."""
    _wheel(tmp_path / "www/cpu/torch", "2.13.0+cpu")
    _wheel(tmp_path / "www/ordinary/torch", "2.13.0")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "www")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def plan(path: Path, uv: bool = False, **settings: str) -> subprocess.CompletedProcess[str]:
    """What the script would do, in an environment where nothing but ``settings`` is configured."""
    (path / "bin").mkdir(exist_ok=True)
    python = path / "bin" / "python3"
    if not python.exists():
        python.symlink_to(sys.executable)
    if uv:
        (path / "bin" / "uv").write_text("#!/bin/sh\n")
        (path / "bin" / "uv").chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "ANCHOR_"))}
    environment = kept | {
        "PATH": f"{path / 'bin'}:/usr/bin:/bin",
        "HOME": str(path),
        "PIP_CONFIG_FILE": os.devnull,
        **settings,
    }
    command = [str(SCRIPT), "--plan"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_without_a_gpu_the_cpu_build_is_taken_where_its_index_answers(tmp_path: Path, indexes: str):
    done = plan(tmp_path, ANCHOR_TORCH_INDEX=f"{indexes}/cpu")
    assert done.returncode == 0, done.stderr
    assert "installer: pip" in done.stdout
    assert f"the CPU build (no GPU here), from {indexes}/cpu" in done.stdout

    options = done.stdout.partition("options: ")[2].split()
    taken = tmp_path / "taken"
    command = [sys.executable, "-m", "pip", "--isolated", "download", "--quiet", "--no-deps"]
    command += ["-d", str(taken), "--index-url", f"{indexes}/ordinary", *options, "torch==2.13.0"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
    clean["PIP_CONFIG_FILE"] = os.devnull
    subprocess.run(command, check=True, env=clean, timeout=120)
    assert [wheel.name for wheel in taken.iterdir()] == ["torch-2.13.0+cpu-py3-none-any.whl"]


def test_where_no_cpu_build_can_be_had_it_stops_and_says_what_to_set(tmp_path: Path):
    done = plan(tmp_path, ANCHOR_TORCH_INDEX="http://127.0.0.1:9/cpu")
    assert done.returncode == 1
    assert "PIP_EXTRA_INDEX_URL" in done.stderr
    assert "ANCHOR_TORCH=default" in done.stderr


def test_the_default_build_can_be_asked_for(tmp_path: Path):
    done = plan(tmp_path, ANCHOR_TORCH="default", ANCHOR_TORCH_INDEX="http://127.0.0.1:9/cpu")
    assert done.returncode == 0
    assert "options:\n" in done.stdout


@pytest.mark.parametrize("name", ["PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"])
def test_what_the_user_configured_wins(tmp_path: Path, indexes: str, name: str):
    done = plan(tmp_path, uv=True, ANCHOR_TORCH_INDEX=f"{indexes}/cpu", **{name: "http://127.0.0.1:9/mine"})
    assert "installer: pip" in done.stdout, "uv doesn't read what pip is told"
    assert "whatever your pip configuration finds" in done.stdout
    assert "options:\n" in done.stdout


def test_uv_is_taken_where_nothing_is_configured_for_pip_alone(tmp_path: Path, indexes: str):
    done = plan(tmp_path, uv=True, ANCHOR_TORCH_INDEX=f"{indexes}/cpu")
    assert "installer: uv" in done.stdout
    assert "--index-strategy unsafe-best-match" in done.stdout, "else uv stops at the first torch"
    own = plan(tmp_path, uv=True, PIP_INDEX_URL="http://127.0.0.1:9/mine", UV_INDEX="http://127.0.0.1:9/mine")
    assert "installer: uv" in own.stdout
    assert "whatever your uv configuration finds" in own.stdout
