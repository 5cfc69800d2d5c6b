"""Spike trains and signals of Neo, whose segments are trials; Neo itself is not imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals, SpikeTrains

__all__ = ["from_neo"]

Values = NDArray[np.float64]

# Windows of trains that differ by less are the same, in seconds: units that were converted round differently.
_SAME_S = 1e-9
_SAME_STEP = 1e-9
_EXPECTED = "a neo Block, Segments, SpikeTrains or AnalogSignals"
_PLAIN = "SpikeTrains.from_times takes plain times, Signals.from_array plain signals"


def _observed(value: Any, dimensions: int) -> bool:
    """Whether it is a train (1 dimension) or a signal (2 dimensions) of Neo."""
    offered = all(hasattr(value, name) for name in ("t_start", "t_stop", "rescale"))
    return offered and getattr(value, "ndim", 0) == dimensions


def _is_list(values: Any) -> bool:
    """Whether it goes through objects; the lists of Neo are no Python lists, and its trains and signals are arrays."""
    listed = isinstance(values, Iterable) and isinstance(values, Sized)
    return listed and not isinstance(values, str | bytes | np.ndarray)


def _all_observed(values: Any, dimensions: int) -> bool:
    return _is_list(values) and all(_observed(value, dimensions) for value in values)


def _trials(data: Any) -> list[list[Any]]:
    """Trains of each trial of whatever holds trains."""
    if hasattr(data, "segments"):
        if hasattr(data, "spiketrains"):
            raise InputError("data", f"a neo {type(data).__name__}", "a Block, or Segments, which are trials",
                             "a Group does not tell neurons from trials")  # fmt: skip
        return [list(segment.spiketrains) for segment in data.segments]
    if hasattr(data, "spiketrains"):
        return [list(data.spiketrains)]
    if _observed(data, 1):
        return [[data]]
    if _all_observed(data, 1):
        segments = {id(train.segment) for train in data if getattr(train, "segment", None) is not None}
        if len(segments) > 1:
            raise InputError("data", f"a list of trains of {len(segments)} segments", "the trains of one segment",
                             "of a list of Segments, each is a trial")  # fmt: skip
        return [list(data)]
    if _is_list(data) and all(hasattr(part, "spiketrains") or _all_observed(part, 1) for part in data):
        return [trial for part in data for trial in _trials(part)]
    raise InputError("data", data, _EXPECTED, _PLAIN)


def _scale(units: Any, wanted: Any, what: str) -> float:
    """How many of the wanted units a quantity is."""
    try:
        return float((1.0 * units).rescale(wanted).magnitude)
    except ValueError:
        raise InputError(f"units of {what}", str(units.dimensionality), f"units that convert to {wanted}") from None


def _seconds(train: Any, what: str) -> tuple[Values, float, float]:
    """Times of a train, its t_start and its t_stop, in seconds."""
    # Not by the train itself, which keeps float32, and would round again.
    times = np.asarray(train.magnitude, dtype=np.float64) * _scale(train.units, "s", what)
    start, stop = _scale(train.t_start, "s", what), _scale(train.t_stop, "s", what)
    return times, start, stop


def _in_order_of_names(trials: list[list[Any]]) -> tuple[list[list[Any]], list[str] | None]:
    """Trains of all trials in the order of the names in trial 0, and these names, if they tell trains apart."""
    names = [str(train.name or "") for train in trials[0]]
    if "" in names or len(set(names)) < len(names):
        return trials, None
    ordered = []
    for number, trains in enumerate(trials):
        by_name = {str(train.name or ""): train for train in trains}
        if len(trains) != len(names) or set(by_name) != set(names):
            found = [str(train.name or "") for train in trains]
            raise InputError(f"names of the trains of trial {number}", found, f"{names}, as in trial 0, each once",
                             "a silent neuron has an empty train; neurons=... labels trains in order")  # fmt: skip
        ordered.append([by_name[name] for name in names])
    return ordered, names


def _trial_in_seconds(trains: list[Any], number: int) -> tuple[list[Values], float]:
    """Times of all trains of a trial from its start, and how long it was."""
    read = [_seconds(train, f"neuron {place} in trial {number}") for place, train in enumerate(trains)]
    starts, stops = np.array([start for _, start, _ in read]), np.array([stop for *_, stop in read])
    if max(np.ptp(starts), np.ptp(stops)) > _SAME_S:
        odd = int(np.argmax(np.abs(starts - starts[0]) + np.abs(stops - stops[0])))
        raise InputError(f"t_start and t_stop of neuron {odd} in trial {number} in s", (starts[odd].item(),
                         stops[odd].item()), f"{starts[0]:g} and {stops[0]:g}, as of neuron 0",
                         f"time_slice cuts trains; all hold {starts.max():g} to {stops.min():g}")  # fmt: skip
    duration = float(stops[0] - starts[0])
    from_start = [times - starts[0] for times, *_ in read]
    # Conversion may round a spike at an edge of the window to just outside of it.
    for edge in (0.0, duration):
        from_start = [np.where(np.abs(times - edge) < _SAME_S, edge, times) for times in from_start]
    return from_start, duration


def from_neo(data: Any, *, neurons: ArrayLike | None = None, name: str = "population") -> SpikeTrains | Signals:
    """Take spike trains or signals of Neo (https://doi.org/10.3389/fninf.2014.00010).

    Parameters
    ----------
    data : neo.Block, neo.Segment, neo.SpikeTrain, neo.AnalogSignal, or a list of them
        Segments are trials. A list of trains is one trial, a list of lists of trains is several. A list of analog
        signals is one trial each, and their channels are the neurons. Any units of time will do.
    neurons : array, optional
        Labels in the order of the trains or channels. By default the names of the trains, by which trains of
        different segments are also put together, or 0, 1, ... if there are none that tell trains apart.
    name : str

    Returns
    -------
    SpikeTrains or Signals
        With time 0 at ``t_start``, which is the same for all trains of a trial, as is ``t_stop``.

    Raises
    ------
    InputError
        If there are no trains, those of a trial were observed at different times, trials differ in their trains, or
        signals differ in channels or sampling.

    Examples
    --------
    >>> import neo, quantities  # doctest: +SKIP
    >>> one = neo.SpikeTrain([130.0, 170.0] * quantities.ms, t_start=0.1 * quantities.s, t_stop=0.2 * quantities.s)
    ... # doctest: +SKIP
    >>> from_neo([one]).time_s  # doctest: +SKIP
    array([0.03, 0.07])
    >>> from_neo([0.03, 0.07])
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: data is [0.03, 0.07]; expected a neo Block, Segments, SpikeTrains or AnalogSignals...
    """
    signals = [data] if _observed(data, 2) else data
    if _all_observed(signals, 2) and len(signals):
        return _signals(signals, neurons, name)
    trials = _trials(data)
    number = min((len(trains) for trains in trials), default=0)
    if not number:
        raise InputError("number of spike trains in a segment", number, "at least 1",
                         "a silent neuron has an empty train; signals come as a list of AnalogSignals")  # fmt: skip
    labels = neurons
    if neurons is None:
        trials, labels = _in_order_of_names(trials)
    read = [_trial_in_seconds(trains, number) for number, trains in enumerate(trials)]
    times, durations = [times for times, _ in read], [duration for _, duration in read]
    return SpikeTrains.from_times(times, durations, neurons=labels, name=name)


def _signals(signals: Sequence[Any], neurons: ArrayLike | None, name: str) -> Signals:
    first, steps = signals[0], []
    for trial, signal in enumerate(signals):
        if not hasattr(signal, "sampling_period"):
            raise InputError(f"signal of trial {trial}", type(signal).__name__, "an AnalogSignal",
                             "resample it to even times")  # fmt: skip
        if signal.shape[1] != first.shape[1]:
            raise InputError(
                f"number of channels in trial {trial}", signal.shape[1], f"{first.shape[1]}, as in trial 0"
            )
        steps.append(_scale(signal.sampling_period, "ms", f"the sampling period of trial {trial}"))
    if np.ptp(steps) > _SAME_STEP * steps[0]:
        raise InputError("sampling periods of the trials in ms", (min(steps), max(steps)), "one of all",
                         "resample the signals")  # fmt: skip
    lengths = [signal.shape[0] for signal in signals]
    # Windows of one duration that begin between two samples hold one more or less.
    if np.ptp(lengths) > 1:
        raise InputError("samples of the trials", (min(lengths), max(lengths)), "the same number of all",
                         "time_slice cuts signals")  # fmt: skip
    # In the units of the first, whatever the others are in.
    scales = [_scale(signal.units, first.units, f"the signal of trial {k}") for k, signal in enumerate(signals)]
    pieces = [scale * np.asarray(s.magnitude[: min(lengths)]) for s, scale in zip(signals, scales, strict=True)]
    return Signals.from_array(np.stack(pieces), steps[0], neurons=neurons, name=name)
