"""Input channels as Brian2 neurons that fire given spikes, several in one step included.

A Brian2 neuron fires at most once in a step. A channel that fires up to m times in a step is therefore m sources,
of which the first c fire when the count is c. They share the weights of the channel, so that delayed taps count
right as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.schedule import INPUT_SLOT

__all__ = ["Sources", "source_group"]

_MODEL = """
spikes_in_step = {raster}(t, channel) : 1
channel : integer (constant)
level : 1 (constant)
"""


@dataclass(frozen=True, eq=False)
class Sources:
    """Which neurons stand for which channels.

    Parameters
    ----------
    channel : array of int, shape (source,)
        Channel of each source.
    level : array of int, shape (source,)
        The source fires when the channel has at least this many spikes in the step.
    """

    channel: NDArray[np.int64]
    level: NDArray[np.int64]

    @classmethod
    def for_counts(cls, counts: NDArray[np.uint8]) -> Sources:
        """As many sources for each channel as the busiest step of all needs, rounded up to a power of two.

        The same for all channels, and rounded, so that other trials of the same kind fit the same compiled program.

        Parameters
        ----------
        counts : array, shape (..., channel)

        Returns
        -------
        Sources

        Examples
        --------
        >>> sources = Sources.for_counts(np.array([[0, 3], [1, 0]], dtype=np.uint8))
        >>> sources.channel
        array([0, 0, 0, 0, 1, 1, 1, 1])
        >>> sources.level
        array([1, 2, 3, 4, 1, 2, 3, 4])
        """
        busiest = max(1, int(counts.max(initial=0)))
        levels = 1 << (busiest - 1).bit_length()
        channels = counts.shape[-1]
        return cls(np.repeat(np.arange(channels), levels), np.tile(np.arange(1, levels + 1), channels))


def source_group(
    name: str, raster: NDArray[np.uint8], sources: Sources, clock: brian2.Clock
) -> tuple[brian2.NeuronGroup, brian2.TimedArray]:
    """Neurons that fire the spikes of a raster.

    Parameters
    ----------
    name : str
        Name of the population.
    raster : array of int, shape (time, channel)
        Number of spikes of each channel in each step.
    sources : Sources
        Which neurons stand for which channels.
    clock : brian2.Clock
        Clock with the time step of the network.

    Returns
    -------
    group : brian2.NeuronGroup
    table : brian2.TimedArray
        The raster as Brian2 reads it.

    Examples
    --------
    >>> raster = np.array([[0], [2]], dtype=np.uint8)
    >>> clock = brian2.Clock(10 * brian2.ms)
    >>> group, table = source_group("input", raster, Sources.for_counts(raster), clock)
    >>> len(group), table.values.tolist()
    (2, [[0.0], [2.0]])
    """
    table = brian2.TimedArray(raster.astype(np.float64), dt=clock.dt, name=f"{name}_raster")
    group = brian2.NeuronGroup(
        sources.channel.size,
        _MODEL.format(raster=table.name),
        threshold="spikes_in_step >= level",
        reset="",
        clock=clock,
        name=name,
        namespace={table.name: table},
    )
    group.channel = sources.channel
    group.level = sources.level
    group.thresholder["spike"].when = INPUT_SLOT
    return group, table
