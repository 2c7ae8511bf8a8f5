"""Language models small enough to make on the spot: real files, real engines, random weights.

Nothing here is downloaded. A model is a folder that transformers, vLLM, PEFT and lm-eval load like any other.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = ("<|im_start|>", "<|im_end|>", "<|pad|>")

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

# Enough words for merges that make prompts of this project short; any other text falls back to bytes.
TRAINING_TEXT = (
    "system\nuser\nassistant\n",
    "<explanation> The answer follows because every step can be checked. </explanation> <choice> A </choice>",
    "Context: Question: Choices: A) B) C) D) E) 1) 2) 3) 4)",
    "Factual accuracy: EXCELLENT\nLogical coherence: GOOD\nClarity: SATISFACTORY\n",
    "Relevance: NEEDS IMPROVEMENT\nDepth of argumentation: UNSATISFACTORY\n",
    "You will be shown a question with its choices. Explain your reasoning first, then choose one of them.",
    "Which of these is the best conclusion? How many apples are left if she gives away three of her eight?",
    "You judge how good an explanation is. Give each criterion one verdict, one line each, without reasons.",
)


def make_tiny_model(
    path: Path | str,
    seed: int = 0,
    *,
    vocab_size: int = 512,
    hidden_size: int = 64,
    layers: int = 2,
    heads: int = 2,
    max_positions: int = 4096,
    chat_template: str | None = CHAT_TEMPLATE,
) -> Path:
    """Makes a random Llama with a tokenizer trained on the spot (about 0.2M parameters, under a second).

    Args:
        path: Folder to make.
        seed: Seed of the weights; the tokenizer is always the same.
        vocab_size: Tokens in all; at least 256 bytes + 3 special tokens.
        hidden_size: Width; a multiple of ``heads`` (vLLM on a CPU wants heads of 32 or more).
        layers: Decoder layers.
        heads: Attention heads, all with keys and values of their own.
        max_positions: Longest context.
        chat_template: Jinja text (ChatML by default); None leaves the model without one.

    Returns:
        ``path``.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    path = Path(path)
    tokenizer = train_tokenizer(TRAINING_TEXT, vocab_size, max_positions, chat_template)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=max_positions,
        initializer_range=0.2,  # the usual 0.02 makes the greedy text one repeated token
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(torch.float32)
        _silence(model, [i for i in range(len(tokenizer)) if not _printable(i, tokenizer)])
    model.save_pretrained(path, safe_serialization=True)
    tokenizer.save_pretrained(path)
    return path


def make_tiny_adapter(path: Path | str, model: Path | str, seed: int = 0, *, rank: int = 8) -> Path:
    """Makes a random LoRA adapter on all linear layers, strong enough to change what the model says."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    path = Path(path)
    base = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_" in name:
                weights.copy_(0.2 * torch.randn(weights.shape, generator=generator))
            if "o_proj.lora_B" in name or "down_proj.lora_B" in name:
                weights[0] = 0  # the feature that keeps unprintable tokens down
    adapted.save_pretrained(path, safe_serialization=True)
    return path


def _printable(token: int, tokenizer: Any) -> bool:
    """Whether a token is text by itself (no half character, no control or chat token), or ends the reply."""
    text = tokenizer.decode([token])
    if text in SPECIAL_TOKENS:
        return bool(text == tokenizer.eos_token)
    return text == "\n" or (text.isprintable() and "\ufffd" not in text)


def _silence(model: Any, tokens: list[int]) -> None:
    """Makes tokens all but impossible, so that engines agree on how a reply is written out.

    The first feature of the residual stream is held at 1 by taking it from every layer, and the head's weight
    for it keeps the tokens down.
    """
    import torch

    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 1
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = 0
            layer.mlp.down_proj.weight[0] = 0
        model.lm_head.weight[:, 0] = 0
        model.lm_head.weight[tokens, 0] = -200


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, max_positions: int, chat_template: str | None
) -> Any:
    """A byte-level BPE tokenizer of some texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
        model_max_length=max_positions,
        chat_template=chat_template,
    )
