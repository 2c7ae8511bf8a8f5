"""The E-step as functions of values: which replies are to be improved on, and which principle did best.

Nothing here reads a file, asks a model or draws a number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from anchor_train.principles.records import (
    Attempt,
    Discovery,
    NoDiscovery,
    NoDiscoveryReason,
    ReferenceSource,
    Refinement,
    Worth,
)
from anchor_train.recipes.section_settings import DiscoverSettings
from anchor_train.records import spoken
from judges.errors import MissingExtraError
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.replies.responses import read_response


def attempts_of(
    scored: ScoredQuestion, argument: str | None, settings: DiscoverSettings, top: int
) -> list[Attempt | NoDiscovery]:
    """The first replies of a question, each with the reference that is the hint.

    Args:
        scored: The question and its judged samples.
        argument: The consultant's argument as a whole reply; None if there is none that can be used.
        settings: Of the stage.
        top: The judge's best possible score: a reply that has it can't be improved on.

    Returns:
        One for each of the first ``settings.first_replies`` samples, or why it isn't tried.
    """
    question = scored.question
    if not scored.responses:
        return [NoDiscovery(question.id, None, "no_samples")]
    argument = argument if settings.reference == "reply_or_argument" else None
    attempts: list[Attempt | NoDiscovery] = []
    for index, sample in enumerate(scored.responses[: settings.first_replies]):
        first = spoken(sample.response.text)
        found = reference_of(scored, argument, first)
        if found is None:
            attempts.append(NoDiscovery(question.id, index, "no_reference"))
            continue
        reference, source = found
        worth: Worth | None = sample.score
        if settings.acceptance == "rouge" and sample.response.explanation is not None:
            known = read_response(question, reference).explanation
            worth = rouge_l_f1(sample.response.explanation, known or reference)
        reason = _why_not(sample, worth, 1.0 if settings.acceptance == "rouge" else top)
        if reason is not None:
            attempts.append(NoDiscovery(question.id, index, reason))
        elif worth is not None:
            attempts.append(Attempt(question, index, first, worth, reference, source))
    return attempts


def reference_of(
    scored: ScoredQuestion, argument: str | None, first: str
) -> tuple[str, ReferenceSource] | None:
    """The hint for a first reply.

    The best-judged right reply that isn't the first reply itself (the first of several that are best); where
    no reply is right the consultant's argument, if there is one.
    """
    right = [
        sample
        for sample in scored.responses
        if sample.correct
        and sample.score is not None
        and spoken(sample.response.text).strip() != first.strip()
    ]
    if right:
        best = max(right, key=lambda sample: sample.score or 0)
        return spoken(best.response.text), "sample"
    return None if argument is None else (argument, "consultant")


def best_of(
    attempt: Attempt, refinements: Sequence[Refinement], settings: DiscoverSettings
) -> Discovery | NoDiscovery:
    """The principle that improved most on a reply: the first of the best if several did.

    A refined reply is accepted if it is worth more than the first one; not as much, and not unscored.
    """
    reason = _why_none(attempt, refinements, settings)
    if reason is not None:
        return NoDiscovery(attempt.question.id, attempt.sample, reason)
    better = [found for found in _allowed(attempt, refinements, settings) if _worth(found) > attempt.worth]
    best = max(better, key=_worth)
    assert best.explanation is not None
    assert best.choice is not None
    return Discovery(
        question_id=attempt.question.id,
        sample=attempt.sample,
        first=attempt.first,
        before=attempt.worth,
        principle=best.principle,
        explanation=best.explanation,
        choice=best.choice,
        after=_worth(best),
        source=attempt.source,
        tried=len(refinements),
        better=len(better),
    )


def is_wanted(attempt: Attempt, refinement: Refinement, settings: DiscoverSettings) -> bool:
    """Whether a refined reply could be accepted, its worth aside: only such a one is paid a judge for."""
    if refinement.explanation is None or refinement.choice is None:
        return False
    return not settings.right_only or refinement.choice == attempt.question.gold


def rouge_l_f1(text: str, reference: str) -> float:
    """Rouge-L F1 of two texts: the longest common subsequence of their words.

    Raises:
        MissingExtraError: If rouge-score isn't installed.
    """
    return float(_scorer().score(reference, text)["rougeL"].fmeasure)


def fold(principle: str) -> str:
    """What two principles have in common that differ in case, white space or punctuation only."""
    return " ".join(re.findall(r"\w+", principle.casefold())) or principle.strip()


def distinct(principles: Sequence[str]) -> tuple[str, ...]:
    """The principles without those that only repeat an earlier one."""
    first: dict[str, str] = {}
    for principle in principles:
        first.setdefault(fold(principle), principle)
    return tuple(first.values())


def _why_not(sample: ScoredResponse, worth: Worth | None, top: Worth) -> NoDiscoveryReason | None:
    if sample.response.explanation is None:
        return "first_unreadable"
    if worth is None:
        return "first_unjudged"
    return "first_at_top" if worth >= top else None


def _why_none(
    attempt: Attempt, refinements: Sequence[Refinement], settings: DiscoverSettings
) -> NoDiscoveryReason | None:
    if not refinements:
        return "no_principle"
    if not any(found.explanation is not None and found.choice is not None for found in refinements):
        return "no_refined_reply"
    wanted = [found for found in refinements if is_wanted(attempt, found, settings)]
    if not wanted:
        return "no_right_reply"
    if all(found.worth is None for found in wanted):
        return "nothing_scored"
    improved = any(_worth(found) > attempt.worth for found in _allowed(attempt, refinements, settings))
    return None if improved else "no_improvement"


def _allowed(
    attempt: Attempt, refinements: Sequence[Refinement], settings: DiscoverSettings
) -> list[Refinement]:
    return [found for found in refinements if is_wanted(attempt, found, settings) and found.worth is not None]


def _worth(refinement: Refinement) -> Worth:
    assert refinement.worth is not None
    return refinement.worth


@cache
def _scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ModuleNotFoundError:
        raise MissingExtraError("rouge-score", "principles") from None

    class Words:
        """The package's own tokenizer knows a to z alone."""

        def tokenize(self, text: str) -> list[str]:
            return re.findall(r"\w+", text.casefold())

    return RougeScorer(["rougeL"], tokenizer=Words())
