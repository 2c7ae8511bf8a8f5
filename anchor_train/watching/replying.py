"""Replies of a model that is being trained, in batches, without touching the training's random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from judges.models.rendering import renderer_of
from judges.records import Conversation


@dataclass(frozen=True, slots=True)
class Replying:
    """How replies are drawn.

    Attributes:
        samples: Replies a conversation.
        max_tokens: Longest reply.
        temperature: 0 is greedy.
        batch_size: Replies that are written at once.
        seed: Together with the step it says how they are drawn.
    """

    samples: int
    max_tokens: int
    temperature: float
    batch_size: int
    seed: int

    def to(self, model: Any, tokenizer: Any, asked: Sequence[Conversation], step: int) -> list[list[str]]:
        """Replies to conversations.

        Args:
            model: A causal language model, in evaluation mode.
            tokenizer: Its tokenizer, with a chat template.
            asked: Conversations.
            step: Training step.

        Returns:
            ``samples`` texts for each conversation.
        """
        import torch

        renderer = renderer_of(tokenizer)
        texts = [renderer.prompt(turns) for turns in asked]
        rows = [text for text in texts for _ in range(self.samples)]
        devices = [model.device] if model.device.type == "cuda" else []
        replies: list[str] = []
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            torch.manual_seed(self.seed + step)
            for start in range(0, len(rows), self.batch_size):
                replies += self._batch(model, tokenizer, rows[start : start + self.batch_size])
        return [replies[start : start + self.samples] for start in range(0, len(replies), self.samples)]

    def _batch(self, model: Any, tokenizer: Any, texts: Sequence[str]) -> list[str]:
        side, pad = tokenizer.padding_side, tokenizer.pad_token
        tokenizer.padding_side = "left"
        tokenizer.pad_token = pad or tokenizer.eos_token
        try:
            given = tokenizer(
                list(texts),
                return_tensors="pt",
                padding=True,
                add_special_tokens=False,
                return_token_type_ids=False,
            ).to(model.device)
            drawn: dict[str, Any] = (
                {"do_sample": True, "temperature": self.temperature, "top_k": 0, "top_p": 1.0}
                if self.temperature > 0
                else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
            )
            written = model.generate(
                **given, max_new_tokens=self.max_tokens, pad_token_id=tokenizer.pad_token_id, **drawn
            )
        finally:
            tokenizer.padding_side = side
            tokenizer.pad_token = pad
        found: list[str] = tokenizer.batch_decode(
            written[:, given["input_ids"].shape[1] :], skip_special_tokens=True
        )
        return found
