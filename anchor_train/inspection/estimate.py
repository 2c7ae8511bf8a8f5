"""What a stage would take, in seconds and bytes: reckoned from its tokens, the model's size and this machine.

Reckoned is with what a forward and a backward pass cost (2 and 4 operations a parameter and token; with an
adapter the frozen weights have no gradient of their own), what a matrix product and a copy of memory take
here, and, for what is asked to be measured, with a few real steps. It tells minutes from hours, not seconds.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.fitting import parameters_of
from anchor_train.run.precision import dtype_of
from anchor_train.stages.parts.kind import Work

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Share of a bare matrix product's speed that a model reaches.
REACHED = 0.5
# Recomputing activations in the backward pass is one more forward pass.
CHECKPOINTED = 4 / 3
# Numbers held for each trained one: itself, its gradient, AdamW's two moments; each float32.
HELD = 4 * 4
# Numbers of the width of the model that a layer holds for each token until its backward pass.
PER_LAYER, PER_LAYER_CHECKPOINTED = 34, 2
LIBRARIES = 650 * 2**20
"""Bytes that a process on a CPU holds before it loads a model: PyTorch, transformers and TRL, measured."""
LOADING = 20.0
"""Seconds until a process of its own has loaded a model."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model its costs depend on.

    Attributes:
        parameters: All of them.
        layers: Blocks.
        width: Of a token's vector.
        keys: Width of a token's keys (and of its values) in a block.
        vocabulary: Tokens.
    """

    parameters: int
    layers: int
    width: int
    keys: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast this machine is.

    Attributes:
        operations: Floating-point operations a second in a matrix product.
        memory: Bytes read a second.
        libraries: Bytes of the model's memory that libraries take: on a CPU they share it.
        trained: Tokens trained on a second, measured; None if only reckoned.
        written: Tokens written a second, measured; None if only reckoned.
        held: Bytes at the height of the measured training; None if only reckoned.
    """

    operations: float
    memory: float
    libraries: int = 0
    trained: float | None = None
    written: float | None = None
    held: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a stage would take.

    Attributes:
        seconds: Of time.
        memory: Bytes at its height.
    """

    seconds: float
    memory: int

    def __str__(self) -> str:
        return f"about {in_words(self.seconds)}, {self.memory / 2**30:.1f} GiB"


def in_words(seconds: float) -> str:
    """A duration, as exact as an estimate is."""
    if seconds < 90:
        return f"{max(1, round(seconds / 10) * 10)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def shape_of(recipe: Recipe) -> Shape | None:
    """The shape of the recipe's model, by its folder; None where that isn't on this machine."""
    folder = Path(recipe.model.name).expanduser()
    count = parameters_of(recipe.model.name)
    if count is None or not (folder / "config.json").is_file():
        return None
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = config.get("text_config", config)
    try:
        heads = int(config["num_attention_heads"])
        width = int(config["hidden_size"])
        of_head = int(config.get("head_dim") or width // heads)
        keys = int(config.get("num_key_value_heads") or heads) * of_head
        return Shape(count, int(config["num_hidden_layers"]), width, keys, int(config["vocab_size"]))
    except (KeyError, TypeError, ValueError):
        return None


def speed_here(dtype: str) -> Speed:
    """Times a matrix product and a copy: well under a second."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 1024
    one = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)

    def timed(work: Any) -> float:
        work()
        best = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            work()
            if device == "cuda":
                torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
        return best

    product = timed(lambda: one @ one)
    copied = torch.ones(2**24, dtype=torch.float32, device=device)
    copy = timed(copied.clone)
    libraries = LIBRARIES if device == "cpu" else 0
    return Speed(2 * size**3 / product, 2 * copied.numel() * 4 / copy, libraries)


def estimate(work: Work, recipe: Recipe, shape: Shape, speed: Speed) -> Estimate:
    """What some work would take.

    Args:
        work: Of one stage.
        recipe: The recipe.
        shape: Of the model.
        speed: Of the machine.
    """
    bytes_each = BYTES[dtype_of(recipe.model)]
    weights = shape.parameters * bytes_each
    if work.trained:
        return _training(work, recipe, shape, speed, weights)
    reading = 2 * shape.parameters * work.read / (speed.operations * REACHED)
    steps = work.written / max(1, work.at_once)
    a_step = max(weights / speed.memory, 2 * shape.parameters * work.at_once / (speed.operations * REACHED))
    writing = steps * a_step if speed.written is None else work.written / speed.written
    cache = work.at_once * work.longest * shape.layers * 2 * shape.keys * bytes_each
    return Estimate(LOADING + reading + writing, weights + cache + speed.libraries)


def _training(work: Work, recipe: Recipe, shape: Shape, speed: Speed, weights: int) -> Estimate:
    lora = recipe.sft.lora
    # Two narrow matrices on each of a block's seven wide ones; without an adapter, all weights are trained.
    added = 0 if lora is None else lora.r * shape.layers * 2 * 7 * shape.width
    operations = 6 if lora is None else 4
    factor = CHECKPOINTED if work.checkpointed else 1.0
    seconds = factor * operations * (shape.parameters + added) * work.trained / (speed.operations * REACHED)
    weights, added = (0, shape.parameters) if lora is None else (weights, added)
    if speed.trained is not None:
        seconds = work.trained / speed.trained
    if recipe.model.load_in_4bit:
        weights = shape.parameters // 2
    each = PER_LAYER_CHECKPOINTED if work.checkpointed else PER_LAYER
    tokens = work.at_once * work.longest
    activations = tokens * (each * shape.layers * shape.width * 2 + 3 * 4 * shape.vocabulary)
    held = weights + added * HELD + activations + speed.libraries
    return Estimate(LOADING + seconds, max(held, speed.held or 0))
