"""Latent principles (STaPLe): found by trying, clustered into a constitution, learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchor_train.recipes.strategies.strategy import Shares, Step, Strategy, Turn

if TYPE_CHECKING:
    from anchor_train.recipes.config import Recipe


@dataclass(frozen=True)
class Principles(Strategy):
    """Training on principles that made replies better."""

    def consults(self, recipe: Recipe) -> bool:
        """Where an argument may be the hint."""
        return recipe.staple.discover.reference == "reply_or_argument"

    def starts_from_base(self, recipe: Recipe) -> bool:
        """As the paper does; the SFT model is ours."""
        return recipe.staple.start == "base"

    def shares(self, recipe: Recipe) -> Shares | None:
        """Fresh questions each round, in equal parts unless the recipe says how many."""
        return recipe.staple.discover.questions or ("equal parts" if recipe.rounds > 1 else None)

    def steps(self, turn: Turn) -> Iterator[Step]:
        """E-step, clustering, M-step."""
        arguments = {"arguments": turn.shared("consult")} if self.consults(turn.recipe) else {}
        scored = {"questions": "questions", "scored": turn.shared("judge")}
        yield Step("discover", {**scored, **arguments, **turn.start, **turn.judge})
        earlier = {f"round {n}": turn.own("cluster", n) for n in range(1, turn.number)}
        yield Step("cluster", {"discoveries": turn.own("discover"), **earlier})
        learnt = {"discoveries": turn.own("discover"), "constitution": turn.own("cluster")}
        yield Step("train", {"questions": "questions", **learnt, **turn.start})


STAPLE = Principles(
    "staple",
    "Latent principles (STaPLe, arXiv 2505.16927): shown a better reply as a hint, the model named "
    "principles that would improve on a reply of its own, and replied again by them without the hint; "
    "those that raised the score were clustered into a constitution, and the model was fine-tuned to "
    "name such a principle after a first reply and to reply again by it.",
    "staple",
    refines=True,
)
