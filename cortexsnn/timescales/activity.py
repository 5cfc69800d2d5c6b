"""What a timescale is measured on: spike times or signals of a group of neurons over trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.binned import BinnedSpikes, runs

__all__ = ["Signals", "SpikeTrains"]

Values = NDArray[np.float64]

# A spike on the edge between two bins belongs to the later one although 0.3 / 0.1 is a little less than 3.
_EDGE = 1e-6
_MILLISECONDS_LIKELY = 50.0
# A spike at the start of a piece belongs to it although rounding put it a little earlier.
_ROUNDING_S = 1e-9


def _labels(neurons: ArrayLike | None, number: int) -> NDArray[Any]:
    labels = np.arange(number) if neurons is None else np.asarray(neurons)
    if labels.shape != (number,):
        raise InputError("neurons", labels.shape, f"one label for each of the {number} neurons")
    return labels


@dataclass(frozen=True, eq=False)
class SpikeTrains:
    """Spike times of a group of neurons over trials, from a model or from the brain.

    A continuous recording is one trial; epochs of it are trials. `from_times` makes it from lists of times.

    Parameters
    ----------
    time_s : array of float64, shape (spike,)
        Time of each spike from the start of its trial. Spikes are sorted by neuron, trial and time.
    trial, neuron : array of int64, shape (spike,)
        To which trial and neuron it belongs, counted from 0.
    durations_s : array of float64, shape (trial,)
        How long each trial was observed.
    neurons : array, shape (neuron,)
        A label for each neuron, silent ones included.
    name : str
        Name of the layer or area.
    """

    time_s: Values
    trial: NDArray[np.int64]
    neuron: NDArray[np.int64]
    durations_s: Values
    neurons: NDArray[Any]
    name: str = "population"

    @classmethod
    def from_times(
        cls,
        times_s: Sequence[ArrayLike] | Sequence[Sequence[ArrayLike]],
        durations_s: ArrayLike,
        *,
        neurons: ArrayLike | None = None,
        name: str = "population",
    ) -> SpikeTrains:
        """Make it from sorted spike times.

        Parameters
        ----------
        times_s : sequence of arrays, or sequence of sequences of arrays
            One array of times per neuron of a continuous recording, or per trial one list of such arrays.
        durations_s : float or array, shape (trial,)
            How long each trial was observed.
        neurons : array, optional
            Labels of the neurons; 0, 1, ... by default.
        name : str

        Returns
        -------
        SpikeTrains

        Raises
        ------
        InputError
            If times are not sorted, negative, past the end of the trial or not finite, or trials differ in their
            number of neurons.

        Examples
        --------
        >>> trains = SpikeTrains.from_times([[0.1, 0.7], [], [0.2]], durations_s=1.0)
        >>> trains.rates_hz
        array([2., 0., 1.])
        """
        durations = positive("durations_s", durations_s, "a positive number of seconds for each trial", dimensions=1)
        nested = durations.ndim == 1
        trials: list[Sequence[ArrayLike]] = list(times_s) if nested else [times_s]  # type: ignore[arg-type, list-item]
        durations = np.atleast_1d(durations)
        if len(trials) != durations.size:
            raise InputError("number of trials of times_s", len(trials), f"{durations.size}, as durations_s has")
        number = len(trials[0])
        pieces: list[tuple[int, int, Values]] = []
        for trial, of_neurons in enumerate(trials):
            if len(of_neurons) != number:
                raise InputError(f"number of neurons of trial {trial}", len(of_neurons), f"{number}, as of trial 0",
                                 "a silent neuron has an empty list")  # fmt: skip
            for neuron, given in enumerate(of_neurons):
                times = np.asarray(given, dtype=np.float64)
                _check_times(times, f"spike times of neuron {neuron} in trial {trial}", durations[trial])
                pieces.append((trial, neuron, times))
        sizes = [times.size for _, _, times in pieces]
        trial_of, neuron_of = (np.repeat([piece[axis] for piece in pieces], sizes) for axis in (0, 1))
        time = np.concatenate([times for _, _, times in pieces]) if pieces else np.empty(0)
        order = np.lexsort((time, trial_of, neuron_of))
        return cls(
            time[order],
            trial_of[order].astype(np.int64),
            neuron_of[order].astype(np.int64),
            durations,
            _labels(neurons, number),
            name,
        )

    @property
    def rates_hz(self) -> Values:
        """Mean rate of each neuron, shape (neuron,)."""
        return np.bincount(self.neuron, minlength=self.neurons.size) / self.durations_s.sum()

    def part(self, begin: int, end: int) -> SpikeTrains:
        """The neurons `begin` to `end` - 1."""
        first, last = np.searchsorted(self.neuron, [begin, end])
        return replace(
            self,
            time_s=self.time_s[first:last],
            trial=self.trial[first:last],
            neuron=self.neuron[first:last] - begin,
            neurons=self.neurons[begin:end],
        )

    def of(self, chosen: NDArray[np.bool_]) -> SpikeTrains:
        """The neurons chosen by a mask, shape (neuron,)."""
        keep = chosen[self.neuron]
        place = np.cumsum(chosen) - 1
        return replace(
            self,
            time_s=self.time_s[keep],
            trial=self.trial[keep],
            neuron=place[self.neuron[keep]],
            neurons=self.neurons[chosen],
        )

    def between(self, start_s: float, stop_s: float | None = None) -> SpikeTrains:
        """The same trials from `start_s` to `stop_s` (their end by default), where time is 0 again at `start_s`."""
        stop = self.durations_s if stop_s is None else np.minimum(self.durations_s, stop_s)
        durations = stop - start_s
        if start_s < 0 or durations.min() <= 0:
            raise InputError("window in s", (start_s, stop_s), "a start of at least 0 and an end after it, inside "
                             f"the shortest trial of {self.durations_s.min():g} s")  # fmt: skip
        keep = (self.time_s >= start_s) & (self.time_s < stop[self.trial])
        return replace(
            self,
            time_s=self.time_s[keep] - start_s,
            trial=self.trial[keep],
            neuron=self.neuron[keep],
            durations_s=durations,
        )

    def epochs(self, starts_s: ArrayLike, duration_s: float) -> SpikeTrains:
        """Equal pieces of every trial as trials of their own.

        Parameters
        ----------
        starts_s : array, shape (epoch,)
            Where each begins, from the start of the trial, sorted and without overlap.
        duration_s : float

        Returns
        -------
        SpikeTrains
            With trials x epochs trials.

        Examples
        --------
        >>> trains = SpikeTrains.from_times([[0.1, 0.7, 1.2]], durations_s=2.0)
        >>> trains.epochs([0.0, 1.0], 1.0).trial
        array([0, 0, 1])
        """
        starts = np.asarray(starts_s, dtype=np.float64)
        if starts.ndim != 1 or not starts.size or np.any(np.diff(starts) < duration_s * (1 - 1e-9)):
            raise InputError("starts_s", starts_s, f"sorted starts at least {duration_s:g} s apart")
        if starts[0] < 0 or starts[-1] + duration_s > self.durations_s.min() * (1 + 1e-9):
            raise InputError("starts_s", starts_s, f"epochs inside trials of {self.durations_s.min():g} s")
        trials = self.durations_s.size
        return self.pieces(np.repeat(np.arange(trials), starts.size), np.tile(starts, trials), duration_s)

    def pieces(self, trial: NDArray[np.integer], starts_s: Values, duration_s: float) -> SpikeTrains:
        """Pieces of trials as trials of their own.

        Parameters
        ----------
        trial : array of int, shape (piece,)
            Trial of each, rising.
        starts_s : array, shape (piece,)
            Where each begins, from the start of its trial; rising, without overlap, within a trial.
        duration_s : float

        Returns
        -------
        SpikeTrains
            With as many trials as pieces.

        Examples
        --------
        >>> trains = SpikeTrains.from_times([[[0.1, 0.7]], [[0.2, 0.3]]], durations_s=[1.0, 1.0])
        >>> trains.pieces(np.array([0, 1]), np.array([0.5, 0.2]), 0.5).time_s.round(3)
        array([0.2, 0. , 0.1])
        """
        # On one axis of time that all trials follow each other on, one search finds the piece of every spike.
        longest = float(self.durations_s.max()) + duration_s
        begins = trial * longest + starts_s - _ROUNDING_S
        piece = np.searchsorted(begins, self.trial * longest + self.time_s, side="right") - 1
        found = np.maximum(piece, 0)
        time = self.time_s - starts_s[found]
        keep = (piece >= 0) & (trial[found] == self.trial) & (time < duration_s)
        return replace(
            self,
            time_s=np.maximum(time[keep], 0.0),
            trial=piece[keep],
            neuron=self.neuron[keep],
            durations_s=np.full(len(trial), duration_s),
        )

    def binned(self, bin_ms: float) -> BinnedSpikes:
        """Count the spikes in equal bins; a bin that the trial does not fill is dropped.

        Examples
        --------
        >>> trains = SpikeTrains.from_times([[0.1, 0.12, 0.7]], durations_s=1.0)
        >>> trains.binned(50.0).bin, trains.binned(50.0).count
        (array([ 2, 14]), array([2, 1]))
        """
        width = float(positive("bin_ms", bin_ms, "a positive number of milliseconds")) / 1000.0
        bins = np.floor(self.durations_s / width + _EDGE).astype(np.int64)
        if bins.min() < 1:
            raise InputError("bin_ms", bin_ms, f"at most {1000 * self.durations_s.min():g}, the shortest trial")
        which = np.floor(self.time_s / width + _EDGE).astype(np.int64)
        inside = which < bins[self.trial]
        neuron, trial, which = self.neuron[inside], self.trial[inside], which[inside]
        first, count = runs(neuron, trial, which, np.ones(which.size, dtype=np.int64))
        return BinnedSpikes(
            neuron[first], trial[first], which[first], count,
            self.neurons.size, bins, float(bin_ms), self.neurons, self.name,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Signals:
    """Continuous activity of a group of neurons or channels over trials: potentials, rates, fields, calcium.

    Parameters
    ----------
    values : array-like, shape (trial, time, neuron)
        In memory, or anything that slices like an array (memory map, HDF5 data set, dask).
    step_ms : float
        Time between two values.
    neurons : array, shape (neuron,)
        A label for each.
    name : str
    """

    values: Any
    step_ms: float
    neurons: NDArray[Any]
    name: str = "population"

    @classmethod
    def from_array(
        cls, values: Any, step_ms: float, *, neurons: ArrayLike | None = None, name: str = "population"
    ) -> Signals:
        """Check an array of signals, shape (trial, time, neuron).

        Raises
        ------
        InputError
            If it has not three dimensions, or the step is not positive. Values are checked when they are read.

        Examples
        --------
        >>> Signals.from_array(np.zeros((2, 100, 3)), step_ms=1.0).neurons
        array([0, 1, 2])
        """
        step = float(positive("step_ms", step_ms, "a positive number of milliseconds"))
        shape = tuple(values.shape)
        if len(shape) != 3 or 0 in shape:
            raise InputError("shape of the signals", shape, "(trial, time, neuron), none of them 0")
        return cls(values, step, _labels(neurons, shape[2]), name)

    def part(self, begin: int, end: int) -> Signals:
        """The neurons `begin` to `end` - 1, read into memory as float64 and checked.

        Raises
        ------
        InputError
            If there are values that are not finite.
        """
        values = np.asarray(self.values[:, :, begin:end], dtype=np.float64)
        if not np.all(np.isfinite(values)):
            place = tuple(int(axis) for axis in np.argwhere(~np.isfinite(values))[0])
            where = f"trial {place[0]}, time {place[1]}, neuron {begin + place[2]}"
            raise InputError(f"signal at {where}", float(values[place]), "a finite number",
                             "interpolate gaps, or cut epochs around them")  # fmt: skip
        return replace(self, values=values, neurons=self.neurons[begin:end])

    def of(self, chosen: NDArray[np.bool_]) -> Signals:
        """The neurons chosen by a mask, shape (neuron,)."""
        return replace(self, values=self.values[:, :, chosen], neurons=self.neurons[chosen])


def _check_times(times: Values, what: str, duration_s: float) -> None:
    if times.ndim != 1:
        raise InputError(f"shape of {what}", times.shape, "one dimension")
    if not np.all(np.isfinite(times)):
        raise InputError(what, "NaN or infinity", "finite times in seconds")
    if times.size and times.min() < 0:
        raise InputError(what, float(times.min()), "times from the start of the trial, at least 0")
    if np.any(np.diff(times) < 0):
        raise InputError(what, "times out of order", "times in ascending order", "numpy.sort puts them in order")
    if times.size and times.max() > duration_s:
        hint = "are they in milliseconds?" if times.max() > _MILLISECONDS_LIKELY * duration_s else ""
        raise InputError(what, float(times.max()), f"times up to the duration of {duration_s:g} s", hint)
