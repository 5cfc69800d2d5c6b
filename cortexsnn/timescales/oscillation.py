"""Does an autocorrelation oscillate? A decay alone does not describe it then, and its tau means little.

The curve is fitted twice: as a decay (level, exponential, and faster exponentials for further timescales), and as the
same plus a damped cosine, exp(-t / T) (b cos(2 pi f t) + c sin(2 pi f t)). It oscillates if the second fit is better by
a clear margin of the Bayesian information criterion (Schwarz 1978, https://doi.org/10.1214/aos/1176344136), and if that
fit visibly swings: it falls and rises by a tenth of its range.

Neighbouring lags of an autocorrelation have correlated errors, whose slow waves are easily taken for oscillations:
with independent errors assumed, almost every curve of a first-order process would be "better" as a cosine. So the fit
is one of generalised least squares: the errors have the covariance that Bartlett's formula
(https://doi.org/10.2307/2983611) gives for a process with the timescale tau of the decay, plus a share of independent
errors, as counts have. tau, that share, f and T are searched on a grid; all else is linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn import checks
from cortexsnn.timescales.decay import checked_curves

__all__ = ["FEWEST_LAGS", "MARGIN", "SMALLEST_SWING", "damped_cosine", "oscillates"]

Values = NDArray[np.float64]

# Chosen by simulation, 200 curves of each kind. Flagged are none of first-order processes (10^4 and 10^5 bins, tau 3 to
# 100 bins, 20 to 300 lags; 500 trials of 1 s, tau 10 to 250 ms), two timescales, gamma renewal and Hawkes trains; at
# most 1 % of white noise and of single neurons' curves of 19 lags; 2 % of smooth signals (two poles) of 10^4 bins. Of
# an Ornstein-Uhlenbeck process of 60 ms with 2 Hz of a fifth of the variance all are flagged (500 trials of 1 s, lags
# up to 550 to 950 ms; 92 % in 50 s without break), and so are all pure sinusoids.
MARGIN = 20.0
SMALLEST_SWING = 0.1
FEWEST_LAGS = 16
_LAGS_AT_MOST = 128
# tau from half the distance between lags to two spans of them, each so many times the one before.
_RATIO_OF_TAU = 1.35
# Exponentials faster than tau by these factors, in the decay, stand for further timescales.
_FASTER = (1.0, 3.0, 9.0)
# Independent errors, relative to those of Bartlett; a little everywhere, for what the formula leaves out.
_INDEPENDENT = (1e-6, 1e-3, 1e-1, np.inf)
_FREQUENCIES_PER_SPAN = 3
_HIGHEST_PER_LAG = 0.45
_DAMPING_IN_SPANS = (0.25, 0.5, 1.0, 10.0)
# f, T, b and c.
_PARAMETERS = 4
_ROUNDING = 1e-12
_NOTHING = 1e-5
_KNOWN_AT_LEAST = 0.5
_NUMBERS_AT_A_TIME = 400_000


@dataclass(frozen=True, eq=False)
class _Lags:
    """Lags as they are fitted: in bins, with the weight of each; `mean` makes them from the lags given."""

    lag: Values
    weights: Values
    mean: Values
    given: NDArray[np.int64]

    @classmethod
    def thinned(cls, lags: NDArray[np.int64], weights: Values) -> _Lags:
        """At most 128, each the weighted mean of neighbours."""
        group = np.arange(lags.size) // -(-lags.size // _LAGS_AT_MOST)
        member = (group == np.unique(group)[:, None]) * weights
        total = member.sum(axis=1)
        mean = member / total[:, None]
        return cls(mean @ lags, total / total.mean(), mean, lags)

    @property
    def span(self) -> float:
        return float(self.lag[-1] - self.lag[0])

    @property
    def spacing(self) -> float:
        return self.span / (self.lag.size - 1)


@dataclass(frozen=True, eq=False)
class _Waves:
    """Damped cosines and sines, shape (lag, damping * frequency); not `allowed`: it dies within a period."""

    frequency: Values
    cosine: Values
    sine: Values
    allowed: NDArray[np.bool_]


def _waves(lags: _Lags) -> _Waves:
    step = 1.0 / (_FREQUENCIES_PER_SPAN * lags.span)
    frequency = np.arange(1.0 / lags.span, _HIGHEST_PER_LAG / lags.spacing, step)
    damping = np.array(_DAMPING_IN_SPANS)[:, None] * lags.span
    exponent = 2j * np.pi * frequency - 1.0 / damping
    waves = lags.mean @ np.exp((lags.given - lags.given[0])[:, None] * exponent.reshape(-1))
    return _Waves(np.asarray(frequency), waves.real, waves.imag, (damping * frequency >= 1.0).reshape(-1))


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
    """Unit waves and curves after the errors were made independent and the decay was taken out.

    `total` is the sum of squares of the curves before, `log_determinant` that of the covariance of the errors.
    """

    tau: float
    cosine: Values
    sine: Values
    curves: Values
    total: Values
    log_determinant: float

    def criterion(self, unexplained: Values, parameters: int) -> Values:
        """Bayesian information criterion, less what all fits have in common."""
        number = len(self.curves)
        least = np.maximum(_ROUNDING * self.total, np.finfo(np.float64).tiny)
        fit = number * np.log(np.maximum(unexplained, least) / number)
        return np.asarray(fit + self.log_determinant + parameters * np.log(number))


def _unit(columns: Values, length_before: Values) -> Values:
    """Columns of length 1, or 0 where next to nothing is left of the length before."""
    length = np.linalg.norm(columns, axis=0)
    return np.divide(columns, length, out=np.zeros_like(columns), where=length > _NOTHING * length_before)


def _decay(lags: _Lags, tau: float) -> Values:
    """What a decay is made of, shape (lag, term)."""
    z = (lags.given - lags.given[0])[:, None] / tau
    # The second term lets tau lie between the points of the grid.
    terms = [np.ones_like(z), z * np.exp(-z), np.exp(-z * np.array(_FASTER))]
    return np.asarray(lags.mean @ np.concatenate(terms, axis=1))


def _whitened(lags: _Lags, waves: _Waves, curves: Values, taus: Values) -> Iterator[_White]:
    """For all tau, and for each all shares of independent errors; `curves` of shape (lag, curve)."""
    root = np.sqrt(lags.weights)[:, None]
    number = waves.cosine.shape[1]
    for tau in taus:
        decay = _decay(lags, tau)
        terms = decay.shape[1]
        variance, axes = np.linalg.eigh(_bartlett(lags.lag, tau))
        columns = axes.T @ (root * np.concatenate([decay, waves.cosine, waves.sine, curves], axis=1))
        for share in _INDEPENDENT:
            scale = np.ones_like(variance)
            if np.isfinite(share):
                scale = (np.maximum(variance, 0.0) + share) / (1.0 + share)
            scaled = columns / np.sqrt(scale)[:, None]
            basis = np.linalg.qr(scaled[:, :terms])[0]
            length = np.linalg.norm(scaled[:, terms:], axis=0)
            rest = scaled[:, terms:] - basis @ (basis.T @ scaled[:, terms:])
            cosine = _unit(rest[:, :number], length[:number])
            sine = rest[:, number : 2 * number]
            sine = _unit(sine - cosine * (cosine * sine).sum(axis=0), length[number : 2 * number])
            yield _White(
                tau, cosine, sine, rest[:, 2 * number :], length[2 * number :] ** 2, float(np.log(scale).sum())
            )


def _between(gain: Values, best: NDArray[np.intp], frequency: Values) -> Values:
    """Frequency of the largest gain, by a parabola through its neighbours; `gain` has shape (damping * f, curve)."""
    last = frequency.size - 1
    place, curve = best % frequency.size, np.arange(best.size)
    left, top, right = (gain[np.clip(best + k, 0, len(gain) - 1), curve] for k in (-1, 0, 1))
    bend = 2 * top - left - right
    inside = (place > 0) & (place < last) & (left > 0) & (right > 0) & (bend > 0)
    shift = np.divide((right - left) / 2, bend, out=np.zeros_like(bend), where=inside)
    return np.asarray(frequency[place] + shift * (frequency[1] - frequency[0]))


def _swing(lags: _Lags, waves: _Waves, curves: Values, tau: Values, wave: NDArray[np.intp]) -> Values:
    """By how much the fits with a wave both fall and rise, as a share of their range, shape (curve,)."""
    decays = {each: _decay(lags, each) for each in np.unique(tau)}
    columns = np.stack([decays[each] for each in tau])
    both = np.stack([waves.cosine.T[wave], waves.sine.T[wave]], axis=2)
    root = np.sqrt(lags.weights)
    basis = np.linalg.qr(root[:, None] * np.concatenate([columns, both], axis=2))[0]
    fit = (basis @ (basis.transpose(0, 2, 1) @ (root * curves)[:, :, None]))[:, :, 0] / root
    falls = (np.maximum.accumulate(fit, axis=1) - fit).max(axis=1)
    rises = (fit - np.minimum.accumulate(fit, axis=1)).max(axis=1)
    spread = np.ptp(fit, axis=1)
    return np.divide(np.minimum(falls, rises), spread, out=np.zeros_like(spread), where=spread > 0)


@dataclass(frozen=True, eq=False)
class _Comparison:
    """Best wave of each curve: its frequency in cycles per bin, the difference of the criteria, the swing."""

    frequency: Values
    better_by: Values
    swing: Values


def _compared(lags: _Lags, waves: _Waves, curves: Values) -> _Comparison:
    number = len(curves)
    decay, wave, tau, frequency = (np.full(number, start) for start in (np.inf, np.inf, 1.0, np.nan))
    which = np.zeros(number, dtype=np.intp)
    means = lags.mean @ curves.T
    taus = np.exp(np.arange(np.log(0.5 * lags.spacing), np.log(2 * lags.span), np.log(_RATIO_OF_TAU)))
    for white in _whitened(lags, waves, means, taus):
        unexplained = (white.curves**2).sum(axis=0)
        decay = np.minimum(decay, white.criterion(unexplained, 0))
        gain = (white.cosine.T @ white.curves) ** 2 + (white.sine.T @ white.curves) ** 2
        gain *= waves.allowed[:, None]
        best = gain.argmax(axis=0)
        found = white.criterion(unexplained - gain.max(axis=0), _PARAMETERS)
        better = found < wave
        wave, tau = np.where(better, found, wave), np.where(better, white.tau, tau)
        which = np.where(better, best, which)
        frequency = np.where(better, _between(gain, best, waves.frequency), frequency)
    return _Comparison(frequency, decay - wave, _swing(lags, waves, means.T, tau, which))


def _filled(curves: Values, lags: NDArray[np.int64]) -> tuple[Values, NDArray[np.bool_]]:
    """Curves without gaps, and which of them have at least half of their lags."""
    known = np.isfinite(curves)
    usable = known.mean(axis=1) >= _KNOWN_AT_LEAST
    filled = np.where(known, curves, 0.0)
    for row in np.flatnonzero(usable & ~known.all(axis=1)):
        filled[row] = np.interp(lags, lags[known[row]], curves[row, known[row]])
    return filled, usable


def _judged(curves: NDArray[Any], lags: ArrayLike, weights: ArrayLike) -> _Comparison:
    """Compare all curves that have enough lags; NaN for the others."""
    values, lag, weight = checked_curves(curves, lags, weights, fewest=1)
    of_lag = weight.mean(axis=0)
    kept = (lag > 0) & (of_lag > 0)
    result = _Comparison(*(np.full(len(values), np.nan) for _ in fields(_Comparison)))
    if kept.sum() < FEWEST_LAGS:
        return result
    filled, usable = _filled(values[:, kept], lag[kept])
    thinned = _Lags.thinned(lag[kept], of_lag[kept])
    waves = _waves(thinned)
    rows = np.flatnonzero(usable)
    at_a_time = max(1, _NUMBERS_AT_A_TIME // waves.allowed.size)
    for begin in range(0, rows.size, at_a_time):
        part = rows[begin : begin + at_a_time]
        found = _compared(thinned, waves, filled[part])
        for field in fields(_Comparison):
            getattr(result, field.name)[part] = getattr(found, field.name)
    return result


def damped_cosine(curves: NDArray[Any], *, bin_ms: float, lags: ArrayLike, weights: ArrayLike) -> tuple[Values, Values]:
    """Find the best damped cosine in autocorrelations, and how much better than a decay alone it is.

    At least one period fits into the lags, and the cosine falls by no more than a factor of e within a period. More
    than 128 lags are averaged to fewer, so that the highest frequency then is 0.45 per averaged lag. Lag 0 is left
    out, gaps are filled by the line between their neighbours, and weights are averaged over curves.

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
    width = float(checks.positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    found = _judged(curves, lags, weights)
    return found.frequency * 1000.0 / width, found.better_by


def oscillates(curves: NDArray[Any], *, bin_ms: float, lags: ArrayLike, weights: ArrayLike) -> NDArray[np.bool_]:
    """Which autocorrelations a damped cosine describes clearly better than a decay.

    Parameters
    ----------
    curves, bin_ms, lags, weights
        As for `damped_cosine`.

    Returns
    -------
    numpy.ndarray of bool, shape (curve,)
        False also where it cannot be judged.

    Raises
    ------
    InputError
        If shapes, lags or weights are not as for `damped_cosine`.

    Examples
    --------
    >>> lags = np.arange(1, 101)
    >>> curves = np.stack([np.exp(-lags / 12.0), np.cos(2 * np.pi * lags / 40.0)])
    >>> oscillates(curves, bin_ms=5.0, lags=lags, weights=1000 - lags)
    array([False,  True])
    """
    checks.positive("bin_ms", bin_ms, "a positive number of milliseconds")
    found = _judged(curves, lags, weights)
    return (np.nan_to_num(found.better_by) > MARGIN) & (np.nan_to_num(found.swing) > SMALLEST_SWING)
