"""Training on a question's whole group of replies: AFT, RRHF and PRO with a list-wise loss, and RFT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from anchor_train.recipes.strategies.strategy import Step, Strategy, Turn
from anchor_train.recipes.training_settings import Feedback, ListwiseLoss

if TYPE_CHECKING:
    from anchor_train.recipes.config import Recipe


@dataclass(frozen=True)
class Groups(Strategy):
    """Training on groups.

    Attributes:
        loss: Of list-wise training; None for fine-tuning on right replies, whatever makes one better.
    """

    loss: ListwiseLoss | None = None

    def feedback(self, recipe: Recipe) -> Feedback:
        """What makes a reply better."""
        return "correctness" if self.loss is None else recipe.listwise.feedback

    def reads_scores(self, recipe: Recipe) -> bool:
        """Where scores make a reply better."""
        return self.feedback(recipe) == "score"

    def steps(self, turn: Turn) -> Iterator[Step]:
        """Groups, of judged replies or of replies alone, then the training."""
        scored = self.reads_scores(turn.recipe)
        read = {"scored": turn.shared("judge")} if scored else {"replies": turn.shared("sample")}
        yield Step("groups", read)
        yield Step("align", {"questions": "questions", "groups": turn.own("groups"), **turn.start})


_ABOUT = (
    "The fine-tuned model wrote several explained answers to each question; they were told apart by the "
    "right choice, or ranked by a judge's score. "
)
# Settings that one loss alone reads.
_OF_AFT = frozenset({"listwise.constraint", "listwise.beta", "listwise.detach_boundary"})

AFT = Groups(
    "aft",
    _ABOUT + "Alignment fine-tuning (AFT, arXiv 2309.02144) made better replies likelier than worse ones, "
    "under a constraint on how unlikely these may become, beside fine-tuning on the best.",
    "listwise",
    loss="aft",
)
RRHF = Groups(
    "rrhf",
    _ABOUT + "The ranking loss of RRHF (arXiv 2304.05302) beside fine-tuning on the best.",
    "listwise",
    loss="rrhf",
    unread=_OF_AFT,
)
PRO = Groups(
    "pro",
    _ABOUT + "The ranking loss of PRO (arXiv 2306.17492) beside fine-tuning on the best.",
    "listwise",
    loss="pro",
    unread=_OF_AFT,
)
RFT = Groups(
    "rft",
    "Rejection sampling fine-tuning: the fine-tuned model wrote several explained answers to each "
    "question and was fine-tuned on those with the right choice.",
    "rft",
)
