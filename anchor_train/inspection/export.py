"""A trained model as a folder to hand on: the adapter alone, or merged into its base.

Either holds safetensors, configs, the tokenizer with its chat template, and a model card; nothing pickled, no
trainer state, no copy of the reference. transformers, vLLM and ``lm_eval --model hf`` load both forms::

    lm_eval --model hf --model_args pretrained=BASE,peft=ADAPTER ...
    lm_eval --model hf --model_args pretrained=MERGED ...

Importing this module is light; merging imports torch.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal, TypeAlias

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.training.base_model import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    check_adapter,
    load_adapter,
    load_base,
    load_tokenizer,
)
from judges.errors import ConfigError
from judges.files import replacing_folder

ExportForm: TypeAlias = Literal["adapter", "merged"]

CARD = "README.md"
_TOKENIZER_SUFFIXES = {".json", ".jinja", ".model", ".txt"}
# JSON files of a trainer's checkpoint that say nothing about the model.
_NOT_EXPORTED = {"trainer_state.json"}


def export(
    form: ExportForm,
    adapter: Path,
    model: ModelSettings,
    destination: Path,
    card: str,
    *,
    overwrite: bool = False,
) -> Path:
    """Writes a trained model to a folder, which is there only once it is whole.

    Args:
        form: ``adapter``: small, needs its base model; ``merged``: the whole model, in the base's dtype.
        adapter: The trained adapter.
        model: Its base model.
        destination: Folder to make.
        card: Text of the model card.
        overwrite: Replace a folder that is there.

    Returns:
        ``destination``.

    Raises:
        ConfigError: An adapter of another base, a destination in use, or no room for it.
    """
    check_adapter(adapter, model)
    if destination.exists() and not overwrite:
        raise ConfigError(f"{destination} is there already: name another folder, or ask to overwrite it")
    with replacing_folder(destination) as new:
        if form == "adapter":
            _copy_adapter(adapter, new)
        else:
            _merge(adapter, model, new)
        (new / CARD).write_text(card, encoding="utf-8")
    return destination


def _copy_adapter(adapter: Path, folder: Path) -> None:
    files = [adapter / ADAPTER_CONFIG, adapter / ADAPTER_WEIGHTS]
    files += [
        path
        for path in sorted(adapter.iterdir())
        if path.is_file() and path.suffix in _TOKENIZER_SUFFIXES and path.name not in _NOT_EXPORTED
    ]
    for path in dict.fromkeys(files):
        shutil.copyfile(path, folder / path.name)


def _merge(adapter: Path, model: ModelSettings, folder: Path) -> None:
    tokenizer = load_tokenizer(model)
    base = load_base(model, as_stored=True)
    needed, free = base.get_memory_footprint(), shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"not enough disk for the merged model at {folder.parent}: {needed / 2**30:.2f} GiB are needed, "
            f"{free / 2**30:.2f} GiB are free"
        )
    merged = load_adapter(base, adapter, model, trainable=False).merge_and_unload(safe_merge=True)
    merged.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
