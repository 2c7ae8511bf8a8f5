"""In which numbers models compute where nobody says it: bfloat16 only where the machine is fast in it.

Models are published in bfloat16, and engines take what a model is stored in. A processor without instructions
for it converts every number to float32 and back: SmolLM2-135M-Instruct takes three times as long then.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

_NVIDIA = Path("/dev/nvidiactl")
_AMD = Path("/dev/kfd")
_CPU_INFO = Path("/proc/cpuinfo")
_BFLOAT16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Flags of processors that multiply matrices of bfloat16."""
_HALF = frozenset({"bfloat16", "float16"})


def dtype_on_cpu(model: str) -> str:
    """What an engine on a CPU is told where it is left the choice: ``auto`` or ``float32``.

    It is float32 for a folder of 16-bit weights that aren't quantized, on a processor that is slow in these,
    if twice their size fits in half of the machine's memory. A name of the hub stays ``auto``: what it is
    isn't known before it was fetched, and a second start is to compute as the first one did.

    Args:
        model: Folder, or a name of the hub.
    """
    folder = Path(model).expanduser()
    config = _config(folder)
    if _stored(config) not in _HALF or config.get("quantization_config") or fast_bfloat16():
        return "auto"
    from psutil import virtual_memory

    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return "float32" if 0 < 4 * weights <= virtual_memory().total else "auto"


def stored_dtype(model: str) -> str | None:
    """The type that the config of a model's folder names; None for a model of the hub."""
    return _stored(_config(Path(model).expanduser()))


@cache
def fast_bfloat16() -> bool:
    """Whether what this machine computes on, GPU or processor, is fast in bfloat16."""
    if _may_have_a_gpu():
        import torch

        if torch.cuda.is_available():
            return bool(torch.cuda.is_bf16_supported())
    return multiplies_bfloat16(_CPU_INFO.read_text(encoding="utf-8") if _CPU_INFO.is_file() else "")


def multiplies_bfloat16(cpu_info: str) -> bool:
    """Whether a processor, as Linux describes it, has instructions for matrices of bfloat16."""
    for line in cpu_info.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return bool(_BFLOAT16 & set(flags.split()))
    return False


def _may_have_a_gpu() -> bool:
    """Whether it is worth the seconds that loading torch takes; a Mac's GPU computes in float32 here."""
    return _NVIDIA.exists() or _AMD.exists() or "torch" in sys.modules


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stored(config: dict[str, Any]) -> str | None:
    found = config.get("dtype", config.get("torch_dtype"))
    return found if isinstance(found, str) else None
