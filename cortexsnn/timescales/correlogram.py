"""Autocorrelation over time: how well the activity in one bin predicts the activity some bins later.

C(k) = sum over t of (x[t] - m) (x[t + k] - m) within trials, and R(k) = C(k) / C(0), each divided by its number of
pairs ("unbiased") or by the number of bins ("biased"); Box & Jenkins, https://doi.org/10.1002/9781118619193, ch. 2.
With the mean m of a neuron over all trials, R(k) of white activity is 0 up to 1 / bins. With the mean of each trial it
is too low by about 1 / (bins of a trial) and more for slow activity (Marriott & Pope 1954,
https://doi.org/10.1093/biomet/41.3-4.390).

Most bins of a spike train are empty, and only pairs of filled bins add to the sum over x[t] x[t + k], so it is counted
from the differences between events. What the mean takes off follows from the sums of blocks of time and their edges:

C(k) = sum of x[t] x[t + k] - m (2 S - E(k)) + m^2 pairs(k)

where S is the sum of x over a block and E(k) what the first and the last k bins have in excess: x[t + k] misses the
first k bins of a block but reaches k bins into the next one, and the last k bins of a trial have no partner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cortexsnn.checks import choice, whole
from cortexsnn.errors import InputError
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import TimeBlocks

__all__ = ["Correlogram", "MeanCorrelogram", "neurons_at_a_time", "signal_correlogram", "spike_correlogram"]

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
Shape = tuple[int, int, int]

# Rounding: a variance below this share of the mean square, a signal nearer to its mean than this share of it.
_NO_VARIANCE = 1e-12
_CONSTANT = 1e-13
_NUMBERS_AT_A_TIME = 4_000_000
# Events whose temporary arrays fit the cache.
_EVENTS_AT_A_TIME = 1 << 16
# A transform of n numbers takes as long as this times n log2(n) products, measured.
_TRANSFORM = 3.0


@dataclass(frozen=True, eq=False)
class Correlogram:
    """Autocorrelation of each neuron of a group, in pieces that add up over blocks of time (`blocks.BlockSums`).

    Parameters
    ----------
    products : array of float64, shape (neuron, block, 1 + lag)
        Sum of x[t] x[t + k] over t in the block, at lags of 0, 1, ... bins; centred if `ends` is None.
    ends : array of float64, shape (neuron, block, 1 + lag), or None
        E(k), see the module; None if the activity is centred in each trial.
    sums : array of float64, shape (neuron, block)
        Sum of x[t].
    pairs : array of float64, shape (block, 1 + lag)
        How many t of the block have a t + k in their trial.
    weighting : str
        "pairs" or "all", see `spike_correlogram`.
    """

    products: Values
    ends: Values | None
    sums: Values
    pairs: Values
    weighting: str

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.pairs.shape[0]

    def part(self, begin: int, end: int) -> Correlogram:
        """The neurons `begin` to `end` - 1."""
        ends = None if self.ends is None else self.ends[begin:end]
        return replace(self, products=self.products[begin:end], ends=ends, sums=self.sums[begin:end])

    def curves(self, drawn: Values) -> Values:
        """Autocorrelation when block b counts ``drawn[r, b]`` times.

        Each replicate is centred on its own mean, unless the activity is centred in each trial.

        Parameters
        ----------
        drawn : array, shape (replicate, block)

        Returns
        -------
        numpy.ndarray, shape (replicate, neuron, lag)
            At lags of 1, 2, ... bins; NaN if a neuron does not vary, and at lags without any pair.

        Examples
        --------
        >>> binned = BinnedSpikes.from_counts(np.array([[[1], [0], [1], [0], [1], [0]]]), bin_ms=5.0)
        >>> correlogram = spike_correlogram(binned, 2, TimeBlocks(binned.bins, 1, 1))
        >>> correlogram.curves(np.ones((1, 1)))
        array([[[-1.,  1.]]])
        """
        pairs = drawn @ self.pairs
        bins = np.maximum(pairs[:, :1], 1.0)
        products = np.matmul(drawn, self.products)
        square = products[:, :, :1].copy()
        if self.ends is not None:
            mean = (self.sums @ drawn.T)[:, :, None] / bins
            products += mean * np.matmul(drawn, self.ends)
            products -= mean**2 * (2 * pairs[:, :1] - pairs)
        number = pairs if self.weighting == "pairs" else np.where(pairs > 0, bins, 0.0)
        variance = products[:, :, :1] / bins
        defined = (products[:, :, :1] > _NO_VARIANCE * square) & (number > 0)
        scale = np.where(defined, variance * number, 1.0)
        return np.where(defined, products / scale, np.nan)[:, :, 1:].swapaxes(0, 1)

    def total(self, drawn: Values, included: NDArray[np.bool_] | None = None) -> tuple[Values, Values]:
        """Sum of the neurons' curves, and how many neurons have one, each of shape (replicate, lag).

        Totals of several groups add up to that of all. `included` is a mask, shape (neuron,); all by default.
        """
        neurons, _, lags = self.products.shape
        total, number = np.zeros((len(drawn), lags - 1)), np.zeros((len(drawn), lags - 1))
        at_a_time = max(1, _NUMBERS_AT_A_TIME // (len(drawn) * lags))
        for begin in range(0, neurons, at_a_time):
            curves = self.part(begin, begin + at_a_time).curves(drawn)
            if included is not None:
                curves = curves[:, included[begin : begin + at_a_time]]
            defined = np.isfinite(curves)
            total += np.where(defined, curves, 0.0).sum(axis=1)
            number += defined.sum(axis=1)
        return total, number

    def mean(self, included: NDArray[np.bool_] | None = None) -> MeanCorrelogram:
        """The mean over neurons as the only unit; see `total` for `included`."""
        return MeanCorrelogram(self, included)


@dataclass(frozen=True, eq=False)
class MeanCorrelogram:
    """Mean over neurons of their autocorrelations, a `blocks.BlockSums` of one unit; see `Correlogram.total`."""

    neurons: Correlogram
    included: NDArray[np.bool_] | None = None

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.neurons.blocks

    def curves(self, drawn: Values) -> Values:
        """Mean curve of each replicate, shape (replicate, 1, lag); NaN where no neuron has one."""
        total, number = self.neurons.total(drawn, self.included)
        return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)[:, None]


def neurons_at_a_time(max_lag: int, blocks: TimeBlocks, numbers: float = 4e6) -> int:
    """How many neurons to give to `spike_correlogram` at once, so that no array of it has more than so many numbers.

    Examples
    --------
    >>> neurons_at_a_time(100, TimeBlocks(np.array([100_000]), 100, 1))
    396
    """
    return max(1, int(numbers) // max(blocks.number * (max_lag + 1), blocks.bins.size))


def _check(max_lag: int, blocks: TimeBlocks, bins: Whole, centre: str, weighting: str) -> None:
    whole("max_lag", max_lag, 1)
    choice("centre", centre, ("all", "trial"))
    choice("weighting", weighting, ("pairs", "all"))
    if not np.array_equal(blocks.bins, bins):
        raise InputError("bins of the trials in blocks", blocks.bins, f"{bins}, as the activity has")
    if bins.max() < max_lag + 2:
        raise InputError("number of bins in the longest trial", int(bins.max()), f"at least {max_lag + 2}, max_lag + 2",
                         "use smaller bins or longer trials")  # fmt: skip
    shortest = int(bins.min()) // blocks.per_trial
    if blocks.per_trial > 1 and shortest < max_lag:
        raise InputError("number of bins in the shortest block", shortest, f"at least max_lag = {max_lag}")


def _edges(bins: Whole | int, per_trial: int, piece: Whole) -> Whole:
    """First bin of a piece of a trial of so many bins."""
    return -(-piece * np.asarray(bins, dtype=np.int64) // per_trial)


def _count_pairs(binned: BinnedSpikes, cell: Whole, shape: Shape) -> Values:
    """Sum of products of the counts of events, shape (neuron, block, 1 + lag); 0 at lag 0.

    `cell` is where lag 0 of the block of each event lies in the flat result; it never falls from event to event.
    """
    max_lag = shape[2] - 1
    # All events in one row, in which those of different trials or neurons are too far apart to meet.
    begins = np.cumsum(binned.bins + max_lag) - binned.bins
    place = binned.neuron * (begins[-1] + binned.bins[-1]) + begins[binned.trial] + binned.bin
    place = np.append(place, np.iinfo(np.int64).max)
    count = np.append(binned.count, 0).astype(np.float64)
    total = np.zeros(int(np.prod(shape)))
    for begin in range(0, cell.size, _EVENTS_AT_A_TIME):
        first = np.arange(begin, min(begin + _EVENTS_AT_A_TIME, cell.size))
        low, high = cell[first[0]], cell[first[-1]] + max_lag + 1
        step, pending = 0, 0
        found: list[Whole] = []
        products: list[Values] = []
        while first.size:
            # Where the next event is too far, so are those after it; none comes after the last one, at infinity.
            step += 1
            lag = place.take(first + step, mode="clip") - place[first]
            near = np.flatnonzero(lag <= max_lag)
            first, lag = first[near], lag[near]
            found.append(cell[first] + (lag - low))
            products.append(count[first] * count[first + step])
            pending += first.size
            if not first.size or pending > _NUMBERS_AT_A_TIME:
                total[low:high] += np.bincount(np.concatenate(found), np.concatenate(products), minlength=high - low)
                found, products, pending = [], [], 0
    return total.reshape(shape)


def _count_ends(binned: BinnedSpikes, blocks: TimeBlocks, cell: Whole, shape: Shape, weight: Values) -> Values:
    """E(k) of the module from the events near edges, each with its `weight`; see `_count_pairs`."""
    max_lag = shape[2] - 1
    bins = blocks.bins[binned.trial]
    piece = binned.bin * blocks.per_trial // np.maximum(bins, 1)
    since = binned.bin - _edges(bins, blocks.per_trial, piece)
    until = bins - 1 - binned.bin
    first, last = since < max_lag, until < max_lag
    reached = first & (piece > 0)
    where = [cell[first] + since[first] + 1, cell[reached] - max_lag + since[reached], cell[last] + until[last] + 1]
    weights = [weight[first], -weight[reached], weight[last]]
    excess = np.bincount(np.concatenate(where), np.concatenate(weights), minlength=int(np.prod(shape)))
    return np.cumsum(excess.reshape(shape), axis=2, dtype=np.float64)


def spike_correlogram(
    binned: BinnedSpikes, max_lag: int, blocks: TimeBlocks, *, centre: str = "all", weighting: str = "pairs"
) -> Correlogram:
    """Autocorrelation of spike counts over time, from pairs of filled bins.

    Exact, at a cost proportional to the pairs of filled bins up to `max_lag` apart.

    Parameters
    ----------
    binned : BinnedSpikes
        Trials may differ in their number of bins; pairs never span two trials.
    max_lag : int
        Largest lag in bins.
    blocks : TimeBlocks
        Of the same trials, at least `max_lag` bins each if a trial is cut; see `time_blocks`.
    centre : str
        "all": counts less the neuron's mean over all trials. "trial": less its mean in the same trial, which
        takes out slow changes but is biased.
    weighting : str
        "pairs": C(k) is divided by the number of pairs (N - k in one trial of N bins). "all": by the number of bins.

    Returns
    -------
    Correlogram

    Raises
    ------
    InputError
        If the longest trial has fewer than `max_lag` + 2 bins, or the blocks do not fit.

    Examples
    --------
    >>> counts = np.random.default_rng(1).poisson(0.1, (2, 500, 3))
    >>> binned = BinnedSpikes.from_counts(counts, bin_ms=5.0)
    >>> correlogram = spike_correlogram(binned, 10, TimeBlocks(binned.bins, 1, 1))
    >>> centred = counts - counts.mean(axis=(0, 1))
    >>> expected = (centred[:, :-1] * centred[:, 1:]).mean(axis=(0, 1)) / centred.var(axis=(0, 1))
    >>> np.allclose(correlogram.curves(np.ones((1, 2)))[0, :, 0], expected)
    True
    """
    _check(max_lag, blocks, binned.bins, centre, weighting)
    shape = (binned.neurons, blocks.number, max_lag + 1)
    block = binned.neuron * blocks.number + blocks.of(binned.trial, binned.bin)
    cell = block * (max_lag + 1)
    count = binned.count.astype(np.float64)
    products = _count_pairs(binned, cell, shape)
    products[:, :, 0] = np.bincount(block, count**2, minlength=shape[0] * shape[1]).reshape(shape[:2])
    sums = np.bincount(block, count, minlength=shape[0] * shape[1]).reshape(shape[:2])
    lags = np.arange(max_lag + 1)
    pairs = blocks.pairs(lags).astype(np.float64)
    if centre == "all":
        ends = _count_ends(binned, blocks, cell, shape, count)
        return Correlogram(products, ends, sums, pairs, weighting)

    trials = blocks.bins.size
    row = binned.neuron * trials + binned.trial
    mean = np.bincount(row, count, minlength=binned.neurons * trials).reshape(-1, trials) / np.maximum(blocks.bins, 1)
    weight = count * mean.ravel()[row]
    square = products[:, :, 0].copy()
    products += _count_ends(binned, blocks, cell, shape, weight)
    products -= 2 * np.bincount(block, weight, minlength=sums.size).reshape(shape[:2])[:, :, None]
    products += _squared_means(mean, blocks, lags)
    # What is left of a block that does not vary is rounding.
    products[products[:, :, 0] <= _NO_VARIANCE * square] = 0.0
    return Correlogram(products, None, sums, pairs, weighting)


def _over_trials(values: Values, blocks: TimeBlocks) -> Values:
    """Sum over the trials of each block, of an array (neuron, trial, ...)."""
    return np.asarray(np.add.reduceat(values, np.arange(0, blocks.bins.size, blocks.trials_in_block), axis=1))


def _squared_means(mean: Values, blocks: TimeBlocks, lags: Whole) -> Values:
    """Sum over trials of m^2 pairs(k), shape (neuron, block, lag), from the mean in each trial (neuron, trial)."""
    total = np.zeros((len(mean), blocks.number, lags.size))
    of_pieces = total.reshape(len(mean), -1, blocks.per_trial, lags.size)
    for bins in np.unique(blocks.bins):
        squares = _over_trials(np.where(blocks.bins == bins, mean**2, 0.0), blocks)
        of_pieces += squares[:, :, None, None] * TimeBlocks(np.array([bins]), blocks.per_trial, 1).pairs(lags)
    return total


def signal_correlogram(
    values: NDArray[Any], max_lag: int, blocks: TimeBlocks, *, centre: str = "all", weighting: str = "pairs"
) -> Correlogram:
    """Autocorrelation of continuous signals over time, by products or Fourier transforms, whichever is faster.

    Parameters
    ----------
    values : array, shape (trial, time, neuron)
        Finite numbers.
    max_lag : int
        Largest lag in time steps.
    blocks, centre, weighting
        As of `spike_correlogram`.

    Returns
    -------
    Correlogram

    Raises
    ------
    InputError
        If a trial has fewer than `max_lag` + 2 time steps, or the blocks do not fit.

    Examples
    --------
    >>> from cortexsnn.timescales.processes import ornstein_uhlenbeck
    >>> x = ornstein_uhlenbeck(tau_ms=20.0, trials=1, steps=100_000, neurons=1, dt_ms=1.0, rng=np.random.default_rng(1))
    >>> correlogram = signal_correlogram(x, 20, TimeBlocks(np.array([100_000]), 1, 1))
    >>> abs(correlogram.curves(np.ones((1, 1)))[0, 0, 19] - np.exp(-1)) < 0.05
    np.True_
    """
    trials, bins, neurons = values.shape
    _check(max_lag, blocks, np.full(trials, bins), centre, weighting)
    shape = (neurons, blocks.number, max_lag + 1)
    products, ends = np.empty(shape), np.empty(shape)
    sums = np.empty(shape[:2])
    at_a_time = max(1, _NUMBERS_AT_A_TIME // (trials * bins))
    for begin in range(0, neurons, at_a_time):
        part = slice(begin, begin + at_a_time)
        x = np.moveaxis(np.asarray(values[:, :, part], dtype=np.float64), 2, 0).copy()
        mean = x.mean(axis=(1, 2) if centre == "all" else 2, keepdims=True)
        x -= mean
        x[np.abs(x) <= _CONSTANT * np.abs(mean)] = 0.0
        products[part] = _signal_products(x, max_lag, blocks)
        ends[part], sums[part] = _signal_ends(x, max_lag, blocks)
    pairs = blocks.pairs(np.arange(max_lag + 1)).astype(np.float64)
    return Correlogram(products, ends if centre == "all" else None, sums, pairs, weighting)


def _signal_products(x: Values, max_lag: int, blocks: TimeBlocks) -> Values:
    """Sum of x[t] x[t + k] over t of each block, shape (neuron, block, 1 + lag), of x (neuron, trial, time)."""
    bins = x.shape[2]
    edges = _edges(bins, blocks.per_trial, np.arange(blocks.per_trial + 1))
    length = fft.next_fast_len(int(np.diff(edges).max()) + max_lag, real=True)
    direct = (max_lag + 1) * bins <= _TRANSFORM * blocks.per_trial * length * np.log2(length)
    products = np.empty((len(x), blocks.number // blocks.per_trial, blocks.per_trial, max_lag + 1))
    for piece, (begin, end) in enumerate(pairwise(edges)):
        if direct:
            for lag in range(max_lag + 1):
                until = min(end, bins - lag)
                of_trials = np.einsum("nit,nit->ni", x[:, :, begin:until], x[:, :, begin + lag : until + lag])
                products[:, :, piece, lag] = _over_trials(of_trials, blocks)
        else:
            head, reach = (fft.rfft(x[:, :, begin:to], length) for to in (end, end + max_lag))
            products[:, :, piece] = fft.irfft(_over_trials(head.conj() * reach, blocks), length)[..., : max_lag + 1]
    return products.reshape(len(x), blocks.number, max_lag + 1)


def _signal_ends(x: Values, max_lag: int, blocks: TimeBlocks) -> tuple[Values, Values]:
    """E(k) of the module, shape (neuron, block, 1 + lag), and sums of blocks, of x (neuron, trial, time)."""
    bins = x.shape[2]
    edges = _edges(bins, blocks.per_trial, np.arange(blocks.per_trial))
    ends = np.zeros((*x.shape[:2], blocks.per_trial, max_lag + 1))
    for piece, begin in enumerate(edges):
        first = np.cumsum(x[:, :, begin : begin + max_lag], axis=2)
        ends[:, :, piece, 1:] += first
        if piece:
            ends[:, :, piece - 1, 1:] -= first
    ends[:, :, -1, 1:] += np.cumsum(x[:, :, : bins - max_lag - 1 : -1], axis=2)
    shape = (len(x), blocks.number)
    sums = _over_trials(np.add.reduceat(x, edges, axis=2), blocks).reshape(shape)
    return _over_trials(ends, blocks).reshape(*shape, max_lag + 1), sums
