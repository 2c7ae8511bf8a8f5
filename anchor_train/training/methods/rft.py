"""Rejection sampling fine-tuning (RFT): the adapter that wrote the replies is fine-tuned on the right ones.

The plain baseline of list-wise training: the same groups, without anything to prefer. Importing this module
imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import ModelSettings, RftSettings
from anchor_train.training.assessment import AssessmentWatch
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.job import OutputFolder, TrainingReport
from anchor_train.training.methods.sft import train_sft
from anchor_train.training.rendering import tokenise_group


def train_rft(
    settings: RftSettings,
    model: ModelSettings,
    adapter: Path,
    groups: Sequence[GroupExample],
    output: Path,
    *,
    seed: int = 42,
    allow_cut: bool = False,
    callbacks: Sequence[Any] = (),
) -> TrainingReport:
    """Trains an adapter further on the best replies of groups, as :func:`.sft.train_sft` does.

    Args:
        settings: Of the stage.
        model: The base model.
        adapter: Adapter to start from.
        groups: Whose best replies are trained on; all replies are assessed before and after.
        output: Folder as :class:`~anchor_train.training.job.OutputFolder` describes it.
        seed: Of data order and dropout.
        allow_cut: Cut what is longer than ``max_length`` instead of refusing it.
        callbacks: Further transformers callbacks.
    """
    tokenizer = load_tokenizer(model)
    contrasted = [group for group in groups if len(set(group.levels)) > 1][: settings.assess_questions]
    tokenised = [tokenise_group(tokenizer, group) for group in contrasted]
    assessed = [
        group for group in (found.cut_to(settings.max_length) for found in tokenised) if group is not None
    ]
    watch = AssessmentWatch(
        assessed, tokenizer.pad_token_id or 0, OutputFolder(output).assessments, settings.assess_questions
    )
    return train_sft(
        settings,
        model,
        [example for group in groups for example in group.best],
        output,
        seed=seed,
        allow_cut=allow_cut,
        callbacks=callbacks,
        adapter=adapter,
        watches=[watch],
    )
