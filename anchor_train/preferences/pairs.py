"""Who wins and who loses: Algorithm 1 of the paper and its rank baseline, as functions of records.

A question's samples give two sets, winners A_w and losers A_l (:func:`anchor_sets`, :func:`rank_sets`); one
of each is drawn with a seed (:func:`choose_pair`). Nothing here reads a file, asks a model or holds a clock.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.recipes.strategies.anchor import PairRule
from anchor_train.records import Argument, Candidate, NoPair, NoPairReason, PreferencePair, Side
from lm_eval_tasks.records import Question, ScoredQuestion

# Puts the consultant's argument for a question's gold label into the form of a reply; None if it can't be.
InReplyForm: TypeAlias = Callable[[Question, str], str | None]


@dataclass(frozen=True, slots=True)
class CandidateSets:
    """A_w and A_l of one question.

    Attributes:
        winners: Samples that may win; empty if the consultant's argument wins.
        losers: Samples that may lose.
        consultant: Whether the winner is the consultant's argument.
        empty: Why no pair can come of it; None if one can.
    """

    winners: tuple[Candidate, ...]
    losers: tuple[Candidate, ...]
    consultant: bool = False
    empty: NoPairReason | None = None


@dataclass(frozen=True, slots=True)
class PairSet:
    """What one strategy made of a set of questions; every question is in exactly one of the two."""

    pairs: tuple[PreferencePair, ...]
    without: tuple[NoPair, ...]


def anchor_sets(samples: Sequence[Candidate], settings: PairSettings) -> CandidateSets:
    """A_w and A_l by behaviour (paper, Algorithm 1, with its gaps settled).

    * consistently correct: the top-scored win; losers score below the top, or stand at the minimum;
    * variable: the top-scored of the right ones win; losers are wrong and score below that top;
    * consistently incorrect: the consultant's argument wins; all samples lose.

    An unreadable sample has no score: it never wins, and loses (to every scored one) only with
    ``settings.unreadable_losers``. A sample whose judgement failed is in neither set.
    """
    empty: NoPairReason
    behaviour = behaviour_of(samples)
    if behaviour is None:
        return CandidateSets((), (), empty="no_samples")
    unreadable = _unreadable(samples) if settings.unreadable_losers else []
    scored = [(s, s.score) for s in samples if s.score is not None]

    if behaviour == "consistently_incorrect":
        losers = _in_order([s for s, _ in scored] + unreadable)
        return CandidateSets((), losers, consultant=True, empty=None if losers else _none_scored(samples))

    right = [(s, score) for s, score in scored if s.correct]
    if not right:
        if not scored:
            return CandidateSets((), (), empty=_none_scored(samples))
        unread = not any(s.readable for s in samples if s.correct)
        return CandidateSets((), (), empty="right_ones_unreadable" if unread else "right_ones_not_judged")
    top = max(score for _, score in right)
    winners = tuple(s for s, score in right if score == top)
    if behaviour == "variable":
        below = [s for s, score in scored if not s.correct and score < top]
        below += [s for s in unreadable if not s.correct]
        empty = _no_wrong_one(samples)
    else:
        lowest = min(score for _, score in right)
        limit = top if settings.loser == "below_top" else lowest + 1
        below = [s for s, score in right if score < limit and score < top] + unreadable
        empty = "all_scores_equal" if len(right) > 1 else "one_scored_only"
    return CandidateSets(winners, _in_order(below), empty=None if below else empty)


def rank_sets(samples: Sequence[Candidate], settings: PairSettings) -> CandidateSets:
    """A_w and A_l of the rank baseline: the top-scored win, whatever they predict; all others may lose.

    A_l holds every sample; the winner that is drawn leaves it. Others that share the top score may lose too
    ("a random other one"), unless all scores are equal: then there is nothing to prefer. Unreadable and
    unjudged samples are treated as in :func:`anchor_sets`.
    """
    if not samples:
        return CandidateSets((), (), empty="no_samples")
    scored = [(s, s.score) for s in samples if s.score is not None]
    if not scored:
        return CandidateSets((), (), empty=_none_scored(samples))
    unreadable = _unreadable(samples) if settings.unreadable_losers else []
    top = max(score for _, score in scored)
    winners = tuple(s for s, score in scored if score == top)
    if len(winners) == len(scored):
        losers = tuple(unreadable)
        only_one: NoPairReason = "all_scores_equal" if len(scored) > 1 else "one_scored_only"
        return CandidateSets(winners, losers, empty=None if losers else only_one)
    return CandidateSets(winners, _in_order([s for s, _ in scored] + unreadable))


def sets_for(strategy: PairRule, samples: Sequence[Candidate], settings: PairSettings) -> CandidateSets:
    """A_w and A_l by the named strategy."""
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
) -> PreferencePair | NoPair:
    """Draws one winner and one loser of a question.

    The draw depends on the seed, the strategy and the question's id alone: other questions may come and go.

    Args:
        scored: The question and its judged samples.
        argument: What the consultant wrote for it; None if it wasn't asked.
        in_reply_form: Puts the argument in the form of a reply that chooses the gold label.
        strategy: ``anchor`` or ``rank``.
        settings: Loser rule and what may lose.
        seed: Of this draw.
    """
    question, samples = scored.question, candidates(scored)
    behaviour = behaviour_of(samples)
    found = sets_for(strategy, samples, settings)

    def none(reason: NoPairReason) -> NoPair:
        return NoPair(question.id, strategy, behaviour, reason)

    if found.empty is not None or behaviour is None:
        return none(found.empty or "no_samples")
    draw = _draw(seed, strategy, question.id)
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
    )


def build_pairs(
    questions: Iterable[ScoredQuestion],
    arguments: Mapping[str, Argument],
    in_reply_form: InReplyForm,
    strategy: PairRule,
    settings: PairSettings,
    seed: int,
) -> PairSet:
    """:func:`choose_pair` for every question; ``arguments`` by question id."""
    pairs: list[PreferencePair] = []
    without: list[NoPair] = []
    for scored in questions:
        argument = arguments.get(scored.question.id)
        result = choose_pair(scored, argument, in_reply_form, strategy, settings, seed)
        if isinstance(result, NoPair):
            without.append(result)
        else:
            pairs.append(result)
    return PairSet(tuple(pairs), tuple(without))


def _none_scored(samples: Sequence[Candidate]) -> NoPairReason:
    return "none_judged" if any(sample.readable for sample in samples) else "no_readable_explanation"


def _no_wrong_one(samples: Sequence[Candidate]) -> NoPairReason:
    """Why no wrong sample may lose to the best right one."""
    wrong = [sample for sample in samples if not sample.correct]
    if not any(sample.readable for sample in wrong):
        return "wrong_ones_unreadable"
    if all(sample.score is None for sample in wrong):
        return "wrong_ones_not_judged"
    return "no_wrong_one_scored_lower"


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


def _unreadable(samples: Sequence[Candidate]) -> list[Candidate]:
    """Those that say something all the same: nothing can be learnt from a reply that is a thought alone."""
    return [sample for sample in samples if not sample.readable and sample.text.strip()]


def _in_order(samples: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(samples, key=lambda sample: sample.index))


def _side(sample: Candidate) -> Side:
    return Side(sample.text, "sample", sample.index, sample.score, sample.correct)


def _draw(seed: int, strategy: str, question_id: str) -> random.Random:
    digest = hashlib.sha256(f"{seed}\n{strategy}\n{question_id}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
