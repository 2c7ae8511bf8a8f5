"""A language model that gives one of three replies to whatever it is asked; quickly made.

Each reply is one token of its vocabulary. Nothing but the token before decides: behind the end of a prompt
comes a reply, and behind a reply the end. A reply refines itself; other tasks read its first part.
"""

from __future__ import annotations

from pathlib import Path

from tests.tiny_models import make_tiny_model

REPLIES = tuple(
    f"<explanation>\n{label}, 1 + 1 = 2.\n</explanation>\n<choice>\n{label}\n</choice>\n"
    "<principle>\nGive a reason.\n</principle>\n"
    f"<explanation>\nOnly {label} is left, so 1 + 1 = 2.\n</explanation>\n<choice>\n{label}\n</choice>"
    for label in "ABC"
)
_SURE = 2.0  # times the root of the width: 16, against 0 for each of 500 other tokens


def make_reciting_model(path: Path) -> Path:
    """Makes its folder; returns ``path``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_tiny_model(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    begin = tokenizer.apply_chat_template([{"role": "user", "content": "?"}], add_generation_prompt=True)
    last = begin["input_ids"][-1] if hasattr(begin, "keys") else begin[-1]
    tokenizer.add_tokens(list(REPLIES))
    replies = tokenizer.convert_tokens_to_ids(list(REPLIES))
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for layer in model.model.layers:  # what a layer adds
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.lm_head.weight.zero_()
        for before, after, place in ((last, replies, 1), (replies, tokenizer.eos_token_id, 2)):
            model.model.embed_tokens.weight[before] = 0
            model.model.embed_tokens.weight[before, place] = 1
            model.lm_head.weight[after, place] = _SURE
        # Any other token has nothing in these two places.
        others = torch.ones(len(tokenizer), dtype=torch.bool)
        others[[last, *replies]] = False
        model.model.embed_tokens.weight[others, 1:3] = 0
    model.save_pretrained(path, safe_serialization=True)
    tokenizer.save_pretrained(path)
    return path
