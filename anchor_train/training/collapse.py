"""Signs that a model under preference training stops writing sensible replies.

Pure functions of generated token ids. They compare with what the same prompts gave before the first step, so
that a small or untrained model's own habits aren't taken for a collapse.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from lm_eval_tasks.json_records import JsonRecord

NGRAM = 4
# A reply is repetitive if most of its n-grams stood before, and clearly more so than at the start.
REPETITIVE = 0.5
REPETITION_RISE = 0.3
# ... and too short at a quarter of its first length.
SHRUNK = 0.25
# Bad replies are pushed out of the language once they have lost so many nats a token.
FALLEN = 2.0


@dataclass(frozen=True, slots=True)
class Sample(JsonRecord):
    """A greedy reply of the model in training to one prompt.

    Attributes:
        step: Optimiser steps made before.
        prompt: The prompt's place among the watched ones.
        id: Its question.
        text: The reply.
        tokens: Its length.
        ended: Whether it ended by itself, not at the limit.
        repetition: Share of its 4-grams of tokens that stood in it before, 0 to 1.
        kl: Mean over its tokens of KL(policy || reference) of the next-token distributions, in nats;
            None where the reference isn't at hand (all weights are trained).
    """

    step: int
    prompt: int
    id: str
    text: str
    tokens: int
    ended: bool
    repetition: float
    kl: float | None


def repetition(tokens: Sequence[Hashable], n: int = NGRAM) -> float:
    """Share of n-grams that occurred earlier in the same text; 0 if there are none."""
    grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def fall_of_the_bad(step: int, before: float, now: float) -> list[str]:
    """Whether bad replies have become so unlikely that the model must suffer; a sentence, or nothing.

    Args:
        step: Optimiser steps made.
        before: Mean token log-likelihood of bad replies before the first step, in nats.
        now: That of the same replies now.
    """
    if now > before - FALLEN:
        return []
    return [
        f"step {step}: bad replies have become very unlikely ({before:.2f} -> {now:.2f} nats a token), which "
        "ruins how the model writes; a constraint, fewer steps or a lower learning rate prevent it"
    ]


def signs(first: Sequence[Sample], now: Sequence[Sample]) -> list[str]:
    """What has gone wrong since the first samples, a sentence a sign; empty if nothing has.

    Args:
        first: Samples before the first step.
        now: Samples of the same prompts.
    """
    found = []
    by_prompt = {sample.prompt: sample for sample in first}
    for sample in now:
        before = by_prompt.get(sample.prompt)
        if before is None:
            continue
        where = f"step {sample.step}, sample of {sample.id}"
        if sample.repetition > REPETITIVE and sample.repetition > before.repetition + REPETITION_RISE:
            found.append(
                f"{where}: repeats itself ({before.repetition:.0%} -> {sample.repetition:.0%} of 4-grams)"
            )
        if sample.tokens <= SHRUNK * before.tokens:
            found.append(f"{where}: got very short ({before.tokens} -> {sample.tokens} tokens)")
        if before.ended and not sample.ended:
            found.append(f"{where}: no longer ends by itself ({before.tokens} -> {sample.tokens} tokens)")
    return found
