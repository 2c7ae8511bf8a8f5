"""Ordered probit of loss, tie and win on one variable, fitted to counts on a grid.

P(loss) = Phi(a - b x), P(win) = Phi(b x - c), and a tie is what is left (a < c): two latent qualities whose
difference grows with x, and a tie where it is small (McCullagh 1980, "Regression models for ordinal data").
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lm_eval_tasks.stats.estimation.intervals import Floats

LOSS, TIE, WIN = range(3)
_STEPS = 100
_LEAST_STEP = 1e-11
_ROUNDING = 1e-13
_SMALLEST = 1e-300
_WORST_CONDITION = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class OrderedProbit:
    """A fitted model.

    Attributes:
        low: Where losses end, a.
        slope: How much the latent difference grows with x, b.
        high: Where wins begin, c.
        scores: Gradient of the log-likelihood of one observation, shape (outcomes, 3 parameters, grid).
        information: Minus the Hessian of the log-likelihood at the maximum, shape (3, 3).
    """

    low: float
    slope: float
    high: float
    scores: Floats
    information: Floats

    def rates(self) -> tuple[float, float]:
        """Probabilities of a win and of a loss at x = 0."""
        from scipy.special import ndtr

        return float(ndtr(-self.high)), float(ndtr(self.low))

    def margin_slope(self) -> float:
        """Derivative of win - loss at x = 0."""
        return self.slope * (_density(self.low) + _density(self.high))

    def rate_gradients(self) -> tuple[Floats, Floats]:
        """Derivatives of :meth:`rates` by the parameters."""
        return np.array([0.0, 0.0, -_density(self.high)]), np.array([_density(self.low), 0.0, 0.0])

    def slope_gradient(self) -> Floats:
        """Derivatives of :meth:`margin_slope` by the parameters."""
        low, high = _density(self.low), _density(self.high)
        return np.array([-self.slope * self.low * low, low + high, -self.slope * self.high * high])


def fit(counts: Floats, grid: Floats) -> OrderedProbit | None:
    """Maximum likelihood, by Fisher scoring with step halving.

    Args:
        counts: Of losses, ties and wins at each point of the grid, shape (3, grid); some of each.
        grid: Values of x.

    Returns:
        None if the counts don't tell the three parameters: all of their weight lies on one x, say.
    """
    from scipy.special import ndtri

    shares = counts.sum(axis=1) / counts.sum()
    found = np.array([ndtri(shares[LOSS]), 0.0, -ndtri(shares[WIN])])
    best = _likelihood(found, counts, grid)
    for _ in range(_STEPS):
        chances, slopes = _chances(found, grid)
        gradient = np.einsum("kb,kib->i", counts / chances, slopes)
        expected = np.einsum("kb,kib,kjb->ij", counts.sum(axis=0) / chances, slopes, slopes)
        if not _regular(expected):
            return None
        step = np.linalg.solve(expected, gradient)
        # Near the maximum the likelihood is flat up to rounding, which must not halve good steps to nothing.
        least = best - _ROUNDING * abs(best)
        while np.abs(step).max() > _LEAST_STEP and _likelihood(found + step, counts, grid) < least:
            step = step / 2
        if np.abs(step).max() <= _LEAST_STEP:
            break
        found = found + step
        best = _likelihood(found, counts, grid)
    chances, slopes = _chances(found, grid)
    low, slope, high = (float(part) for part in found)
    information = _information(found, counts, grid)
    if not _regular(information):
        return None
    return OrderedProbit(low, slope, high, slopes / chances[:, None], information)


def _regular(matrix: Floats) -> bool:
    """Whether a matrix can be inverted, whatever the scale of its parameters."""
    scale = np.sqrt(np.abs(np.diag(matrix)))
    if not np.isfinite(matrix).all() or not (scale > 0).all():
        return False
    return bool(np.linalg.cond(matrix / np.outer(scale, scale)) < _WORST_CONDITION)


def _chances(parameters: Floats, grid: Floats) -> tuple[Floats, Floats]:
    """Probabilities of the outcomes, shape (3, grid), and their derivatives, (3, parameters, grid)."""
    from scipy.special import ndtr

    low, slope, high = parameters
    below, above = low - slope * grid, slope * grid - high
    loss, win = ndtr(below), ndtr(above)
    chances = np.maximum(np.stack([loss, 1 - loss - win, win]), _SMALLEST)
    at_low, at_high = _densities(below), _densities(above)
    nothing = np.zeros_like(grid)
    of_loss = np.stack([at_low, -grid * at_low, nothing])
    of_win = np.stack([nothing, grid * at_high, -at_high])
    return chances, np.stack([of_loss, -of_loss - of_win, of_win])


def _likelihood(parameters: Floats, counts: Floats, grid: Floats) -> float:
    if parameters[0] >= parameters[2]:
        return -math.inf
    return float((counts * np.log(_chances(parameters, grid)[0])).sum())


def _information(parameters: Floats, counts: Floats, grid: Floats) -> Floats:
    """By central differences of the exact gradient."""
    step = 1e-5 * min(1.0, float(parameters[2] - parameters[0]))

    def gradient(at: Floats) -> Floats:
        chances, slopes = _chances(at, grid)
        of_all: Floats = np.einsum("kb,kib->i", counts / chances, slopes)
        return of_all

    shifts = step * np.eye(3)
    rows = [(gradient(parameters - shift) - gradient(parameters + shift)) / (2 * step) for shift in shifts]
    found = np.array(rows)
    symmetric: Floats = (found + found.T) / 2
    return symmetric


def _density(at: float) -> float:
    return math.exp(-at * at / 2) / math.sqrt(2 * math.pi)


def _densities(at: Floats) -> Floats:
    densities: Floats = np.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    return densities
