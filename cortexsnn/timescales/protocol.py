"""The same protocol for model and brain: long recordings of models, cut and thinned to what physiologists have.

An estimate depends on how long, how often and how many neurons were observed. A model can be observed for hours; to
be compared with a published value, it must be observed as the cortex was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.checks import generator, not_negative, positive, whole
from cortexsnn.errors import InputError
from cortexsnn.recording import populations
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.recordings import RecordedSpikes

__all__ = ["Protocol", "match", "protocol_of"]

Trains = SpikeTrains | RecordedSpikes


@dataclass(frozen=True)
class Protocol:
    """How much was observed.

    Parameters
    ----------
    trials : int
        Number of trials.
    duration_s : float
        Length of each.
    neurons : int
        Number of neurons.
    rate_hz : float, optional
        Their mean rate; None for signals.

    Examples
    --------
    >>> Protocol(trials=200, duration_s=0.5, neurons=120, rate_hz=9.0).duration_s
    0.5
    """

    trials: int
    duration_s: float
    neurons: int
    rate_hz: float | None = None

    def __post_init__(self) -> None:
        whole("trials", self.trials, 1)
        whole("neurons", self.neurons, 1)
        positive("duration_s", self.duration_s, "a positive number of seconds")
        if self.rate_hz is not None:
            positive("rate_hz", self.rate_hz, "a positive rate in Hz")


def protocol_of(source: SpikeTrains | RecordedSpikes | BinnedSpikes | Signals) -> Protocol:
    """What of a group of neurons was observed: trials as long as the shortest, and the mean rate.

    Parameters
    ----------
    source : SpikeTrains, RecordedSpikes, BinnedSpikes or Signals

    Returns
    -------
    Protocol

    Examples
    --------
    >>> protocol_of(SpikeTrains.from_times([[0.1, 0.7], [0.5]], durations_s=2.0))
    Protocol(trials=1, duration_s=2.0, neurons=2, rate_hz=0.75)
    """
    if isinstance(source, Signals):
        trials, steps, neurons = source.values.shape
        return Protocol(trials, steps * source.step_ms / 1000.0, neurons)
    rate = float(source.rates_hz.mean())
    known = rate if rate > 0 else None
    if isinstance(source, BinnedSpikes):
        return Protocol(source.bins.size, float(source.bins.min()) * source.bin_ms / 1000.0, source.neurons, known)
    return Protocol(source.durations_s.size, float(source.durations_s.min()), source.neurons.size, known)


def match(
    data: xr.DataTree | Trains, protocol: Protocol, *, start_ms: float = 0.0, rng: np.random.Generator
) -> dict[str, SpikeTrains]:
    """Cut a long recording into the trials of a protocol, with as many neurons and as few spikes.

    Pieces that do not overlap are drawn from all trials; neurons are drawn from those that fire at all; spikes are
    deleted at random, each with the same chance, so that the mean rate is that of the protocol and the ratios between
    neurons stay. Random deletion lowers all correlations alike and does not change the timescale of the rate.

    Parameters
    ----------
    data : xarray.DataTree, SpikeTrains or RecordedSpikes
        A recording (all its spiking layers get the same pieces of time), or one group of neurons.
    protocol : Protocol
    start_ms : float
        Burn-in at the start of each trial that is not used.
    rng : numpy.random.Generator

    Returns
    -------
    dict from layer to SpikeTrains
        As `cortexsnn.timescales.estimate` takes it.

    Raises
    ------
    InputError
        If there is not enough time, or there are too few neurons or spikes: the message says how many there are.

    Examples
    --------
    >>> from cortexsnn.timescales import ou_poisson_trains
    >>> rng = np.random.default_rng(1)
    >>> long = ou_poisson_trains(tau_ms=100.0, trials=1, duration_s=120.0, neurons=30, rate_hz=20.0, rng=rng)
    >>> matched = match(long, Protocol(trials=50, duration_s=1.0, neurons=20, rate_hz=8.0), rng=rng)["population"]
    >>> matched.durations_s.size, matched.neurons.size, bool(abs(matched.rates_hz.mean() - 8.0) < 0.5)
    (50, 20, True)
    """
    generator(rng)
    not_negative("start_ms", start_ms)
    sources = _trains_of(data)
    pieces = _pieces([one.durations_s for one in sources], protocol, start_ms / 1000.0, rng)
    return {one.name: _matched(one, protocol, pieces, rng) for one in sources}


def _trains_of(data: Any) -> list[Trains]:
    if isinstance(data, xr.DataTree):
        names = populations(data, "lif")
        if not names:
            raise InputError("populations of the recording", populations(data), "at least one of kind lif")
        return [RecordedSpikes.of(data, name) for name in names]
    if not isinstance(data, SpikeTrains | RecordedSpikes):
        raise InputError("data", type(data).__name__, "a recording or SpikeTrains")
    return [data]


def _pieces(
    durations_s: list[NDArray[np.float64]], protocol: Protocol, start_s: float, rng: np.random.Generator
) -> list[tuple[int, float]]:
    """Trial and start in s of the pieces of time that become trials, in order."""
    shortest = np.minimum.reduce(durations_s)
    fit = np.maximum(np.floor((shortest - start_s) / protocol.duration_s * (1 + 1e-9)), 0).astype(np.int64)
    if fit.sum() < protocol.trials:
        raise InputError("trials of the protocol", protocol.trials,
                         f"at most {fit.sum()}: so many pieces of {protocol.duration_s:g} s are in the recording after "
                         f"{start_s:g} s of each trial", "record longer, or ask for fewer trials")  # fmt: skip
    trial = np.repeat(np.arange(fit.size), fit)
    place = np.arange(trial.size) - np.repeat(np.cumsum(fit) - fit, fit)
    drawn = np.sort(rng.choice(trial.size, protocol.trials, replace=False))
    starts = start_s + place[drawn] * protocol.duration_s
    return list(zip(trial[drawn].tolist(), starts.tolist(), strict=True))


def _matched(
    source: Trains, protocol: Protocol, pieces: list[tuple[int, float]], rng: np.random.Generator
) -> SpikeTrains:
    active = np.flatnonzero(source.rates_hz > 0)
    if active.size < protocol.neurons:
        raise InputError("neurons of the protocol", protocol.neurons,
                         f"at most {active.size}, which is how many of '{source.name}' fire at all")  # fmt: skip
    chosen = np.zeros(source.neurons.size, dtype=bool)
    chosen[rng.choice(active, protocol.neurons, replace=False)] = True
    trial, start_s = (np.array(axis) for axis in zip(*pieces, strict=True))
    cut = _of(source, chosen).pieces(trial, start_s, protocol.duration_s)
    if protocol.rate_hz is None:
        return cut
    rate = cut.rates_hz.mean()
    if rate < protocol.rate_hz:
        raise InputError("rate_hz of the protocol", protocol.rate_hz,
                         f"at most {rate:.3g}, the mean rate of '{source.name}': spikes can only be taken away",
                         "drive the network more, or compare at its own rate")  # fmt: skip
    keep = rng.random(cut.time_s.size) < protocol.rate_hz / rate
    return replace(cut, time_s=cut.time_s[keep], trial=cut.trial[keep], neuron=cut.neuron[keep])


def _of(source: Trains, chosen: NDArray[np.bool_]) -> SpikeTrains:
    whole_source = source if isinstance(source, SpikeTrains) else source.part(0, chosen.size)
    return whole_source.of(chosen)
