"""What a training leaves in its folder ``adapter``: an adapter, or after full fine-tuning a whole model."""

from __future__ import annotations

from pathlib import Path

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
MODEL_CONFIG = "config.json"


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a whole model instead of an adapter."""
    return (folder / MODEL_CONFIG).is_file() and not (folder / ADAPTER_CONFIG).is_file()
