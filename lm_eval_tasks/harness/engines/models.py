"""The harness's models as they are opened here, for ``anchor-eval run`` and ``anchor-train``'s evaluation.

Whatever the engine: settings are checked first, every sample has its own seed, and replies are on disk as
soon as they are finished.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from judges.backends.vllm import cpu as vllm_cpu
from judges.backends.vllm.adapters import modules_of
from judges.errors import ConfigError
from judges.models.precision import dtype_on_cpu
from lm_eval_tasks.harness.engines.kinds import CHAT_ENDPOINTS, HF, VLLM
from lm_eval_tasks.harness.engines.machine import check_machine

_QUANTIZED = (
    "quantization",
    "quantization_config",
    "load_in_4bit",
    "load_in_8bit",
    "autogptq",
    "gptqmodel",
    "gguf_file",
)
"""Arguments that say that weights are no plain numbers."""
HF_BATCH_SIZE = "16"
"""Replies that ``hf`` writes at a time unless told otherwise. The harness's own 1 is many times slower."""


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """One of the harness's models, ready to be asked.

    Attributes:
        lm: The harness's object.
        batch_size: As the harness takes it.
        device: As the harness takes it.
        for_trial: Makes what is asked in a pilot, of which nothing is kept.
        left_out: What the model turned out not to take: setting -> why. Known when it was asked.
        cut: How many prompts were cut. Known when it was asked.
        watch: Has somebody told of each reply once it is on disk: the harness's request, and the text.
    """

    lm: Any
    batch_size: str | int | None
    device: str | None
    for_trial: Callable[[], Any]
    left_out: Callable[[], dict[str, str]]
    cut: Callable[[], int]
    watch: Callable[[Callable[[Any, Any], None]], None]


def open_model(
    model: str,
    model_args: Mapping[str, Any],
    *,
    replies: Path,
    seed: int | None,
    batch_size: str | int | None = None,
    device: str | None = None,
    cut_prompts: bool = False,
) -> OpenedModel:
    """Loads a model of the harness.

    Args:
        model: Kind of model, as the harness names it.
        model_args: Its arguments.
        replies: File that replies are kept in.
        seed: Of which every sample gets one of its own; None to leave the draws to the engine.
        batch_size: As the harness takes it.
        device: As the harness takes it; by default the best there is.
        cut_prompts: Whether prompts that don't fit the model's context may be cut.

    Raises:
        ConfigError: If the machine hasn't what the model is told to run on.
    """
    for name, value in (("device", device), ("batch_size", batch_size)):
        if value is not None and str(model_args.get(name, value)) != str(value):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} {value} and {name}={model_args[name]} of --model-args contradict")
    check_machine(model, model_args, device)
    if model == VLLM:
        _settle_vllm(model_args)
    args = deepcopy(dict(model_args))
    if model in CHAT_ENDPOINTS:
        from lm_eval_tasks.harness.engines.chat_endpoint import ChatEndpoint

        args |= {"kind": model}
        lm = ChatEndpoint(**args, replies=str(replies), run_seed=seed)

        def trial() -> Any:
            return ChatEndpoint(**args, replies=None, run_seed=_of_trial(seed))

        def refused() -> dict[str, str]:
            return dict.fromkeys(
                sorted(lm.left_out), "the endpoint refused it, or omit names it; its own setting held"
            )

        return OpenedModel(lm, None, None, trial, refused, lambda: 0, partial(setattr, lm, "on_reply"))
    if model in HF and "device" not in args and device is None:
        device = _best_device()
    if model in HF and "batch_size" not in args and batch_size is None:
        batch_size = HF_BATCH_SIZE
    settings = {"batch_size": batch_size, "max_batch_size": None, "device": device}
    settings = {name: value for name, value in settings.items() if name not in args}
    if model == VLLM:
        settings["device"] = None
        args = {**_engine_args(args), **args}
    args |= _dtype(model, args, str(args.get("device") or device))
    from lm_eval_tasks.harness.kept import KeptReplies, identity_of

    lm = _class_of(model).create_from_arg_obj(args, settings)
    identity = identity_of(model, model_args)
    kept = KeptReplies(lm, model, identity, seed=seed, path=replies, cut_prompts=cut_prompts)
    unkept = KeptReplies(
        lm,
        model,
        identity,
        seed=_of_trial(seed),
        path=None,
        cut_prompts=cut_prompts,
        phase="trying reply forms",
    )
    kept.stand_in()
    return OpenedModel(
        lm, batch_size, device, lambda: unkept, dict, lambda: kept.cut, partial(setattr, kept, "on_reply")
    )


def _class_of(model: str) -> Any:
    """The harness's class of a kind of model; of vLLM the one that hands over replies one by one."""
    if model == VLLM:
        from lm_eval_tasks.harness.engines.vllm import StreamedVLLM

        return StreamedVLLM
    from lm_eval.api.registry import get_model

    return get_model(model)


def _of_trial(seed: int | None) -> int | None:
    """Other draws than the run's: a pilot's replies are none of its samples."""
    return None if seed is None else seed + 2**32


def _best_device() -> str:
    """The harness's ``hf`` asks for CUDA even where there is none."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _on_cpu() -> bool:
    try:
        from vllm.platforms import current_platform
    except ImportError:
        return False  # the harness tells what is missing
    return bool(current_platform.is_cpu())


def _settle_vllm(model_args: Mapping[str, Any]) -> None:
    if _on_cpu():
        vllm_cpu.in_one_process(os.environ)
        if "gpu_memory_utilization" not in model_args:  # on a CPU, the share of its memory
            vllm_cpu.leave_memory(os.environ)


def _dtype(model: str, args: Mapping[str, Any], device: str) -> dict[str, str]:
    """The type of the weights, on a CPU where nothing says it; empty where the engine takes its own."""
    on_cpu = _on_cpu() if model == VLLM else model in HF and device.startswith("cpu")
    if not on_cpu or "dtype" in args or any(args.get(name) for name in _QUANTIZED):
        return {}
    found = dtype_on_cpu(str(args.get("pretrained", "")))
    return {} if found == "auto" else {"dtype": found}


def _engine_args(args: Mapping[str, Any]) -> dict[str, Any]:
    if not _on_cpu():
        return {}
    found = dict(vllm_cpu.ENGINE_ARGS)
    adapter = args.get("lora_local_path")
    if adapter and Path(adapter).is_dir() and (modules := modules_of(Path(adapter))):
        # Unless told, it sits everywhere: over the output, too, where likelihoods of prompts end the engine.
        found["lora_target_modules"] = modules
    return found
