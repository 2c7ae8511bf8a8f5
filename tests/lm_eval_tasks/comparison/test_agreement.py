"""Agreement of judges on the same samples."""

from __future__ import annotations

import pytest

from lm_eval_tasks.comparison.agreement import Agreement, agreement
from lm_eval_tasks.records import ScoredQuestion
from tests.lm_eval_tasks.run_folders import JUDGE, RUBRIC, VERDICTS, level, question, reply

KEYS = [criterion.key for criterion in RUBRIC.criteria]


def judged(places: list[int | None]) -> list[ScoredQuestion]:
    """One sample a question; a place on the scale for all criteria, None for an unjudged sample."""
    samples = [reply(None) if place is None else level(place) for place in places]
    return [ScoredQuestion(question(number), (sample,)) for number, sample in enumerate(samples)]


def aspects(*judges: list[ScoredQuestion]) -> dict[str, Agreement]:
    found = agreement({str(number): judge for number, judge in enumerate(judges)}, JUDGE)
    return {aspect.aspect: aspect for aspect in found.aspects}


def test_judges_that_say_the_same_agree_fully() -> None:
    found = aspects(judged([0, 1, 2, 3]), judged([0, 1, 2, 3]))
    assert list(found) == ["total", *KEYS]
    for aspect in found.values():
        for coefficient in (aspect.found.exact, aspect.found.kappa, aspect.found.alpha):
            assert coefficient is not None
            assert coefficient.value == pytest.approx(1)
            assert coefficient.low is not None
            assert coefficient.low < 1  # four questions are no proof


def test_judges_that_say_the_opposite_disagree() -> None:
    found = aspects(judged([0, 1, 3, 4]), judged([4, 3, 1, 0]))
    clarity = found["clarity"].found
    assert clarity.kappa is not None
    assert clarity.kappa.value == pytest.approx(-1)
    assert clarity.alpha is not None
    assert clarity.alpha.value < 0


def test_near_misses_cost_less_than_far_ones() -> None:
    near, far = (
        aspects(judged([0, 1, 2, 3]), judged(places))["total"].found.alpha
        for places in ([1, 1, 2, 3], [4, 1, 2, 3])
    )
    assert near is not None
    assert far is not None
    assert near.value > far.value


def test_only_samples_that_two_judges_judged_count() -> None:
    found = aspects(judged([0, 1, None, 3]), judged([0, 1, 2, None]))
    total = found["total"].found
    assert (total.statements, total.questions) == (2, 2)
    assert total.alpha is not None
    assert total.alpha.value == pytest.approx(1)


def test_verdicts_that_never_vary_tell_nothing() -> None:
    assert len(VERDICTS) == 5
    found = aspects(judged([1, 1, 1]), judged([1, 1, 1]))
    total = found["total"].found
    assert (total.alpha, total.kappa) == (None, None)
    assert total.exact is not None
    assert total.exact.value == 1
