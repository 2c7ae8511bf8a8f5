"""Whether this machine has what a model is told to run on, before the model is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judges.errors import ConfigError
from lm_eval_tasks.harness.engines.kinds import HF, VLLM

_FOLDERS = ("pretrained", "tokenizer", "peft", "lora_local_path", "delta")
_VLLM_DTYPES = {"half": "float16", "float": "float32"}


def check_machine(model: str, model_args: Mapping[str, Any], device: str | None) -> None:
    """Refuses a device, a number type or folders that aren't there; all that is wrong together.

    Args:
        model: Kind of model; others than ``hf`` and ``vllm`` run elsewhere.
        model_args: Its arguments.
        device: As ``--device`` says; None where it doesn't.

    Raises:
        ConfigError: Naming what is wrong and what there is.
    """
    if model not in (*HF, VLLM):
        return
    problems = [*_folders(model_args), *_dtype(model, model_args)]
    if model in HF:
        problems += _device(str(device or model_args.get("device") or "cpu"))
    else:
        problems += _gpus(model_args)
    if problems:
        raise ConfigError("; ".join(problems))


def _folders(model_args: Mapping[str, Any]) -> list[str]:
    """What is written as a path must be there; a name may be of the hub."""
    found = []
    for name in _FOLDERS:
        value = model_args.get(name)
        if not isinstance(value, str) or Path(value).exists():
            continue
        if value.startswith(("/", "./", "../", "~")):
            tilde = "; write the home folder out" if value.startswith("~") else ""
            found.append(f"--model-args: {name} = {value!r}: no such folder{tilde}")
    return found


def _dtype(model: str, model_args: Mapping[str, Any]) -> list[str]:
    import torch

    given = model_args.get("dtype", "auto")
    if not isinstance(given, str) or given == "auto":
        return []
    name = _VLLM_DTYPES.get(given, given) if model == VLLM else given
    dtype = getattr(torch, name.removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        known = ["auto", "bfloat16", "float16", "float32"]
        close = difflib.get_close_matches(given, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return [
            f"--model-args: dtype = {given!r}: no number type of a model ({hint}known: {', '.join(known)})"
        ]
    if model == VLLM:
        can = _vllm_dtypes()
        if can and dtype not in can:
            names = ", ".join(str(one).removeprefix("torch.") for one in can)
            return [
                f"--model-args: dtype = {given}: vLLM can't compute with it on this machine, with {names}"
            ]
    return []


def _vllm_dtypes() -> list[Any]:
    try:
        from vllm.platforms import current_platform
    except ImportError:
        return []  # the harness tells what is missing
    return list(getattr(current_platform, "supported_dtypes", []))


def _device(given: str) -> list[str]:
    import torch

    try:
        device = torch.device(given)
    except RuntimeError:
        return [f"--device {given}: no device; cuda, cuda:0, mps and cpu are some"]
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            return [f"--device {given}: PyTorch sees no GPU on this machine; --device cpu is there"]
        if (device.index or 0) >= count:
            return [f"--device {given}: there are {count} GPUs, the last is cuda:{count - 1}"]
    if device.type == "mps" and not torch.backends.mps.is_available():
        return [f"--device {given}: PyTorch sees none on this machine; --device cpu is there"]
    return []


def _gpus(model_args: Mapping[str, Any]) -> list[str]:
    import torch

    if "distributed_executor_backend" in model_args or not torch.cuda.is_available():
        return []  # several machines; or a CPU, of which vLLM makes parts
    wanted = 1
    for name in ("tensor_parallel_size", "data_parallel_size", "pipeline_parallel_size"):
        wanted *= int(model_args.get(name, 1))
    count = torch.cuda.device_count()
    if wanted > count:
        return [f"--model-args: the model would be spread over {wanted} GPUs; there are {count}"]
    return []
