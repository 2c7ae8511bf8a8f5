"""Who wins and who loses: Algorithm 1 of the paper and its rank baseline, as functions of records.

A question's samples give two sets, winners A_w and losers A_l (:mod:`anchor_train.preferences.sets`,
:mod:`anchor_train.preferences.faithful`); one of each is drawn with a seed (:func:`choose_pair`). Nothing
here reads a file, asks a model or holds a clock.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.preferences.faithful import Areas, faithful_sets
from anchor_train.preferences.sets import CandidateSets, anchor_sets, rank_sets
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.recipes.strategies.anchor import PairRule
from anchor_train.records import Argument, Candidate, NoPair, NoPairReason, PreferencePair, Side
from lm_eval_tasks.records import Question, ScoredQuestion

# Puts the consultant's argument for a question's gold label into the form of a reply; None if it can't be.
InReplyForm: TypeAlias = Callable[[Question, str], str | None]


@dataclass(frozen=True, slots=True)
class PairSet:
    """What one strategy made of a set of questions; every question is in exactly one of the two."""

    pairs: tuple[PreferencePair, ...]
    without: tuple[NoPair, ...]


def sets_for(
    strategy: PairRule, samples: Sequence[Candidate], settings: PairSettings, areas: Areas
) -> CandidateSets:
    """A_w and A_l by the named strategy."""
    if strategy == "anchor-faithful":
        return faithful_sets(samples, settings, areas)
    return (anchor_sets if strategy == "anchor" else rank_sets)(samples, settings)


def wants_consultant(scored: ScoredQuestion, settings: PairSettings) -> bool:
    """Whether the anchor strategy needs the consultant's argument for this question."""
    found = anchor_sets(candidates(scored), settings)
    return found.consultant and found.empty is None


def choose_pair(
    scored: ScoredQuestion,
    argument: Argument | None,
    in_reply_form: InReplyForm,
    strategy: PairRule,
    settings: PairSettings,
    seed: int,
    areas: Areas | None = None,
) -> PreferencePair | NoPair:
    """Draws one winner and one loser of a question.

    The draw depends on the seed, the strategy and the question's id alone: other questions may come and go.
    ``anchor`` and ``anchor-faithful`` draw alike, and differ where the probe has a say.

    Args:
        scored: The question and its judged samples.
        argument: What the consultant wrote for it; None if it wasn't asked.
        in_reply_form: Puts the argument in the form of a reply that chooses the gold label.
        strategy: ``anchor``, ``rank`` or ``anchor-faithful``.
        settings: Loser rule and what may lose.
        seed: Of this draw.
        areas: What a probe found of the samples, for ``anchor-faithful``.
    """
    question, samples = scored.question, candidates(scored)
    behaviour = behaviour_of(samples)
    areas = areas or {}
    found = sets_for(strategy, samples, settings, areas)

    def none(reason: NoPairReason) -> NoPair:
        return NoPair(question.id, strategy, behaviour, reason)

    if found.empty is not None or behaviour is None:
        return none(found.empty or "no_samples")
    draw = _draw(seed, "anchor" if strategy == "anchor-faithful" else strategy, question.id)
    losers = list(found.losers)
    if found.consultant:
        text = _argued(question, argument, in_reply_form)
        if argument is None or text is None:
            return none(_why_not(argument))
        if argument.judged:
            if argument.score is None:
                return none("argument_not_judged")
            # As samples are: whoever scored above the winner doesn't lose.
            losers = [s for s in losers if s.score is None or s.score <= argument.score]
            if not losers:
                return none("argument_scored_below_all")
        chosen = Side(text, "consultant", score=argument.score)
    else:
        chosen = _side(draw.choice(found.winners))
    # Distinct samples can hold the same text, and a text is never set against itself.
    losers = [s for s in losers if s.index != chosen.sample and s.text != chosen.text]
    if not losers:
        return none("same_text")
    return PreferencePair(
        question_id=question.id,
        strategy=strategy,
        behaviour=behaviour,
        chosen=chosen,
        rejected=_side(draw.choice(losers)),
        winners=tuple(s.index for s in found.winners),
        losers=tuple(s.index for s in losers),
        scores=tuple(s.score for s in samples),
        correct=tuple(s.correct for s in samples),
        gold=question.gold,
        why=found.why,
        areas=tuple(areas.get(s.index) for s in samples) if areas else (),
    )


def build_pairs(
    questions: Iterable[ScoredQuestion],
    arguments: Mapping[str, Argument],
    in_reply_form: InReplyForm,
    strategy: PairRule,
    settings: PairSettings,
    seed: int,
    areas: Mapping[str, Areas] | None = None,
) -> PairSet:
    """:func:`choose_pair` for every question; ``arguments`` and ``areas`` by question id."""
    areas = areas or {}
    pairs: list[PreferencePair] = []
    without: list[NoPair] = []
    for scored in questions:
        argument = arguments.get(scored.question.id)
        found = areas.get(scored.question.id)
        result = choose_pair(scored, argument, in_reply_form, strategy, settings, seed, found)
        if isinstance(result, NoPair):
            without.append(result)
        else:
            pairs.append(result)
    return PairSet(tuple(pairs), tuple(without))


def _argued(question: Question, argument: Argument | None, in_reply_form: InReplyForm) -> str | None:
    """The consultant's argument as a reply; None if it can't win."""
    if argument is None or argument.text is None or argument.problem is not None:
        return None
    return in_reply_form(question, argument.text)


def _why_not(argument: Argument | None) -> NoPairReason:
    if argument is None or argument.text is None:
        return "no_argument"
    if argument.failure is None and argument.too_little is not None:
        return "argument_says_too_little"
    return "argument_not_usable"


def _side(sample: Candidate) -> Side:
    return Side(sample.text, "sample", sample.index, sample.score, sample.correct)


def _draw(seed: int, strategy: str, question_id: str) -> random.Random:
    digest = hashlib.sha256(f"{seed}\n{strategy}\n{question_id}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
