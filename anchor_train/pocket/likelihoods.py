"""What each model of a run thinks of the same replies: assessment accuracy on questions nobody trained on.

The groups are the SFT model's own replies to the evaluation's questions, right ones against wrong ones, so
that its figure is where every strategy started and the others say what the strategy changed.

Imports torch when called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from anchor_train.preferences.groups import GroupExample, build_groups
from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.records import Assessment
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.tasks.spec import TaskSpec


def held_out_groups(spec: TaskSpec, scored: Iterable[ScoredQuestion]) -> list[GroupExample]:
    """The questions that were answered right and wrong, with the distinct readable replies to each."""
    questions = {found.question.id: found for found in scored}
    groups = build_groups(questions.values(), "correctness").groups
    return [
        group.example(spec.explain_conversation(questions[group.question_id].question))
        for group in groups
        if group.contrasted
    ]


def assess_models(
    model: ModelSettings, adapters: Mapping[str, Path | None], groups: Iterable[GroupExample]
) -> dict[str, Assessment]:
    """Assesses every model on the same groups; empty if there are no groups.

    Args:
        model: The base model.
        adapters: Model -> its adapter; None for the base model itself.
        groups: Each with replies of more than one level.
    """
    from anchor_train.training.assessment import assess
    from anchor_train.training.base_model import load_adapter, load_base, load_tokenizer
    from anchor_train.training.rendering import tokenise_group

    tokenizer = load_tokenizer(model)
    tokenised = [tokenise_group(tokenizer, group) for group in groups]
    found: dict[str, Assessment] = {}
    for name, adapter in adapters.items() if tokenised else ():
        loaded = load_base(model)
        if adapter is not None:
            loaded = load_adapter(loaded, adapter, model, trainable=False)
        found[name] = assess(loaded.eval(), tokenised, tokenizer.pad_token_id or 0)
    return found
