"""Rejection sampling fine-tuning (RFT): the adapter that wrote the replies is fine-tuned on the right ones.

The plain baseline of list-wise training: the same groups, without anything to prefer; all replies are
assessed before and after. Importing this module imports torch and TRL; the pipeline goes through
:mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import RftSettings
from anchor_train.training.assessment import AssessmentWatch
from anchor_train.training.job import OutputFolder, TrainingJob
from anchor_train.training.methods.sft import FineTuning
from anchor_train.training.rendering import TokenisedExample, tokenise_example, tokenise_group
from anchor_train.training.train import Watch


class Rft(FineTuning[GroupExample]):
    """Fine-tuning on the best replies of groups."""

    what = "replies"
    example = GroupExample

    def tokenise(self, tokenizer: Any, examples: Sequence[GroupExample]) -> list[TokenisedExample]:
        """The best replies."""
        return [tokenise_example(tokenizer, best) for group in examples for best in group.best]

    def watches(
        self,
        job: TrainingJob,
        examples: Sequence[GroupExample],
        trained: Sequence[TokenisedExample],
        tokenizer: Any,
    ) -> list[Watch]:
        """Assessment of the groups, the worse replies included, as far as they fit."""
        settings = job.settings
        assert isinstance(settings, RftSettings)
        contrasted = [group for group in examples if len(set(group.levels)) > 1][: settings.assess_questions]
        cut = [tokenise_group(tokenizer, group).cut_to(settings.max_length) for group in contrasted]
        assessed = [group for group in cut if group is not None]
        path, padding = OutputFolder(job.output).assessments, tokenizer.pad_token_id or 0
        return [AssessmentWatch(assessed, padding, path, settings.assess_questions)]


METHOD = Rft()
