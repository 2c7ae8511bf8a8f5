"""Learning from rewards: replies are written during training, and rewarded at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchor_train.recipes.strategies.strategy import Step, Strategy, Turn

if TYPE_CHECKING:
    from anchor_train.recipes.config import Recipe


@dataclass(frozen=True)
class Rewarded(Strategy):
    """Training on rewards."""

    def takes_replies(self, recipe: Recipe) -> bool:
        """It writes its own."""
        return False

    def reads_scores(self, recipe: Recipe) -> bool:
        """Its judge is asked in training, not before."""
        return False

    def steps(self, turn: Turn) -> Iterator[Step]:
        """The training."""
        yield Step("grpo", {"questions": "questions", **turn.start, **turn.judge})


GRPO = Rewarded(
    "grpo",
    "The fine-tuned model wrote several explained answers to a question at a time, and learnt from how their "
    "rewards differ: a right choice, a reply in its form, and a judge's score of the explanation (GRPO, "
    "arXiv 2402.03300).",
    "grpo",
)
