"""Is a decay of the autocorrelation over time more than what activity without a timescale gives by chance?

The null hypothesis is activity that is white: what a neuron does in one bin says nothing about any other bin. Then the
values R(k) of `correlogram` are uncorrelated, 0 up to 1 / bins, and have the variance

Var R(k) = 1 / pairs(k)

exactly, whatever the distribution of the activity, since x[t] and x[t + k] are independent (Bartlett 1946,
https://doi.org/10.2307/2983611). Of two neurons whose activity in the same bin is correlated with rho, the values
have the covariance E[x[t] y[t]] E[x[t + k] y[t + k]], so that the mean over neurons has the variance

Var mean R(k) = s / pairs(k), s = mean over all n, m of rho[n, m]^2,

which is 1 / n for n independent neurons and 1 for identical ones.

The values are not Gaussian where few pairs of filled bins are expected. Their number at a lag is close to a Poisson
number of mean q pairs(k), with q the chance that both bins of a pair are filled, given how many are; so

R(k) ~ (Poisson(q pairs(k)) / (q pairs(k)) - 1) sqrt(q).

For a mean over neurons q is that of a Poisson number with the skewness of the mean. Curves drawn from this are fitted
as the real one is; the p value is the share of them that decay at least as much (Monte Carlo test, Davison & Hinkley
1997, https://doi.org/10.1017/CBO9780511802843, ch. 4). It depends on a neuron only by q, so neurons share null curves
on a grid of q, rounded so that the p value becomes rather too large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cortexsnn.checks import choice, generator, whole
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import BinnedSpikes

__all__ = ["WhiteNoise", "effective_variance", "noise_of_mean", "noise_of_neurons", "noise_p_values"]

Values = NDArray[np.float64]
Part = BinnedSpikes | NDArray[Any]

# Grid of expected pairs: so many values for a factor of 10, from the fewest on; with the most they are Gaussian.
_PER_DECADE = 10
_FEWEST_PAIRS = 1e-3
_MOST_PAIRS = 1e3
# With fewer pairs than these a curve consists of single coincidences.
_SINGLE_PAIRS = 30.0
# Null curves that decay by this share of the real one count as equal: single coincidences weigh about the same in all.
_EQUAL = 0.9
# Neurons, and numbers of signals, that the correlations between neurons are estimated from.
_MOST_NEURONS = 256
_MOST_NUMBERS = 16_000_000


@dataclass(frozen=True, eq=False)
class WhiteNoise:
    """What white activity would leave in autocorrelations.

    Parameters
    ----------
    coincidence : array of float64, shape (unit,)
        q of the module for each neuron or mean; infinite if its values are Gaussian.
    variance : array of float64, shape (unit,)
        Variance of R(k) times pairs(k): 1 for a neuron, s of the module for a mean.
    """

    coincidence: Values
    variance: Values

    def curves(self, pairs: Values, draws: int, rng: np.random.Generator, *, weighting: str = "pairs") -> Values:
        """Draw autocorrelations of white activity.

        Parameters
        ----------
        pairs : array, shape (1 + lag,)
            Number of pairs of bins at lags of 0, 1, ... bins.
        draws : int
            Number of curves for each unit.
        rng : numpy.random.Generator
        weighting : str
            "pairs" or "all", see `correlogram.spike_correlogram`.

        Returns
        -------
        numpy.ndarray, shape (unit, draw, lag)

        Examples
        --------
        >>> noise = WhiteNoise(np.array([0.01, np.inf]), np.array([1.0, 1.0]))
        >>> curves = noise.curves(1000.0 - np.arange(5), 10_000, np.random.default_rng(1))
        >>> np.allclose(curves.var(axis=1) * (1000 - np.arange(1, 5)), 1.0, rtol=0.1)
        True
        """
        size = (draws, pairs.size - 1)
        curves = np.empty((self.coincidence.size, *size))
        for unit, (coincidence, variance) in enumerate(zip(self.coincidence, self.variance, strict=True)):
            if coincidence * pairs[1] >= _MOST_PAIRS:
                curves[unit] = rng.standard_normal(size) * np.sqrt(variance / pairs[1:])
            else:
                expected = coincidence * pairs[1:]
                excess = rng.poisson(expected, size) / expected - 1.0
                curves[unit] = excess * np.sqrt(coincidence * variance)
        return curves * (pairs[1:] / pairs[0]) if weighting == "all" else curves


def noise_of_neurons(activity: Part, *, centre: str = "all") -> WhiteNoise:
    """White noise like the activity of each neuron.

    The number of filled bins is taken as given; with ``centre="trial"`` that in each trial, so that a neuron may be
    more active in one trial than in another. Of signals, q is that of Poisson numbers with the same kurtosis of
    products.

    Parameters
    ----------
    activity : BinnedSpikes, or array of signals, shape (trial, time, neuron)
    centre : str
        "all" or "trial", as of the correlogram.

    Returns
    -------
    WhiteNoise
        Of one unit per neuron.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(0.1, (1, 2000, 3))
    >>> noise = noise_of_neurons(BinnedSpikes.from_counts(counts, bin_ms=5.0))
    >>> np.round(noise.coincidence, 2), noise.variance
    (array([0.01, 0.01, 0.01]), array([1., 1., 1.]))
    """
    choice("centre", centre, ("all", "trial"))
    if isinstance(activity, BinnedSpikes):
        return _noise_of_spikes(activity, centre)
    return _noise_of_signals(np.asarray(activity, dtype=np.float64), centre)


def _means_take(bins: float, trials: int, centre: str) -> float:
    """Factor on the variance of R(k): the mean of each trial takes a share of C(0), which R(k) is divided by."""
    return (bins / max(bins - trials, 1)) ** 2 if centre == "trial" else 1.0


def _noise_of_spikes(binned: BinnedSpikes, centre: str) -> WhiteNoise:
    trials, bins = binned.bins.size, float(binned.bins.sum())
    row = binned.neuron * trials + binned.trial
    filled = np.bincount(row, minlength=binned.neurons * trials).reshape(-1, trials).astype(np.float64)
    total = filled.sum(axis=1)
    coincidence = total * (total - 1.0) / bins**2
    variance = np.full(binned.neurons, _means_take(bins, trials, centre))
    if centre == "trial":
        # Pairs of bins at lag 1, those of each trial with its own chance to be filled.
        pairs = np.maximum(binned.bins - 1.0, 0.0)
        within = (filled * (filled - 1.0)) @ (pairs / np.maximum(binned.bins, 1) ** 2.0) / max(pairs.sum(), 1.0)
        variance *= np.divide(within, coincidence, out=np.ones_like(within), where=(within > 0) & (coincidence > 0))
        coincidence = within
    return WhiteNoise(np.asarray(coincidence), variance)


def _noise_of_signals(values: Values, centre: str) -> WhiteNoise:
    trials, bins, neurons = values.shape
    centred = values - values.mean(axis=(0, 1) if centre == "all" else 1, keepdims=True)
    of_trials = (centred**2).mean(axis=1)
    square = of_trials.mean(axis=0)
    defined = square > 0
    scale = np.where(defined, square, 1.0)
    variance = np.full(neurons, _means_take(trials * bins, trials, centre))
    if centre == "trial":
        # Sampling alone makes the variances of Gaussian trials differ by 2 / (bins - 1).
        spread = (of_trials**2).mean(axis=0) / scale**2 / (1.0 + 2.0 / max(bins - 1, 1))
        variance *= np.where(defined, np.maximum(spread, 1.0), 1.0)
    kurtosis = (centred**4).mean(axis=(0, 1)) / scale**2
    # The products of a Poisson number with a small mean q^(1/2) have an excess kurtosis of 1 / q.
    excess = kurtosis**2 - 9.0
    coincidence = np.divide(1.0, excess, out=np.full(neurons, np.inf), where=excess > 0)
    return WhiteNoise(np.where(defined, coincidence, 0.0), variance)


def _centred_rows(activity: Part, centre: str) -> tuple[Any, Values, Values]:
    """Activity as a matrix (neuron, bin), and two factors whose product (neuron, neuron) its products exceed."""
    if isinstance(activity, BinnedSpikes):
        begins = np.cumsum(activity.bins) - activity.bins
        shape = (activity.neurons, int(activity.bins.sum()))
        count = activity.count.astype(np.float64)
        rows = sparse.csr_array((count, (activity.neuron, begins[activity.trial] + activity.bin)), shape=shape)
        index = activity.neuron * activity.bins.size + activity.trial
        sums = np.bincount(index, count, minlength=activity.neurons * activity.bins.size).reshape(activity.neurons, -1)
        bins = np.asarray(activity.bins, dtype=np.float64)
    else:
        values = np.moveaxis(np.asarray(activity, dtype=np.float64), 2, 0)
        # Large means would leave little of the differences.
        values = values - values.mean(axis=(1, 2), keepdims=True)
        rows, sums = values.reshape(len(values), -1), values.sum(axis=2)
        bins = np.full(values.shape[1], float(values.shape[2]))
    if centre == "all":
        sums, bins = sums.sum(axis=1, keepdims=True), bins.sum(keepdims=True)
    return rows, sums, sums / np.maximum(bins, 1.0)
