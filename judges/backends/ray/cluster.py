"""The Ray cluster that workers run on: one that is there already, or one of our own on this machine.

A cluster of our own lives as long as a backend uses it, and ends with this process in whatever way that ends.
It reports nothing to anybody, shows no dashboard, and takes orders only from those who know its token.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from judges.backends.executor import RaySettings
from judges.errors import BackendError, ConfigError, MissingExtraError

Ray: TypeAlias = Any
"""The module ``ray``, which is loaded when it is needed."""

# For conversations in transit; a worker has at most a few hundred of a few kilobytes.
OBJECT_STORE_BYTES = 256 << 20
# Sockets lie in this folder, and their names may have about a hundred characters.
LONGEST_FOLDER = 40

# Of all clusters of this process: Ray reads it once.
_TOKEN = secrets.token_hex(32)

_lock = threading.Lock()
_users = 0
_folder: Path | None = None
_connected = False


def check_ray() -> None:
    """Raises MissingExtraError if Ray isn't installed."""
    if importlib.util.find_spec("ray") is None:
        raise MissingExtraError("Ray", "ray")


def join(settings: RaySettings, gpus: float) -> Ray:
    """Connects this process to the cluster, or starts one; ``leave`` takes it back.

    Args:
        settings: Which cluster.
        gpus: GPUs that a worker takes where there are any.

    Raises:
        BackendError: If the cluster can't be reached or started.
    """
    global _users, _connected
    import ray

    with _lock:
        if not ray.is_initialized():
            address = settings.address or os.environ.get("RAY_ADDRESS")
            try:
                if address and address != "local":
                    _connect(ray, address)
                else:
                    _start(ray, settings)
            except Exception as error:
                _end(ray)
                reason = next(iter(str(error).splitlines()), "") or type(error).__name__
                where = f"the Ray cluster {address} can't be reached" if address else "Ray doesn't start here"
                raise BackendError(f"{where}: {reason}") from error
            _connected = True
            # Whatever becomes of workers is told by us; Ray would tell it on standard output, at length.
            ray._private.worker._worker_logs_enabled = False
        _users += 1
    try:
        _check_room(ray.cluster_resources(), settings, gpus)
    except BaseException:
        leave()
        raise
    return ray


def leave() -> None:
    """Disconnects when nobody here needs the cluster any more; one of our own ends with that."""
    global _users
    import ray

    with _lock:
        _users -= 1
        if _users == 0 and _connected:
            _end(ray)


def _connect(ray: Ray, address: str) -> None:
    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def _start(ray: Ray, settings: RaySettings) -> None:
    global _folder
    root = tempfile.gettempdir()
    _folder = Path(tempfile.mkdtemp(prefix="ray-", dir=root if len(root) <= LONGEST_FOLDER else "/tmp"))
    with _environment():
        ray.init(
            address="local",
            num_cpus=max(os.cpu_count() or 1, math.ceil((settings.workers or 1) * settings.cpus_per_worker)),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(_folder),
        )


@contextmanager
def _environment() -> Iterator[None]:
    """What the processes of our own cluster inherit beside all that this process has, keys included."""
    before = dict(os.environ)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # On a busy machine Ray's own processes start slowly, and it would give up on them.
    os.environ.setdefault("RAY_agent_register_timeout_ms", "120000")
    # Without it a worker that takes no GPU loses sight of those of the machine, with a warning.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = _TOKEN
    root = str(Path(__file__).resolve().parents[3])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _end(ray: Ray) -> None:
    global _folder, _connected
    ray.shutdown()
    _connected = False
    if _folder is not None:
        shutil.rmtree(_folder, ignore_errors=True)
        _folder = None


def _check_room(resources: Mapping[str, float], settings: RaySettings, gpus: float) -> None:
    """Refuses what a cluster of our own can never have room for; another one may still grow."""
    if _folder is None:
        return
    there, needed = resources.get("GPU", 0.0), (settings.workers or 1) * gpus
    if needed > there:
        raise ConfigError(
            f"executor ray: {settings.workers or 1} worker(s) of {gpus:g} GPU(s) need {needed:g}, "
            f"this machine has {there:g}"
        )
