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

Of signals, and of bursts within bins, q is that of a Poisson number with the kurtosis of the products if that is less,
of a mean over neurons that of one with its skewness. Curves drawn from this are fitted
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
from cortexsnn.timescales.binned import BinnedSpikes

__all__ = ["WhiteNoise", "effective_variance", "noise_of_mean", "noise_of_neurons", "noise_p_values"]

Values = NDArray[np.float64]
Part = BinnedSpikes | NDArray[Any]

# Grid of expected pairs: so many values for a factor of 10, from the fewest on; with the most they are Gaussian.
_PER_DECADE = 10
_FEWEST_PAIRS = 1e-3
_MOST_PAIRS = 1e3
_SINGLE_PAIRS = 30.0  # with fewer a curve consists of single coincidences
# Null curves that decay by this share of the real one count as equal: single coincidences weigh about the same in all.
_EQUAL = 0.9
_ROUNDING = 1e-9
# A variance below this share of the mean square is rounding.
_NO_VARIANCE = 1e-12
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
            if coincidence * pairs[1] >= _MOST_PAIRS * (1 - _ROUNDING):
                curves[unit] = rng.standard_normal(size) * np.sqrt(variance / pairs[1:])
            else:
                expected = coincidence * pairs[1:]
                excess = rng.poisson(expected, size) / expected - 1.0
                curves[unit] = excess * np.sqrt(coincidence * variance)
        return curves * (pairs[1:] / pairs[0]) if weighting == "all" else curves


def noise_of_neurons(activity: Part, *, centre: str = "all") -> WhiteNoise:
    """White noise like the activity of each neuron.

    The number of filled bins is taken as given; with ``centre="trial"`` that in each trial, so that a neuron may be
    more active in one trial than in another.

    Parameters
    ----------
    activity : BinnedSpikes, or array of signals, shape (trial, time, neuron)
    centre : str
        "all" or "trial", as of the correlogram.

    Returns
    -------
    WhiteNoise
        Of one unit per neuron; q is 0 if it does not vary or has less than two filled bins.

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


def _matched(square: Values, fourth: Values) -> Values:
    """The q of a Poisson number that has the kurtosis of the products of white values with these central moments."""
    kurtosis = np.divide(fourth, square**2, out=np.zeros_like(square), where=square > 0)
    # Fourth cumulant of the product of two independent values, in units of its squared variance.
    excess = kurtosis**2 - 9.0
    return np.divide(1.0, excess, out=np.full(square.shape, np.inf), where=excess > 0)


def _noise_of_spikes(binned: BinnedSpikes, centre: str) -> WhiteNoise:
    trials, bins = binned.bins.size, float(binned.bins.sum())
    row = binned.neuron * trials + binned.trial
    filled = np.bincount(row, minlength=binned.neurons * trials).reshape(-1, trials).astype(np.float64)
    total = filled.sum(axis=1)
    first, second, third, fourth = (
        np.bincount(binned.neuron, binned.count ** float(power), minlength=binned.neurons) / bins
        for power in (1, 2, 3, 4)
    )
    spread = second - first**2
    most = _matched(spread, fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4)
    varies = spread > _NO_VARIANCE * second
    coincidence = total * (total - 1.0) / bins**2
    variance = np.full(binned.neurons, _means_take(bins, trials, centre))
    if centre == "trial":
        # Pairs of bins at lag 1, those of each trial with its own chance to be filled.
        pairs = np.maximum(binned.bins - 1.0, 0.0)
        within = (filled * (filled - 1.0)) @ (pairs / np.maximum(binned.bins, 1) ** 2.0) / max(pairs.sum(), 1.0)
        variance *= np.divide(within, coincidence, out=np.ones_like(within), where=(within > 0) & (coincidence > 0))
        coincidence = within
    return WhiteNoise(np.where(varies, np.minimum(coincidence, most), 0.0), variance)


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
    coincidence = _matched(square, (centred**4).mean(axis=(0, 1)))
    return WhiteNoise(np.where(defined, coincidence, 0.0), variance)


def effective_variance(parts: Iterable[Part], *, neurons: int | None = None, centre: str = "all") -> float:
    """Variance of a mean autocorrelation relative to that of one neuron, s of the module.

    The correlations of a sample of neurons stand for those of all. What sampling in time adds to their squares, one
    over the number of bins, is taken off.

    Parameters
    ----------
    parts : iterable of BinnedSpikes, or of arrays of signals, shape (trial, time, neuron)
        All neurons of the sample, over the same trials; those that do not vary are left out.
    neurons : int, optional
        Number of neurons in the mean; by default those of the sample that vary.
    centre : str
        "all" or "trial", as of the correlogram.

    Returns
    -------
    float
        1 / neurons if they are independent, 1 if they are identical.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal((1, 20_000, 4))
    >>> round(effective_variance([x]), 2), round(effective_variance([np.concatenate([x, x], axis=2)]), 2)
    (0.25, 0.25)
    """
    choice("centre", centre, ("all", "trial"))
    pieces = [_rows(part, centre) for part in parts]
    if not pieces:
        raise InputError("number of parts", 0, "at least 1")
    joined = sparse.vstack if sparse.issparse(pieces[0][0]) else np.vstack
    rows = joined([piece[0] for piece in pieces])
    sums, means = (np.vstack([piece[axis] for piece in pieces]) for axis in (1, 2))
    products = rows @ rows.T
    products = products.toarray() if sparse.issparse(products) else products
    square = np.diagonal(products).copy()
    products = products - sums @ means.T
    varies = np.diagonal(products) > _NO_VARIANCE * square
    number = int(varies.sum())
    size = number if neurons is None else neurons
    if number < 2:
        return 1.0 / max(size, 1)
    products = products[np.ix_(varies, varies)]
    scale = np.sqrt(np.diagonal(products))
    squares = float(((products / scale[:, None] / scale) ** 2).sum())
    by_chance = 1.0 / rows.shape[1]
    between = ((squares - number) / (number * (number - 1)) - by_chance) / (1.0 - by_chance)
    return 1.0 / size + (1.0 - 1.0 / size) * max(between, 0.0)


def _rows(activity: Part, centre: str) -> tuple[Any, Values, Values]:
    """Activity as a matrix (neuron, bin); sums and means of what it is to be centred in, each (neuron, piece)."""
    if isinstance(activity, BinnedSpikes):
        begins, bins = np.cumsum(activity.bins) - activity.bins, np.asarray(activity.bins, dtype=np.float64)
        shape = (activity.neurons, int(activity.bins.sum()))
        count = activity.count.astype(np.float64)
        rows = sparse.csr_array((count, (activity.neuron, begins[activity.trial] + activity.bin)), shape=shape)
        index = activity.neuron * bins.size + activity.trial
        sums = np.bincount(index, count, minlength=activity.neurons * bins.size).reshape(-1, bins.size)
    else:
        values = np.moveaxis(np.asarray(activity, dtype=np.float64), 2, 0)
        bins = np.full(values.shape[1], float(values.shape[2]))
        # Products of large means would leave nothing of small differences.
        values = values - values.mean(axis=(1, 2), keepdims=True)
        rows, sums = values.reshape(len(values), -1), values.sum(axis=2)
    if centre == "all":
        sums, bins = sums.sum(axis=1, keepdims=True), bins.sum(keepdims=True)
    return rows, np.asarray(sums, dtype=np.float64), sums / np.maximum(bins, 1.0)


def _size(part: Part) -> tuple[int, int]:
    """Number of neurons and of bins."""
    if isinstance(part, BinnedSpikes):
        return part.neurons, int(part.bins.sum())
    return part.shape[2], part.shape[0] * part.shape[1]


def _chosen(part: Part, chosen: NDArray[np.bool_]) -> Part:
    return part.of(chosen) if isinstance(part, BinnedSpikes) else part[:, :, chosen]


def noise_of_mean(parts: Iterable[Part], rng: np.random.Generator, *, centre: str = "all") -> WhiteNoise:
    """White noise like the mean over neurons of their autocorrelations.

    Parameters
    ----------
    parts : iterable of BinnedSpikes, or of arrays of signals, shape (trial, time, neuron)
        All neurons of the mean in parts that fit in memory, over the same trials. Each is read once.
    rng : numpy.random.Generator
        Chooses the 256 neurons whose correlations stand for those of all; fewer if they are long signals.
    centre : str
        "all" or "trial", as of the correlogram.

    Returns
    -------
    WhiteNoise
        Of one unit. Neurons that do not vary, or have less than two filled bins, are left out.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(0.1, (1, 20_000, 10))
    >>> noise_of_mean([BinnedSpikes.from_counts(counts, bin_ms=5.0)], rng).variance.round(3)
    array([0.1])
    """
    generator(rng)
    kept: list[tuple[Part, Values]] = []
    number, skewed, spread = 0, 0.0, 0.0
    for part in parts:
        neurons, bins = _size(part)
        noise = noise_of_neurons(part, centre=centre)
        live = noise.coincidence > 0
        number += int(live.sum())
        skewed += float((noise.coincidence[live] ** -0.5).sum())
        spread += float(noise.variance[live].sum())
        # The neurons with the smallest of many random numbers are a random sample of those seen so far.
        kept.append((part, rng.random(neurons)))
        most = min(_MOST_NEURONS, max(2, _MOST_NUMBERS // bins))
        drawn = np.sort(np.concatenate([key for _, key in kept]))
        limit = drawn[min(most, drawn.size) - 1]
        kept = [(_chosen(part, key <= limit), key[key <= limit]) for part, key in kept if np.any(key <= limit)]
    if not number:
        return WhiteNoise(np.zeros(1), np.ones(1))
    variance = effective_variance([part for part, _ in kept], neurons=number, centre=centre)
    coincidence = (number / skewed) ** 2 / variance if skewed > 0 else np.inf
    return WhiteNoise(np.array([coincidence]), np.array([variance * spread / number]))


def noise_p_values(
    explained: Values,
    noise: WhiteNoise,
    pairs: Values,
    fit: Callable[[Values], Values],
    rng: np.random.Generator,
    *,
    draws: int = 999,
    weighting: str = "pairs",
) -> Values:
    """How often white activity decays at least as much as was measured.

    At a level of 0.01, 0 to 2 % of white spike trains and signals pass, up to 3 % if many spikes share a bin in bursts
    (tests/unit/test_noise.py). What else passes depends on the fit: of Poisson trains of 5 Hz with a timescale of
    100 ms (rate varying by 60 %, 10 min, bins of 5 ms, lags to 500 ms) all do with a decay fitted from lag 1 on, but
    a fifth with a start at the largest drop, which in the noisy curve of one neuron is seldom the first.

    Parameters
    ----------
    explained : array, shape (unit,)
        By how much the fit of each curve explains it better than a flat line; proportional to the curve squared.
    noise : WhiteNoise
        Of the same neurons, or of their mean.
    pairs : array, shape (1 + lag,)
        Number of pairs of bins at lags of 0, 1, ... bins.
    fit : callable
        Gives `explained` of curves, shape (curve, lag).
    rng : numpy.random.Generator
    draws : int
        Null curves for each group of units with about as many expected pairs; the smallest p value is 1 / (draws + 1).
    weighting : str
        As of the correlogram.

    Returns
    -------
    numpy.ndarray, shape (unit,)
        1 where nothing decays.

    Raises
    ------
    InputError
        If `draws` is not a whole number of at least 19, or the arrays do not fit.

    Examples
    --------
    >>> from cortexsnn.timescales.exponential import fit_exponential
    >>> lag, pairs = np.arange(1, 21), 12_000.0 - np.arange(21)
    >>> curves = np.stack([0.2 * np.exp(-lag / 5.0), 0.005 * np.cos(lag)])
    >>> def fit(curves):
    ...     return fit_exponential(curves, bin_ms=50.0, bins=12_000).explained
    >>> noise = WhiteNoise(np.array([np.inf, np.inf]), np.ones(2))
    >>> noise_p_values(fit(curves), noise, pairs, fit, np.random.default_rng(1)) < 0.01
    array([ True, False])
    """
    generator(rng)
    whole("draws", draws, 19)
    choice("weighting", weighting, ("pairs", "all"))
    if explained.shape != noise.coincidence.shape:
        raise InputError("shape of explained", explained.shape, f"{noise.coincidence.shape}, as noise has")
    expected = np.maximum(noise.coincidence * pairs[1], _FEWEST_PAIRS)
    single = expected < _SINGLE_PAIRS
    place = _PER_DECADE * np.log10(np.minimum(expected, _MOST_PAIRS))
    # More coincidences than expected of a few, more skewness than that of many: each makes p values larger.
    place = np.where(single, np.ceil(place), np.floor(place))
    measured = explained / noise.variance
    p_values: Values = np.ones(explained.shape)
    for counted, group in sorted(set(zip(single.tolist(), place.tolist(), strict=True))):
        units = np.flatnonzero((single == counted) & (place == group) & (explained > 0) & (noise.coincidence > 0))
        if not units.size:
            continue
        coincidence = 10.0 ** (group / _PER_DECADE) / pairs[1]
        null = WhiteNoise(np.array([coincidence]), np.ones(1)).curves(pairs, draws, rng, weighting=weighting)
        beyond, least = np.sort(fit(null[0])), measured[units] * (1 - _ROUNDING)
        if counted:
            # In units of a coincidence, of which there are whole numbers.
            beyond, least = beyond * coincidence, least * noise.coincidence[units] * _EQUAL
        p_values[units] = (1 + draws - np.searchsorted(beyond, least)) / (1 + draws)
    return p_values
