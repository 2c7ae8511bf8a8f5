"""A trial of what training will render: an answer and two replies with thoughts, before anything is paid for.

Sampling and judging cost most of a run, and what they made is rendered by the model's chat template at its
end. A template that can't serve there is found here, with the tokenizer alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.records import PreferenceExample, spoken
from anchor_train.stages.train import sft_examples
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import (
    TokenisedPair,
    prompt_ids,
    show_pair,
    tokenise_example,
    tokenise_pair,
)
from judges.errors import ConfigError
from lm_eval_tasks.prompts import EXAMPLE
from lm_eval_tasks.prompts.reply_form import SHOWN, ReplyForm, read_reply_form
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Trial:
    """How replies with a thought are rendered.

    Attributes:
        pair: Two such replies as stages ``pairs`` and ``dpo`` render them.
        shown: The same for human eyes.
        thinks: Whether the chat template knows thoughts: whether it writes a think block before a reply, or
            opens one for it.
    """

    pair: TokenisedPair
    shown: str
    thinks: bool

    @property
    def note(self) -> str:
        """What to know about training on a model that thinks, in a line."""
        return (
            "a reply with a thought can be trained on: the thought is left out, and a think block that the "
            "chat template writes before the reply is empty and without loss"
        )


def try_rendering(recipe: Recipe) -> Trial:
    """Renders the recipe's prompts with an answer, and with two replies of a model that thinks.

    Prompts are tried in the recipe's reply form; where it is still to be found out, without and with worked
    examples before the question.

    Raises:
        ConfigError: If the model's tokenizer or its chat template can't serve, in one line.
    """
    tokenizer, spec, question = load_tokenizer(recipe.model), load_task(recipe.task), EXAMPLE
    target = "answer" if recipe.sft.target == "rationale" else recipe.sft.target  # replies are tried below
    for example in sft_examples(spec, [question], target):
        tokenise_example(tokenizer, example)
    form = read_reply_form(recipe.reply_form, "reply_form")
    if isinstance(form, ReplyForm):
        return _trial(tokenizer, spec.in_form(form))
    found = _trial(tokenizer, spec)
    try:
        _trial(tokenizer, spec.in_form(SHOWN))
    except ConfigError as error:
        raise ConfigError(f"{error}; reply_form: asked shows no examples before the question") from None
    return found


def _trial(tokenizer: Any, spec: TaskSpec) -> Trial:
    chosen, rejected = (
        spoken(f"<think>\nA thought about {label}.\n</think>\n\n{spec.format_response(text, label)}")
        for label, text in (("A", "This follows."), ("B", "That is so."))
    )
    example = PreferenceExample("a trial", spec.explain_conversation(EXAMPLE), chosen, rejected)
    pair = tokenise_pair(tokenizer, example)
    asked = prompt_ids(tokenizer, example.prompt)
    return Trial(pair, show_pair(tokenizer, pair), thinks=pair.prompt_ids != asked)
