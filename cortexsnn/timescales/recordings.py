"""Recordings of this package as spike trains and signals, read block by block where they are larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.checks import not_negative
from cortexsnn.errors import InputError
from cortexsnn.recording import steps_per_trial
from cortexsnn.recording.blocks import blocks
from cortexsnn.recording.files import check_spikes, reading
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.counts import whole_steps

__all__ = ["RecordedSpikes", "from_recording", "potential_of"]

# Spikes that are held at a time: 12 megabytes of a file, and as much again while they are checked.
_BLOCK = 2**20

# Trial, step and neuron of each, in the integers of the file.
_Spikes = tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer]]


def _node(recording: xr.DataTree, population: str) -> xr.Dataset:
    if population not in recording.children:
        raise InputError("population", population, f"one of {', '.join(recording.children)}")
    return recording[population].to_dataset()


def _window(recording: xr.DataTree, start_ms: float, stop_ms: float | None) -> tuple[int, NDArray[np.int64]]:
    """First step that counts, and the step at which each trial ends, shape (trial,)."""
    dt_ms = 1000 * float(recording.attrs["dt_s"])
    ends = steps_per_trial(recording)
    if not ends.size:
        raise InputError("number of trials in the recording", 0, "at least 1")
    start = whole_steps("start_ms", not_negative("start_ms", start_ms), dt_ms, fewest=0)
    shortest_ms = int(ends.min()) * dt_ms
    if stop_ms is not None:
        stop = whole_steps("stop_ms", not_negative("stop_ms", stop_ms), dt_ms, fewest=1)
        if stop <= start:
            raise InputError("stop_ms", stop_ms, f"more than start_ms = {start_ms:g}")
        ends = np.minimum(ends, stop)
    if ends.min() <= start:
        raise InputError("start_ms", start_ms, f"less than the {shortest_ms:g} ms of the shortest trial")
    return start, ends


def _reading(node: xr.Dataset) -> AbstractContextManager[None]:
    """Name the file, if there is one, in what goes wrong while values are read."""
    source = node["spike_neuron"].encoding.get("source")
    return reading(source) if source else nullcontext()


def _pieces(node: xr.Dataset, overlap: int = 0) -> Iterator[_Spikes]:
    """Trial, step and neuron of the spikes, block by block; each but the first repeats the end of the one before."""
    for (block,) in blocks((node.sizes["spike"],), _BLOCK):
        some = slice(max(0, block.start - overlap), block.stop)
        with _reading(node):
            trial, step, neuron = (node[f"spike_{axis}"][some].to_numpy() for axis in ("trial", "step", "neuron"))
        yield trial, step, neuron


@dataclass(frozen=True, eq=False)
class RecordedSpikes:
    """Spikes of one population of a recording, which stay in the file until a group of neurons is asked for.

    It reads like `SpikeTrains` where an estimator goes through groups of neurons (`part`). Spikes are checked once,
    when it is made (`of`).

    Parameters
    ----------
    node : xarray.Dataset
        Of the population; lazily read if the recording is a file that `cortexsnn.recording.files.opened` gave.
    dt_s : float
        Time step of the recording.
    start, stops : int, and array of int64, shape (trial,)
        First step that counts, and the step at which each trial ends.
    spikes : array of int64, shape (neuron,)
        How many spikes each neuron has between them.
    neurons : array, shape (neuron,)
        A label for each neuron, silent ones included.
    name : str
        Name of the population.
    """

    node: xr.Dataset
    dt_s: float
    start: int
    stops: NDArray[np.int64]
    spikes: NDArray[np.int64]
    neurons: NDArray[Any]
    name: str

    @classmethod
    def of(
        cls, recording: xr.DataTree, population: str, *, start_ms: float = 0.0, stop_ms: float | None = None
    ) -> RecordedSpikes:
        """Check and count the spikes of a population, in one pass over the file.

        Parameters
        ----------
        recording : xarray.DataTree
            See `cortexsnn.recording`.
        population : str
            Name of a population of the recording.
        start_ms : float
            Time that becomes 0, in ms from the start of each trial; what lies before is burn-in.
        stop_ms : float, optional
            End of what is used; by default the end of each trial, and no later in any case.

        Returns
        -------
        RecordedSpikes

        Raises
        ------
        InputError
            If the population is unknown, a time falls between time steps or leaves nothing of a trial, or spikes
            lie outside of the trials or neurons or are not sorted.

        Examples
        --------
        >>> from cortexsnn.recording import RecordedPopulation, make_recording
        >>> layer = RecordedPopulation.from_counts("hidden1", "lif", np.ones((2, 5, 3), dtype=int))
        >>> recording = make_recording([layer], dt_s=0.01, trials=2, steps=5, source="example")
        >>> spikes = RecordedSpikes.of(recording, "hidden1", start_ms=20.0)
        >>> spikes.rates_hz, spikes.durations_s
        (array([100., 100., 100.]), array([0.03, 0.03]))
        >>> spikes.part(1, 2).time_s
        array([0.  , 0.01, 0.02, 0.  , 0.01, 0.02])
        """
        node = _node(recording, population)
        start, stops = _window(recording, start_ms, stop_ms)
        neurons, steps = node.sizes["neuron"], steps_per_trial(recording)
        spikes = np.zeros(neurons, dtype=np.int64)
        repeated = 0
        # The order holds from one block to the next too.
        for trial, step, neuron in _pieces(node, overlap=1):
            check_spikes(trial, step, neuron, steps, neurons, f"'{population}'")
            inside = (step >= start) & (step < stops[trial])
            spikes += np.bincount(neuron[repeated:][inside[repeated:]], minlength=neurons)
            repeated = 1
        labels = node["neuron"].to_numpy()
        return cls(node, float(recording.attrs["dt_s"]), start, stops, spikes, labels, population)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """How long each trial was observed, shape (trial,)."""
        return np.multiply(self.stops - self.start, self.dt_s, dtype=np.float64)

    @property
    def rates_hz(self) -> NDArray[np.float64]:
        """Mean rate of each neuron, shape (neuron,)."""
        return self.spikes / self.durations_s.sum()

    def part(self, begin: int, end: int) -> SpikeTrains:
        """The neurons `begin` to `end` - 1, read in one pass over the file.

        Parameters
        ----------
        begin, end : int

        Returns
        -------
        SpikeTrains
            In memory. Besides it, one block of a million spikes is held at a time.
        """
        spikes = self.spikes[begin:end]
        trial, step = (np.empty(int(spikes.sum()), dtype=np.int64) for _ in range(2))
        # Where the next spike of each neuron goes: in the file they are in order of trial and time already.
        place_of = np.cumsum(spikes) - spikes
        for piece in _pieces(self.node):
            trials, steps, neurons = _sorted_by_neuron(piece, begin, begin + spikes.size)
            inside = (steps >= self.start) & (steps < self.stops[trials])
            trials, steps, neurons = trials[inside], steps[inside], neurons[inside]
            filled = np.bincount(neurons, minlength=spikes.size)
            place = np.arange(neurons.size) + (place_of - (np.cumsum(filled) - filled))[neurons]
            trial[place], step[place] = trials, steps
            place_of += filled
        return SpikeTrains(
            # From the step: a difference of two rounded times could leave its bin.
            np.multiply(step - self.start, self.dt_s, dtype=np.float64),
            trial,
            np.repeat(np.arange(spikes.size), spikes),
            self.durations_s,
            self.neurons[begin:end],
            self.name,
        )


def _sorted_by_neuron(spikes: _Spikes, begin: int, end: int) -> _Spikes:
    """Spikes of some neurons, counted from the first of them, in order of neuron and otherwise as they were."""
    trial, step, neuron = spikes
    chosen = np.flatnonzero((neuron >= begin) & (neuron < end))
    # NumPy sorts numbers of 16 bits by their digits, which is many times faster.
    neuron = (neuron[chosen] - begin).astype(np.uint16 if end - begin <= 2**16 else np.int64)
    order = np.argsort(neuron, kind="stable")
    chosen = chosen[order]
    return trial[chosen], step[chosen], neuron[order]


def from_recording(
    recording: xr.DataTree, population: str, *, start_ms: float = 0.0, stop_ms: float | None = None
) -> SpikeTrains:
    """Spike trains of one population of a recording of this package, in memory.

    Parameters
    ----------
    recording : xarray.DataTree
        See `cortexsnn.recording`. Of one that is larger than memory, `RecordedSpikes` gives groups of neurons.
    population : str
        Name of a population of the recording.
    start_ms : float
        Time that becomes 0, in ms from the start of each trial; what lies before is burn-in.
    stop_ms : float, optional
        End of what is used; by default the end of each trial, and no later in any case.

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        See `RecordedSpikes.of`.

    Examples
    --------
    >>> from cortexsnn.recording import RecordedPopulation, make_recording
    >>> counts = np.zeros((2, 5, 3), dtype=int)
    >>> counts[1, 4, 2] = counts[0, 3, 0] = 1
    >>> layer = RecordedPopulation.from_counts("hidden1", "lif", counts)
    >>> recording = make_recording([layer], dt_s=0.01, trials=2, steps=5, source="example")
    >>> trains = from_recording(recording, "hidden1")
    >>> trains.time_s, trains.trial, trains.neuron
    (array([0.03, 0.04]), array([0, 1]), array([0, 2]))
    """
    spikes = RecordedSpikes.of(recording, population, start_ms=start_ms, stop_ms=stop_ms)
    return spikes.part(0, spikes.neurons.size)


def potential_of(
    recording: xr.DataTree, population: str, *, start_ms: float = 0.0, stop_ms: float | None = None
) -> Signals:
    """Membrane potentials of one population of a recording of this package.

    Parameters
    ----------
    recording : xarray.DataTree
        See `cortexsnn.recording`.
    population : str
        Name of a population whose potential was recorded.
    start_ms : float
        Time at which the signals begin, in ms from the start of each trial; what lies before is burn-in.
    stop_ms : float, optional
        Their end; by default that of the shortest trial, and no later in any case.

    Returns
    -------
    Signals
        Whose values stay in the file, if the recording is one, until a group of neurons is asked for.

    Raises
    ------
    InputError
        If the population is unknown, its potential was not recorded, or a time falls between time steps or leaves
        nothing of a trial.

    Examples
    --------
    >>> from cortexsnn.recording import RecordedPopulation, make_recording
    >>> counts, potential = np.zeros((2, 5, 3), dtype=int), np.ones((2, 5, 3))
    >>> layer = RecordedPopulation.from_counts("hidden1", "lif", counts, potential)
    >>> recording = make_recording([layer], dt_s=0.01, trials=2, steps=5, source="example")
    >>> signals = potential_of(recording, "hidden1", start_ms=10.0)
    >>> signals.part(0, 2).values.shape, signals.step_ms
    ((2, 4, 2), 10.0)
    """
    node = _node(recording, population)
    if "potential" not in node:
        recorded = [name for name, other in recording.children.items() if "potential" in other.data_vars]
        raise InputError("population", population, f"one whose potential was recorded: {', '.join(recorded) or 'none'}",
                         "simulate with record_potential")  # fmt: skip
    start, stops = _window(recording, start_ms, stop_ms)
    values = node["potential"].variable[:, start : int(stops.min())]
    step_ms = 1000 * float(recording.attrs["dt_s"])
    return Signals.from_array(values, step_ms, neurons=node["neuron"].to_numpy(), name=population)
