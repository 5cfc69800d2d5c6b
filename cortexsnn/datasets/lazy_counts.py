"""Counts of spikes that look like an array (trial, time, channel), but are made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.typing import DTypeLike, NDArray
from tqdm.auto import tqdm

from cortexsnn.checks import whole
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.counting import SparseCounts, counts_at, sparse_counts_at
from cortexsnn.datasets.spike_trials import SpikeTrials, TrialIndex, joined
from cortexsnn.errors import InputError

__all__ = ["LazyCounts", "in_batches"]

_HIGHEST_COUNT = 255
_MOST_BYTES = 8 << 30
_BATCH_BYTES = 1 << 25  # 32 MB at once
_BYTES_OF_A_SPIKE = 16  # while it is binned


class LazyCounts:
    """Spike counts that look like an array of uint8, shape (trial, time, channel), and take the room of their spikes.

    Any index makes the counts of the trials that it names, and of these alone. A batch costs little: all spikes of the
    batch are binned in one go. Everything is checked once, when the object is made, in pieces of bounded size; a part
    (`take`) shares the spikes and is not checked again.

    Parameters
    ----------
    trials : SpikeTrials
        In memory or memory-mapped.
    binning : Binning
    source : str
        Where the spikes are from, for messages.
    progress : bool
        Show the progress of the check if it takes longer than five seconds.

    Attributes
    ----------
    spikes : SpikeTrials
        All that were given, of which this object may be a part.
    binning : Binning
    trials : numpy.ndarray of int64, shape (trial,)
        Which trials of `spikes` these are.
    dropped_per_trial : numpy.ndarray of int64, shape (trial,)
        Spikes after the window, which are in no count.

    Raises
    ------
    InputError
        If a time is negative or not finite, a unit is no channel, or a cell has more than 255 spikes; the trial is
        named.

    Examples
    --------
    >>> spikes = SpikeTrials.from_list([[0.1, 0.1, 0.6], [0.9, 2.0]], [[3, 3, 0], [1, 1]])
    >>> counts = LazyCounts(spikes, Binning(steps=2, window_s=1.0, channels=4))
    >>> counts.shape, counts.dropped
    ((2, 2, 4), 1)
    >>> counts[0]
    array([[0, 0, 0, 2],
           [1, 0, 0, 0]], dtype=uint8)
    >>> counts[np.array([1, 0]), :, 3]
    array([[0, 0],
           [2, 0]], dtype=uint8)
    """

    def __init__(
        self, trials: SpikeTrials, binning: Binning, *, source: str = "the data", progress: bool = True
    ) -> None:
        self.spikes = trials
        self.binning = binning
        self.trials = np.arange(len(trials))
        self.dropped_per_trial = _checked(trials, binning, source, progress=progress)

    # --- what an array says of itself -------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int, int]:
        """(trial, time, channel)."""
        return (self.trials.size, *self.binning.shape)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    @property
    def size(self) -> int:
        """Number of cells."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the array that this stands for, which is never made as a whole unless it is asked for."""
        return self.size

    def __len__(self) -> int:
        return int(self.trials.size)

    def __repr__(self) -> str:
        return f"LazyCounts(shape={self.shape}, spikes={int(self.spikes_per_trial.sum())}, dropped={self.dropped})"

    # --- what it says of its spikes ---------------------------------------------------------------------------------

    @property
    def spikes_per_trial(self) -> NDArray[np.int64]:
        """Spikes of each trial, those after the window too, shape (trial,)."""
        return self.spikes.spikes_per_trial[self.trials]

    @property
    def dropped(self) -> int:
        """Number of spikes after the window."""
        return int(self.dropped_per_trial.sum())

    def sum(self, axis: int | tuple[int, ...] | None = None, dtype: DTypeLike = np.uint64, out: None = None) -> Any:
        """Sum over axes as `numpy.sum`, without making all counts at once; the spikes within the window by default."""
        return self._reduced(np.add, axis, np.uint64 if dtype is None else dtype, 0, out)

    def max(self, axis: int | tuple[int, ...] | None = None, out: None = None, initial: int = 0) -> Any:
        """Highest counts over axes as `numpy.max`, without making all counts at once."""
        return self._reduced(np.maximum, axis, np.uint8, initial, out)

    def _reduced(
        self, operation: np.ufunc, axis: int | tuple[int, ...] | None, dtype: DTypeLike, initial: int, out: None
    ) -> Any:
        if out is not None:
            raise TypeError("counts that are made when they are asked for are not summed into an array")
        axes = (0, 1, 2) if axis is None else normalize_axis_tuple(axis, 3)
        batches = self.batches() if len(self) else iter([self[:0]])
        parts = [operation.reduce(batch, axis=axes, dtype=dtype, initial=initial) for batch in batches]
        return operation.reduce(np.stack(parts), axis=0, dtype=dtype) if 0 in axes else np.concatenate(parts)

    # --- counts -----------------------------------------------------------------------------------------------------

    def take(self, trials: TrialIndex) -> LazyCounts:
        """A part of the trials, still lazy, in the order that is asked for; no spikes are copied.

        Parameters
        ----------
        trials : slice, or array of int or bool

        Returns
        -------
        LazyCounts
        """
        chosen = _numbered(len(self), trials)
        part = object.__new__(LazyCounts)
        part.spikes, part.binning = self.spikes, self.binning
        part.trials, part.dropped_per_trial = self.trials[chosen], self.dropped_per_trial[chosen]
        return part

    def _dense(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Counts of some of these trials, shape (trial, time, channel)."""
        shape = (chosen.size, *self.binning.shape)
        if np.prod(shape, dtype=np.float64) > _MOST_BYTES:
            most = _MOST_BYTES // int(np.prod(self.binning.shape))
            raise InputError("trials at once", chosen.size, f"at most {most}", "ask for a part, or go in batches")
        places, offsets, _ = _places(self.spikes, self.trials[chosen], self.binning)
        return counts_at(places, offsets, shape[1] * shape[2]).reshape(shape)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        first, *rest = (key or (Ellipsis,)) if isinstance(key, tuple) else (key,)
        if first is None or first is Ellipsis or isinstance(first, bool | np.bool_):  # these name no trials
            return self._dense(np.arange(len(self)))[(first, *rest)]
        if isinstance(first, slice):
            return self._dense(np.arange(len(self))[first])[(slice(None), *rest)]
        trials = np.asarray(first)
        if trials.ndim > 1 and trials.dtype == bool:
            raise IndexError("a mask over time or channels; make an array of it first: numpy.asarray(counts)")
        numbers = _numbered(len(self), trials)
        dense = self._dense(numbers.ravel())
        if numbers.ndim == 1 and all(index is None or isinstance(index, slice | int) for index in rest):
            return dense[(slice(None), *rest)]  # no second copy
        # With the place of each trial among those that were made, NumPy does the rest as ever.
        within = np.arange(numbers.size).reshape(numbers.shape)
        return dense[(within if numbers.ndim else 0, *rest)]

    def batches(self, trials: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Dense counts of one batch of trials after another, as `in_batches`."""
        yield from in_batches(self, trials)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        for batch in self.batches():
            yield from batch

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("counts that are made when they are asked for are always a copy")
        dense = self._dense(np.arange(len(self)))
        return dense if dtype is None else dense.astype(dtype, copy=False)

    def sparse(self, trials: TrialIndex = slice(None)) -> SparseCounts:
        """Counts above 0 of some trials and where they are, without those that are 0.

        Parameters
        ----------
        trials : slice, or array of int or bool
            All of them if not given.

        Returns
        -------
        SparseCounts

        Examples
        --------
        >>> spikes = SpikeTrials.from_list([[0.1, 0.1, 0.6]], [[3, 3, 0]])
        >>> sparse = LazyCounts(spikes, Binning(steps=2, window_s=1.0, channels=4)).sparse()
        >>> sparse.step, sparse.channel, sparse.count
        (array([0, 1], dtype=int32), array([3, 0], dtype=int32), array([2, 1], dtype=uint8))
        """
        chosen = np.atleast_1d(_numbered(len(self), trials))
        places, offsets, _ = _places(self.spikes, self.trials[chosen], self.binning)
        return sparse_counts_at(places, offsets, self.binning.shape)


def in_batches(counts: NDArray[np.uint8] | LazyCounts, trials: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Dense counts of one batch of trials after another, in bounded memory.

    Parameters
    ----------
    counts : array of uint8 or LazyCounts, shape (trial, time, channel)
    trials : int, optional
        In a batch; by default as many as take about 32 MB, with what making them takes.

    Yields
    ------
    numpy.ndarray of uint8, shape (trial, time, channel)

    Examples
    --------
    >>> [len(batch) for batch in in_batches(np.zeros((5, 2, 3), dtype=np.uint8), 2)]
    [2, 2, 1]
    """
    if trials is None:
        each = counts.shape[1] * counts.shape[2]
        if isinstance(counts, LazyCounts) and len(counts):
            each += _BYTES_OF_A_SPIKE * int(counts.spikes_per_trial.mean())
        trials = max(1, _BATCH_BYTES // max(1, each))
    whole("trials of a batch", trials, 1)
    for start in range(0, len(counts), trials):
        yield counts[start : start + trials]


def _numbered(length: int, trials: Any) -> NDArray[np.int64]:
    """Numbers from 0 of chosen trials; what NumPy refuses as an index is refused."""
    if isinstance(trials, slice):
        return np.arange(length)[trials]
    asked = np.asarray(trials)
    if asked.size == 0 and asked.dtype != bool:  # an empty list is of floats
        return np.empty(asked.shape, dtype=np.int64)
    return np.asarray(np.arange(length)[asked])


def _places(
    spikes: SpikeTrials, trials: NDArray[np.int64], binning: Binning
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Cells of the spikes of some trials, trial after trial, their offsets, and late spikes of each trial."""
    sizes = spikes.spikes_per_trial[trials]
    offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    places = binning.places(
        joined(spikes.times_s, spikes.offsets, trials), joined(spikes.units, spikes.offsets, trials)
    )
    if places.min(initial=0) >= 0:  # most often; a comparison of each would take longer
        return places, offsets, np.zeros_like(sizes)
    late = places == Binning.LATE
    before = np.concatenate([[0], np.cumsum(late, dtype=np.int64)])[offsets]
    return places[~late], offsets - before, np.diff(before)


def _checked(spikes: SpikeTrials, binning: Binning, source: str, *, progress: bool) -> NDArray[np.int64]:
    """Late spikes of each trial; refuses spikes that cannot be, and counts that a byte cannot hold."""
    dropped = np.zeros(len(spikes), dtype=np.int64)
    everything = np.arange(len(spikes))
    with tqdm(total=len(spikes), desc=f"checking {source}", unit="trial", delay=5, disable=not progress) as bar:
        for piece in spikes.pieces():
            places, offsets, dropped[piece] = _places(spikes, everything[piece], binning)
            if places.min(initial=0) < 0:
                first = int(np.flatnonzero(places < 0)[0])
                trial = piece.start + int(np.searchsorted(offsets, first, side="right")) - 1
                times, units = spikes.trial(trial)
                wrong = ~((times >= 0) & np.isfinite(times) & (units < binning.channels))
                raise InputError(f"time in s and unit of a spike of trial {trial} of {source}",
                                 (float(times[wrong][0]), int(units[wrong][0])),
                                 f"a finite time of at least 0, a unit from 0 to {binning.channels - 1}")  # fmt: skip
            _check_highest(places, offsets, binning, piece.start, source)
            bar.update(piece.stop - piece.start)
    return dropped


def _check_highest(
    places: NDArray[np.int32], offsets: NDArray[np.int64], binning: Binning, first_trial: int, source: str
) -> None:
    """Refuse more spikes in a cell than a byte can say."""
    sizes = np.diff(offsets)
    for row in np.flatnonzero(sizes > _HIGHEST_COUNT).tolist():
        here = places[offsets[row] : offsets[row + 1]]
        # A cell has no more spikes than its channel, and channels are few.
        if np.bincount(here % np.int32(binning.groups)).max() <= _HIGHEST_COUNT:
            continue
        highest = int(np.unique(here, return_counts=True)[1].max())
        if highest > _HIGHEST_COUNT:
            raise InputError(f"spikes in one step of trial {first_trial + row} of {source}", highest,
                             f"at most {_HIGHEST_COUNT}", "use more steps or sum fewer channels")  # fmt: skip
