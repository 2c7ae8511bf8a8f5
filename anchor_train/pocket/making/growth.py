"""Training of the pocket model from nothing: plain PyTorch, one loop, seeded."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anchor_train.pocket.making.corpus import Lesson
from anchor_train.pocket.making.tokens import END
from judges.settings import Settings
from lm_eval_tasks.tasks.spec import TaskSpec

_CHOICE = -2
"""All that follows an explanation is one token of the pocket tokenizer; the end of the turn is another."""


class GrowthSettings(Settings):
    """Size of the model and how it is trained.

    Attributes:
        width, layers, heads, inner: Shape of the Llama; about a million parameters.
        initializer_range: 0.08 learns clearly faster than the usual 0.02 at this width.
        lessons: How many conversations it sees, each once.
        batch: Conversations a step.
        learning_rate: Peak of the schedule (linear warm-up, cosine to a tenth).
    """

    width: int = 128
    layers: int = 4
    heads: int = 4
    inner: int = 384
    initializer_range: float = 0.08
    lessons: int = 168_000
    batch: int = 32
    learning_rate: float = 3e-3
    warmup_steps: int = 200
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands."""

    step: int
    steps: int
    loss: float
    seconds: float
    tokens: int


def new_model(settings: GrowthSettings, tokenizer: Any) -> Any:
    """A fresh ``LlamaForCausalLM``."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(settings.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            intermediate_size=settings.inner,
            max_position_embeddings=1024,
            initializer_range=settings.initializer_range,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.convert_tokens_to_ids(END),
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def grow(
    settings: GrowthSettings,
    model: Any,
    tokenizer: Any,
    lessons: Iterable[Lesson],
    on_progress: Callable[[Progress], None] = lambda progress: None,
    choices: Sequence[int] = (),
    choice_weight: float = 1.0,
) -> None:
    """Trains the model on lessons, in place; the loss is taken on the replies alone.

    Args:
        settings: How long, and how.
        model: The model.
        tokenizer: Its tokenizer.
        lessons: What it learns.
        on_progress: Called every fifty steps.
        choices: Tokens that end an explanation, one a choice: where a lesson teaches the choice alone, it is
            learnt among these, so that no explanation learns to end early.
        choice_weight: What such a choice counts, where a token of a whole reply counts 1.
    """
    import torch

    steps = settings.lessons // settings.batch
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, steps, settings.warmup_steps)
    )
    began, tokens, running = time.monotonic(), 0, 0.0
    model.train()
    for step, (inputs, targets, chosen) in enumerate(_batches(settings, tokenizer, lessons), 1):
        loss = _loss(model, inputs, targets, chosen, choices, choice_weight)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        tokens += inputs.numel()
        running = float(loss.detach()) if step == 1 else 0.98 * running + 0.02 * float(loss.detach())
        if step % 50 == 0 or step == steps:
            on_progress(Progress(step, steps, running, time.monotonic() - began, tokens))
    model.eval()


def _loss(
    model: Any, inputs: Any, targets: Any, chosen: Any, choices: Sequence[int], choice_weight: float
) -> Any:
    """Mean cross-entropy over what is learnt; where ``chosen`` is, among choices alone, and so weighted."""
    import torch
    from torch.nn.functional import cross_entropy

    if not chosen.any():
        return model(input_ids=inputs, labels=targets).loss
    logits = model(input_ids=inputs).logits[:, :-1].float()
    wanted, among = targets[:, 1:], chosen[:, 1:]
    free = (wanted != -100) & ~among
    tokens = torch.tensor(choices)
    place = (wanted[among][:, None] == tokens).int().argmax(dim=1)
    total = cross_entropy(logits[free], wanted[free], reduction="sum")
    total = total + choice_weight * cross_entropy(logits[among][:, tokens], place, reduction="sum")
    return total / (free.sum() + choice_weight * among.sum())


def _rate(step: int, steps: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _batches(
    settings: GrowthSettings, tokenizer: Any, lessons: Iterable[Lesson]
) -> Iterator[tuple[Any, Any, Any]]:
    """Batches of about equal length, each (batch, length): ``input_ids``, labels (-100: no loss), and
    where the choice alone is.
    """
    import torch

    rng = random.Random(settings.seed)
    whole_batches = settings.lessons - settings.lessons % settings.batch
    stream = itertools.islice(lessons, whole_batches)
    while rows := [
        (*lesson_tokens(tokenizer, lesson), lesson.choice_alone)
        for lesson in itertools.islice(stream, settings.batch * 32)
    ]:
        rows.sort(key=lambda row: len(row[0]))
        batches = [rows[at : at + settings.batch] for at in range(0, len(rows), settings.batch)]
        rng.shuffle(batches)
        for batch in batches:
            longest = max(len(ids) for ids, *_ in batch)
            inputs = torch.full((len(batch), longest), tokenizer.pad_token_id)
            targets = torch.full((len(batch), longest), -100)
            chosen = torch.zeros((len(batch), longest), dtype=torch.bool)
            for place, (ids, prompt, choice_alone) in enumerate(batch):
                inputs[place, : len(ids)] = torch.tensor(ids)
                if choice_alone:
                    choice = len(ids) + _CHOICE
                    targets[place, choice] = ids[choice]
                    chosen[place, choice] = True
                else:
                    targets[place, prompt : len(ids)] = torch.tensor(ids[prompt:])
            yield inputs, targets, chosen


def lesson_tokens(tokenizer: Any, lesson: Lesson) -> tuple[list[int], int]:
    """Token ids of a lesson, as the chat template writes them, and how many of them are the prompt's."""
    turns = "".join(f"<|{message.role}|>{message.content}{END}" for message in lesson.conversation)
    prompt = tokenizer(f"{turns}<|assistant|>")["input_ids"]
    reply = tokenizer(f"{lesson.reply}{END}")["input_ids"]
    return prompt + reply, len(prompt)


def choice_tokens(tokenizer: Any, spec: TaskSpec, labels: Sequence[str]) -> list[int]:
    """The tokens that end an explanation with each choice."""
    replies = [f"{spec.format_response('x', label)}{END}" for label in labels]
    return [tokenizer(reply)["input_ids"][_CHOICE] for reply in replies]
