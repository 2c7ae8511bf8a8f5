"""Anchored alignment for which it counts, too, whether the explanation is the reason of the choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from anchor_train.recipes.strategies.anchor import Pairs
from anchor_train.recipes.strategies.strategy import Step, Turn


@dataclass(frozen=True)
class FaithfulPairs(Pairs):
    """Training on pairs that a probe of the replies had a say in."""

    def steps(self, turn: Turn) -> Iterator[Step]:
        """Probe, pairs, then preference training."""
        yield Step("probe", {"scored": turn.shared("judge"), **turn.start})
        for step in super().steps(turn):
            probed = {"probed": turn.own("probe")} if step.kind == "pairs" else {}
            yield Step(step.kind, {**step.needs, **probed})


ANCHOR_FAITHFUL = FaithfulPairs(
    "anchor-faithful",
    "Anchored alignment with a probe of faithfulness: as with anchored alignment, preference pairs were made "
    "of judged replies by how the model behaves on a question. Of replies of equal standing those won whose "
    "choice the model gives up when it is asked for it after a part of its explanation (early answering, "
    "arXiv 2307.13702), and of right replies that lose, those lost whose choice is there without any of it. "
    "Direct preference optimisation on these pairs.",
    "dpo",
    rule="anchor-faithful",
    tag="dpo",
)
