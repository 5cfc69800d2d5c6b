"""Autocorrelation across trials: how well the count in one bin predicts the count some bins later.

The estimator is that of Murray et al. 2014 (https://doi.org/10.1038/nn.3862): for each neuron the Pearson
correlation, across trials, of the counts in bins i and j; the mean over pairs of equal lag j - i; the mean over
neurons. Because each bin is compared with its own mean over trials, what is locked to the stimulus drops out.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.timescales.blocks import ratio

__all__ = [
    "ResampledTrials",
    "TrialAutocorrelation",
    "bootstrap_curves",
    "correlation_across_trials",
    "shuffled_bin_curves",
    "trial_autocorrelation",
    "without_lags",
]

Values = NDArray[np.float64]

# Rounding leaves a constant bin with a variance of about 1e-16 of its scale.
_NO_VARIANCE = 1e-12
_NUMBERS_AT_A_TIME = 4_000_000
_NEURONS_AT_A_TIME = 32
# Whole numbers up to here are exact in single precision, and so are their sums.
_EXACT_IN_SINGLE = 2**24
_LARGEST_BYTE = 255


@dataclass(frozen=True, eq=False)
class TrialAutocorrelation:
    """Autocorrelation of a group of neurons.

    Parameters
    ----------
    curve : array, shape (lag,)
        Mean over neurons at lags of 1, 2, ... bins; NaN at a lag without any valid pair.
    curves : array, shape (neuron, lag)
        Of each neuron; NaN at a lag without any valid pair.
    correlation : array, shape (bin, bin)
        Mean over neurons of the correlation between two bins; NaN where no neuron varies in both.
    valid : array of bool, shape (neuron,)
        Neurons with at least one pair of bins that both vary across trials; the others are left out.
    """

    curve: Values
    curves: Values
    correlation: Values
    valid: NDArray[np.bool_]


def _pairs(bins: int, max_lag: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (i, i + lag) in order of lag, and where each lag begins."""
    sizes = bins - np.arange(1, max_lag + 1)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    first = np.concatenate([np.arange(size) for size in sizes])
    return first, first + np.repeat(np.arange(1, max_lag + 1), sizes), begins


def _mean(values: Values) -> Values:
    """Mean over the first axis of what is there."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def _small(counts: NDArray[np.number]) -> NDArray[np.number]:
    """The same counts in one byte each if they fit, for the sake of memory bandwidth."""
    if counts.dtype.kind not in "iu" or counts.dtype == np.uint8:
        return counts
    small = np.empty(counts.shape, dtype=np.uint8)
    for trial, one in enumerate(counts):
        if one.size and (one.max() > _LARGEST_BYTE or one.min() < 0):
            return counts
        small[trial] = one
    return small


def correlation_across_trials(counts: NDArray[np.number]) -> Values:
    """Pearson correlation across trials between any two bins of each neuron.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
        Spike counts, or any other activity.

    Returns
    -------
    numpy.ndarray, shape (neuron, bin, bin)
        NaN where one of the bins does not vary.

    Examples
    --------
    >>> counts = np.array([[[1], [2]], [[2], [4]], [[3], [6]]])
    >>> correlation_across_trials(counts)[0].round(12)
    array([[1., 1.],
           [1., 1.]])
    """
    trials, bins, neurons = counts.shape
    small = _small(counts)
    correlation = np.empty((neurons, bins, bins))

    def fill(begin: int) -> None:
        part = small[:, :, begin : begin + _NEURONS_AT_A_TIME]
        exact = part.dtype == np.uint8 and trials * int(part.max()) ** 2 < _EXACT_IN_SINGLE
        # With a bin of ones at the end, one product holds the sums of products and the sums.
        activity = np.ones((part.shape[2], bins + 1, trials), dtype=np.float32 if exact else np.float64)
        activity[:, :bins] = part.transpose(2, 1, 0)
        if not exact:
            activity[:, :bins] -= activity[:, :bins].mean(axis=2, keepdims=True)
        sums = (activity @ activity.transpose(0, 2, 1)).astype(np.float64)
        total = sums[:, :bins, bins]
        covariance = trials * sums[:, :bins, :bins] - total[:, :, None] * total[:, None, :]
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        varies = variance > 0 if exact else np.ptp(part, axis=0).T > 0
        inverse = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance, 1.0)), np.nan)
        correlation[begin : begin + part.shape[2]] = covariance * inverse[:, :, None] * inverse[:, None, :]

    # NumPy lets other threads run while it copies and multiplies.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, range(0, neurons, _NEURONS_AT_A_TIME)))
    return correlation


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
    correlation = correlation_across_trials(counts)
    first, second, begins = _pairs(counts.shape[1], max_lag)
    pairs = correlation[:, first, second]
    known = np.isfinite(pairs)
    number = np.add.reduceat(known.astype(np.float64), begins, axis=1)
    curves = ratio(np.add.reduceat(np.where(known, pairs, 0.0), begins, axis=1), number)
    valid = np.asarray((number > 0).any(axis=1))
    return TrialAutocorrelation(_mean(curves), curves, _mean(correlation), valid)


@dataclass(frozen=True, eq=False)
class ResampledTrials:
    """Autocorrelation of each neuron for any resample of the trials (a `cortexsnn.timescales.blocks.BlockSums`).

    How often a trial was drawn is its weight, so no resampled copy is made: the weighted sums of all replicates
    are one matrix product per neuron. A pair of which a bin does not vary among the trials drawn is left out.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
    max_lag : int
        Largest lag in bins.
    """

    counts: NDArray[np.number]
    max_lag: int

    @property
    def blocks(self) -> int:
        """Number of trials."""
        return int(self.counts.shape[0])

    def curves(self, drawn: Values) -> Values:
        """Autocorrelations of the resamples, shape (replicate, neuron, lag).

        Parameters
        ----------
        drawn : array, shape (replicate, trial)
            How often each trial was drawn.
        """
        share = np.asarray(drawn, dtype=np.float64)
        share = share / share.sum(axis=1, keepdims=True)
        neurons = self.counts.shape[2]
        curves = np.empty((len(share), neurons, self.max_lag))
        for neuron in range(neurons):
            curves[:, neuron] = self._of_neuron(share, neuron)
        return curves

    def _of_neuron(self, share: Values, neuron: int) -> Values:
        one = np.asarray(self.counts[:, :, neuron], dtype=np.float64)
        trials, bins = one.shape
        varies, centred = np.ptp(one, axis=0) > 0, one - one.mean(axis=0)
        first, second, begins = _pairs(bins, self.max_lag)
        ends = np.append(begins[1:], first.size)
        # Whole lags at a time, so that neither the products nor the correlations outgrow memory.
        most_pairs = max(bins, _NUMBERS_AT_A_TIME // max(trials, len(share)))
        mean = share @ centred
        variance = share @ centred**2 - mean**2
        usable = varies & (variance > _NO_VARIANCE * (centred**2).mean(axis=0))
        deviation = np.sqrt(np.where(usable, variance, 1.0))
        shift = np.where(usable, mean / deviation, 0.0)
        inverse = np.where(usable, 1.0 / deviation, 0.0)
        curves = np.empty((len(share), self.max_lag))
        lag = 0
        while lag < self.max_lag:
            until = max(lag + 1, int(np.searchsorted(ends, begins[lag] + most_pairs, side="right")))
            part = slice(int(begins[lag]), int(ends[until - 1]))
            i, j, starts = first[part], second[part], begins[lag:until] - begins[lag]
            correlation = share @ (centred[:, i] * centred[:, j])
            correlation *= inverse[:, i]
            correlation *= inverse[:, j]
            correlation -= shift[:, i] * shift[:, j]
            sums = np.add.reduceat(correlation, starts, axis=1)
            if usable.all():
                pairs = np.broadcast_to((ends[lag:until] - begins[lag:until]).astype(np.float64), sums.shape)
            else:
                pairs = np.add.reduceat((usable[:, i] & usable[:, j]).astype(np.float64), starts, axis=1)
            curves[:, lag:until] = ratio(sums, pairs)
            lag = until
        return curves


def bootstrap_curves(counts: NDArray[np.number], max_lag: int, weights: NDArray[np.number]) -> Values:
    """Autocorrelation of resampled trials, the mean over neurons.

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
    curves = ResampledTrials(counts, max_lag).curves(np.asarray(weights, dtype=np.float64))
    return _mean(np.moveaxis(curves, 1, 0))


def without_lags(correlation: Values, lags: int) -> Values:
    """Leave out the correlations between bins at most so many lags apart.

    Parameters
    ----------
    correlation : array, shape (bin, bin)
    lags : int

    Returns
    -------
    numpy.ndarray, shape (bin, bin)
        NaN there.

    Examples
    --------
    >>> without_lags(np.ones((3, 3)), 1)
    array([[ 1., nan,  1.],
           [nan,  1., nan],
           [ 1., nan,  1.]])
    """
    lag = np.abs(np.subtract.outer(np.arange(len(correlation)), np.arange(len(correlation))))
    return np.where((lag >= 1) & (lag <= lags), np.nan, correlation)


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
        curves[begin : begin + at_a_time] = ratio(
            np.add.reduceat(filled[i, j], begins, axis=1),
            np.add.reduceat(known[i, j].astype(np.float64), begins, axis=1),
        )
    return curves
