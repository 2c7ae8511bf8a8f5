"""An exported folder as the hub can use it: its base model by the name that it has there."""

from __future__ import annotations

import json
from pathlib import Path

from judges.errors import ConfigError
from judges.storage.files import write_json

_CONFIGS = ("adapter_config.json", "config.json", "generation_config.json", "tokenizer_config.json")
_NAMES = {"base_model_name_or_path", "_name_or_path", "name_or_path"}
_ADAPTER = "adapter_config.json"


def name_base(folder: Path, base_model: str | None) -> None:
    """Puts the base model's name on the hub in the place of a folder of this machine.

    Args:
        folder: The exported folder; its configs are changed.
        base_model: The name; None for none.

    Raises:
        ConfigError: For an adapter on a base model that has no such name: nobody could load it.
    """
    for name in _CONFIGS:
        path = folder / name
        if not path.is_file():
            continue
        config = json.loads(path.read_text(encoding="utf-8"))
        local = [key for key in sorted(_NAMES & set(config)) if _is_folder(config[key])]
        if local and base_model is None and name == _ADAPTER:
            raise ConfigError(
                f"the adapter's base model is {config[local[0]]}, a folder of this machine: --base-model "
                f"ORG/NAME "
                "says what it is called on the hub; or publish whole weights with --form merged"
            )
        if local:
            kept = {key: value for key, value in config.items() if key not in local or base_model is not None}
            write_json(path, {key: base_model if key in local else value for key, value in kept.items()})


def _is_folder(value: object) -> bool:
    return isinstance(value, str) and (
        Path(value).is_absolute() or value.startswith((".", "~")) or Path(value).exists()
    )
