"""The strategies: how sampled replies become training data, and which training takes them.

One table for the whole pipeline; a new strategy is a row here, and a section of the recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from anchor_train.recipes.config import Recipe, Strategy
from anchor_train.recipes.training_settings import Feedback, ListwiseLoss


@dataclass(frozen=True, slots=True)
class Traits:
    """What sets a strategy apart.

    Attributes:
        data: What it trains on: preference pairs, groups of replies, or principles that helped.
        training: Stage that trains.
        section: The recipe's section with the training's settings.
        about: What was done, for a model card.
        consults: Whether the consultant writes for questions that were never answered right.
        loss: Of list-wise training.
        refines: Whether the model replies, names a principle and replies again: it is evaluated so, too.
    """

    data: Literal["pairs", "groups", "principles"]
    training: Literal["dpo", "align", "train"]
    section: Literal["dpo", "listwise", "rft", "staple"]
    about: str
    consults: bool = False
    loss: ListwiseLoss | None = None
    refines: bool = False


_GROUPS = (
    "The fine-tuned model wrote several explained answers to each question; they were told apart by the "
    "right choice, or ranked by a judge's score. "
)

STRATEGIES: Mapping[Strategy, Traits] = {
    "anchor": Traits(
        "pairs",
        "dpo",
        "dpo",
        "Anchored alignment: the fine-tuned model wrote several explained answers to each question, a "
        "judge scored the explanations, and preference pairs were made by how the model behaves on a "
        "question (always right, sometimes right, never right); where it was never right, a consultant that "
        "was told the answer argued for it. Direct preference optimisation on these pairs.",
        consults=True,
    ),
    "rank": Traits(
        "pairs",
        "dpo",
        "dpo",
        "The baseline of anchored alignment: of several explained answers to each question the one that "
        "the judge scored best is preferred to a random other one, whatever was answered. Direct preference "
        "optimisation on these pairs.",
    ),
    "aft": Traits(
        "groups",
        "align",
        "listwise",
        _GROUPS
        + "Alignment fine-tuning (AFT, arXiv 2309.02144) made better replies likelier than worse ones, "
        "under a constraint on how unlikely these may become, beside fine-tuning on the best.",
        loss="aft",
    ),
    "rrhf": Traits(
        "groups",
        "align",
        "listwise",
        _GROUPS + "The ranking loss of RRHF (arXiv 2304.05302) beside fine-tuning on the best.",
        loss="rrhf",
    ),
    "pro": Traits(
        "groups",
        "align",
        "listwise",
        _GROUPS + "The ranking loss of PRO (arXiv 2306.17492) beside fine-tuning on the best.",
        loss="pro",
    ),
    "rft": Traits(
        "groups",
        "align",
        "rft",
        "Rejection sampling fine-tuning: the fine-tuned model wrote several explained answers to each "
        "question and was fine-tuned on those with the right choice.",
    ),
    "staple": Traits(
        "principles",
        "train",
        "staple",
        "Latent principles (STaPLe, arXiv 2505.16927): shown a better reply as a hint, the model named "
        "principles that would improve on a reply of its own, and replied again by them without the hint; "
        "those that raised the score were clustered into a constitution, and the model was fine-tuned to "
        "name such a principle after a first reply and to reply again by it.",
        consults=True,
        refines=True,
    ),
}


def feedback_of(strategy: Strategy, recipe: Recipe) -> Feedback:
    """What makes a reply better in the groups of a strategy; RFT takes right replies, whatever is set.

    Args:
        strategy: The strategy.
        recipe: As it sees it (:meth:`~anchor_train.recipes.config.Recipe.as_of`).
    """
    return recipe.listwise.feedback if STRATEGIES[strategy].loss is not None else "correctness"


def reads_scores(name: str, recipe: Recipe) -> bool:
    """Whether a strategy or variant needs the training judge; groups by correctness are made of replies."""
    strategy = recipe.strategy_of(name)
    if STRATEGIES[strategy].data in ("pairs", "principles"):
        return True
    return feedback_of(strategy, recipe.as_of(name)) == "score"
