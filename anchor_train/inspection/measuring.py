"""A few real steps of training and writing, from which a dry run estimates. Nothing of them is kept."""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import replace
from typing import Any

from anchor_train.inspection.estimate import Speed, speed_here
from anchor_train.recipes.config import Recipe
from anchor_train.run.precision import dtype_of
from anchor_train.run.roles import own_model
from anchor_train.stages.parts.preview import Preview
from judges.backends.protocol import answer_all
from judges.config import load_backend
from judges.output.notices import tell
from judges.records import Reply, Sampling

STEPS = 2
ASKED = 4
WRITTEN = 32


def measure(recipe: Recipe, preview: Preview) -> Speed:
    """Trains on two batches with a fresh adapter, and has a few questions answered by the run's engine.

    Args:
        recipe: The recipe.
        preview: Its questions and tokenizer.
    """
    speed = speed_here(dtype_of(recipe.model))
    tell("measuring: a few steps of writing and training")
    written = _written(recipe, preview)
    trained, held = _trained(recipe, preview)
    return replace(speed, trained=trained, written=written, held=held)


def _written(recipe: Recipe, preview: Preview) -> float:
    """Tokens a second that the engine writes, the reading of prompts and its start left out."""
    asked = [preview.spec.explain_conversation(question) for question in preview.questions[:ASKED]]
    counts, seconds = [], []
    sampling = Sampling(
        n=recipe.sampler.n, temperature=recipe.sampler.temperature, top_p=recipe.sampler.top_p, max_tokens=1
    )
    with load_backend(own_model(recipe, None)) as backend:
        answer_all(backend, asked, sampling)  # loads the model
        for length in (1, WRITTEN):
            start = time.perf_counter()
            outcomes = answer_all(backend, asked, replace(sampling, max_tokens=length))
            seconds.append(time.perf_counter() - start)
            usages = [found.usage for found in outcomes if isinstance(found, Reply) and found.usage]
            counts.append(sum(usage.completion_tokens or 0 for usage in usages))
    return max(1.0, counts[1] - counts[0]) / max(1e-3, seconds[1] - seconds[0])


def _trained(recipe: Recipe, preview: Preview) -> tuple[float, int]:
    """Tokens a second through forward and backward passes of a fresh adapter, and bytes at the height."""
    import torch
    from peft import get_peft_model

    from anchor_train.training.base_model import load_base, load_whole, lora_config
    from anchor_train.training.rendering import prompt_ids

    device = "cuda" if torch.cuda.is_available() else "cpu"
    lora = recipe.sft.lora
    model: Any = load_whole(recipe.model)
    if lora is not None:
        model = get_peft_model(load_base(recipe.model), lora_config(lora))
    model = model.to(device)
    if recipe.dpo.optimiser.gradient_checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    prompts = [
        prompt_ids(preview.tokenizer, preview.spec.explain_conversation(question))
        for question in preview.questions[: STEPS + 1]
    ]
    spent, tokens = 0.0, 0
    for number, prompt in enumerate(prompts):
        ids = torch.tensor([[*prompt, *prompt[: recipe.sampler.max_tokens]]], device=device)
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        model.zero_grad()
        if number or len(prompts) == 1:  # the first one warms up
            spent += time.perf_counter() - start
            tokens += ids.shape[1]
    if device == "cuda":
        held = torch.cuda.max_memory_allocated()
    else:
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return tokens / spent, int(held)
