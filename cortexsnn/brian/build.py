"""From a `Network` to an ordinary `brian2.Network`, with every part under its own name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import brian2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.brian.equations import lif_group, on_pre, readout_group
from cortexsnn.brian.schedule import FEEDBACK_SLOT, slot, slots
from cortexsnn.brian.sources import Sources, source_group
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, input_counts

__all__ = ["assemble", "build"]


def _synapses(
    projection: Projection,
    tap: int,
    source: brian2.NeuronGroup,
    channel: NDArray[np.int64],
    target: brian2.NeuronGroup,
    population: Population,
    *,
    feedforward: bool,
) -> brian2.Synapses:
    """All synapses of one tap, which share one delay."""
    delay = projection.delay_steps[tap]
    brian_delay = delay if feedforward else delay - 1
    several = len(projection.delay_steps) > 1
    synapses = brian2.Synapses(
        source,
        target,
        "w : 1",
        on_pre=on_pre(population, feedforward=feedforward),
        delay=brian_delay * source.clock.dt,
        clock=source.clock,
        name=f"{projection.name}_delay{delay}" if several else projection.name,
    )
    synapses.connect()
    synapses.w = projection.weight[tap].T[channel].ravel()  # Brian2 numbers synapses source by source
    synapses.pre.when = slot("synapses", population.name) if feedforward else FEEDBACK_SLOT
    return synapses


def _monitors(
    population: Population, group: brian2.NeuronGroup, record_potential: Collection[str]
) -> list[brian2.core.base.BrianObject]:
    monitors: list[brian2.core.base.BrianObject] = []
    if population.kind == "lif":
        monitors.append(brian2.SpikeMonitor(group, name=f"{population.name}_spikes"))
    if population.kind == "readout" or population.name in record_potential:
        # A StateMonitor shows the beginning of the step unless it is told when to look.
        monitors.append(
            brian2.StateMonitor(
                group,
                "v",
                record=True,
                when=slot("record", population.name),
                clock=group.clock,
                name=f"{population.name}_potential",
            )
        )
    return monitors


def assemble(
    network: Network,
    rasters: Mapping[str, NDArray[np.uint8]],
    sources: Mapping[str, Sources],
    record_potential: Collection[str] = (),
) -> tuple[brian2.Network, dict[str, brian2.TimedArray]]:
    """Make all Brian2 objects of a network for one run over given rasters.

    Parameters
    ----------
    network : Network
    rasters : mapping from input population to array of int, shape (time, channel)
    sources : mapping from input population to Sources
        Fixed apart from the rasters, so that one compiled program serves several rasters.
    record_potential : collection of str
        Spiking populations whose V[t] is monitored.

    Returns
    -------
    simulation : brian2.Network
    tables : dict of str to brian2.TimedArray
        The rasters as Brian2 reads them, by input population.
    """
    clock = brian2.Clock(network.dt_s * brian2.second, name="network_clock")
    groups: dict[str, brian2.NeuronGroup] = {}
    tables: dict[str, brian2.TimedArray] = {}
    channels: dict[str, NDArray[np.int64]] = {}
    parts: list[brian2.core.base.BrianObject] = []
    for population in network.inputs:
        name = population.name
        groups[name], tables[name] = source_group(name, rasters[name], sources[name], clock)
        channels[name] = sources[name].channel
        parts.append(groups[name])
    for population in network.order:
        name = population.name
        group = lif_group(population, clock) if population.kind == "lif" else readout_group(population, clock)
        group.state_updater.when = slot("decay", name)
        if population.kind == "lif":
            group.thresholder["spike"].when = slot("threshold", name)
            group.resetter["spike"].when = slot("reset", name)
        groups[name], channels[name] = group, np.arange(population.size)
        parts.append(group)
        parts.extend(_monitors(population, group, record_potential))
    for projection in network.projections:
        feedforward = network.is_feedforward(projection)
        parts.extend(
            _synapses(
                projection,
                tap,
                groups[projection.source],
                channels[projection.source],
                groups[projection.target],
                network[projection.target],
                feedforward=feedforward,
            )
            for tap in range(len(projection.delay_steps))
        )
    simulation = brian2.Network(parts)
    simulation.schedule = slots(network)
    return simulation, tables


def build(
    network: Network, counts: ArrayLike | Mapping[str, ArrayLike], *, record_potential: Collection[str] = ()
) -> brian2.Network:
    """Turn a network into an ordinary `brian2.Network` that is ready to run on one trial.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (time, channel), or mapping from input population to such an array
        Input spikes of the trial.
    record_potential : collection of str
        Spiking populations whose membrane potential is monitored too; that of readouts always is.

    Returns
    -------
    brian2.Network
        Its parts carry the names of the network: ``simulation["hidden1"]`` is a NeuronGroup,
        ``simulation["hidden1_spikes"]`` a SpikeMonitor, ``simulation["readout_potential"]`` a StateMonitor,
        ``simulation["input_to_hidden1"]`` a Synapses. A projection with several taps is one Synapses for each
        delay, ``simulation["input_to_hidden1_delay3"]``. All parts share the clock ``simulation["hidden1"].clock``;
        Brian2's ``defaultclock`` is left alone.

    Raises
    ------
    InputError
        If the input does not fit the network.

    Examples
    --------
    >>> import brian2, numpy as np
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> simulation = build(network, np.ones((5, 1)))
    >>> brian2.prefs.codegen.target = "numpy"
    >>> simulation.run(50 * brian2.ms)
    >>> simulation["hidden1_spikes"].t / brian2.ms
    array([10., 30.])
    """
    several = counts if isinstance(counts, Mapping) else {p.name: counts for p in network.inputs[:1]}
    for name, raster in several.items():
        if np.ndim(raster) != 2:
            raise InputError(f"shape of spike counts for '{name}'", np.shape(raster), "(time, channel)",
                             "build makes one trial; simulate runs many")  # fmt: skip
    rasters = {
        name: raster[0]
        for name, raster in input_counts(
            network, {name: np.asarray(raster)[np.newaxis] for name, raster in several.items()}
        ).items()
    }
    sources = {name: Sources.for_counts(raster) for name, raster in rasters.items()}
    return assemble(network, rasters, sources, record_potential)[0]
