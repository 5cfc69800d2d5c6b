"""Epochs of a continuous recording as trials: spike times and signals cut at given starts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals, SpikeTrains

__all__ = ["Epochs", "signals_in_epochs", "trains_in_epochs"]

Values = NDArray[np.float64]

# Times closer than this are the same: a spike that starts an epoch belongs to it although 0.3 is below 3 * 0.1.
_SAME_S = 1e-9
# Share of a sampling step by which a sample may be early or late.
_JITTER = 0.01
# Milliseconds for seconds make a span about a thousand times as long, and rates a thousandth.
_OTHER_CLOCK = 100
_SLOWEST_HZ = 0.1
_GAPS = "interpolate to even times, or choose epochs without gaps"


def _finite(values: ArrayLike, what: str) -> Values:
    """Return a row of finite numbers as float64."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(what, values, "a row of times in seconds") from None
    if array.ndim != 1:
        raise InputError(f"shape of {what}", array.shape, "one dimension")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise InputError(f"{what} at place {bad[0]}", float(array[bad[0]]), "a finite time in seconds")
    return array


def _sorted_times(values: ArrayLike, what: str) -> Values:
    times = _finite(values, what)
    if np.any(np.diff(times) < 0):
        raise InputError(what, "times out of order", "times in ascending order", "numpy.sort puts them in order")
    return times


@dataclass(frozen=True, eq=False)
class Epochs:
    """Stretches of time that do not overlap, in any order; `of` checks them.

    Parameters
    ----------
    starts_s, stops_s : array of float64, shape (epoch,)
        Where each begins and ends, in seconds on the clock of what is cut. The end is no longer part of it.
    """

    starts_s: Values
    stops_s: Values

    @classmethod
    def of(cls, starts_s: ArrayLike, stops_s: ArrayLike) -> Epochs:
        """Check starts and ends.

        Parameters
        ----------
        starts_s, stops_s : array, shape (epoch,)

        Returns
        -------
        Epochs

        Raises
        ------
        InputError
            If there are none, they are not finite, an epoch does not end after its start, or two overlap.

        Examples
        --------
        >>> Epochs.of([0.0, 1.5], [1.0, 2.0]).durations_s
        array([1. , 0.5])
        >>> Epochs.of([0.0, 1.5], [2.0, 3.0])
        Traceback (most recent call last):
        ...
        cortexsnn.errors.InputError: epochs 0 and 1 is (1.5, 2.0); expected epochs that do not overlap...
        """
        starts, stops = _finite(starts_s, "starts of the epochs"), _finite(stops_s, "ends of the epochs")
        if starts.size != stops.size:
            raise InputError("number of ends of the epochs", stops.size, f"{starts.size}, as many as starts")
        if not starts.size:
            raise InputError("number of epochs", 0, "at least 1")
        bad = np.flatnonzero(stops <= starts)
        if bad.size:
            shown = (float(starts[bad[0]]), float(stops[bad[0]]))
            raise InputError(f"epoch {bad[0]}", shown, "a start in seconds and an end after it")
        order = np.argsort(starts, kind="stable")
        overlap = np.flatnonzero(starts[order[1:]] < stops[order[:-1]] - _SAME_S)
        if overlap.size:
            first, second = order[overlap[0]], order[overlap[0] + 1]
            raise InputError(f"time that epochs {first} and {second} share",
                             (float(starts[second]), float(min(stops[first], stops[second]))),
                             "epochs that do not overlap", "a spike belongs to one trial")  # fmt: skip
        return cls(starts, stops)

    @property
    def durations_s(self) -> Values:
        """How long each is, shape (epoch,)."""
        return self.stops_s - self.starts_s

    @property
    def joined(self) -> Epochs:
        """The same stretches of time in order, with those that touch or overlap put together."""
        order = np.argsort(self.starts_s, kind="stable")
        starts, stops = self.starts_s[order], np.maximum.accumulate(self.stops_s[order])
        apart = starts[1:] > stops[:-1] + _SAME_S
        return Epochs(starts[np.append(True, apart)], stops[np.append(apart, True)])

    def inside(self, observed: Epochs) -> NDArray[np.bool_]:
        """Whether each epoch lies in one stretch of the time that was observed, shape (epoch,).

        Examples
        --------
        >>> Epochs.of([0.0, 4.0], [1.0, 6.0]).inside(Epochs.of([0.0, 3.0], [3.0, 5.0]))
        array([ True, False])
        """
        stretches = observed.joined
        which = np.searchsorted(stretches.starts_s, self.starts_s + _SAME_S, side="right") - 1
        return (which >= 0) & (self.stops_s <= stretches.stops_s[np.maximum(which, 0)] + _SAME_S)

    def cut(self, times_s: Values) -> tuple[Values, NDArray[np.int64]]:
        """Times from the start of their epoch, and which epoch that is, in order of epoch and time.

        Parameters
        ----------
        times_s : array of float64, shape (spike,)
            Sorted.

        Returns
        -------
        tuple of array
            Each of shape (spike inside,).

        Examples
        --------
        >>> Epochs.of([0.0, 1.5], [1.0, 2.0]).cut(np.array([0.5, 1.25, 1.75]))
        (array([0.5 , 0.25]), array([0, 1]))
        """
        order = np.argsort(self.starts_s, kind="stable")
        place = np.searchsorted(self.starts_s[order], times_s + _SAME_S, side="right") - 1
        epoch = order[np.maximum(place, 0)]
        inside = (place >= 0) & (times_s + _SAME_S < self.stops_s[epoch])
        time, epoch = np.maximum(times_s - self.starts_s[epoch], 0.0)[inside], epoch[inside]
        by_epoch = np.argsort(epoch, kind="stable")
        return time[by_epoch], epoch[by_epoch]


def _check_clock(epochs: Epochs, first_s: float, last_s: float, inside: int, rate_hz: float) -> None:
    """Refuse epochs that look as if they were on another clock than the spikes, which lie from first to last."""
    begin_s, end_s = float(epochs.starts_s.min()), float(epochs.stops_s.max())
    late = np.count_nonzero(epochs.starts_s > last_s)
    other_clock = (
        not inside
        or (end_s > _OTHER_CLOCK * last_s and 2 * late > epochs.starts_s.size)
        or (last_s > _OTHER_CLOCK * end_s and rate_hz < _SLOWEST_HZ)
    )
    if other_clock:
        raise InputError("span of the spikes in s", (first_s, last_s), f"times in seconds on the clock of the epochs, "
                         f"which go from {begin_s:g} to {end_s:g} and hold {inside} of the spikes",
                         "is one of the two in milliseconds?")  # fmt: skip


def trains_in_epochs(
    times_s: Sequence[ArrayLike],
    epochs: Epochs,
    *,
    neurons: ArrayLike | None = None,
    name: str = "population",
) -> SpikeTrains:
    """Cut the spike times of a continuous recording at epochs, which become trials.

    A spike at the start of an epoch belongs to it, one at its end does not.

    Parameters
    ----------
    times_s : sequence of arrays
        Sorted spike times of each neuron, on the clock of the epochs; they may be negative.
    epochs : Epochs
    neurons : array, optional
        Labels of the neurons; 0, 1, ... by default.
    name : str

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        If there are no neurons, times are not finite or not sorted, or epochs and spikes are on different clocks:
        most epochs start after the last spike of all, say.

    Examples
    --------
    >>> epochs = Epochs.of([0.0, 10.0], [1.0, 12.0])
    >>> trains = trains_in_epochs([[0.5, 10.25, 11.0], [5.0, 10.75]], epochs)
    >>> trains.time_s, trains.trial, trains.durations_s
    (array([0.5 , 0.25, 1.  , 0.75]), array([0, 1, 1, 1]), array([1., 2.]))
    """
    number = len(times_s)
    if not number:
        raise InputError("number of neurons", 0, "at least 1")
    checked = [_sorted_times(times, f"spike times of neuron {place}") for place, times in enumerate(times_s)]
    pieces = [epochs.cut(times) for times in checked]
    time, trial = (np.concatenate([piece[axis] for piece in pieces]) for axis in (0, 1))
    neuron = np.repeat(np.arange(number), [piece[0].size for piece in pieces])
    lively = [times for times in checked if times.size]
    if lively:
        first, last = float(min(times[0] for times in lively)), float(max(times[-1] for times in lively))
        _check_clock(epochs, first, last, time.size, time.size / (number * float(epochs.durations_s.sum())))
    # Labels are checked there.
    silent = SpikeTrains.from_times([[]] * number, 1.0, neurons=neurons, name=name)
    return replace(silent, time_s=time, trial=trial, neuron=neuron, durations_s=epochs.durations_s)


def _uneven(time_s: Values, first: NDArray[np.int64], samples: int, step_s: float) -> NDArray[np.int64]:
    """Places of samples after which the next does not come one step later, within the pieces from each first."""
    places = (first[:, None] + np.arange(samples - 1)).ravel()
    gaps = time_s[places + 1] - time_s[places]
    return places[np.abs(gaps - step_s) > _JITTER * step_s]


def signals_in_epochs(
    values: Any,
    time_s: ArrayLike,
    epochs: Epochs,
    *,
    neurons: ArrayLike | None = None,
    name: str = "population",
) -> Signals:
    """Cut evenly sampled signals of a continuous recording at epochs of equal length, which become trials.

    Parameters
    ----------
    values : array-like, shape (time, neuron)
        In memory, or anything that slices like an array.
    time_s : array, shape (time,)
        When each value was sampled, on the clock of the epochs. Gaps may lie between epochs.
    epochs : Epochs
    neurons : array, optional
        Labels of neurons or channels; 0, 1, ... by default.
    name : str

    Returns
    -------
    Signals
        The epochs in memory, each cut to the fewest samples; they differ by one at most.

    Raises
    ------
    InputError
        If shapes differ, times are not ascending, epochs are not of one length or not sampled from start to end, or
        the sampling within one is not even to 1 %.

    Examples
    --------
    >>> time_s, ramp = np.arange(0.0, 10.0, 0.5), np.arange(20.0)[:, None]
    >>> signals = signals_in_epochs(ramp, time_s, Epochs.of([1.0, 5.0], [2.5, 6.5]))
    >>> signals.values[:, :, 0], signals.step_ms
    (array([[ 2.,  3.,  4.], [10., 11., 12.]]), 500.0)
    """
    time = _finite(time_s, "times of the samples")
    shape = tuple(values.shape)
    if len(shape) != 2 or shape[0] != time.size or time.size < 2:
        raise InputError("shape of the signals", shape, f"(time, neuron), with a value for each of the {time.size} "
                         "times of the samples, at least 2")  # fmt: skip
    gaps = np.diff(time)
    if np.any(gaps <= 0):
        place = int(np.argmax(gaps <= 0))
        raise InputError(f"times of samples {place} and {place + 1}", (float(time[place]), float(time[place + 1])),
                         "ascending times")  # fmt: skip
    usual = np.abs(gaps / np.median(gaps) - 1) < _JITTER
    # The mean is free of the rounding of the times, the median is free of gaps.
    step = float(gaps[usual].mean())
    durations = epochs.durations_s
    if np.ptp(durations) > step:
        raise InputError("durations of the epochs in s", (float(durations.min()), float(durations.max())),
                         "one duration of all", "trials of signals are of one length; choose such epochs")  # fmt: skip
    # A sample that is due at the start of an epoch may come a little early.
    first, after = (np.searchsorted(time, edge - _JITTER * step) for edge in (epochs.starts_s, epochs.stops_s))
    samples = int((after - first).min())
    expected = int(durations.min() / step + _JITTER)
    if samples < max(2, expected - 1):
        which = int(np.argmin(after - first))
        raise InputError(f"number of samples in epoch {which}", samples, f"{expected}, one every {1000 * step:g} ms, "
                         f"from {epochs.starts_s[which]:g} to {epochs.stops_s[which]:g} s",
                         f"samples go from {time[0]:g} to {time[-1]:g} s; {_GAPS}")  # fmt: skip
    uneven = _uneven(time, first, samples, step)
    if uneven.size:
        place = uneven[0]
        raise InputError(f"time between the samples at {time[place]:.6g} and {time[place + 1]:.6g} s in ms",
                         1000 * float(gaps[place]), f"{1000 * step:g}, as elsewhere", _GAPS)  # fmt: skip
    pieces = np.stack([np.asarray(values[begin : begin + samples]) for begin in first])
    step = float((time[first + samples - 1] - time[first]).mean()) / (samples - 1)
    return Signals.from_array(pieces, 1000 * step, neurons=neurons, name=name)
