"""Spikes counted in bins, of which only the filled ones are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BinnedSpikes", "runs"]

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BinnedSpikes:
    """The bins that hold spikes; all others are empty. Sorted by neuron, trial and bin, each bin once.

    Parameters
    ----------
    neuron, trial, bin : array of int64, shape (event,)
        Which bin.
    count : array of int64, shape (event,)
        Its spikes, at least 1.
    neurons : int
        Number of neurons, silent ones included.
    bins : array of int64, shape (trial,)
        Number of bins in each trial.
    bin_ms : float
        Width of a bin.
    labels : array, shape (neuron,), optional
        A label for each neuron; 0, 1, ... by default.
    name : str
        Name of the layer or area.
    """

    neuron: NDArray[np.int64]
    trial: NDArray[np.int64]
    bin: NDArray[np.int64]
    count: NDArray[np.int64]
    neurons: int
    bins: NDArray[np.int64]
    bin_ms: float
    labels: NDArray[Any] | None = None
    name: str = "population"

    @classmethod
    def from_counts(cls, counts: NDArray[Any], bin_ms: float) -> BinnedSpikes:
        """Keep the filled bins of an array of counts, shape (trial, bin, neuron).

        Examples
        --------
        >>> counts = np.array([[[0, 2], [1, 0]]])
        >>> binned = BinnedSpikes.from_counts(counts, bin_ms=5.0)
        >>> binned.neuron, binned.bin, binned.count
        (array([0, 1]), array([1, 0]), array([1, 2]))
        """
        trials, bins, neurons = counts.shape
        by_neuron = np.moveaxis(counts, 2, 0)
        neuron, trial, which = np.nonzero(by_neuron)
        count = by_neuron[neuron, trial, which].astype(np.int64)
        return cls(neuron, trial, which, count, neurons, np.full(trials, bins, dtype=np.int64), float(bin_ms))

    def part(self, begin: int, end: int) -> BinnedSpikes:
        """The neurons `begin` to `end` - 1."""
        inside = slice(*np.searchsorted(self.neuron, [begin, end]))
        return replace(
            self,
            neuron=self.neuron[inside] - begin,
            trial=self.trial[inside],
            bin=self.bin[inside],
            count=self.count[inside],
            neurons=end - begin,
            labels=None if self.labels is None else self.labels[begin:end],
        )

    def rebinned(self, factor: int) -> BinnedSpikes:
        """Join so many bins into one; what is left at the end of a trial is dropped.

        Examples
        --------
        >>> BinnedSpikes.from_counts(np.array([[[1], [2], [3]]]), bin_ms=5.0).rebinned(2).count
        array([3])
        """
        if factor == 1:
            return self
        bins, which = self.bins // factor, self.bin // factor
        inside = which < bins[self.trial]
        first, sums = runs(self.neuron[inside], self.trial[inside], which[inside], self.count[inside])
        return replace(
            self,
            neuron=self.neuron[inside][first],
            trial=self.trial[inside][first],
            bin=which[inside][first],
            count=sums,
            bins=bins,
            bin_ms=self.bin_ms * factor,
        )

    def of(self, chosen: NDArray[np.bool_]) -> BinnedSpikes:
        """The neurons chosen by a mask, shape (neuron,)."""
        keep = chosen[self.neuron]
        return replace(
            self,
            neuron=(np.cumsum(chosen) - 1)[self.neuron[keep]],
            trial=self.trial[keep],
            bin=self.bin[keep],
            count=self.count[keep],
            neurons=int(chosen.sum()),
            labels=None if self.labels is None else self.labels[chosen],
        )

    @property
    def rates_hz(self) -> Values:
        """Mean rate of each neuron, shape (neuron,)."""
        spikes = np.bincount(self.neuron, weights=self.count, minlength=self.neurons)
        return np.asarray(spikes / (self.bins.sum() * self.bin_ms / 1000.0))

    def counts(self) -> NDArray[np.integer]:
        """All bins, shape (trial, bin, neuron), in the smallest unsigned integers; trials are cut to the shortest."""
        bins = int(self.bins.min())
        kind = np.min_scalar_type(int(self.count.max(initial=0)))
        dense = np.zeros((self.bins.size, bins, self.neurons), dtype=kind)
        inside = self.bin < bins
        dense[self.trial[inside], self.bin[inside], self.neuron[inside]] = self.count[inside]
        return dense


def runs(
    neuron: NDArray[np.int64], trial: NDArray[np.int64], which: NDArray[np.int64], count: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each run of equal bins begins in sorted events, and its sum of counts."""
    new = np.ones(which.size, dtype=bool)
    new[1:] = (np.diff(which) != 0) | (np.diff(trial) != 0) | (np.diff(neuron) != 0)
    first = np.flatnonzero(new)
    return first, (np.add.reduceat(count, first) if first.size else count[:0])
