"""In which numbers a run's models compute: the same in training, sampling and evaluation unless said."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from anchor_train.recipes.training_settings import ModelSettings
from judges.errors import DataError
from judges.storage.files import read_object

_NVIDIA = Path("/dev/nvidiactl")
_AMD = Path("/dev/kfd")
_CPU_INFO = Path("/proc/cpuinfo")
# Instructions that multiply matrices of bfloat16; without them a CPU converts to float32 and back.
_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})


def dtype_of(model: ModelSettings) -> str:
    """The type of the weights, by torch's name.

    ``auto`` is bfloat16 where it is the fast one: on a GPU that has it, and on a CPU that multiplies in it;
    float32 elsewhere.
    """
    if model.dtype != "auto":
        return model.dtype
    return "bfloat16" if _fast_bfloat16() else "float32"


def told_dtype(model: ModelSettings) -> str | None:
    """What an engine is told; None where it takes that type by itself, since the weights are stored in it.

    So replies that were cached before there was one precision for all stay found where nothing has changed.
    """
    found = dtype_of(model)
    return None if model.dtype == "auto" and found == _stored(model) else found


def _stored(model: ModelSettings) -> str | None:
    """The type that a local model's config names; None for a model of the hub."""
    try:
        config = read_object(Path(model.name).expanduser() / "config.json")
    except DataError:
        return None
    found = config.get("dtype", config.get("torch_dtype"))
    return found if isinstance(found, str) else None


@cache
def _fast_bfloat16() -> bool:
    if _may_have_a_gpu():
        import torch

        if torch.cuda.is_available():
            return bool(torch.cuda.is_bf16_supported())
    return multiplies_bfloat16(_CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.is_file() else "")


def _may_have_a_gpu() -> bool:
    """Whether it is worth the seconds that loading torch takes; a Mac's GPU computes in float32 here."""
    return _NVIDIA.exists() or _AMD.exists() or "torch" in sys.modules


def multiplies_bfloat16(cpu_info: str) -> bool:
    """Whether a processor, as Linux describes it, has instructions for matrices of bfloat16."""
    for line in cpu_info.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return bool(_BFLOAT16 & set(flags.split()))
    return False
