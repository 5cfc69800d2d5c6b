"""The exponential decay of an autocorrelation, fitted as for the cortex.

R(k) = A * (exp(-k * bin / tau) + B), with k the lag in bins (Murray et al. 2014, https://doi.org/10.1038/nn.3862).
Each lag weighs as many bin pairs as it was averaged over, N - k of N bins. The first fitted lag is the one after
which the curve drops most, which passes over the low first lags that refractoriness and adaptation cause. With these
two rules the 16 published timescales follow from the published curves (tests/frozen/test_murray_curves.py).

For a fixed tau the best A and A * B are a weighted straight-line fit, so tau is the only unknown left (variable
projection, Golub & Pereyra 1973, https://doi.org/10.1137/0710036). It is searched on a dense grid and then refined,
for many curves at once: the global optimum, without starting values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.timescales.status import Status

__all__ = ["MINIMUM_LAGS", "ExponentialFit", "fit_exponential"]

Values = NDArray[np.float64]

# Three parameters need a fourth lag to be tested by.
MINIMUM_LAGS = 4
SHORTEST_TAU_IN_BINS = 0.1
LONGEST_TAU_IN_WINDOWS = 10.0
WINDOW_IN_TAU = 5.0
_GRID = 240
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0
_REFINEMENTS = 24
_AT_BOUND = 1e-4
_LARGEST_EXPONENT = 700.0


@dataclass(frozen=True, eq=False)
class ExponentialFit:
    """Fits of many curves; each array has shape (curve,).

    Parameters
    ----------
    bin_ms : float
        Width of a bin.
    tau_ms, amplitude, offset : array of float
        tau, A and B; NaN where nothing could be fitted (status no_decay).
    first_lag : array of int
        First fitted lag in bins; 0 where nothing could be fitted.
    explained : array of float
        By how much the weighted sum of squares is smaller than that of a flat line; 0 where nothing decays.
    status : array of str
        A `Status` each: ok, too_short, at_bound or no_decay.
    """

    bin_ms: float
    tau_ms: Values
    amplitude: Values
    offset: Values
    first_lag: NDArray[np.int64]
    explained: Values
    status: NDArray[np.str_]

    def curve(self, lags: int) -> Values:
        """Fitted values at lags 1 to `lags`, shape (curve, lag); NaN before the first fitted lag."""
        lag = np.arange(1, lags + 1)
        decay = np.exp(-lag * self.bin_ms / self.tau_ms[:, None])
        fitted = self.amplitude[:, None] * (decay + self.offset[:, None])
        return np.where(lag >= self.first_lag[:, None], fitted, np.nan)


def _largest_drop(curves: Values) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The lag (from 1) after which each curve drops most and leaves enough lags to fit, and whether one drops."""
    drops = np.diff(curves, axis=1)[:, : curves.shape[1] - MINIMUM_LAGS + 1]
    drops = np.where(np.isfinite(drops), drops, np.inf)
    return np.argmin(drops, axis=1) + 1, drops.min(axis=1) < 0


def _gain(weight: Values, decay: Values, decay_squared: Values, covariance: Values) -> tuple[Values, Values]:
    """Explained sum of squares and amplitude of the best straight line on the decay, from weighted sums."""
    variance = decay_squared - decay**2 / weight
    falls = (covariance > 0) & (variance > 0)
    amplitude = np.divide(covariance, variance, out=np.zeros_like(covariance), where=falls)
    return amplitude * np.where(falls, covariance, 0.0), amplitude


@dataclass(frozen=True, eq=False)
class _Problem:
    """Curves to fit: `lag_ms` from the first fitted lag on, `weights` (0 at lags left out), each (curve, lag)."""

    lag_ms: Values
    curves: Values
    weights: Values

    @property
    def level(self) -> Values:
        return (self.weights * self.curves).sum(axis=1) / self.weights.sum(axis=1)

    @property
    def pull(self) -> Values:
        return self.weights * (self.curves - self.level[:, None])


def _best_on_grid(problem: _Problem, first_lag: NDArray[np.int64], log_grid: Values) -> NDArray[np.int64]:
    """Place on the grid of the tau that explains most, shape (curve,)."""
    best = np.zeros(len(first_lag), dtype=np.int64)
    pull = problem.pull
    # Curves with the same first lag share their decays, which makes the search a matrix product.
    for start in np.unique(first_lag):
        rows = np.flatnonzero(first_lag == start)
        weights = problem.weights[rows, start - 1 :]
        decay = np.exp(-problem.lag_ms[rows[0], start - 1 :, None] / np.exp(log_grid))
        total = weights.sum(axis=1, keepdims=True)
        gain, _ = _gain(total, weights @ decay, weights @ decay**2, pull[rows, start - 1 :] @ decay)
        best[rows] = np.argmax(gain, axis=1)
    return best


def _refined(problem: _Problem, low: Values, high: Values) -> tuple[Values, Values, Values, Values]:
    """Golden section search between `low` and `high` log tau, each of shape (curve,).

    Returns log tau, amplitude and level at the first fitted lag, and explained sum of squares.
    """
    pull, total = problem.pull, problem.weights.sum(axis=1)

    def at(log_tau: Values) -> tuple[Values, Values, Values]:
        decay = np.exp(-problem.lag_ms / np.exp(log_tau)[:, None])
        weighted = problem.weights * decay
        decay_sum = weighted.sum(axis=1)
        return *_gain(total, decay_sum, (weighted * decay).sum(axis=1), (pull * decay).sum(axis=1)), decay_sum

    for _ in range(_REFINEMENTS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        go_left = at(left)[0] >= at(right)[0]
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    log_tau = (low + high) / 2
    explained, amplitude, decay_sum = at(log_tau)
    return log_tau, amplitude, problem.level - amplitude * decay_sum / total, explained


def fit_exponential(curves: NDArray[np.floating], *, bin_ms: float, bins: int) -> ExponentialFit:
    """Fit the decay of many autocorrelations at once.

    tau is sought between a tenth of a bin and ten observation windows (``bins * bin_ms``). The start rule looks
    only at drops that leave at least 4 lags to fit. NaN lags are left out.

    Parameters
    ----------
    curves : array, shape (curve, lag)
        Autocorrelations at lags of 1, 2, ... bins.
    bin_ms : float
        Width of a bin.
    bins : int
        N, the number of bins in a trial; lag k weighs N - k.

    Returns
    -------
    ExponentialFit

    Raises
    ------
    InputError
        If there are fewer than 4 lags, more lags than `bins` - 1, or `bin_ms` is not positive.

    Examples
    --------
    >>> lag_ms = 50.0 * np.arange(1, 20)
    >>> fit = fit_exponential(0.2 * (np.exp(-lag_ms / 120.0) + 0.1)[None], bin_ms=50.0, bins=20)
    >>> fit.tau_ms.round(3), fit.amplitude.round(3), fit.offset.round(3), fit.status
    (array([120.]), array([0.2]), array([0.1]), array(['ok'], dtype='<U...'))
    """
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < MINIMUM_LAGS:
        raise InputError("shape of curves", values.shape, f"(curve, lag) with at least {MINIMUM_LAGS} lags")
    if values.shape[1] > bins - 1:
        raise InputError("bins", bins, f"at least {values.shape[1] + 1}, one more than the {values.shape[1]} lags")
    if not (np.isfinite(bin_ms) and bin_ms > 0):
        raise InputError("bin_ms", bin_ms, "a positive number of milliseconds")
    lags = values.shape[1]
    window_ms = bins * bin_ms
    shortest, longest = SHORTEST_TAU_IN_BINS * bin_ms, LONGEST_TAU_IN_WINDOWS * window_ms
    log_grid: Values = np.linspace(np.log(shortest), np.log(longest), _GRID, dtype=np.float64)
    first_lag, drops = _largest_drop(values)
    lag = np.arange(1, lags + 1)
    counted = np.isfinite(values) & (lag >= first_lag[:, None])
    chosen = np.flatnonzero(drops & (counted.sum(axis=1) >= MINIMUM_LAGS))
    start = first_lag[chosen]
    problem = _Problem(
        lag_ms=bin_ms * np.maximum(lag - start[:, None], 0.0),
        curves=np.where(counted[chosen], values[chosen], 0.0),
        weights=np.where(counted[chosen], 1.0 * (bins - lag), 0.0),
    )
    best = _best_on_grid(problem, start, log_grid)
    low, high = log_grid[np.maximum(best - 1, 0)], log_grid[np.minimum(best + 1, _GRID - 1)]
    tau, amplitude, offset = (np.full(len(values), np.nan) for _ in range(3))
    explained = np.zeros(len(values))
    at_bound = np.zeros(len(values), dtype=bool)
    log_tau, height, level, explained[chosen] = _refined(problem, low, high)
    tau[chosen] = np.exp(log_tau)
    at_bound[chosen] = np.minimum(log_tau - log_grid[0], log_grid[-1] - log_tau) < _AT_BOUND
    # The line was fitted with the first fitted lag as origin, where it is best conditioned; A belongs to lag 0.
    amplitude[chosen] = height * np.exp(np.minimum(start * bin_ms / tau[chosen], _LARGEST_EXPONENT))
    offset[chosen] = np.divide(level, amplitude[chosen], out=np.full(chosen.size, np.nan), where=height > 0)
    falls = explained > 0
    tau, amplitude, offset = (np.where(falls, array, np.nan) for array in (tau, amplitude, offset))
    status = np.select(
        [~falls, at_bound, np.nan_to_num(tau) * WINDOW_IN_TAU > window_ms],
        [Status.NO_DECAY.value, Status.AT_BOUND.value, Status.TOO_SHORT.value],
        Status.OK.value,
    )
    return ExponentialFit(bin_ms, tau, amplitude, offset, np.where(falls, first_lag, 0), explained, status)
