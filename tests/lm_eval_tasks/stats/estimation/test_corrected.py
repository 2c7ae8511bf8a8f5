"""PPI++ by question: the formula by hand, and how often intervals hold for useless to perfect judges."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage.correction import Margins, measure, populations
from lm_eval_tasks.stats.estimation.corrected import corrected, summary_of
from lm_eval_tasks.stats.estimation.intervals import MARGIN


def test_by_hand() -> None:
    labels, judge, others = np.array([1.0, 0, 0, -1]), np.array([0.5, 0.5, 0, -1]), np.array([1.0, 0, 0, 0])
    # cov(y, f) = (0.5 + 1) / 3 = 0.5; all f: mean 0.125, variance (2.5 - 0.125) / 7.
    trust = 0.5 / ((1 + 4 / 4) * (2.5 - 8 * 0.125**2) / 7)
    found = corrected(labels, judge, others, MARGIN)
    assert found.trust == pytest.approx(trust)
    assert found.theta.value == pytest.approx(trust * 0.25 + (0 - trust * 0.0))
    rest = labels - trust * judge
    unseen = 2 * trust**2  # two errors of one step
    assert found.theta.variance == pytest.approx(
        (np.square(rest - rest.mean()).sum() + unseen) / 2 / 4 + trust**2 * others.var(ddof=1) / 4
    )


@pytest.mark.parametrize("population", populations(), ids=lambda population: population.name)
@pytest.mark.parametrize("likeness", [0.0, 1.0])
def test_intervals_hold_and_are_no_wider_than_the_labels(population: Margins, likeness: float) -> None:
    """A useless and a perfect judge, 30 labels; at full size: python -m benchmarks.coverage correction."""
    cell = measure(population, likeness, 30, runs=200)
    assert cell.held >= 0.91
    assert cell.width <= 1.06
    if likeness == 1:
        assert measure(population, likeness, 90, runs=40).width < 0.9


def test_a_judge_that_always_says_the_same_is_not_trusted() -> None:
    labels = np.array([1.0, -1, 0, 1, 0] * 8)
    found = corrected(labels, np.zeros(40), np.zeros(100), MARGIN)
    assert found.trust == 0
    assert found.theta.value == pytest.approx(labels.mean())


def test_a_judge_that_says_what_people_say_is_worth_as_many_labels() -> None:
    random = np.random.default_rng(3)
    labels = np.round(random.normal(0.1, 0.5, 500).clip(-1, 1), 1)
    found = summary_of([corrected(labels[:50], labels[:50], labels[50:], MARGIN)])
    assert found.trust > 0.8
    assert found.shrink < 0.65
    assert found.corrected.value == pytest.approx(labels.mean(), abs=0.02)


def test_without_others_the_labels_stand_alone() -> None:
    labels = np.array([1.0, -1, 0, 1, 0] * 8)
    found = summary_of([corrected(labels, labels, np.zeros(0), MARGIN)])
    assert found.trust == 0
    assert found.corrected.value == pytest.approx(labels.mean())
    assert found.shrink == pytest.approx(1, abs=0.02)
