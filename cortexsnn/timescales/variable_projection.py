"""Least squares of one or two exponentials, for many curves at once.

R(t) = sum of h_i exp(-t / tau_i), plus a level if asked for, with h_i > 0 and t counted from the first fitted lag on,
where the heights h_i are best conditioned. For fixed tau the heights and the level follow from a linear fit, so that
only log tau is searched (variable projection, Golub & Pereyra 1973, https://doi.org/10.1137/0710036): first on a dense
grid, on which all curves share their exponentials and the search is a matrix product, then by Newton steps on what is
explained. This finds the global optimum, without starting values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curves", "Exponentials", "fit_one", "fit_two"]

Values = NDArray[np.float64]
Rows = NDArray[np.intp]

# Points of the grids in log tau; what is explained bends on a scale of 1 there.
_GRID = 120
_GRID_OF_TWO = 72
# Two exponentials can explain a curve about as well in more than one way: so many are followed up.
_PEAKS = 3
_STEPS_AT_MOST = 60
# Newton steps smaller than this change nothing that matters.
_SMALL_STEP = 1e-6
_LARGEST_STEP = 1.0
# Two exponentials as parallel as this are one.
_INDEPENDENT = 1e-11
# What explains less than this share of the sum of squares is rounding.
_ROUNDING = 1e-24
_NUMBERS_AT_A_TIME = 200_000


@dataclass(frozen=True, eq=False)
class Curves:
    """What is fitted.

    Parameters
    ----------
    lag : array, shape (lag,)
        Distance from the first fitted lag in bins, from 0 on.
    values : array, shape (curve, lag)
        Finite, also where the weight is 0.
    weights : array, shape (curve, lag) or (1, lag)
        Not negative; 0 where a lag is left out.
    level : bool
        Whether a constant is fitted too.
    """

    lag: Values
    values: Values
    weights: Values
    level: bool

    def rows(self, chosen: Rows | slice) -> Curves:
        """Some of the curves."""
        weights = self.weights if len(self.weights) == 1 else self.weights[chosen]
        return replace(self, values=self.values[chosen], weights=weights)

    def chunks(self, numbers_per_curve: int) -> Iterator[tuple[slice, Curves]]:
        """The curves in groups small enough for the cache."""
        size = max(1, _NUMBERS_AT_A_TIME // numbers_per_curve)
        for begin in range(0, len(self.values), size):
            part = slice(begin, begin + size)
            yield part, self.rows(part)

    def centred(self) -> Values:
        """What a level does not explain."""
        if not self.level:
            return self.values
        weights = self.weights / self.weights.sum(axis=1, keepdims=True)
        return self.values - np.einsum("nl,nl->n", np.broadcast_to(weights, self.values.shape), self.values)[:, None]

    def total(self) -> Values:
        """Weighted sum of squares that there is to explain, shape (curve,)."""
        return np.asarray((self.weights * self.centred() ** 2).sum(axis=1))


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


# The grid


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


# The polynomial through 7 points of a grid, at finer steps between the neighbours of the one in the middle.
_AROUND = np.arange(-3, 4)
_FINE = np.linspace(-1.0, 1.0, 97)
_BETWEEN = np.linalg.solve(np.vander(_AROUND).T, np.vander(_FINE, _AROUND.size).T)


def _top_between(gain: Values, top: Rows) -> Values:
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


def _peaks(gain: Values, number: int) -> NDArray[np.intp]:
    """The highest `number` places of maps (curve, row, column) no neighbour of which is higher, as flat places."""
    ridge = gain.copy()
    np.maximum(ridge[:, 1:], gain[:, :-1], out=ridge[:, 1:])
    np.maximum(ridge[:, :-1], gain[:, 1:], out=ridge[:, :-1])
    around = ridge.copy()
    np.maximum(around[:, :, 1:], ridge[:, :, :-1], out=around[:, :, 1:])
    np.maximum(around[:, :, :-1], ridge[:, :, 1:], out=around[:, :, :-1])
    peaks = np.where(gain >= around, gain, 0.0).reshape(len(gain), -1)
    return np.asarray(np.argpartition(-peaks, np.arange(number), axis=1)[:, :number])


def _best_of_two(curves: Curves, log_range: tuple[float, float]) -> Values:
    """Pairs of log tau where what positive heights explain has a peak, shape (peak, curve, 2); NaN: there are fewer."""
    log_grid = np.linspace(*log_range, _GRID_OF_TWO)
    grid = _Grid(curves, log_grid)
    first, second = np.triu_indices(log_grid.size, 1)

    def overlaps(weights: Values) -> tuple[Values, Values, Values, Values]:
        squares, product = grid.squares(weights), grid.products(weights)
        square, other_square = squares[:, first], squares[:, second]
        both = square * other_square
        determinant = both - product**2
        return square, other_square, product, np.where(determinant > _INDEPENDENT * both, determinant, np.inf)

    common = overlaps(curves.weights) if len(curves.weights) == 1 else None
    found = np.full((_PEAKS, len(curves.values), 2), np.nan)
    for part, some in curves.chunks(log_grid.size**2):
        square, other_square, product, determinant = common or overlaps(some.weights)
        covariance = grid.covariance(some)
        one, other = covariance[:, first], covariance[:, second]
        height = other_square * one - product * other
        other_height = square * other - product * one
        gain = (one * height + other * other_height) / determinant
        gain[(height <= 0) | (other_height <= 0)] = 0.0
        gains = np.zeros((len(gain), log_grid.size, log_grid.size))
        gains[:, first, second] = gain
        place = _peaks(gains, _PEAKS).T
        pair = log_grid[np.stack(np.unravel_index(place, gains.shape[1:]), axis=-1)]
        there = gains.reshape(len(gain), -1)[np.arange(len(gain)), place] > 0
        found[:, part] = np.where(there[:, :, None], pair, np.nan)
    return found


# The refinement


@dataclass(frozen=True, eq=False)
class _Place:
    """The linear fit at some log tau, with the slope and the bend of what it explains."""

    log_tau: Values
    height: Values
    level: Values
    gain: Values
    slope: Values
    bend: Values

    def take(self, better: _Place, rows: Rows, chosen: NDArray[np.bool_]) -> None:
        """Move the rows that are chosen to a better place."""
        for field in fields(self):
            getattr(self, field.name)[rows[chosen]] = getattr(better, field.name)[chosen]


def _solved(matrix: Values, right: Values) -> tuple[Values, Values]:
    """Solutions of symmetric systems of one or two unknowns, shape as `right` (curve, unknown, k); determinants."""
    if right.shape[1] == 1:
        determinant = matrix[:, 0, 0]
        adjugate = np.ones_like(matrix)
    else:
        determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] ** 2
        adjugate = matrix[:, ::-1, ::-1] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    safe = np.where(determinant == 0, np.inf, determinant)
    return np.einsum("nij,njk->nik", adjugate, right) / safe[:, None, None], determinant


def _at(curves: Curves, log_tau: Values) -> _Place:
    """Fit heights and level for these log tau, shape (curve, component).

    For heights h, f_i = exp(-t / tau_i), c_i = <f_i, R> and S_ij = <f_i, f_j>, explained is G = 2 h c - h S h at its
    largest. So its slope in log tau_i is 2 h_i <f_i', residual>, and its bend the one for fixed heights plus what the
    heights contribute by following.
    """
    number, components = log_tau.shape
    # Rows: a constant, the curve, the exponentials, and their first and second derivatives in log tau.
    rows = np.empty((number, 2 + 3 * components, curves.lag.size))
    one, two, three = (slice(2 + k * components, 2 + (k + 1) * components) for k in range(3))
    rows[:, 0], rows[:, 1] = 1.0, curves.values
    ratio = curves.lag / np.exp(log_tau)[:, :, None]
    rows[:, one] = np.expm1(-ratio)
    rows[:, two] = ratio * (rows[:, one] + 1.0)
    rows[:, three] = (ratio - 1.0) * rows[:, two]
    if not curves.level:
        rows[:, one] += 1.0
    sums = (rows * curves.weights[:, None, :]) @ rows.transpose(0, 2, 1)
    means = sums[:, 0, :] / sums[:, :1, 0]
    if curves.level:
        sums -= sums[:, :, :1] * means[:, None, :]
    overlap, covariance = sums[:, one, one], sums[:, one, 1]
    solved, determinant = _solved(overlap, covariance[:, :, None])
    height = solved[:, :, 0]
    scale = overlap[:, 0, 0] * (overlap[:, 1, 1] if components == 2 else 1.0)
    allowed = (determinant > _INDEPENDENT * scale) & (height > 0).all(axis=1)
    diagonal = np.eye(components)
    of_slope = sums[:, two, 1] - np.einsum("nij,nj->ni", sums[:, two, one], height)
    of_bend = sums[:, three, 1] - np.einsum("nij,nj->ni", sums[:, three, one], height)
    # Second derivatives of G in (log tau_i, log tau_j) and in (log tau_i, h_j).
    fixed = 2 * (
        (height * of_bend)[:, :, None] * diagonal - height[:, :, None] * sums[:, two, two] * height[:, None, :]
    )
    mixed = 2 * (of_slope[:, :, None] * diagonal - height[:, :, None] * sums[:, two, one])
    followed = _solved(overlap, mixed.transpose(0, 2, 1))[0]
    level = means[:, 1] - (height * (means[:, one] + 1.0)).sum(axis=1) if curves.level else np.zeros(number)
    return _Place(
        log_tau=log_tau,
        height=height,
        level=level,
        gain=np.where(allowed, (height * covariance).sum(axis=1), -np.inf),
        slope=2 * height * of_slope,
        bend=fixed + mixed @ followed / 2,
    )


def _newton_step(place: _Place, rows: Rows, low: Values, high: Values, damping: Values) -> Values:
    """Steps uphill of some rows, shape (row, component), which stay inside the range."""
    log_tau, slope, bend = place.log_tau[rows], place.slope[rows], -place.bend[rows]
    held = ((log_tau <= low) & (slope < 0)) | ((log_tau >= high) & (slope > 0))
    slope = np.where(held, 0.0, slope)
    components = slope.shape[1]
    bend = np.where((held[:, :, None] | held[:, None, :]) & ~np.eye(components, dtype=bool), 0.0, bend)
    diagonal = np.einsum("nii->ni", bend)
    middle, spread = diagonal.mean(axis=1), np.ptp(diagonal, axis=1) / 2
    spread = np.hypot(spread, bend[:, 0, -1] if components == 2 else 0.0)
    # Where G does not bend down, the step is as if it did.
    lift = np.maximum(2 * (spread - middle), 0.0) + damping * (np.abs(middle) + spread)
    step = _solved(bend + lift[:, None, None] * np.eye(components), slope[:, :, None])[0][:, :, 0]
    step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return np.asarray(np.clip(log_tau + step, low, high) - log_tau)


def _climbed(curves: Curves, log_tau: Values, low: Values, high: Values) -> _Place:
    """Go uphill from `log_tau`, shape (curve, component), until the steps are small."""
    place = _at(curves, log_tau)
    rows = np.arange(len(log_tau))
    damping = np.zeros(len(log_tau))
    for _ in range(_STEPS_AT_MOST):
        step = _newton_step(place, rows, low[rows], high[rows], damping[rows])
        rows, step = rows[keep := (np.abs(step) > _SMALL_STEP).any(axis=1)], step[keep]
        if not rows.size:
            break
        there = _at(curves.rows(rows), place.log_tau[rows] + step)
        better = there.gain >= place.gain[rows] * (1 - 1e-14)
        place.take(there, rows, better)
        damping[rows] = np.where(better, damping[rows] / 10, np.maximum(10 * damping[rows], 0.1))
    return place


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
        place = _climbed(some, start[part], low[part], high[part])
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
    for start in _best_of_two(curves, log_range):
        pairs = np.flatnonzero(np.isfinite(start[:, 0]) & (one.explained > 0))
        for part, some in curves.rows(pairs).chunks(8 * curves.lag.size):
            rows = pairs[part]
            low, high = (np.full((rows.size, 2), end) for end in log_range)
            place = _climbed(some, start[rows], low, high)
            better = place.gain > fit.explained[rows] * (1 + _INDEPENDENT)
            rows, order = rows[better], np.argsort(place.log_tau[better], axis=1)
            fit.log_tau[rows] = np.take_along_axis(place.log_tau[better], order, axis=1)
            fit.height[rows] = np.take_along_axis(place.height[better], order, axis=1)
            fit.level[rows], fit.explained[rows] = place.level[better], place.gain[better]
    return fit
