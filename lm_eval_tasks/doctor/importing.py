"""What an engine says of itself once it is imported; run as a module, in a process of its own.

``python -m lm_eval_tasks.doctor.importing transformers`` ends with a line of JSON, or as the engine ends it.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def transformers() -> dict[str, Any]:
    """PyTorch's version and build, and the devices that it sees."""
    import torch
    from transformers import AutoModelForCausalLM, PreTrainedModel  # noqa: F401  what breaks, breaks here

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = [torch.cuda.get_device_properties(k) for k in range(count)]
    return {
        "torch": torch.__version__,
        "built_for": torch.version.cuda or getattr(torch.version, "hip", None),
        "gpus": [f"{device.name} ({device.total_memory / 1e9:.0f} GB)" for device in devices],
        "mps": torch.backends.mps.is_available(),
    }


def vllm() -> dict[str, Any]:
    """vLLM's version, its device, and the number types that it computes in there."""
    import vllm as engine
    from vllm import LLM  # noqa: F401  what breaks, breaks here
    from vllm.platforms import current_platform

    return {
        "vllm": engine.__version__,
        "device": current_platform.device_type,
        "dtypes": [str(one).removeprefix("torch.") for one in current_platform.supported_dtypes],
    }


ENGINES = {"transformers": transformers, "vllm": vllm}


if __name__ == "__main__":
    print(json.dumps(ENGINES[sys.argv[1]]()))
