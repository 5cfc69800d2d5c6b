"""Trials and neurons as independent units, made a batch at a time so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cortexsnn.timescales.activity import SpikeTrains

__all__ = ["Events", "trains_of_units"]

Values = NDArray[np.float64]

# Unit of each event and its time in seconds, sorted by unit, then time.
Events = tuple[NDArray[np.int64], Values]

_NUMBERS_AT_A_TIME = 2_000_000


def trains_of_units(
    make: Callable[[int, int], Events], *, neurons: int, trials: int, duration_s: float, numbers_per_unit: float
) -> SpikeTrains:
    """Make the trains of all units and put them together.

    Parameters
    ----------
    make : function
        Given the first unit and the number of units of a batch, returns their events, units counted from the first.
        Unit ``neuron * trials + trial`` is one neuron in one trial.
    neurons, trials : int
    duration_s : float
        Events at this time or later are dropped.
    numbers_per_unit : float
        How many numbers one unit needs while it is made; a batch is as many units as fit.

    Returns
    -------
    SpikeTrains
    """
    units = neurons * trials
    batch = max(1, int(_NUMBERS_AT_A_TIME / max(1.0, numbers_per_unit)))
    of_unit, times = [], []
    for begin in range(0, units, batch):
        unit, time = make(begin, min(batch, units - begin))
        inside = time < duration_s
        of_unit.append(unit[inside] + begin)
        times.append(time[inside])
    neuron, trial = np.divmod(np.concatenate(of_unit), trials)
    return SpikeTrains(np.concatenate(times), trial, neuron, np.full(trials, duration_s), np.arange(neurons))
