"""The texts that ask for a choice within its tag and for nothing else: ``choose.yaml``.

A fine-tuning on the reply form learns by them; with a fingerprint of their own, nothing else depends on them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from judges.errors import ConfigError
from judges.records import Conversation, Message
from judges.settings import load_yaml, parse
from lm_eval_tasks.prompts import Prompts
from lm_eval_tasks.prompts.reply_form import TEXT_MARK
from lm_eval_tasks.prompts.templates import Texts
from lm_eval_tasks.records import Question

_FILE = Path(__file__).parent / "choose.yaml"
_PLACEHOLDER = "the label"


class ChoosePrompts(Texts):
    """System and user turn, as Jinja templates."""

    system: str
    user: str

    def conversation(self, prompts: Prompts, question: Question) -> Conversation:
        """Choose, within the tag that a reply has for it."""
        form = choice_part(prompts, _PLACEHOLDER)
        return (
            Message("system", prompts.fill(self.system, question, form=form)),
            Message("user", prompts.fill(self.user, question, form=form)),
        )


def choice_part(prompts: Prompts, label: str) -> str:
    """The part of a whole reply that holds its choice.

    Raises:
        ConfigError: If the task's own ``response`` has no such part behind the explanation.
    """
    explained, found, choice = prompts.reply(TEXT_MARK, label).partition(TEXT_MARK)
    start = choice.lower().find("<choice")
    if not found or start < 0:
        raise ConfigError(f"prompt.response has no <choice> behind the explanation: {explained}{choice}")
    return choice[start:].strip()


@cache
def choose_prompts() -> ChoosePrompts:
    """The texts."""
    return parse(ChoosePrompts, load_yaml(_FILE), str(_FILE))
