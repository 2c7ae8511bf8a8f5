"""What the tests of the local engines ask, and how they read the answers."""

from __future__ import annotations

from pathlib import Path

from judges import Conversation, Message, OutputForm, Reply, load_rubric
from judges.rubrics.forms import output_form

LETTERS = output_form(load_rubric(), "compact")
VERDICTS = OutputForm(regex="Clarity: (EXCELLENT|GOOD)\nRelevance: (EXCELLENT|GOOD)", json_schema="{}")


def ask(text: str) -> Conversation:
    return (Message("system", "Answer."), Message("user", text))


def texts(outcome: object) -> list[str]:
    assert isinstance(outcome, Reply), outcome
    return [completion.text for completion in outcome.completions]


def peft_greedy(model: Path, adapter: Path | None, conversation: Conversation, tokens: int) -> str:
    """Greedy text by transformers' and PEFT's own means."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    adapted = AutoModelForCausalLM.from_pretrained(model)
    if adapter is not None:
        adapted = PeftModel.from_pretrained(adapted, adapter)
    turns = [{"role": turn.role, "content": turn.content} for turn in conversation]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        output = adapted.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    return str(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
