"""Does an autocorrelation oscillate? A decay alone does not describe it then, and its tau means little.

The curve is fitted twice: as a decay (level, exponential, and what lets several timescales pass for it), and as the
same plus a damped cosine, exp(-t / T) (b cos(2 pi f t) + c sin(2 pi f t)). The better one by the Bayesian information
criterion (Schwarz 1978, https://doi.org/10.1214/aos/1176344136) wins, if it does so by a clear margin.

Neighbouring lags of an autocorrelation have correlated errors, whose slow waves are easily taken for oscillations:
with independent errors assumed, almost every curve of a first-order process would be "better" as a cosine. So the fit
is one of generalised least squares: the errors have the covariance that Bartlett's formula
(https://doi.org/10.2307/2983611) gives for a process with the timescale tau of the decay, plus a share of independent
errors, as counts have. tau, that share, f and T are searched on a grid; all else is linear.

How the margin was chosen: `MARGIN`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn import checks
from cortexsnn.timescales.decay import checked_curves

__all__ = ["FEWEST_LAGS", "MARGIN", "damped_cosine", "oscillates"]

Values = NDArray[np.float64]

MARGIN = 20.0
FEWEST_LAGS = 16
_LAGS_AT_MOST = 128
# tau from half a bin to two spans of the lags, each so many times the one before.
_RATIO_OF_TAU = 1.35
# Exponentials faster than tau by these factors, in the decay, stand for further timescales.
_FASTER = (1.0, 3.0, 9.0)
# Independent errors, relative to those of Bartlett; a little everywhere, for what the formula leaves out.
_INDEPENDENT = (1e-6, 1e-3, 1e-1, np.inf)
_FREQUENCIES_PER_SPAN = 3
_HIGHEST_IN_BINS = 0.45
_DAMPING_IN_SPANS = (0.25, 0.5, 1.0, 10.0)
# f, T, b and c.
_PARAMETERS = 4
_ROUNDING = 1e-12
_NUMBERS_AT_A_TIME = 1_000_000


@dataclass(frozen=True, eq=False)
class _Lags:
    """Lags as they are fitted: in bins, with the weights of each, and how they are made from those given."""

    lag: Values
    weights: Values
    mean: Values

    @classmethod
    def thinned(cls, lags: NDArray[np.int64], weights: Values) -> _Lags:
        """At most 128, each the weighted mean of neighbours."""
        group = np.arange(lags.size) // -(-lags.size // _LAGS_AT_MOST)
        member = (group == np.unique(group)[:, None]) * weights
        total = member.sum(axis=1)
        mean = member / total[:, None]
        return cls(mean @ lags, total / total.mean(), mean)

    @property
    def span(self) -> float:
        return float(self.lag[-1] - self.lag[0])


@dataclass(frozen=True, eq=False)
class _Waves:
    """Damped cosines and sines, shape (lag, damping * frequency); not `allowed`: damped within a period."""

    frequency: Values
    cosine: Values
    sine: Values
    allowed: NDArray[np.bool_]


def _waves(lags: _Lags, lag: NDArray[np.int64]) -> _Waves:
    spacing = float(np.diff(lags.lag).min())
    frequency = np.arange(1.0 / lags.span, _HIGHEST_IN_BINS / spacing, 1.0 / (_FREQUENCIES_PER_SPAN * lags.span))
    damping = np.array(_DAMPING_IN_SPANS)[:, None] * lags.span
    exponent = 2j * np.pi * frequency - 1.0 / damping
    waves = lags.mean @ np.exp((lag - lag[0])[:, None] * exponent.reshape(-1))
    return _Waves(frequency, waves.real, waves.imag, damping * frequency >= 1.0)


def _bartlett(lag: Values, tau: float) -> Values:
    """Covariance of the errors of autocorrelations at large samples, largest variance 1, for exp(-lag / tau)."""

    def correlation(at: Values) -> Values:
        return np.exp(-np.abs(at) / tau)

    # The sum over all bins; slowly decaying terms need not all be there.
    i = np.arange(1.0, lag[-1] + 10 * tau + 2, max(1, int(tau / 20)))
    terms = correlation(i + lag[:, None]) + correlation(i - lag[:, None])
    terms -= 2 * correlation(i) * correlation(lag)[:, None]
    covariance = terms @ terms.T
    return np.asarray(covariance / covariance.diagonal().max())


@dataclass(frozen=True, eq=False)
class _White:
    """Waves and curves after the errors were made independent and the decay was taken out."""

    cosine: Values
    sine: Values
    curves: Values
    total: Values
    log_determinant: float


def _whitened(lags: _Lags, lag: NDArray[np.int64], waves: _Waves, curves: Values) -> Iterator[_White]:
    """For all tau and shares of independent errors."""
    root = np.sqrt(lags.weights)[:, None]
    number = waves.cosine.shape[1]
    taus = np.exp(np.arange(np.log(0.5), np.log(2 * lags.span), np.log(_RATIO_OF_TAU)))
    for tau in taus:
        z = ((lag - lag[0]) / tau)[:, None]
        # The second term lets tau lie between the points of the grid.
        decay = np.concatenate([np.ones_like(z), z * np.exp(-z), np.exp(-z * np.array(_FASTER))], axis=1)
        variance, axes = np.linalg.eigh(_bartlett(lags.lag, tau))
        parts = axes.T @ (root * np.concatenate([lags.mean @ decay, waves.cosine, waves.sine, curves], axis=1))
        for share in _INDEPENDENT:
            scale = np.ones_like(variance)
            if np.isfinite(share):
                scale = (np.maximum(variance, 0.0) + share) / (1.0 + share)
            scaled = parts / np.sqrt(scale)[:, None]
            basis = np.linalg.qr(scaled[:, : decay.shape[1]])[0]
            rest = scaled[:, decay.shape[1] :]
            total = (rest[:, 2 * number :] ** 2).sum(axis=0)
            rest = rest - basis @ (basis.T @ rest)
            cosine, sine = rest[:, :number], rest[:, number : 2 * number]
            cosine = _unit(cosine, _ROUNDING)
            sine = _unit(sine - cosine * (cosine * sine).sum(axis=0), _ROUNDING)
            yield _White(cosine, sine, rest[:, 2 * number :], total, float(np.log(scale).sum()))


def _unit(columns: Values, smallest: float) -> Values:
    """Columns of length 1, or 0 where there is next to nothing."""
    length = np.sqrt((columns**2).sum(axis=0))
    return np.divide(columns, length, out=np.zeros_like(columns), where=length > smallest)


def _filled(curves: Values, lags: NDArray[np.int64]) -> tuple[Values, NDArray[np.bool_]]:
    """Curves without gaps, and which of them have at least half of their lags."""
    known = np.isfinite(curves)
    usable = known.mean(axis=1) >= 0.5
    filled = np.where(known, curves, 0.0)
    for row in np.flatnonzero(usable & ~known.all(axis=1)):
        filled[row] = np.interp(lags, lags[known[row]], curves[row, known[row]])
    return filled, usable


def damped_cosine(
    curves: NDArray[Any], *, bin_ms: float, lags: ArrayLike, weights: ArrayLike
) -> tuple[Values, Values]:
    """Find the best damped cosine in autocorrelations, and how much better than a decay alone it is.

    At least one period fits into the lags, and the cosine outlasts a period. More than 128 lags are averaged to
    fewer, so that the highest frequency then is 0.45 per averaged lag. Lag 0 is left out, gaps are filled by the line
    between their neighbours, and weights are averaged over curves.

    Parameters
    ----------
    curves : array, shape (curve, lag)
        Autocorrelations; NaN where missing.
    bin_ms : float
        Width of a bin.
    lags : array of int, shape (lag,)
        Which lags these are, in bins, rising.
    weights : array, shape (lag,) or (curve, lag)
        Proportional to the number of pairs behind each lag.

    Returns
    -------
    frequency_hz : array, shape (curve,)
        Frequency of the best cosine.
    better_by : array, shape (curve,)
        By how much its Bayesian information criterion is lower than that of the decay. Both are NaN where there are
        fewer than 16 lags, or more than half of a curve's are missing.

    Raises
    ------
    InputError
        If shapes, lags or weights are not as above.

    Examples
    --------
    >>> lags = np.arange(1, 101)
    >>> errors = np.random.default_rng(1).normal(0.0, 0.01, (1, 100))
    >>> curves = 0.8 * np.exp(-lags / 12.0) + 0.2 * np.cos(2 * np.pi * lags / 40.0) + errors
    >>> frequency_hz, better_by = damped_cosine(curves, bin_ms=5.0, lags=lags, weights=1000 - lags)
    >>> frequency_hz.round(1), bool(better_by[0] > MARGIN)
    (array([5.]), True)
    """
    values, lag, weight = checked_curves(curves, lags, weights, fewest=1)
    width = float(checks.positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    weight = weight.mean(axis=0)
    kept = (lag > 0) & (weight > 0)
    values, lag, weight = values[:, kept], lag[kept], weight[kept]
    frequency_hz, better_by = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if lag.size < FEWEST_LAGS or not len(values):
        return frequency_hz, better_by
    filled, usable = _filled(values, lag)
    thin = _Lags.thinned(lag, weight)
    waves = _waves(thin, lag)
    size = max(1, _NUMBERS_AT_A_TIME // waves.cosine.shape[1])
    rows = np.flatnonzero(usable)
    decay, cosine = (np.full(rows.size, np.inf) for _ in range(2))
    place = np.zeros(rows.size)
    number = thin.lag.size
    for white in _whitened(thin, lag, waves, thin.mean @ filled[rows].T):
        unexplained = (white.curves**2).sum(axis=0)
        least = np.maximum(_ROUNDING * white.total, np.finfo(np.float64).tiny)

        def criterion(
            sum_of_squares: Values,
            parameters: int,
            least: Values = least,
            log_determinant: float = white.log_determinant,
        ) -> Values:
            fit = number * np.log(np.maximum(sum_of_squares, least) / number)
            return np.asarray(fit + log_determinant + parameters * np.log(number))

        decay = np.minimum(decay, criterion(unexplained, 0))
        for begin in range(0, rows.size, size):
            part = slice(begin, begin + size)
            gain = (white.cosine.T @ white.curves[:, part]) ** 2 + (white.sine.T @ white.curves[:, part]) ** 2
            gain[~waves.allowed.reshape(-1)] = 0.0
            best = gain.argmax(axis=0)
            found = criterion(unexplained[part] - gain.max(axis=0), _PARAMETERS, least[part])
            better = found < cosine[part]
            cosine[part] = np.where(better, found, cosine[part])
            place[part] = np.where(better, _between(gain, best, waves.frequency.size), place[part])
    frequency_hz[rows] = np.interp(place, np.arange(waves.frequency.size), waves.frequency) * 1000.0 / width
    better_by[rows] = decay - cosine
    return frequency_hz, better_by
