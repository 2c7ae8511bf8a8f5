"""Whether a prompt and its reply fit the model's context together, before any reply is written.

The harness's models cut a prompt that doesn't fit at its beginning, where the question often stands, and go
on: the reply then answers something else than what the samples log says was asked. Here that is counted with
the model's own tokenizer and refused, unless the user allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance

from judges.errors import ConfigError
from judges.output.notices import tell
from lm_eval_tasks.harness.engines.kinds import LENGTHS

Measure = Callable[[str], int]
"""Prompt -> how many tokens the model reads."""


def check_fit(requests: Sequence[Instance], measure: Measure, context: int, room: int, *, cut: bool) -> int:
    """Refuses prompts that don't fit with their replies, or says how many will be cut.

    Args:
        requests: What is asked for; samples of one question share their prompt.
        measure: Of the model's tokenizer.
        context: Tokens that the model takes, prompt and reply together.
        room: Tokens that a reply may have where a request doesn't say.
        cut: Whether prompts may be cut.

    Returns:
        Prompts that will be cut.

    Raises:
        ConfigError: If there are such, and they mayn't be.
    """
    asked = {str(request.args[0]): _reply_tokens(request.args[1], room) for request in requests}
    lengths = {prompt: measure(prompt) for prompt in asked}
    too_long = [prompt for prompt, reply in asked.items() if lengths[prompt] + reply > context]
    if not too_long:
        return 0
    longest = max(too_long, key=lengths.__getitem__)
    tokens, reply = lengths[longest], asked[longest]
    found = (
        f"{len(too_long)} of {len(asked)} prompts don't fit the model's context of {context} tokens with "
        f"their replies: the longest has {tokens} tokens, and its reply may have {reply}"
    )
    if cut:
        tell(f"warning: {found}; their beginnings are cut off (--cut-prompts)")
        return len(too_long)
    left = context - tokens
    shorter = f"shorter replies (--gen-kwargs max_gen_toks={left}), " if left > 0 else ""
    raise ConfigError(
        f"{found}. It begins {_beginning(longest)!r}. What helps: {shorter}a model that takes more (one that "
        "does, and isn't known to: max_length=N in --model-args), or --cut-prompts, which cuts off the "
        "beginnings of such prompts"
    )


def _reply_tokens(generation: Mapping[str, Any], room: int) -> int:
    return next((int(generation[name]) for name in reversed(LENGTHS) if generation.get(name)), room)


def _beginning(prompt: str) -> str:
    line = " ".join(prompt.split())
    return line if len(line) <= 60 else line[:59] + "…"
