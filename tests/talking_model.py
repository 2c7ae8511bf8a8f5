"""A tiny model that answers in the form the tasks ask for, made on the spot by a few seconds of training."""

from __future__ import annotations

import random
from pathlib import Path

from lm_eval_tasks.tasks.load import load_task
from tests.tiny_models import make_tiny_model

REPLIES = (
    "<explanation> Every step can be checked. </explanation> <choice> A </choice>",
    "<explanation> Every step can be checked. </explanation> <choice> B </choice>",
    "<explanation> This is the best conclusion. </explanation> <choice> B </choice>",
    "<explanation> This is the best conclusion. </explanation> <choice> C </choice>",
    "The answer is A",
)


def make_talking_model(path: Path, seed: int = 0, steps: int = 200) -> Path:
    """Makes a tiny model and teaches it ``REPLIES``, whatever it is asked.

    Most steps see only the end of a prompt, which is quick; every eighth sees all of it.

    Args:
        path: Folder to make.
        seed: Seed of weights and training.
        steps: Training steps of 8 replies each.

    Returns:
        ``path``.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    make_tiny_model(path, seed)
    tokenizer = AutoTokenizer.from_pretrained(path)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    task = load_task("demo_explain")
    prompts = [
        [{"role": m.role, "content": m.content} for m in task.explain_conversation(question)]
        for question in task.load_questions("test")
    ]
    texts = [tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True) for p in prompts]
    starts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    replies = [reply + tokenizer.eos_token for reply in REPLIES]
    ends = [tokenizer(reply, add_special_tokens=False)["input_ids"] for reply in replies]
    chance = random.Random(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
        for step in range(steps):
            seen = 0 if step % 8 == 7 else chance.randint(8, 48)
            batch = [(chance.choice(starts)[-seen:], chance.choice(ends)) for _ in range(8)]
            length = max(len(start) + len(end) for start, end in batch)
            ids = torch.full((8, length), tokenizer.pad_token_id)
            labels = torch.full((8, length), -100)
            for row, (start, end) in enumerate(batch):
                ids[row, : len(start) + len(end)] = torch.tensor(start + end)
                labels[row, len(start) : len(start) + len(end)] = torch.tensor(end)
            loss = model(input_ids=ids, labels=labels).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(path, safe_serialization=True)
    return path
