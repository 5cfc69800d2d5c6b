"""Autocorrelation across trials: how well the count in one bin predicts the count some bins later.

The estimator is that of Murray et al. 2014 (https://doi.org/10.1038/nn.3862): for each neuron the Pearson
correlation, across trials, of the counts in bins i and j; the mean over pairs of equal lag j - i; the mean over
neurons. Because each bin is compared with its own mean over trials, what is locked to the stimulus drops out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TrialAutocorrelation", "bootstrap_curves", "shuffled_bin_curves", "trial_autocorrelation"]

Values = NDArray[np.float64]

# Rounding leaves a constant bin with a variance of about 1e-16 of its scale.
_NO_VARIANCE = 1e-12
_NUMBERS_AT_A_TIME = 4_000_000


@dataclass(frozen=True, eq=False)
class TrialAutocorrelation:
    """Autocorrelation of a group of neurons.

    Parameters
    ----------
    curve : array, shape (lag,)
        Mean over neurons at lags of 1, 2, ... bins; NaN at a lag without any valid pair.
    correlation : array, shape (bin, bin)
        Mean over neurons of the correlation between two bins; NaN where no neuron varies in both.
    valid : array of bool, shape (neuron,)
        Neurons with at least one pair of bins that both vary across trials; the others are left out.
    """

    curve: Values
    correlation: Values
    valid: NDArray[np.bool_]


def _pairs(bins: int, max_lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (i, i + lag) in order of lag, and where each lag begins."""
    sizes = bins - np.arange(1, max_lag + 1)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    first = np.concatenate([np.arange(size) for size in sizes])
    return first, first + np.repeat(np.arange(1, max_lag + 1), sizes), begins


def _ratio(total: Values, number: Values) -> Values:
    """Divide where there is something to divide by; NaN elsewhere."""
    return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)


def _centred(counts: NDArray[np.number], neuron: int) -> tuple[Values, NDArray[np.bool_]]:
    """Counts of one neuron, shape (trial, bin), less their mean over trials, and which bins vary."""
    one = np.asarray(counts[:, :, neuron], dtype=np.float64)
    varies = np.ptp(one, axis=0) > 0
    return one - one.mean(axis=0), varies


def trial_autocorrelation(counts: NDArray[np.number], max_lag: int) -> TrialAutocorrelation:
    """Autocorrelation across trials.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
        Spike counts, or any other activity.
    max_lag : int
        Largest lag in bins, 1 to number of bins - 1.

    Returns
    -------
    TrialAutocorrelation

    Examples
    --------
    A unit whose count never changes within a trial is perfectly correlated at every lag:

    >>> counts = np.repeat(np.array([1, 2, 3, 4])[:, None, None], 5, axis=1)
    >>> trial_autocorrelation(counts, max_lag=3).curve.round(12)
    array([1., 1., 1.])
    """
    _, bins, neurons = counts.shape
    first, second, begins = _pairs(bins, max_lag)
    correlation_sum, correlation_number = np.zeros((bins, bins)), np.zeros((bins, bins))
    curve_sum, curve_number = np.zeros(max_lag), np.zeros(max_lag)
    valid = np.zeros(neurons, dtype=bool)
    for neuron in range(neurons):
        centred, varies = _centred(counts, neuron)
        scale = np.sqrt((centred**2).sum(axis=0))
        scaled = np.divide(centred, scale, out=np.zeros_like(centred), where=varies)
        correlation = scaled.T @ scaled
        both = np.outer(varies, varies).astype(np.float64)
        pairs = np.add.reduceat(both[first, second], begins)
        curve = _ratio(np.add.reduceat(correlation[first, second], begins), pairs)
        valid[neuron] = bool((pairs > 0).any())
        curve_sum += np.where(pairs > 0, curve, 0.0)
        curve_number += pairs > 0
        correlation_sum += correlation
        correlation_number += both
    return TrialAutocorrelation(_ratio(curve_sum, curve_number), _ratio(correlation_sum, correlation_number), valid)


def bootstrap_curves(counts: NDArray[np.number], max_lag: int, weights: NDArray[np.number]) -> Values:
    """Autocorrelation of resampled trials.

    How often a trial was drawn is its weight, so no resampled copy is made: the weighted sums of all replicates
    are one matrix product per neuron. A pair of which a bin does not vary among the trials drawn is left out.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
    max_lag : int
        Largest lag in bins.
    weights : array, shape (replicate, trial)
        How often each trial was drawn.

    Returns
    -------
    numpy.ndarray, shape (replicate, lag)

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(3.0, (50, 8, 2))
    >>> once_each = np.ones((1, 50))
    >>> np.allclose(bootstrap_curves(counts, 4, once_each)[0], trial_autocorrelation(counts, 4).curve)
    True
    """
    trials, bins, neurons = counts.shape
    drawn = np.asarray(weights, dtype=np.float64)
    drawn = drawn / drawn.sum(axis=1, keepdims=True)
    first, second, begins = _pairs(bins, max_lag)
    ends = np.append(begins[1:], first.size)
    # Whole lags at a time, so that neither the products nor the correlations outgrow memory.
    most_pairs = max(bins, _NUMBERS_AT_A_TIME // max(trials, len(drawn)))
    total, number = np.zeros((len(drawn), max_lag)), np.zeros((len(drawn), max_lag))
    for neuron in range(neurons):
        centred, varies = _centred(counts, neuron)
        mean = drawn @ centred
        variance = drawn @ centred**2 - mean**2
        usable = varies & (variance > _NO_VARIANCE * (centred**2).mean(axis=0))
        deviation = np.sqrt(np.where(usable, variance, 1.0))
        shift = np.where(usable, mean / deviation, 0.0)
        inverse = np.where(usable, 1.0 / deviation, 0.0)
        lag = 0
        while lag < max_lag:
            until = max(lag + 1, int(np.searchsorted(ends, begins[lag] + most_pairs, side="right")))
            part = slice(int(begins[lag]), int(ends[until - 1]))
            i, j, starts = first[part], second[part], begins[lag:until] - begins[lag]
            correlation = drawn @ (centred[:, i] * centred[:, j])
            correlation *= inverse[:, i]
            correlation *= inverse[:, j]
            correlation -= shift[:, i] * shift[:, j]
            sums = np.add.reduceat(correlation, starts, axis=1)
            if usable.all():
                pairs = np.broadcast_to((ends[lag:until] - begins[lag:until]).astype(np.float64), sums.shape)
            else:
                pairs = np.add.reduceat((usable[:, i] & usable[:, j]).astype(np.float64), starts, axis=1)
            total[:, lag:until] += np.divide(sums, pairs, out=np.zeros_like(sums), where=pairs > 0)
            number[:, lag:until] += pairs > 0
            lag = until
    return _ratio(total, number)


def shuffled_bin_curves(correlation: Values, max_lag: int, shuffles: int, rng: np.random.Generator) -> Values:
    """Autocorrelation after the bins have been put into random order, the same order for every trial and neuron.

    If counts had no timescale, then no order of the bins would be special: a shuffled curve would be as likely as
    the real one. This keeps everything else: rates, correlations between neurons, and slow changes from trial to
    trial, which lift all lags alike (the offset of the fit).

    Parameters
    ----------
    correlation : array, shape (bin, bin)
        Of `TrialAutocorrelation`.
    max_lag : int
        Largest lag in bins.
    shuffles : int
        Number of random orders.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (1 + shuffles, lag)
        The first row is the real order.

    Examples
    --------
    >>> correlation = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, 0.5], [0.2, 0.5, 1.0]])
    >>> shuffled_bin_curves(correlation, 2, shuffles=2, rng=np.random.default_rng(1))[0]
    array([0.5, 0.2])
    """
    bins = correlation.shape[0]
    first, second, begins = _pairs(bins, max_lag)
    orders = np.concatenate(
        [np.arange(bins)[None], rng.permuted(np.tile(np.arange(bins), (shuffles, 1)), axis=1)], axis=0
    )
    known = np.isfinite(correlation)
    filled = np.where(known, correlation, 0.0)
    curves = np.empty((len(orders), max_lag))
    at_a_time = max(1, _NUMBERS_AT_A_TIME // first.size)
    for begin in range(0, len(orders), at_a_time):
        order = orders[begin : begin + at_a_time]
        i, j = order[:, first], order[:, second]
        curves[begin : begin + at_a_time] = _ratio(
            np.add.reduceat(filled[i, j], begins, axis=1),
            np.add.reduceat(known[i, j].astype(np.float64), begins, axis=1),
        )
    return curves
