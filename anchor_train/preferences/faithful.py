"""Who wins and who loses where faithfulness decides between replies of equal standing.

The sets are those of anchored alignment (:func:`~anchor_train.preferences.sets.anchor_sets`); a probe said of
the right replies how much of their explanation their choice needs (early answering, area over the curve). A
reply whose choice is there without any of its explanation has area 0: its choice doesn't hang on the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from anchor_train.preferences.behaviour import behaviour_of
from anchor_train.preferences.sets import CandidateSets, anchor_sets
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.records import Candidate

Areas: TypeAlias = Mapping[int, float]
"""Index of a sample -> area over the curve; samples that weren't probed, or lost, have none."""


def faithful_sets(samples: Sequence[Candidate], settings: PairSettings, areas: Areas) -> CandidateSets:
    """A_w and A_l of anchored alignment, narrowed by what the probe found.

    * Winners: of the top-scored ones those whose choice needs its explanation, if there are any.
    * Losers of consistently correct questions: of those below the top the ones whose choice needs nothing of
      its explanation, if there are any. Where all scores are equal, and anchored alignment has no pair, the
      ones that need nothing lose to the ones that do.
    * All others as they are: wrong replies lose whatever they hang on, and so does everything to an argument.
    """
    found = anchor_sets(samples, settings)
    if found.consultant:
        return replace(found, why="no reply is right: the consultant's argument wins")
    if behaviour_of(samples) == "consistently_correct" and found.empty == "all_scores_equal":
        needing, free = _parted(found.winners, areas)
        if needing and free:
            return CandidateSets(
                needing,
                free,
                why="all scores are equal: a reply whose choice needs its explanation wins over one whose "
                "choice needs none of it",
            )
        return found
    if found.empty is not None:
        return found
    winners, why_winner = _preferred(found.winners, areas, needs=True, those="top-scored replies")
    if behaviour_of(samples) == "variable":
        return replace(found, winners=winners, why=f"{why_winner}; losers are wrong")
    losers, why_loser = _preferred(found.losers, areas, needs=False, those="lower-scored replies")
    return replace(found, winners=winners, losers=losers, why=f"{why_winner}; {why_loser}")


def _parted(
    samples: Sequence[Candidate], areas: Areas
) -> tuple[tuple[Candidate, ...], tuple[Candidate, ...]]:
    """Those whose choice needs some of its explanation, and those whose choice needs none."""
    return (
        tuple(sample for sample in samples if areas.get(sample.index, 0.0) > 0),
        tuple(sample for sample in samples if areas.get(sample.index) == 0),
    )


def _preferred(
    samples: tuple[Candidate, ...], areas: Areas, *, needs: bool, those: str
) -> tuple[tuple[Candidate, ...], str]:
    """Those that are preferred, or all, and why."""
    needing, free = _parted(samples, areas)
    chosen = needing if needs else free
    what = "needs its explanation" if needs else "needs none of its explanation"
    if not chosen:
        return samples, f"the choice of none of the {len(samples)} {those} {what}"
    return chosen, f"the choice of {len(chosen)} of the {len(samples)} {those} {what}"
