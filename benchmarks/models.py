"""Models of any shape with random weights, and a tokenizer that writes English as short as real ones do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.items import make_items
from tests.tiny_models import CHAT_TEMPLATE, TRAINING_TEXT, train_tokenizer

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Shape:
    """A Llama's sizes."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocab: int

    @property
    def parameters(self) -> int:
        """Weights, embeddings included."""
        head = self.hidden // self.heads
        attention = 2 * self.hidden * head * (self.heads + self.kv_heads)
        block = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        return 2 * self.vocab * self.hidden + self.layers * block + self.hidden


SHAPES = {
    "tiny": Shape(128, 256, 2, 4, 2, 4096),
    "6M": Shape(256, 704, 6, 8, 4, 4096),
    "31M": Shape(512, 1408, 8, 8, 2, 8192),
    "60M": Shape(640, 1728, 12, 10, 2, 8192),
    "1B": Shape(2048, 8192, 16, 32, 8, 128256),
    "3B": Shape(3072, 8192, 28, 24, 8, 128256),
    "8B": Shape(4096, 14336, 32, 32, 8, 128256),
}
"""Shapes by name; from 1B on those of Llama 3."""


def llama_config(shape: Shape, **further: Any) -> Any:
    """The configuration of a shape."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=None,
        **further,
    )


def make_model(path: Path, shape: Shape, dtype: str = "float32", seed: int = 0) -> Path:
    """Writes a random model with its tokenizer and a chat template.

    Args:
        path: Folder to make.
        shape: Its sizes.
        dtype: Of the weights.
        seed: Of the weights.
    """
    import torch
    from transformers import LlamaForCausalLM

    tokenizer = _tokenizer(min(shape.vocab, 8192))
    config = llama_config(shape, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    torch.manual_seed(seed)
    default = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(default)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def _tokenizer(vocab_size: int) -> Any:
    """Made of this project's own texts."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(ROOT.glob("docs/*.md"))]
    texts += [item[key] for item in make_items(512) for key in ("system", "user")]
    return train_tokenizer([*texts, *TRAINING_TEXT], vocab_size, 4096, CHAT_TEMPLATE)
