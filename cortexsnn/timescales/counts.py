"""Spike counts in bins: the array that every timescale estimator starts from."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.recording import steps_per_trial

__all__ = ["bin_counts", "whole_steps"]

MINIMUM_BINS = 3
# bin_ms = 0.3 and dt_s = 0.0001 are 3 steps only up to rounding.
_TOLERANCE_IN_STEPS = 1e-6


def whole_steps(field: str, duration_ms: float, dt_ms: float, fewest: int) -> int:
    """Turn a duration into time steps, or refuse one that ends between two of them and name its neighbours."""
    steps = round(duration_ms / dt_ms)
    if abs(duration_ms / dt_ms - steps) > _TOLERANCE_IN_STEPS * max(1, steps):
        below = max(fewest, math.floor(duration_ms / dt_ms))
        raise InputError(field, duration_ms, f"a whole multiple of the time step of {dt_ms:.12g} ms",
                         f"{below * dt_ms:.12g} or {(below + 1) * dt_ms:.12g} would do")  # fmt: skip
    if steps < fewest:
        raise InputError(field, duration_ms, f"at least {fewest} time step of {dt_ms:.12g} ms")
    return steps


def bin_counts(recording: xr.DataTree, population: str, bin_ms: float, start_ms: float = 0.0) -> NDArray[np.int64]:
    """Count the spikes of one population in equal bins.

    A spike of step t lies in bin ``floor((t - start) / bin)``. Only whole bins that fit the shortest trial are
    made; spikes before the first and after the last are dropped.

    Parameters
    ----------
    recording : xarray.DataTree
        See `cortexsnn.recording`.
    population : str
        Name of a population of the recording.
    bin_ms : float
        Width of a bin in ms, a whole multiple of the time step.
    start_ms : float
        Where the first bin begins, in ms from the start of the trial; what lies before is burn-in.

    Returns
    -------
    numpy.ndarray of int, shape (trial, bin, neuron)

    Raises
    ------
    InputError
        If the population is unknown, the recording is empty, `bin_ms` or `start_ms` falls between time steps, or
        fewer than 3 bins fit.

    Examples
    --------
    >>> import numpy as np
    >>> from cortexsnn.recording import RecordedPopulation, make_recording
    >>> spikes = np.ones((1, 65, 1), dtype=int)
    >>> population = RecordedPopulation.from_counts("hidden1", "lif", spikes)
    >>> recording = make_recording([population], dt_s=0.001, trials=1, steps=65, source="example")
    >>> bin_counts(recording, "hidden1", bin_ms=20)[0, :, 0]
    array([20, 20, 20])
    """
    if population not in recording.children:
        raise InputError("population", population, f"one of {', '.join(recording.children)}")
    dt_ms = 1000 * float(recording.attrs["dt_s"])
    durations = steps_per_trial(recording)
    if durations.size == 0:
        raise InputError("number of trials in the recording", 0, "at least 1")
    if durations.min() < 1:
        raise InputError("number of time steps in the shortest trial", int(durations.min()), "at least 1")
    if not (math.isfinite(bin_ms) and bin_ms > 0):
        raise InputError("bin_ms", bin_ms, "a positive number of milliseconds")
    if not (math.isfinite(start_ms) and start_ms >= 0):
        raise InputError("start_ms", start_ms, "milliseconds from the start of the trial, at least 0")
    width = whole_steps("bin_ms", bin_ms, dt_ms, fewest=1)
    start = whole_steps("start_ms", start_ms, dt_ms, fewest=0)
    bins = (int(durations.min()) - start) // width
    if bins < MINIMUM_BINS:
        raise InputError("bin_ms", bin_ms,
                         f"bins of which at least {MINIMUM_BINS} fit between start_ms = {start_ms:g} and the end of "
                         f"the shortest trial at {durations.min() * dt_ms:g} ms")  # fmt: skip

    node = recording[population]
    neurons = node.sizes["neuron"]
    trial, step, neuron = (node[f"spike_{axis}"].to_numpy().astype(np.int64) for axis in ("trial", "step", "neuron"))
    which = (step - start) // width
    inside = (which >= 0) & (which < bins)
    cell = (trial[inside] * bins + which[inside]) * neurons + neuron[inside]
    return np.bincount(cell, minlength=durations.size * bins * neurons).reshape(durations.size, bins, neurons)
