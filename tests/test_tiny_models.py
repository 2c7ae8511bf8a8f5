"""The models made on the spot are what the other tests take them for."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.tiny_models import make_tiny_model


def test_any_text_survives_the_tokenizer(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for text in ("Factual accuracy: GOOD", "  two  spaces ", "naïve 語 🙂\n\ttab", "<choice> B </choice>"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_chat_template_keeps_the_three_roles_apart(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    )


def test_same_seed_same_weights(tmp_path: Path, tiny_model: Path) -> None:
    def head(path: Path) -> torch.Tensor:
        return AutoModelForCausalLM.from_pretrained(path).lm_head.weight

    assert torch.equal(head(make_tiny_model(tmp_path / "same", seed=0)), head(tiny_model))
    assert not torch.equal(head(make_tiny_model(tmp_path / "other", seed=1)), head(tiny_model))


def test_replies_are_printable_text(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    prompt = tokenizer(["Hello"] * 4, return_tensors="pt")
    torch.manual_seed(0)
    for reply in model.generate(**prompt, max_new_tokens=100, do_sample=True):
        text = tokenizer.decode(reply, skip_special_tokens=True).replace("\n", " ")
        assert text.isprintable()
        assert "\ufffd" not in text
