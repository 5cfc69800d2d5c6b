"""Trials of spikes as they were recorded: flat arrays of times and units, in memory or in memory-mapped files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive, whole
from cortexsnn.errors import InputError

__all__ = ["SpikeTrials", "TrialIndex", "joined"]

Kind = TypeVar("Kind", bound=np.generic)
TrialIndex = slice | NDArray[np.integer] | NDArray[np.bool_] | Sequence[int]

_SPIKES_AT_ONCE = 1 << 20  # some 30 MB while a piece is worked on


def joined(values: NDArray[Kind], offsets: NDArray[np.int64], trials: NDArray[np.int64]) -> NDArray[Kind]:
    """Entries of some trials, one trial after another.

    Parameters
    ----------
    values : array, shape (entry,)
        Entries of all trials; those of trial i are ``values[offsets[i] : offsets[i + 1]]``.
    offsets : array of int64, shape (trial + 1,)
    trials : array of int64, shape (chosen trial,)

    Returns
    -------
    numpy.ndarray
        A view where the trials follow each other, else a copy.

    Examples
    --------
    >>> joined(np.arange(6), np.array([0, 2, 2, 6]), np.array([2, 0]))
    array([2, 3, 4, 5, 0, 1])
    """
    if trials.size == 0:
        return values[:0]
    if np.all(np.diff(trials) == 1):
        return values[offsets[trials[0]] : offsets[trials[-1] + 1]]
    # Copying a slice for each trial moves whole blocks of memory, and reads a mapped file in order. An index for every
    # entry would be eight bytes for each entry of two.
    pairs = zip(offsets[trials].tolist(), offsets[trials + 1].tolist(), strict=True)
    return np.concatenate([values[start:stop] for start, stop in pairs])


@dataclass(frozen=True, eq=False)
class SpikeTrials:
    """Spikes of many trials, those of trial i at ``offsets[i] : offsets[i + 1]`` of flat arrays.

    Parameters
    ----------
    times_s : array of float, shape (spike,)
        Seconds from the start of the trial, of any type and in any order within a trial. May be a `numpy.memmap`, of
        which only what is asked for is read.
    units : array of unsigned int, shape (spike,)
        Channel of each spike.
    offsets : array of int64, shape (trial + 1,)
    duration_s : float, optional
        Of every trial; if it is not given, a trial is taken to last to its last spike.

    Raises
    ------
    InputError
        If types or shapes do not fit, or the offsets do not divide the spikes. Times and units are not looked at here:
        that would read a mapped file.

    Examples
    --------
    >>> trials = SpikeTrials.from_list([[0.1, 0.2], [], [0.3]], [[5, 6], [], [7]])
    >>> len(trials), trials.spikes_per_trial
    (3, array([2, 0, 1]))
    >>> trials.trial(0)
    (array([0.1, 0.2]), array([5, 6]))
    """

    times_s: NDArray[np.floating]
    units: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    duration_s: float | None = None

    def __post_init__(self) -> None:
        for name, kind, words in (("times_s", "f", "floating-point numbers"), ("units", "u", "unsigned integers")):
            # A slice of a memmap is made ten times as slowly as one of the plain array on the same memory.
            array = np.asarray(getattr(self, name))
            if array.ndim != 1 or array.dtype.kind not in kind:
                raise InputError(f"{name} of the spikes", f"{array.dtype}, shape {array.shape}",
                                 f"one row of {words}")  # fmt: skip
            object.__setattr__(self, name, array)
        if self.units.size != self.times_s.size:
            raise InputError("units of the spikes", self.units.size, f"as many as times_s, {self.times_s.size}")
        offsets = np.asarray(self.offsets)
        if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or offsets.size == 0:
            raise InputError("offsets of the trials", f"{offsets.dtype}, shape {offsets.shape}",
                             "one row of whole numbers, one more than trials")  # fmt: skip
        offsets = offsets.astype(np.int64)
        if offsets[0] != 0 or offsets[-1] != self.times_s.size or np.any(np.diff(offsets) < 0):
            raise InputError("offsets of the trials", offsets.tolist(),
                             f"numbers that rise from 0 to the number of spikes, {self.times_s.size}")  # fmt: skip
        object.__setattr__(self, "offsets", offsets)
        if self.duration_s is not None:
            positive("duration_s of the trials", self.duration_s, "a positive number of seconds")

    @classmethod
    def from_list(
        cls, times_s: Sequence[ArrayLike], units: Sequence[ArrayLike], duration_s: float | None = None
    ) -> SpikeTrials:
        """Join one array a trial.

        Parameters
        ----------
        times_s : sequence of array of float
            Seconds from the start of the trial. The type of float is kept.
        units : sequence of array of int
            Channels, 0 to 65535.
        duration_s : float, optional
            As in `SpikeTrials`.

        Returns
        -------
        SpikeTrials

        Raises
        ------
        InputError
            If a trial does not have as many times as units, or a unit is no channel.
        """
        if len(times_s) != len(units):
            raise InputError("trials of units", len(units), f"{len(times_s)}, as in times_s")
        times = [_numbers(given, trial, "times_s") for trial, given in enumerate(times_s)]
        channels = [_channels(given, trial) for trial, given in enumerate(units)]
        for trial, (when, where) in enumerate(zip(times, channels, strict=True)):
            if when.size != where.size:
                raise InputError(f"spikes of trial {trial}", (when.size, where.size), "as many times as units")
        # What is empty says nothing about the type of the others.
        full = [when for when in times if when.size]
        joined_times = np.concatenate(full) if full else np.empty(0, dtype=np.float64)
        joined_units = np.concatenate(channels) if channels else np.empty(0, dtype=np.uint16)
        offsets = np.concatenate([[0], np.cumsum([when.size for when in times], dtype=np.int64)])
        return cls(joined_times, joined_units, offsets.astype(np.int64), duration_s)

    def __len__(self) -> int:
        return self.offsets.size - 1

    @property
    def spikes_per_trial(self) -> NDArray[np.int64]:
        """Number of spikes of each trial, shape (trial,)."""
        return np.diff(self.offsets)

    def trial(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Times in seconds and units of one trial.

        Parameters
        ----------
        index : int
            Negative ones count from the end.

        Returns
        -------
        times_s : numpy.ndarray of float64, shape (spike,)
        units : numpy.ndarray of int64, shape (spike,)

        Raises
        ------
        IndexError
            If there is no such trial.
        """
        place = range(len(self))[index]
        here = slice(int(self.offsets[place]), int(self.offsets[place + 1]))
        return self.times_s[here].astype(np.float64), self.units[here].astype(np.int64)

    def numbered(self, trials: TrialIndex) -> NDArray[np.int64]:
        """Numbers of chosen trials, from 0: what a slice, a mask or negative numbers stand for.

        Parameters
        ----------
        trials : slice, or array of int or bool

        Returns
        -------
        numpy.ndarray of int64, shape (chosen trial,)
        """
        if not isinstance(trials, slice):
            trials = np.asarray(trials)
            if trials.size == 0:
                return np.empty(0, dtype=np.int64)
        return np.arange(len(self))[trials]

    def take(self, trials: TrialIndex) -> SpikeTrials:
        """A part of the trials, in the order that is asked for.

        Parameters
        ----------
        trials : slice, or array of int or bool

        Returns
        -------
        SpikeTrials
            In memory where the trials do not follow each other; ask for few of them if they are many.
        """
        chosen = self.numbered(trials)
        offsets = np.concatenate([[0], np.cumsum(self.spikes_per_trial[chosen], dtype=np.int64)])
        return SpikeTrials(
            joined(self.times_s, self.offsets, chosen),
            joined(self.units, self.offsets, chosen),
            offsets,
            self.duration_s,
        )

    def pieces(self, trials: NDArray[np.int64] | None = None, most_spikes: int = _SPIKES_AT_ONCE) -> Iterator[slice]:
        """Cut trials into pieces of bounded size, for work on more spikes than fit into memory.

        Parameters
        ----------
        trials : array of int, shape (chosen trial,), optional
            All of them if not given.
        most_spikes : int
            Of a piece; a single trial may have more.

        Yields
        ------
        slice
            Of `trials`, without gaps.

        Examples
        --------
        >>> trials = SpikeTrials.from_list([[0.1, 0.2], [0.1], [0.3], []], [[5, 6], [1], [7], []])
        >>> [(piece.start, piece.stop) for piece in trials.pieces(most_spikes=2)]
        [(0, 1), (1, 4)]
        """
        whole("most_spikes", most_spikes, 1)
        sizes = self.spikes_per_trial if trials is None else self.spikes_per_trial[trials]
        ends = np.cumsum(sizes)
        start = 0
        while start < sizes.size:
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + most_spikes, side="right")))
            yield slice(start, stop)
            start = stop

    def last_spikes_s(self, trials: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
        """Time of the last spike of each trial; 0 where a trial has none.

        Parameters
        ----------
        trials : array of int, shape (chosen trial,), optional
            All of them if not given.

        Returns
        -------
        numpy.ndarray, shape (chosen trial,)
            In seconds.
        """
        chosen = np.arange(len(self)) if trials is None else trials
        last = np.zeros(chosen.size)
        for piece in self.pieces(chosen):
            part = self.take(chosen[piece])
            full = np.flatnonzero(part.spikes_per_trial)
            if full.size:
                # Between the first spikes of two trials with spikes are those of the first one alone.
                last[piece.start + full] = np.maximum.reduceat(part.times_s.astype(np.float64), part.offsets[full])
        return last


def _numbers(given: ArrayLike, trial: int, name: str) -> NDArray[np.floating]:
    """One row of real numbers; whole ones become float64."""
    array = np.asarray(given)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        raise InputError(f"{name} of trial {trial}", f"{array.dtype}, shape {array.shape}", "one row of numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _channels(given: ArrayLike, trial: int) -> NDArray[np.uint16]:
    array = np.asarray(given)
    if array.size == 0:
        return np.empty(0, dtype=np.uint16)
    if array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() > np.iinfo(np.uint16).max:
        raise InputError(f"units of trial {trial}", array.tolist(), "one row of channels from 0 to 65535")
    return array.astype(np.uint16)
