"""What this machine has: processors, memory, disk where things are kept, the cache, the way to the hub."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from judges.errors import DataError
from judges.storage.cache import ReplyCache, default_cache_path
from lm_eval_tasks.doctor.findings import Finding

_GB = 1e9
_LEAST_FREE = 1 * _GB
"""Bytes; less than that on a disk and a run of some thousand replies may not fit."""
_OPEN_FILES = 512
"""An endpoint is asked by up to 128 connections at once, and files are open besides."""
_PATIENCE = 5.0
_GPU_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/kfd")


def has_gpu() -> bool:
    """Whether a driver of a GPU is there (NVIDIA or AMD); no library is asked."""
    return any(Path(path).exists() for path in _GPU_DRIVERS) or shutil.which("nvidia-smi") is not None


def machine_findings(run_folder: Path) -> Iterator[Finding]:
    """Everything about the machine.

    Args:
        run_folder: Where run folders are going to be.
    """
    yield Finding("machine", "processor", "ok", f"{_cores()} cores, {_memory()}")
    yield from _files()
    cache = default_cache_path()
    yield _disk("runs", run_folder)
    yield _disk("cache of replies", cache.parent, variable="ANCHOR_CACHE")
    yield _cache(cache)
    yield from _hub()


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    try:
        allowed = int(limit.read_text())
    except (OSError, ValueError):  # no container, or "max"
        allowed = total
    said = f"{total / _GB:.0f} GB of memory"
    return said if allowed >= total else f"{said}, of which this container may use {allowed / _GB:.0f}"


def _files() -> Iterator[Finding]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES:
        return
    most = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    said = f"a process may open {soft}; asking an endpoint takes up to {_OPEN_FILES}"
    yield Finding("machine", "open files", "amiss", said, f"ulimit -n {most}")


def _disk(about: str, folder: Path, variable: str = "") -> Finding:
    """Whether a folder can be written to, and has room; the folder itself isn't made."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    elsewhere = f"export {variable}=/another/disk/replies.sqlite" if variable else ""
    try:
        with tempfile.TemporaryFile(dir=place):
            free = shutil.disk_usage(place).free
    except OSError as error:
        said = f"{place} can't be written to: {error.strerror}"
        return Finding("machine", about, "amiss", said, elsewhere)
    if free < _LEAST_FREE:
        said = f"{free / _GB:.2f} GB free at {place}"
        return Finding("machine", about, "amiss", said, f"df -h {shlex.quote(str(place))}")
    return Finding("machine", about, "ok", f"{free / _GB:.0f} GB free at {place}")


def _cache(path: Path) -> Finding:
    if not path.exists():
        return Finding("machine", "cache", "ok", f"{path}: no replies yet")
    try:
        with ReplyCache(path) as cache:
            found = cache.stats()
    except DataError as error:
        away = f"mv {shlex.quote(str(path))} {shlex.quote(f'{path}.broken')}"
        return Finding("machine", "cache", "amiss", str(error), away)
    said = f"{path}: {found.replies:,} replies, {found.bytes / 1e6:.1f} MB"
    return Finding("machine", "cache", "ok", said)


def _hub() -> Iterator[Finding]:
    from huggingface_hub import constants, get_token

    yield _disk("models of the hub", Path(constants.HF_HUB_CACHE))
    if constants.HF_HUB_OFFLINE:
        yield Finding("machine", "hub", "ok", "HF_HUB_OFFLINE is set: models and data are taken from folders")
        return
    asked = f"{constants.ENDPOINT}/api/models?limit=1"
    try:
        with urllib.request.urlopen(asked, timeout=_PATIENCE):
            pass
    except urllib.error.HTTPError as error:
        said = f"{constants.ENDPOINT} answers {error.code}; is HF_ENDPOINT right?"
        yield Finding("machine", "hub", "amiss", said, f"curl -sS -i {shlex.quote(asked)}")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", error)
        said = (
            f"{constants.ENDPOINT} can't be reached ({why}): models and questions have to lie in folders "
            "(pretrained=FOLDER, --data-dir); unless that is said, libraries wait for it"
        )
        yield Finding("machine", "hub", "absent", said, "export HF_HUB_OFFLINE=1")
    else:
        token = "with" if get_token() else "without"
        yield Finding("machine", "hub", "ok", f"{constants.ENDPOINT} answers; {token} a token")
