"""Spike-time-tiling autocorrelation: timescales of sparse spike trains without bins, over epochs of any length.

For a lag L a spike train meets itself: A are its spikes in [0, D - L] of an epoch of D seconds, B those in [L, D]
moved back by L. How well A and B agree is their spike time tiling coefficient (Cutts & Eglen 2014,
https://doi.org/10.1523/JNEUROSCI.2767-14.2014), which as a function of the lag is an autocorrelation (iSTTC,
https://doi.org/10.1371/journal.pcbi.1013385):

STTC = 1/2 ((P_A - T_B) / (1 - P_A T_B) + (P_B - T_A) / (1 - P_B T_A)),

with T the share of the time within one window of a spike of A (or B), and P the share of the spikes of A within one
window of a spike of B (or of B, of A). Spikes, times and what is covered of them are added up over epochs before they
are divided, and no spike meets one of another epoch.

A pair of spikes covers the lags within one window of its interval. Since the intervals from one spike to the next
ones grow, so do the covered lags: what a spike has covered before ends where its previous pair ends. The cost is one
step per pair of spikes no further apart than the longest lag, whatever the number of lags.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.blocks import TimeBlocks, ratio, time_blocks

__all__ = ["TilingSums", "isttc", "tiling_blocks", "tiling_sums"]

Values = NDArray[np.float64]
Indices = NDArray[np.int64]

# Times that differ by less are equal: an interval of exactly one window counts although 0.3 - 0.2 is less than 0.1.
_EQUAL_S = 1e-9
_NUMBERS_AT_A_TIME = 2_000_000


@dataclass(frozen=True, eq=False)
class _Side:
    """Sums of A or of B: what is covered and what there is, over blocks of time.

    `covered` and `spikes` count spikes, shape (neuron, block, lag); `tiled_s` (same shape) and `time_s`, shape
    (block, lag), are the time within one window of a spike and all time.
    """

    covered: Values
    spikes: Values
    tiled_s: Values
    time_s: Values

    def shares(self, neurons: slice, drawn: Values) -> tuple[Values, Values]:
        """P and T of some neurons, each (neuron, replicate, lag); NaN without spikes or time."""
        time = drawn @ self.time_s
        # A tile that crosses the edge of a block counts in one of them, so a replicate may exceed its time a little.
        tiled = np.minimum(drawn @ self.tiled_s[neurons], time)
        return ratio(drawn @ self.covered[neurons], drawn @ self.spikes[neurons]), ratio(tiled, time)


@dataclass(frozen=True, eq=False)
class TilingSums:
    """Tiling autocorrelation of each neuron in pieces that add up over blocks of time (a `BlockSums`).

    Made by `tiling_sums`. A spike, and the time within one window of it, belongs to the block of its time.

    Parameters
    ----------
    lags_ms : array, shape (lag,)
    window_ms : float
        Spikes so close, or closer, coincide.
    earlier, later : _Side
        Sums of A and of B.
    """

    lags_ms: Values
    window_ms: float
    earlier: _Side
    later: _Side

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(self.earlier.time_s.shape[0])

    def curves(self, drawn: Values) -> Values:
        """Curves when block b counts ``drawn[r, b]`` times; all ones for the estimate itself.

        Parameters
        ----------
        drawn : array, shape (replicate, block)

        Returns
        -------
        numpy.ndarray, shape (replicate, neuron, lag)
            NaN where no spike or no time is left in A or B.
        """
        neurons, _, lags = self.earlier.covered.shape
        curves = np.empty((len(drawn), neurons, lags))
        at_a_time = max(1, _NUMBERS_AT_A_TIME // (len(drawn) * lags))
        for begin in range(0, neurons, at_a_time):
            some = slice(begin, begin + at_a_time)
            covered_a, tiled_a = self.earlier.shares(some, drawn)
            covered_b, tiled_b = self.later.shares(some, drawn)
            coefficient = (_half(covered_a, tiled_b) + _half(covered_b, tiled_a)) / 2
            curves[:, some] = np.moveaxis(coefficient, 0, 1)
        return curves

    def mean_curves(self, drawn: Values) -> Values:
        """Mean over the neurons whose curve is defined at a lag, shape (replicate, lag); NaN where there is none."""
        curves = self.curves(drawn)
        defined = np.isfinite(curves)
        return ratio(np.where(defined, curves, 0.0).sum(axis=1), defined.sum(axis=1))


def _half(covered: Values, tiled: Values) -> Values:
    """One of the two terms of the coefficient; where P T is 1 it is 1, as for P = 1 and any smaller T."""
    both = covered * tiled
    one_or_unknown = np.where(np.isnan(both), np.nan, 1.0)
    return np.divide(covered - tiled, 1 - both, out=one_or_unknown, where=both < 1)


@dataclass(frozen=True, eq=False)
class _Spikes:
    """All spikes of a group in one row, each with its epoch: duration, number, and row of the sums it counts in."""

    time_s: Values
    duration_s: Values
    epoch: Indices
    row: Indices

    def mirrored(self) -> _Spikes:
        """Time run backwards, which turns B into A."""
        return _Spikes((self.duration_s - self.time_s)[::-1], self.duration_s[::-1], self.epoch[::-1], self.row[::-1])

    def lags_in_a(self, lags_s: Values) -> Indices:
        """Up to which lag (exclusive) each spike lies in A: t <= D - L; an epoch has no part in lags as long as it."""
        longest = np.minimum(self.duration_s - self.time_s + _EQUAL_S, self.duration_s - _EQUAL_S)
        return np.searchsorted(lags_s, longest, side="right")


@dataclass(frozen=True, eq=False)
class _LagTable:
    """Amounts added to ranges of lags in rows: their differences from lag to lag, until they are summed up."""

    differences: Values

    @classmethod
    def empty(cls, rows: int, lags: int) -> _LagTable:
        return cls(np.zeros((rows, lags + 1)))

    def add(self, row: Indices, begin: Indices, end: Indices, amount: Values | float) -> None:
        """Add to lags `begin` to `end` - 1 of each row; rows may come more than once."""
        flat, width = self.differences.reshape(-1), self.differences.shape[1]
        np.add.at(flat, row * width + begin, amount)
        np.subtract.at(flat, row * width + end, amount)

    def summed(self, blocks: int) -> Values:
        """The amounts, shape (neuron, block, lag)."""
        sums = np.cumsum(self.differences, axis=1, out=self.differences)[:, :-1]
        return sums.reshape(-1, blocks, sums.shape[1])


def _successors(spikes: _Spikes, within_s: float) -> Iterator[tuple[Indices, Indices]]:
    """Each spike with itself, then with its next one, and so on, while they are of one epoch and not further apart."""
    early, step = np.arange(spikes.time_s.size), 0
    while early.size:
        yield early, early + step
        step += 1
        early = early[early + step < spikes.time_s.size]
        interval = spikes.time_s[early + step] - spikes.time_s[early]
        early = early[(spikes.epoch[early + step] == spikes.epoch[early]) & (interval <= within_s)]


def _pairs(spikes: _Spikes, shortest_s: float, longest_s: float) -> Iterator[tuple[Indices, Indices]]:
    """Pairs of spikes of which the second comes up to `longest_s` after the first, in steps to ever later seconds.

    If `shortest_s` is negative, the second may also be the first itself, or come so much before it.
    """
    if shortest_s <= 0:
        yield from ((late, early) for early, late in reversed(list(_successors(spikes, -shortest_s))))
    yield from islice(_successors(spikes, longest_s), 1, None)


def _covered(spikes: _Spikes, lags_s: Values, window_s: float, rows: int) -> tuple[_LagTable, _LagTable]:
    """How many spikes of A have one of B within the window, and of B one of A."""
    reach = window_s + _EQUAL_S
    in_a = spikes.lags_in_a(lags_s)
    in_b = spikes.mirrored().lags_in_a(lags_s)[::-1]
    of_a, of_b = _LagTable.empty(rows, lags_s.size), _LagTable.empty(rows, lags_s.size)
    # End of the lags that the pair of this spike with the one before the present partner has covered.
    ended = np.zeros(spikes.time_s.size + 1, dtype=np.int64)
    for first, second in _pairs(spikes, lags_s[0] - reach, lags_s[-1] + reach):
        interval = spikes.time_s[second] - spikes.time_s[first]
        begin = np.searchsorted(lags_s, interval - reach, side="left")
        end = np.searchsorted(lags_s, interval + reach, side="right")
        end = np.minimum(end, np.minimum(in_a[first], in_b[second]))
        # For the second spike the pair before is the one with the spike after `first`.
        for table, spike, previous in ((of_a, first, ended[first]), (of_b, second, ended[first + 1])):
            new = np.maximum(begin, previous)
            some = np.flatnonzero(new < end)
            table.add(spikes.row[spike[some]], new[some], end[some], 1.0)
        ended[first] = end
    return of_a, of_b


def _present(spikes: _Spikes, lags_s: Values, window_s: float, rows: int) -> tuple[_LagTable, _LagTable]:
    """Spikes of A, and the time within the window of a spike of A.

    Each spike owns the time from the end of the tile before it, or one window before the spike, to one window after
    it, all of it between 0 and D - L.
    """
    number, tiled = _LagTable.empty(rows, lags_s.size), _LagTable.empty(rows, lags_s.size)
    time = spikes.time_s
    none = np.zeros(time.size, dtype=np.int64)
    in_a = spikes.lags_in_a(lags_s)
    number.add(spikes.row, none, in_a, 1.0)
    begin = np.maximum(time - window_s, 0.0)
    follows = np.flatnonzero(np.diff(spikes.epoch) == 0) + 1
    begin[follows] = np.maximum(begin[follows], time[follows - 1] + window_s)
    whole = np.minimum(np.searchsorted(lags_s, spikes.duration_s - time - window_s, side="right"), in_a)
    tiled.add(spikes.row, none, whole, time + window_s - begin)
    # At the lags between, D - L cuts the tile.
    cuts = in_a - whole
    spike = np.repeat(np.arange(time.size), cuts)
    lag = np.arange(spike.size) - np.repeat(np.cumsum(cuts) - cuts, cuts) + whole[spike]
    tiled.add(spikes.row[spike], lag, lag + 1, np.maximum(spikes.duration_s[spike] - lags_s[lag] - begin[spike], 0.0))
    return number, tiled


def _times(durations_s: Values, lags_s: Values, blocks: TimeBlocks) -> tuple[Values, Values]:
    """Time of A and of B in each block, shape (block, lag)."""
    bins = np.maximum(blocks.bins, 1)[:, None]
    edges = -(-np.arange(blocks.per_trial + 1) * bins // blocks.per_trial) / bins * durations_s[:, None]
    begin, end = edges[:, :-1, None], edges[:, 1:, None]
    of_a = np.maximum(np.minimum(end, (durations_s[:, None] - lags_s)[:, None]) - begin, 0.0)
    of_b = np.maximum(end - np.maximum(begin, lags_s), 0.0)
    block = np.arange(bins.size)[:, None] // blocks.trials_in_block * blocks.per_trial + np.arange(blocks.per_trial)
    sums = np.zeros((2, blocks.number, lags_s.size))
    for total, pieces in zip(sums, (of_a, of_b), strict=True):
        np.add.at(total, block, pieces)
    return sums[0], sums[1]


def _checked(durations_s: Values, lags_ms: ArrayLike, window_ms: float) -> tuple[Values, float]:
    lags = np.atleast_1d(positive("lags_ms", lags_ms, "positive lags in ms", dimensions=1))
    window = float(positive("window_ms", window_ms, "a positive number of milliseconds"))
    if np.any(np.diff(lags) <= 0):
        raise InputError("lags_ms", lags, "lags that grow")
    if lags[-1] >= 1000.0 * durations_s.max():
        raise InputError("longest lag in ms", float(lags[-1]),
                         f"less than the longest epoch, {1000.0 * durations_s.max():g} ms")  # fmt: skip
    return lags, window


def tiling_blocks(durations_s: Values, *, lags_ms: ArrayLike, window_ms: float) -> TimeBlocks:
    """Choose blocks of time for `tiling_sums`, which outlast the longest lag and the window.

    Parameters
    ----------
    durations_s : array, shape (epoch,)
    lags_ms : array, shape (lag,)
    window_ms : float

    Returns
    -------
    TimeBlocks

    Raises
    ------
    InputError
        See `tiling_sums`.

    Examples
    --------
    >>> tiling_blocks(np.array([600.0]), lags_ms=5.0 * np.arange(1, 201), window_ms=2.5).number
    100
    """
    lags, window = _checked(durations_s, lags_ms, window_ms)
    grid_ms = min(float(lags[0]), window)
    bins = np.maximum(np.floor(1000.0 * durations_s / grid_ms), 1).astype(np.int64)
    return time_blocks(bins, int(np.ceil((lags[-1] + window) / grid_ms)))


def tiling_sums(trains: SpikeTrains, *, lags_ms: ArrayLike, window_ms: float, blocks: TimeBlocks) -> TilingSums:
    """Tiling autocorrelation of a group of neurons, summed over blocks of time.

    At lags up to `window_ms` a spike coincides with itself, which says nothing about its timescale. With lags two
    windows apart every interval counts at one lag. The sums take 6 numbers per neuron, block and lag.

    Parameters
    ----------
    trains : SpikeTrains
        Its trials are the epochs; they may differ in duration.
    lags_ms : array, shape (lag,)
        Positive and growing; the longest is shorter than the longest epoch. An epoch counts at the lags that are
        shorter than it.
    window_ms : float
        Spikes so close, or closer, coincide; the half-width dt of a tile.
    blocks : TimeBlocks
        Of `tiling_blocks`. The bins of an epoch divide it into equal parts.

    Returns
    -------
    TilingSums

    Raises
    ------
    InputError
        If the lags or the window are not positive, the lags do not grow or exceed every epoch, or the blocks are
        those of another number of epochs.

    Examples
    --------
    >>> trains = SpikeTrains.from_times([[0.1, 0.2, 0.3, 0.5, 0.6]], durations_s=0.8)
    >>> lags_ms = np.array([100.0, 150.0])
    >>> blocks = tiling_blocks(trains.durations_s, lags_ms=lags_ms, window_ms=10.0)
    >>> tiling_sums(trains, lags_ms=lags_ms, window_ms=10.0, blocks=blocks).curves(np.ones((1, blocks.number))).round(3)
    array([[[ 0.505, -0.138]]])
    """
    durations = trains.durations_s
    lags, window = _checked(durations, lags_ms, window_ms)
    if blocks.bins.size != durations.size:
        raise InputError("number of epochs of the blocks", blocks.bins.size, f"{durations.size}, as the trains have")
    lags_s, window_s, neurons = lags / 1000.0, window / 1000.0, trains.neurons.size
    duration, bins = durations[trains.trial], np.maximum(blocks.bins, 1)[trains.trial]
    # A spike on the edge of a block may fall to either side.
    which = np.minimum(trains.time_s / duration * bins, bins - 1).astype(np.int64)
    row = trains.neuron * blocks.number + blocks.of(trains.trial, which)
    spikes = _Spikes(trains.time_s, duration, trains.neuron * durations.size + trains.trial, row)
    rows = neurons * blocks.number
    sides = []
    for covered, of, time_s in zip(
        _covered(spikes, lags_s, window_s, rows),
        (spikes, spikes.mirrored()),
        _times(durations, lags_s, blocks),
        strict=True,
    ):
        number, tiled = _present(of, lags_s, window_s, rows)
        hits, spikes_there, tiled_s = (table.summed(blocks.number) for table in (covered, number, tiled))
        sides.append(_Side(hits, spikes_there, tiled_s, time_s))
    earlier, later = sides
    return TilingSums(lags, window, earlier, later)


def isttc(trains: SpikeTrains, *, lags_ms: ArrayLike, window_ms: float) -> Values:
    """Tiling autocorrelation of each neuron.

    Parameters
    ----------
    trains : SpikeTrains
        Its trials are the epochs.
    lags_ms : array, shape (lag,)
    window_ms : float
        See `tiling_sums`.

    Returns
    -------
    numpy.ndarray, shape (neuron, lag)
        From -1 to 1, around 0 where spikes so far apart are independent; NaN where A or B has no spike.

    Raises
    ------
    InputError
        See `tiling_sums`.

    Examples
    --------
    A train that repeats itself every 0.1 s:

    >>> trains = SpikeTrains.from_times([np.arange(0.05, 2.0, 0.1)], durations_s=2.0)
    >>> isttc(trains, lags_ms=[50.0, 100.0], window_ms=10.0).round(2)
    array([[-0.2,  1. ]])
    """
    epochs = trains.durations_s.size
    blocks = TimeBlocks(np.ones(epochs, dtype=np.int64), per_trial=1, trials_in_block=epochs)
    return tiling_sums(trains, lags_ms=lags_ms, window_ms=window_ms, blocks=blocks).curves(np.ones((1, 1)))[0]
