"""How well a model tells its own good replies from its bad ones: assessment accuracy, before and after.

Assessment accuracy (AFT, Wang et al., arXiv 2309.02144) is the mean over questions of the share of (good,
bad) pairs in which the good reply is the likelier one, by its mean token log-likelihood. It is measured on
groups that are trained on, so it says what training did, not what will hold on other questions.

Importing this module imports torch and transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import TrainerCallback

from anchor_train.records import Assessment
from anchor_train.training.callbacks import append_row, replace_rows, rows_until
from anchor_train.training.collapse import fall_of_the_bad
from anchor_train.training.methods.group_batches import GroupCollator, reply_scores
from anchor_train.training.methods.losses import assessment_accuracy
from anchor_train.training.rendering import TokenisedGroup
from judges.output.notices import tell


@torch.no_grad()  # type: ignore[untyped-decorator]
def assess(model: Any, groups: Sequence[TokenisedGroup], padding: int, step: int = 0) -> Assessment:
    """Assesses contrasted groups, one at a time.

    Args:
        model: A causal language model; it is put back into training mode if it was in it.
        groups: At least one, each with replies of more than one level.
        padding: Token to pad with.
        step: For the record.
    """
    collate = GroupCollator(padding)
    training = model.training
    model.eval()
    accuracies, goods, bads = [], [], []
    try:
        for group in groups:
            batch = {name: value.to(model.device) for name, value in collate([group]).items()}
            scores, levels = reply_scores(model, batch), batch["levels"]
            accuracy = assessment_accuracy(scores, levels)
            assert accuracy is not None, "only contrasted groups are assessed"
            best = levels == levels.max()
            accuracies.append(accuracy)
            goods.append(float(scores[best].mean()))
            bads.append(float(scores[~best].mean()))
    finally:
        model.train(training)
    return Assessment(step, len(groups), fmean(accuracies), fmean(goods), fmean(bads))


class AssessmentWatch(TrainerCallback):  # type: ignore[misc]
    """Assesses groups before the first step, every so often, and after the last one.

    Attributes:
        warnings: What was warned of.
    """

    def __init__(
        self, groups: Sequence[TokenisedGroup], padding: int, path: Path, count: int, every: int | None = None
    ) -> None:
        """Watches the first ``count`` contrasted ones of ``groups``, every ``every`` steps."""
        self.groups = [group for group in groups if len(set(group.levels)) > 1][:count]
        self.padding = padding
        self.path = path
        self.every = every
        self.warnings: list[str] = []
        self._known: list[Assessment] = []

    @property
    def metrics(self) -> dict[str, float]:
        """Assessment accuracy and mean scores, before and after; empty before both are known."""
        if not self._known:
            return {}
        ends = {"before": self._known[0], "after": self._known[-1]}
        return {
            f"{name}/{when}": value
            for when, found in ends.items()
            for name, value in (
                ("assessment_accuracy", found.accuracy),
                ("score_good", found.good),
                ("score_bad", found.bad),
            )
        }

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Takes up what an earlier attempt found, or assesses the start."""
        if not state.is_world_process_zero:
            return
        rows = rows_until(self.path, state.global_step)
        replace_rows(self.path, rows)
        for row in rows:
            self._take_in(Assessment.from_json(row))
        if not self._known:
            self._assess(model, state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Assesses if it is time."""
        if state.is_world_process_zero and self.every is not None and state.global_step % self.every == 0:
            self._assess(model, state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Assesses the end, and says what has changed."""
        if not state.is_world_process_zero or not self.groups:
            return
        if self._known[-1].step != state.global_step:
            self._assess(model, state.global_step)
        before, after = self._known[0], self._known[-1]
        tell(
            f"assessment accuracy on {after.groups} groups trained on: "
            f"{before.accuracy:.1%} -> {after.accuracy:.1%}"
        )

    def _assess(self, model: Any, step: int) -> None:
        if not self.groups:
            return
        found = assess(getattr(model, "module", model), self.groups, self.padding, step)
        append_row(self.path, found.to_json())
        for sign in self._take_in(found):
            tell(f"warning: {sign}")

    def _take_in(self, found: Assessment) -> list[str]:
        self._known.append(found)
        signs = fall_of_the_bad(found.step, self._known[0].bad, found.bad)
        self.warnings.extend(signs)
        return signs
