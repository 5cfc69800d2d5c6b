"""The best sum of one or two exponentials, for many curves at once.

R(t) = sum of h_i exp(-t / tau_i), plus a level if asked for, with h_i > 0 and t counted from the first fitted lag on,
where the heights h_i are best conditioned. log tau is searched on a dense grid, on which all curves share their
exponentials and the search is a matrix product, and then refined (see `variable_projection`). This finds the global
optimum, without starting values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cortexsnn.timescales.variable_projection import INDEPENDENT, Curves, climb

__all__ = ["Exponentials", "fit_one", "fit_two"]

Values = NDArray[np.float64]

# Points of the grids in log tau; what is explained bends on a scale of 1 there.
_GRID = 120
_GRID_OF_TWO = 72
# What explains less than this share of the sum of squares is rounding.
_ROUNDING = 1e-24
# The polynomial through 7 points of a grid, at finer steps between the neighbours of the one in the middle.
_AROUND = np.arange(-3, 4)
_FINE = np.linspace(-1.0, 1.0, 97)
_BETWEEN = np.linalg.solve(np.vander(_AROUND).T, np.vander(_FINE, _AROUND.size).T)


@dataclass(frozen=True, eq=False)
class Exponentials:
    """The best sums of exponentials.

    Parameters
    ----------
    log_tau, height : array, shape (curve, component)
        Logarithm of tau in bins, from fast to slow, and value at the first fitted lag. Height 0: no such component.
    level : array, shape (curve,)
        The constant; 0 where none was asked for.
    explained : array, shape (curve,)
        By how much the weighted sum of squares is smaller than without exponentials; 0 where nothing decays.
    """

    log_tau: Values
    height: Values
    level: Values
    explained: Values


class _Grid:
    """Weighted sums of curves with the exponentials of a grid of tau."""

    def __init__(self, curves: Curves, log_tau: Values) -> None:
        exponent = -curves.lag[:, None] / np.exp(log_tau)
        # Where there is a level, a constant less changes nothing, and keeps long tau precise.
        self._basis = np.expm1(exponent) if curves.level else np.exp(exponent)
        self._level = curves.level

    def covariance(self, curves: Curves) -> Values:
        """With the curves, shape (curve, tau)."""
        return np.asarray((curves.weights * curves.centred()) @ self._basis)

    def squares(self, weights: Values) -> Values:
        """With themselves, shape (row of weights, tau)."""
        return self._sums(weights, self._basis, self._basis)

    def products(self, weights: Values) -> Values:
        """Of all pairs of different tau in the order of `triu_indices`, shape (row of weights, pair)."""
        basis = self._basis
        taus = range(basis.shape[1] - 1)
        return np.concatenate([self._sums(weights, basis[:, i, None], basis[:, i + 1 :]) for i in taus], axis=1)

    def _sums(self, weights: Values, one: Values, other: Values) -> Values:
        sums = weights @ (one * other)
        if self._level:
            sums -= (weights @ one) * (weights @ other) / weights.sum(axis=1, keepdims=True)
        return np.asarray(sums)


def _top_between(gain: Values, top: NDArray[np.intp]) -> Values:
    """Where around the best point of a grid the largest gain is, in steps of the grid."""
    fine = np.take_along_axis(gain, top[:, None] + _AROUND, axis=1) @ _BETWEEN
    inner = np.clip(fine.argmax(axis=1), 1, _FINE.size - 2)
    rows = np.arange(top.size)
    left, middle, right = (fine[rows, inner + k] for k in (-1, 0, 1))
    bend = 2 * middle - left - right
    shift = np.divide((right - left) / 2, bend, out=np.zeros_like(bend), where=bend > 0)
    return np.asarray(_FINE[inner] + np.clip(shift, -1.0, 1.0) * (_FINE[1] - _FINE[0]))


def _best_of_one(curves: Curves, log_range: tuple[float, float]) -> tuple[Values, Values, Values]:
    """Log tau that explains most, and the ends of the search around it, each of shape (curve, 1)."""
    shortest, longest = log_range
    step = (longest - shortest) / (_GRID - 1)
    # A little past the ends, so that there are points around each.
    log_grid = shortest + step * np.arange(_AROUND[0], _GRID + _AROUND[-1])
    inside = slice(-_AROUND[0], _GRID - _AROUND[0])
    start, top = np.zeros(len(curves.values)), np.zeros(len(curves.values), dtype=np.intp)
    grid = _Grid(curves, log_grid)
    common = grid.squares(curves.weights) if len(curves.weights) == 1 else None
    for part, some in curves.chunks(log_grid.size):
        gain = grid.covariance(some)
        np.maximum(gain, 0.0, out=gain)
        gain *= gain
        gain /= grid.squares(some.weights) if common is None else common
        top[part] = gain[:, inside].argmax(axis=1) + inside.start
        start[part] = log_grid[top[part]] + step * _top_between(gain, top[part])
    low, high = np.maximum(log_grid[top - 1], shortest), np.minimum(log_grid[top + 1], longest)
    return np.clip(start, low, high)[:, None], low[:, None], high[:, None]


def _best_of_two(curves: Curves, log_range: tuple[float, float]) -> Values:
    """The pair of log tau on a grid that explains most with positive heights, shape (curve, 2); NaN: there is none."""
    log_grid = np.linspace(*log_range, _GRID_OF_TWO)
    grid = _Grid(curves, log_grid)
    first, second = np.triu_indices(log_grid.size, 1)

    def overlaps(weights: Values) -> tuple[Values, Values, Values, Values]:
        squares, product = grid.squares(weights), grid.products(weights)
        square, other_square = squares[:, first], squares[:, second]
        both = square * other_square
        determinant = both - product**2
        return square, other_square, product, np.where(determinant > INDEPENDENT * both, determinant, np.inf)

    common = overlaps(curves.weights) if len(curves.weights) == 1 else None
    found = np.full((len(curves.values), 2), np.nan)
    for part, some in curves.chunks(first.size):
        square, other_square, product, determinant = common or overlaps(some.weights)
        covariance = grid.covariance(some)
        one, other = covariance[:, first], covariance[:, second]
        height = other_square * one - product * other
        other_height = square * other - product * one
        gain = (one * height + other * other_height) / determinant
        gain[(height <= 0) | (other_height <= 0)] = 0.0
        top = gain.argmax(axis=1)
        pair = np.stack([log_grid[first[top]], log_grid[second[top]]], axis=1)
        found[part] = np.where(gain.max(axis=1, keepdims=True) > 0, pair, np.nan)
    return found


def _beside_one(curves: Curves, one: Exponentials, log_range: tuple[float, float]) -> Values:
    """The best partners of the best single exponential, a faster and a slower one, shape (2, curve, 2) or NaN.

    A partner that explains little is lost on a grid of pairs: what it gains is less than what the other loses there.
    """
    log_grid = np.linspace(*log_range, _GRID_OF_TWO)
    grid = _Grid(curves, log_grid)
    found = np.full((2, len(curves.values), 2), np.nan)
    for part, some in curves.chunks(max(log_grid.size, curves.lag.size)):
        log_tau = one.log_tau[part]
        single = replace(some, values=np.exp(-some.lag / np.exp(log_tau)))
        centred = single.weights * single.centred()
        square = (centred * single.values).sum(axis=1, keepdims=True)
        covariance = (centred * some.values).sum(axis=1, keepdims=True)
        squares, product, others = grid.squares(some.weights), grid.covariance(single), grid.covariance(some)
        height, other_height = squares * covariance - product * others, square * others - product * covariance
        determinant = square * squares - product**2
        there = (height > 0) & (other_height > 0) & (determinant > INDEPENDENT * square * squares)
        gain = np.divide(other_height**2, determinant, out=np.zeros_like(product), where=there)
        for side, beyond in enumerate((log_grid < log_tau, log_grid > log_tau)):
            of_side = np.where(beyond, gain, 0.0)
            pair = np.stack([log_tau[:, 0], log_grid[of_side.argmax(axis=1)]], axis=1)
            found[side, part] = np.where(of_side.max(axis=1, keepdims=True) > 0, pair, np.nan)
    return found


def fit_one(curves: Curves, log_range: tuple[float, float]) -> Exponentials:
    """Fit one exponential.

    Parameters
    ----------
    curves : Curves
    log_range : tuple of float
        Between which logarithms of tau in bins to search.

    Returns
    -------
    Exponentials
        With one component.

    Examples
    --------
    >>> lag = np.arange(30.0)
    >>> curves = Curves(lag, 2.0 * np.exp(-lag[None] / 5.0) + 1.0, np.ones((1, 30)), level=True)
    >>> fit = fit_one(curves, (-2.0, 6.0))
    >>> np.exp(fit.log_tau).round(4), fit.height.round(4), fit.level.round(4)
    (array([[5.]]), array([[2.]]), array([1.]))
    """
    number = len(curves.values)
    fit = Exponentials(np.zeros((number, 1)), np.zeros((number, 1)), np.zeros(number), np.zeros(number))
    start, low, high = _best_of_one(curves, log_range)
    for part, some in curves.chunks(5 * curves.lag.size):
        place = climb(some, start[part], low[part], high[part])
        decays = place.gain > _ROUNDING * (some.weights * some.values**2).sum(axis=1)
        fit.log_tau[part] = place.log_tau
        fit.height[part] = np.where(decays[:, None], place.height, 0.0)
        fit.level[part] = place.level
        fit.explained[part] = np.where(decays, place.gain, 0.0)
    return fit


def fit_two(curves: Curves, one: Exponentials, log_range: tuple[float, float]) -> Exponentials:
    """Fit two exponentials; where no second one with a positive height explains more, the second height is 0.

    Parameters
    ----------
    curves : Curves
    one : Exponentials
        What `fit_one` gives for the same curves.
    log_range : tuple of float
        Between which logarithms of tau in bins to search.

    Returns
    -------
    Exponentials
        With two components.

    Examples
    --------
    >>> lag = np.arange(200.0)
    >>> values = 2.0 * np.exp(-lag[None] / 3.0) + np.exp(-lag[None] / 40.0)
    >>> curves = Curves(lag, values, np.ones((1, 200)), level=False)
    >>> np.exp(fit_two(curves, fit_one(curves, (-2.0, 7.0)), (-2.0, 7.0)).log_tau).round(4)
    array([[ 3., 40.]])
    """
    number = len(curves.values)
    fit = Exponentials(
        np.concatenate([one.log_tau, np.full((number, 1), np.inf)], axis=1),
        np.concatenate([one.height, np.zeros((number, 1))], axis=1),
        one.level.copy(),
        one.explained.copy(),
    )
    for start in (_best_of_two(curves, log_range), *_beside_one(curves, one, log_range)):
        pairs = np.flatnonzero(np.isfinite(start[:, 0]) & (one.explained > 0))
        for part, some in curves.rows(pairs).chunks(8 * curves.lag.size):
            rows = pairs[part]
            low, high = (np.full((rows.size, 2), end) for end in log_range)
            place = climb(some, start[rows], low, high)
            better = place.gain > fit.explained[rows] * (1 + INDEPENDENT)
            rows, order = rows[better], np.argsort(place.log_tau[better], axis=1)
            fit.log_tau[rows] = np.take_along_axis(place.log_tau[better], order, axis=1)
            fit.height[rows] = np.take_along_axis(place.height[better], order, axis=1)
            fit.level[rows], fit.explained[rows] = place.level[better], place.gain[better]
    return fit
