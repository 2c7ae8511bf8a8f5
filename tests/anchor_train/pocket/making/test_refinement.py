"""Principles of the pocket language: what is named, and what is mended by it."""

from __future__ import annotations

import random

from anchor_train.pocket.making.corpus import OWN
from anchor_train.pocket.making.flaws import Flaws
from anchor_train.pocket.making.refinement import BLIND, FAMILIES, PERFECT, Skill, choose, faults, mended
from lm_eval_tasks.pocket.questions import draw_stories

STORY = next(draw_stories("train", 0, "hard"))
SURE = Skill(name=1.0, mend=1.0, anew=0.0)
FAMILY = {family.key: family for family in FAMILIES}


def test_every_flaw_belongs_to_one_family() -> None:
    named = [flaw for family in FAMILIES for flaw in family.about]
    assert sorted(named) == sorted(Flaws.__dataclass_fields__)


def test_the_principle_is_about_a_flaw_that_is_there() -> None:
    flaws = Flaws(skipped=1, padding=("Well.",))
    assert [family.key for family in faults(flaws)] == ["steps", "once"]
    drawn = {choose(flaws, SURE, True, random.Random(seed)).key for seed in range(20)}
    assert drawn == {"steps", "once"}


def test_a_misread_event_is_found_with_a_hint_only() -> None:
    flaws = Flaws(misread=frozenset({0}), bare=True)
    assert {"reading"} == BLIND
    drawn = {choose(flaws, SURE, False, random.Random(seed)).key for seed in range(20)}
    assert drawn == {"reasons"}


def test_what_the_principle_is_about_is_mended_and_the_rest_is_kept() -> None:
    flaws = Flaws(skipped=1, bare=True, leap=2)
    after = mended(STORY, flaws, FAMILY["steps"], SURE, OWN, random.Random(0))
    assert after == Flaws(bare=True, leap=2)
    careless = Skill(name=1.0, mend=0.0, anew=0.0)
    assert mended(STORY, flaws, FAMILY["steps"], careless, OWN, random.Random(0)) == flaws
    assert faults(PERFECT) == []
