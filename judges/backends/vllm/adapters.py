"""What a vLLM engine must know of a LoRA adapter before it loads it: its rank, and where it sits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judges.errors import ConfigError

# Ranks that vLLM makes room for; an adapter's own rank is rounded up to the next one.
ADAPTER_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def room_for(adapter: Path) -> int:
    """What ``max_lora_rank`` an adapter needs: its rank, rounded up to a size that vLLM has.

    Raises:
        ConfigError: If its folder doesn't tell its rank.
    """
    try:
        config = _config(adapter)
        rank = max(map(int, (config["r"], *dict(config.get("rank_pattern") or {}).values())))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"adapter {str(adapter)!r}: adapter_config.json doesn't tell its rank: {error!r}"
        ) from None
    return next((room for room in ADAPTER_RANKS if room >= rank), rank)


def modules_of(adapter: Path) -> list[str] | None:
    """Where an adapter sits, as ``lora_target_modules`` takes it; None if that is a pattern.

    By the last part of their names: vLLM has modules that are several of these in one.

    Raises:
        ConfigError: If its folder doesn't tell.
    """
    modules = _config(adapter).get("target_modules")
    if not isinstance(modules, list) or not modules:
        return None
    return sorted({str(name).rpartition(".")[2] for name in modules})


def _config(adapter: Path) -> dict[str, Any]:
    try:
        found = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"adapter {str(adapter)!r}: adapter_config.json can't be read: {error!r}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"adapter {str(adapter)!r}: adapter_config.json holds no settings")
    return found
