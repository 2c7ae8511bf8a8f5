"""A trained model as a folder to hand on: the adapter alone, or merged into its base.

Either holds safetensors, configs, the tokenizer with its chat template, and a model card; nothing pickled, no
trainer state, no copy of the reference. transformers, vLLM and ``lm_eval --model hf`` load both forms::

    lm_eval --model hf --model_args pretrained=BASE,peft=ADAPTER ...
    lm_eval --model hf --model_args pretrained=MERGED ...

Importing this module is light; merging imports torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.run.trained_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_whole
from anchor_train.training.base_model import (
    check_trained,
    load_adapter,
    load_base,
    load_tokenizer,
    load_trained,
)
from anchor_train.training.rendering import Ids
from judges.errors import ConfigError
from judges.output.notices import tell
from judges.storage.files import replacing_folder

ExportForm: TypeAlias = Literal["adapter", "merged"]

CARD = "README.md"
COMPARED_TOKENS = 32
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
    prompts: Sequence[Ids] = (),
) -> Path:
    """Writes a trained model to a folder, which is there only once it is whole.

    Args:
        form: ``adapter``: small, needs its base model; ``merged``: the whole model, in the base's dtype.
        adapter: The trained adapter.
        model: Its base model.
        destination: Folder to make.
        card: Text of the model card.
        overwrite: Replace a folder that is there.
        prompts: Of a merged model: what it and the adapter are both asked, greedily; the card tells whether
            they say the same.

    Returns:
        ``destination``.

    Raises:
        ConfigError: An adapter of another base, a destination in use, or no room for it.
    """
    check_trained(adapter, model)
    if form == "adapter" and is_whole(adapter):
        raise ConfigError("all weights were trained (sft.lora: null), so there is no adapter: --form merged")
    if destination.exists() and not overwrite:
        raise ConfigError(f"{destination} is there already: name another folder, or ask to overwrite it")
    with replacing_folder(destination) as new:
        if form == "adapter":
            _copy_adapter(adapter, new)
        else:
            if is_whole(adapter):
                _copy_whole(adapter, new)
                prompts = ()  # they are the very weights
            else:
                _merge(adapter, model, new)
            if prompts:
                found = _compared(adapter, model, new, prompts)
                tell(found)
                card = f"{card.rstrip()}\n\n## Merged weights\n\n{found}\n"
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


def _copy_whole(trained: Path, folder: Path) -> None:
    for path in sorted(trained.iterdir()):
        known = path.suffix in {".safetensors", *_TOKENIZER_SUFFIXES}
        if path.is_file() and known and path.name not in _NOT_EXPORTED:
            shutil.copyfile(path, folder / path.name)


def _compared(adapter: Path, model: ModelSettings, merged: Path, prompts: Sequence[Ids]) -> str:
    """Whether the merged weights, as they are stored, say what the adapter says on its base; if not, why."""
    from transformers import AutoModelForCausalLM

    adapted = load_trained(adapter, model, trainable=False)
    run_in = str(adapted.dtype).removeprefix("torch.")
    said = [_greedy(adapted, prompt) for prompt in prompts]
    del adapted
    whole = AutoModelForCausalLM.from_pretrained(
        merged, dtype="auto", trust_remote_code=model.trust_remote_code
    )
    stored = str(whole.dtype).removeprefix("torch.")
    again = [_greedy(whole, prompt) for prompt in prompts]
    same = sum(one == other for one, other in zip(said, again, strict=True))
    if same == len(prompts):
        return f"Asked {same} prompt{'' if same == 1 else 's'} greedily, it writes the adapter's very text."
    places = [
        next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
        for one, other in zip(said, again, strict=True)
        if one != other
    ]
    if stored == run_in:
        why = f"Merging adds the adapter to the weights and rounds the sum to {stored}"
    else:
        why = f"It holds {stored}, as its base does, and the adapter was trained and ran on {run_in}"
    return (
        f"Asked {len(prompts)} prompt{'' if len(prompts) == 1 else 's'} greedily, it writes the adapter's "
        f"very text to {same}; at token {min(places) + 1} at the earliest they part. {why}: where two next "
        "tokens are nearly as likely, that decides. The adapter form is exact."
    )


def _greedy(model: Any, prompt: Ids) -> Ids:
    import torch

    ids = torch.tensor([list(prompt)])
    whole = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=COMPARED_TOKENS,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
    )
    return tuple(whole[0, len(prompt) :].tolist())


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
