"""Input channels as Brian2 neurons that fire where a raster says so.

A Brian2 neuron fires at most once in a step. Where a channel may have several spikes in a step ("graded" input), its
neuron fires once and every synapse multiplies its weight by the number of spikes. A synapse with a delay has to know
the number at the time of the spike, which the raster tells: one variable for each delay.
"""

from __future__ import annotations

from collections.abc import Collection

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.schedule import INPUT_SLOT

__all__ = ["count_variable", "source_group"]


def count_variable(delay_steps: int) -> str:
    """Name of the variable that holds the number of spikes so many steps ago.

    Parameters
    ----------
    delay_steps : int

    Returns
    -------
    str

    Examples
    --------
    >>> count_variable(3)
    'count_before_3'
    """
    return f"count_before_{delay_steps}"


def source_group(
    name: str,
    raster: NDArray[np.uint8],
    clock: brian2.Clock,
    graded_delays: Collection[int] = (),
) -> tuple[brian2.NeuronGroup, brian2.TimedArray]:
    """Neurons that fire the spikes of a raster.

    Parameters
    ----------
    name : str
        Name of the population.
    raster : array of int, shape (time, channel)
        Number of spikes of each channel in each step.
    clock : brian2.Clock
        Clock with the time step of the network.
    graded_delays : collection of int
        Delays in steps for which synapses ask for the number of spikes; empty where no step has more than one.

    Returns
    -------
    group : brian2.NeuronGroup
    table : brian2.TimedArray
        The raster as Brian2 reads it.

    Examples
    --------
    >>> raster = np.array([[0], [2]], dtype=np.uint8)
    >>> clock = brian2.Clock(10 * brian2.ms)
    >>> group, table = source_group("input", raster, clock, graded_delays=[0])
    >>> len(group), table.values.tolist()
    (1, [[0.0], [2.0]])
    """
    table = brian2.TimedArray(raster.astype(np.float64), dt=clock.dt, name=f"{name}_raster")
    counts = "".join(
        f"{count_variable(delay)} = {table.name}(t - {delay}*dt, i) : 1 (constant over dt)\n"
        for delay in sorted(graded_delays)
    )
    group = brian2.NeuronGroup(
        raster.shape[1],
        f"spikes_in_step = {table.name}(t, i) : 1\n{counts}",
        threshold="spikes_in_step > 0.5",
        reset="",
        clock=clock,
        name=name,
        namespace={table.name: table},
    )
    group.thresholder["spike"].when = INPUT_SLOT
    return group, table
