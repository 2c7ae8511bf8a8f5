"""A question's whole group in one forward pass: padded batches, and the score of each reply.

Importing this module imports torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from anchor_train.training.rendering import TokenisedGroup


@dataclass(frozen=True, slots=True)
class GroupCollator:
    """Puts groups into one batch: all replies of the first group, of the second, ..., padded on the right.

    Attributes:
        padding: Token to pad with; it is masked.
    """

    padding: int

    def __call__(self, groups: Sequence[TokenisedGroup]) -> dict[str, Tensor]:
        """The batch; R is the number of replies in all, L the length of the longest with its prompt.

        Returns:
            ``input_ids``, ``attention_mask`` and ``completion_mask`` (true at a reply's own tokens), each
            (R, L); ``levels`` (R,); ``sizes``: replies of each group.
        """
        rows = [(group.prompt_ids, completion) for group in groups for completion in group.completions]
        longest = max(len(prompt) + len(completion) for prompt, completion in rows)
        ids = torch.full((len(rows), longest), self.padding)
        attention = torch.zeros(len(rows), longest, dtype=torch.long)
        completions = torch.zeros(len(rows), longest, dtype=torch.bool)
        for row, (prompt, completion) in enumerate(rows):
            end = len(prompt) + len(completion)
            ids[row, :end] = torch.tensor([*prompt, *completion])
            attention[row, :end] = 1
            completions[row, len(prompt) : end] = True
        return {
            "input_ids": ids,
            "attention_mask": attention,
            "completion_mask": completions,
            "levels": torch.tensor([level for group in groups for level in group.levels]),
            "sizes": torch.tensor([len(group.completions) for group in groups]),
        }


def reply_scores(model: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean token log-likelihood of each reply given its question, in nats; shape (R,), float32.

    Args:
        model: A causal language model, or a wrapper around one.
        batch: As :class:`GroupCollator` makes it, on the model's device.
    """
    mask = batch["completion_mask"]
    # Logits are needed from the token before the first reply on; a long prompt's would fill the memory.
    first = int(mask.int().argmax(1).min())
    kept = mask.shape[1] - first + 1
    options = {"logits_to_keep": kept} if _keeps_some_logits(model) else {}
    logits = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False, **options
    ).logits[:, -kept:-1]
    mask, targets = mask[:, first:], batch["input_ids"][:, first:]
    losses = cross_entropy(logits[mask].float(), targets[mask], reduction="none")
    each = torch.zeros(mask.shape, dtype=losses.dtype, device=losses.device).masked_scatter(mask, losses)
    return -each.sum(1) / mask.sum(1)


def _keeps_some_logits(model: Any) -> bool:
    while hasattr(model, "module"):
        model = model.module
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters
