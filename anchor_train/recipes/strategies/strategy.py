"""What a strategy is: a name, what it needs of a run, and the stages that it asks for in each round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from anchor_train.recipes.config import Recipe

# Which questions each round takes up: one number a round, or in equal parts.
Shares: TypeAlias = tuple[int, ...] | str


@dataclass(frozen=True, slots=True)
class Step:
    """A stage that a strategy asks for.

    Attributes:
        kind: Its kind; also the last part of its key, behind round and strategy.
        needs: What it reads -> key of the stage that leaves it.
    """

    kind: str
    needs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """One round of one strategy, before its own stages are known.

    Attributes:
        recipe: As the strategy sees it (:meth:`~anchor_train.recipes.config.Recipe.as_of`).
        number: The round, counted from 1.
        name: The strategy's name in the recipe, or that of a variant.
        replies: Where stages ``sample``, ``judge`` and ``consult`` are that it takes replies from: its own
            folder, or the one that strategies share.
        start: What a stage reads that runs or trains the model of this round; empty for the base model.
        judge: What a stage reads that asks the training judge, where that is the newest aligned model.
    """

    recipe: Recipe
    number: int
    name: str
    replies: str
    start: Mapping[str, str]
    judge: Mapping[str, str]

    def own(self, kind: str, number: int | None = None) -> str:
        """Key of a stage of this strategy, in this round or another one."""
        return f"round-{number or self.number}/{self.name}/{kind}"

    def shared(self, kind: str) -> str:
        """Key of stage ``sample``, ``judge`` or ``consult``."""
        return f"{self.replies}/{kind}"


@dataclass(frozen=True)
class Strategy(ABC):
    """How sampled replies become training data, and which training takes them.

    A strategy is an object in a file of this folder; nothing else needs to know of it. Where its training has
    settings that no other one has, they are a section of the recipe.

    Attributes:
        name: In a recipe and on the command line.
        about: What was done, for a model card.
        section: The recipe's section with the training's settings.
        unread: Dotted names of settings in that section that its training doesn't look at.
        refines: Whether the model replies, names a principle and replies again: it is evaluated so, too.
        tag: Its kind of training, as models are tagged on the hub; empty for its name.
    """

    name: str
    about: str
    section: str
    unread: frozenset[str] = field(default=frozenset(), kw_only=True)
    refines: bool = field(default=False, kw_only=True)
    tag: str = field(default="", kw_only=True)

    @abstractmethod
    def steps(self, turn: Turn) -> Iterator[Step]:
        """The stages of a round after sampling, judging and consulting, in order; the last one trains."""

    def reads_scores(self, recipe: Recipe) -> bool:
        """Whether it needs the training judge; groups by correctness, say, are made of replies alone."""
        return True

    def takes_replies(self, recipe: Recipe) -> bool:
        """Whether replies are sampled for it; a training that writes its own needs none."""
        return True

    def consults(self, recipe: Recipe) -> bool:
        """Whether the consultant writes for questions that were never answered right."""
        return False

    def starts_from_base(self, recipe: Recipe) -> bool:
        """Whether it leaves out the SFT model, and samples the base model in round 1."""
        return False

    def shares(self, recipe: Recipe) -> Shares | None:
        """How it deals the questions out to the rounds, fresh ones to each; None takes all in each."""
        return None
