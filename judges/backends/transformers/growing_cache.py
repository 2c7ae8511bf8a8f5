"""Keys and values of a model's past that grow in place.

transformers' own cache is copied whole for every token that is written, which takes longer than the
arithmetic of a small model. Imports torch and transformers; import it inside functions.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

# Tokens that room is made for at a time: few enough to waste little memory, many enough to copy seldom.
STEP = 64


def new_cache(config: Any) -> DynamicCache | None:
    """An empty cache for a model; None if it keeps more than keys and values of its past.

    Args:
        config: The model's.
    """
    cache = DynamicCache(config=config.get_text_config(decoder=True))
    kinds = {type(layer) for layer in cache.layers}
    return cache if kinds <= {DynamicLayer, DynamicSlidingWindowLayer} else None


def grow_in_place(cache: DynamicCache) -> None:
    """From now on its layers grow in place, but for those that look at a window only."""
    cache.layers = [_Growing(layer) if type(layer) is DynamicLayer else layer for layer in cache.layers]


class _Growing(DynamicLayer):  # type: ignore[misc]
    """Keys and values (batch, heads, tokens, size of a head), the front parts of tensors with more room."""

    def __init__(self, start: DynamicLayer) -> None:
        super().__init__()
        if start.is_initialized:
            self.lazy_initialization(start.keys, start.values)
            self.keys, self.values = start.keys, start.values
        self._room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds the keys and values of new tokens; returns all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        before = self.get_seq_length()
        after = before + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < after:
            self._room = (
                _with_room(self.keys, key_states, after + STEP),
                _with_room(self.values, value_states, after + STEP),
            )
        keys, values = self._room
        keys[:, :, before:after] = key_states
        values[:, :, before:after] = value_states
        self.keys, self.values = keys[:, :, :after], values[:, :, :after]
        return self.keys, self.values


def _with_room(past: torch.Tensor, like: torch.Tensor, tokens: int) -> torch.Tensor:
    roomy = like.new_empty((*like.shape[:2], tokens, like.shape[3]))
    if past.numel():
        roomy[:, :, : past.shape[-2]] = past
    return roomy
