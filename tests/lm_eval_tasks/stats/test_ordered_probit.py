"""The ordered probit against statsmodels', and its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.miscmodels.ordinal_model import OrderedModel

from lm_eval_tasks.stats.ordered_probit import LOSS, TIE, WIN, OrderedProbit, fit


def fitted(counts: np.ndarray, grid: np.ndarray) -> OrderedProbit:
    found = fit(counts, grid)
    assert found is not None
    return found


def drawn(seed: int, questions: int = 900) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    places = random.integers(0, 7, questions)
    latent = 0.3 + 0.9 * (places - 2) + random.normal(0, 1, questions)
    outcome = np.where(latent > 0.7, WIN, np.where(latent < -0.2, LOSS, TIE))
    return places, outcome


def counted(places: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.zeros((3, 7))
    np.add.at(counts, (outcome, places), 1)
    return counts, np.arange(7) - 2.0


def test_it_is_statsmodels_ordered_probit() -> None:
    places, outcome = drawn(1)
    ours = fitted(*counted(places, outcome))
    theirs = OrderedModel(outcome, places[:, None] - 2.0, distr="probit").fit(method="bfgs", disp=False)
    slope, low, gap = theirs.params
    assert (ours.slope, ours.low, ours.high) == pytest.approx((slope, low, low + np.exp(gap)), abs=1e-3)


def test_the_information_gives_statsmodels_standard_error() -> None:
    places, outcome = drawn(2)
    ours = fitted(*counted(places, outcome))
    theirs = OrderedModel(outcome, places[:, None] - 2.0, distr="probit").fit(method="bfgs", disp=False)
    error = np.sqrt(np.linalg.inv(ours.information)[1, 1])
    assert error == pytest.approx(theirs.bse[0], rel=1e-2)


def test_scores_add_up_to_zero_at_the_maximum() -> None:
    counts, grid = counted(*drawn(3))
    assert np.einsum("kb,kib->i", counts, fitted(counts, grid).scores) == pytest.approx(np.zeros(3), abs=1e-6)


def test_gradients_are_derivatives() -> None:
    model = fitted(*counted(*drawn(4)))
    at = np.array([model.low, model.slope, model.high])

    def moved(place: int, by: float) -> OrderedProbit:
        parameters = at + by * np.eye(3)[place]
        return OrderedProbit(*parameters, scores=model.scores, information=model.information)

    for place in range(3):
        up, down = moved(place, 1e-6), moved(place, -1e-6)
        for which in range(2):
            change = (up.rates()[which] - down.rates()[which]) / 2e-6
            assert model.rate_gradients()[which][place] == pytest.approx(change, abs=1e-6)
        change = (up.margin_slope() - down.margin_slope()) / 2e-6
        assert model.slope_gradient()[place] == pytest.approx(change, abs=1e-6)


def test_outcomes_that_length_decides_still_have_a_slope() -> None:
    grid = np.linspace(-2, 2, 9)
    counts = np.full((3, 9), 0.01)
    counts[WIN, 5:] += 10
    counts[LOSS, :4] += 10
    counts[TIE, 4] += 10
    found = fitted(counts, grid)
    assert np.isfinite([found.low, found.slope, found.high]).all()
    assert found.rates()[0] == pytest.approx(found.rates()[1])


@pytest.mark.parametrize("place", [0, 4, 8])
def test_counts_of_a_single_x_tell_no_slope(place: int) -> None:
    counts = np.zeros((3, 9))
    counts[:, place] = 1.0, 2.0, 1.5
    assert fit(counts, np.linspace(-2, 2, 9)) is None


def test_a_weight_that_is_nearly_on_one_x_tells_none_either() -> None:
    counts = np.full((3, 9), 1e-200)
    counts[:, 2] = 1.0, 2.0, 1.5
    assert fit(counts, np.linspace(-2, 2, 9)) is None
