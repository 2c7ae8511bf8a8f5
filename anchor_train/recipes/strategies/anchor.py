"""Anchored alignment and its baseline: preference pairs, then direct preference optimisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from anchor_train.recipes.strategies.strategy import Step, Strategy, Turn

if TYPE_CHECKING:
    from anchor_train.recipes.config import Recipe

PairRule: TypeAlias = Literal["anchor", "rank", "anchor-faithful"]


@dataclass(frozen=True)
class Pairs(Strategy):
    """Training on pairs.

    Attributes:
        rule: How winners and losers are told (method, section 4).
    """

    rule: PairRule = "anchor"

    def consults(self, recipe: Recipe) -> bool:
        """Where the rule looks at how the model behaves on a question."""
        return self.rule != "rank"

    def steps(self, turn: Turn) -> Iterator[Step]:
        """Pairs, then preference training."""
        arguments = {"arguments": turn.shared("consult")} if self.consults(turn.recipe) else {}
        yield Step("pairs", {"scored": turn.shared("judge"), **arguments})
        yield Step("dpo", {"questions": "questions", "pairs": turn.own("pairs"), **turn.start})


ANCHOR = Pairs(
    "anchor",
    "Anchored alignment: the fine-tuned model wrote several explained answers to each question, a "
    "judge scored the explanations, and preference pairs were made by how the model behaves on a "
    "question (always right, sometimes right, never right); where it was never right, a consultant that "
    "was told the answer argued for it. Direct preference optimisation on these pairs.",
    "dpo",
    rule="anchor",
    tag="dpo",
)
RANK = Pairs(
    "rank",
    "The baseline of anchored alignment: of several explained answers to each question the one that "
    "the judge scored best is preferred to a random other one, whatever was answered. Direct preference "
    "optimisation on these pairs.",
    "dpo",
    rule="rank",
    tag="dpo",
)
