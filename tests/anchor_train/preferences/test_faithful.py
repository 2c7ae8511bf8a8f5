"""Where faithfulness decides between replies of equal standing, and where it doesn't."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_train.preferences.faithful import faithful_sets
from anchor_train.preferences.pairs import choose_pair
from anchor_train.preferences.sets import CandidateSets, anchor_sets
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.records import Argument, Candidate, NoPair, PreferencePair
from tests.anchor_train.preferences.test_pairs import in_form, question_of, sample

DEFAULT = PairSettings()
ARGUMENT = Argument("q1", "Because two is right.")


def candidates_of(*rows: tuple[bool, int | None]) -> list[Candidate]:
    return [
        Candidate(index, f"reply {index}", correct, score is not None, score)
        for index, (correct, score) in enumerate(rows)
    ]


def sides(found: CandidateSets) -> tuple[list[int], list[int]]:
    return [one.index for one in found.winners], [one.index for one in found.losers]


def test_of_the_top_scored_the_one_that_needs_its_explanation_wins():
    found = faithful_sets(candidates_of((True, 20), (True, 20), (False, 9)), DEFAULT, {0: 0.0, 1: 0.6})
    assert sides(found) == ([1], [2])
    assert found.why == (
        "the choice of 1 of the 2 top-scored replies needs its explanation; losers are wrong"
    )


def test_of_right_losers_the_one_that_needs_nothing_of_it_loses():
    found = faithful_sets(
        candidates_of((True, 20), (True, 12), (True, 15)), DEFAULT, {0: 0.4, 1: 0.4, 2: 0.0}
    )
    assert sides(found) == ([0], [2])
    assert "1 of the 2 lower-scored replies needs none of its explanation" in found.why


def test_equal_scores_give_a_pair_where_anchored_alignment_has_none():
    samples = candidates_of((True, 20), (True, 20), (True, 20))
    assert anchor_sets(samples, DEFAULT).empty == "all_scores_equal"
    found = faithful_sets(samples, DEFAULT, {0: 0.0, 1: 0.5})
    # The third one, of which nothing is known, is on neither side.
    assert sides(found) == ([1], [0])
    assert found.why.startswith("all scores are equal")
    for areas in ({}, {0: 0.0, 1: 0.0, 2: 0.0}, {0: 0.5, 1: 0.5, 2: 0.5}):
        assert faithful_sets(samples, DEFAULT, areas).empty == "all_scores_equal"


def test_equal_standing_comes_first():
    """A reply that needs its explanation doesn't win over a better one."""
    found = faithful_sets(candidates_of((True, 20), (True, 15)), DEFAULT, {0: 0.0, 1: 0.9})
    assert sides(found) == ([0], [1])
    assert "none of the 1 top-scored replies needs its explanation" in found.why


def test_where_nothing_was_right_the_argument_wins_over_all():
    found = faithful_sets(candidates_of((False, 20), (False, 3)), DEFAULT, {})
    assert found.consultant
    assert sides(found) == ([], [0, 1])
    assert "no reply is right" in found.why


samples = st.lists(st.tuples(st.booleans(), st.none() | st.integers(0, 4)), max_size=6)
known = st.dictionaries(st.integers(0, 5), st.sampled_from([0.0, 0.3, 0.9]))


@given(samples, known)
@settings(max_examples=300, deadline=None)
def test_it_only_narrows_what_anchored_alignment_allows(rows, areas):
    given_ = candidates_of(*rows)
    plain, found = anchor_sets(given_, DEFAULT), faithful_sets(given_, DEFAULT, areas)
    assert found.consultant == plain.consultant
    if plain.empty is None:
        assert found.empty is None
        assert set(found.winners) <= set(plain.winners)
        assert set(found.losers) <= set(plain.losers)
        assert found.winners or found.consultant
        assert found.losers
        assert found.why
    elif found.empty is None:  # equal scores alone, where the probe tells them apart
        assert plain.empty == "all_scores_equal"
        assert len({one.score for one in (*found.winners, *found.losers)}) == 1
        assert all(areas[one.index] > 0 for one in found.winners)
        assert all(areas[one.index] == 0 for one in found.losers)


@given(samples)
@settings(max_examples=100, deadline=None)
def test_without_a_probe_it_is_anchored_alignment(rows):
    scored = question_of(*(sample("B" if right else "A", score) for right, score in rows))
    plain = choose_pair(scored, ARGUMENT, in_form, "anchor", DEFAULT, 3)
    found = choose_pair(scored, ARGUMENT, in_form, "anchor-faithful", DEFAULT, 3)
    if isinstance(plain, NoPair):
        assert isinstance(found, NoPair)
        assert found.reason == plain.reason
    else:
        assert isinstance(found, PreferencePair)
        assert (found.chosen, found.rejected) == (plain.chosen, plain.rejected)
        assert found.areas == ()


def test_a_pair_says_what_the_probe_found():
    scored = question_of(sample("B", 9, text="one"), sample("B", 9, text="two"), sample("B", None))
    pair = choose_pair(scored, None, in_form, "anchor-faithful", DEFAULT, 0, {0: 0.0, 1: 0.5})
    assert isinstance(pair, PreferencePair)
    assert (pair.chosen.sample, pair.rejected.sample) == (1, 0)
    assert pair.areas == (0.0, 0.5, None)
    assert PreferencePair.from_json(pair.to_json()) == pair
    earlier = {name: value for name, value in pair.to_json().items() if name not in ("why", "areas")}
    assert PreferencePair.from_json(earlier).why == ""
