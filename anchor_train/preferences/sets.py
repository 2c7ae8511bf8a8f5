"""Who may win and who may lose: Algorithm 1 of the paper and its rank baseline, as functions of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anchor_train.preferences.behaviour import behaviour_of
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.records import Candidate, NoPairReason


@dataclass(frozen=True, slots=True)
class CandidateSets:
    """A_w and A_l of one question.

    Attributes:
        winners: Samples that may win; empty if the consultant's argument wins.
        losers: Samples that may lose.
        consultant: Whether the winner is the consultant's argument.
        empty: Why no pair can come of it; None if one can.
        why: Why these and no others, where a probe had a say; empty where scores and behaviour tell.
    """

    winners: tuple[Candidate, ...]
    losers: tuple[Candidate, ...]
    consultant: bool = False
    empty: NoPairReason | None = None
    why: str = ""


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


def _unreadable(samples: Sequence[Candidate]) -> list[Candidate]:
    """Those that say something all the same: nothing can be learnt from a reply that is a thought alone."""
    return [sample for sample in samples if not sample.readable and sample.text.strip()]


def _in_order(samples: Iterable[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(samples, key=lambda sample: sample.index))
