"""The same network in Brian2's default order of events, for users who want no slots of their own.

There (start, groups, thresholds, synapses, resets, end) a spike acts after the threshold of its step, and so reaches
its target one step late and through one more decay. All of a population therefore happens some steps late, its lag: at
step t + lag it does what the exact twin does at step t, to the last spike. A spike that the twin delivers after d steps
waits d - 1 + lag of the target - lag of the source steps in Brian2, and its weight is divided by the decay that it will
still meet. The lags are the smallest for which no such wait is negative.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import brian2
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cortexsnn.brian.blocks import Monitored
from cortexsnn.brian.build import known_populations, layout_of, trials_of
from cortexsnn.brian.circuit import SynapseModel, circuit
from cortexsnn.brian.equations import NeuronModel, neuron_group, on_pre
from cortexsnn.brian.layout import TrialLayout, state_variables
from cortexsnn.brian.run import plan_by_hand, recorded
from cortexsnn.brian.runtime import monitored
from cortexsnn.brian.sources import count_variable, source_group
from cortexsnn.brian.values import circuit_values, set_values, synapses_name
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

__all__ = ["build_in_default_order", "lags", "run_in_default_order"]


def _loop(name: str, fed_by: Mapping[str, Projection]) -> list[Projection]:
    """Projections of the loop that is found by going from a population upstream again and again."""
    for _ in fed_by:
        name = fed_by[name].source
    loop = [fed_by[name]]
    while loop[-1].source != name:
        loop.append(fed_by[loop[-1].source])
    return loop[::-1]


def _too_fast(network: Network, loop: list[Projection]) -> InputError:
    """What to say of a loop whose delays are shorter than the steps that it takes."""
    missing = sum(1 - min(projection.delay_steps) for projection in loop)
    late = next(projection for projection in loop if not network.is_feedforward(projection))
    shortest = min(late.delay_steps)
    way = " -> ".join([loop[0].source, *(projection.target for projection in loop)])
    return InputError(f"shortest delay of projection '{late.name}'", shortest,
                      f"at least {shortest + missing} steps in Brian2's default order, where each of the {len(loop)} "
                      f"projections of the loop {way} takes a step",
                      "cortexsnn.brian.build runs the network as it is")  # fmt: skip


def lags(network: Network) -> dict[str, int]:
    """Steps by which each population is late in Brian2's default order.

    Parameters
    ----------
    network : Network

    Returns
    -------
    dict of str to int
        By population, from the inputs, which are never late, to the last in the order of updates. Without delays it
        is the number of projections on the longest way from an input; a delay makes up for the step that a
        projection takes.

    Raises
    ------
    InputError
        If a loop of projections has less delay than it has projections: then a spike would come back too late.

    Examples
    --------
    >>> network = Network(
    ...     0.01,
    ...     (
    ...         Population.input("input", 1),
    ...         Population.lif("hidden1", 1, tau_s=0.02),
    ...         Population.lif("hidden2", 1, tau_s=0.02),
    ...     ),
    ...     (Projection("input", "hidden1", [[1.0]]), Projection("hidden1", "hidden2", [[[1.0]], [[0.5]]], (0, 3))),
    ... )
    >>> lags(network)
    {'input': 0, 'hidden1': 1, 'hidden2': 2}
    """
    late = {population.name: 0 for population in network.inputs + network.order}
    fed_by: dict[str, Projection] = {}
    raised = ""
    # The longest way; where it still grows after as many rounds as there are populations, it runs in a loop.
    for _ in late:
        raised = ""
        for projection in network.projections:
            needed = late[projection.source] + 1 - min(projection.delay_steps)
            if needed > late[projection.target]:
                late[projection.target] = needed
                fed_by[projection.target] = projection
                raised = projection.target
        if not raised:
            return late
    raise _too_fast(network, _loop(raised, fed_by))


def _silent_before(model: NeuronModel, lag: int) -> NeuronModel:
    """The model with a bias that begins when the lag is over; nothing else can move a neuron before."""
    if not lag:
        return model
    started = f"started = int(t_in_timesteps >= {lag}) : 1 (constant over dt)\n"
    return replace(model, equations=model.equations.replace("drive = bias", "drive = bias*started") + started)


def _neurons(
    population: Population, model: NeuronModel, lag: int, layout: TrialLayout, clock: brian2.Clock
) -> brian2.NeuronGroup:
    """Neurons of one population in the standard slots, held still between the trials."""
    group = neuron_group(population, _silent_before(model, lag), clock)
    if population.reset == "zero" and population.kind == "lif":
        # After all thresholds, but before the synapses, whose input is already that of the next step.
        group.resetter["spike"].when, group.resetter["spike"].order = "thresholds", 1
    if layout.gap:
        inside = f"int((t_in_timesteps + {-lag % layout.period}) % {layout.period} >= {layout.gap})"
        group.run_regularly(
            "\n".join(f"{variable} *= {inside}" for variable in state_variables(model)),
            when="thresholds",
            order=-2,
            name=f"{population.name}_between_trials",
        )
    return group


def _monitors(
    population: Population, group: brian2.NeuronGroup, *, with_potential: bool
) -> list[brian2.core.base.BrianObject]:
    monitors: list[brian2.core.base.BrianObject] = []
    if population.kind == "lif":
        monitors.append(brian2.SpikeMonitor(group, name=f"{population.name}_spikes"))
    if with_potential:
        # V[t] as the threshold sees it: after the decay, before any spike of the step.
        monitors.append(
            brian2.StateMonitor(
                group,
                "v",
                record=True,
                when="thresholds",
                order=-1,
                clock=group.clock,
                name=f"{population.name}_potential",
            )
        )
    return monitors


def _synapses(
    projection: Projection,
    tap: int,
    wait: int,
    source: brian2.NeuronGroup,
    target: brian2.NeuronGroup,
    population: Population,
    *,
    graded: bool,
) -> brian2.Synapses:
    """All synapses of one tap; the weights are still 0."""
    synapses = brian2.Synapses(
        source,
        target,
        "w : 1",
        on_pre=SynapseModel("w : 1", on_pre(population, feedforward=False)).code(
            f"{count_variable(wait)}_pre" if graded else ""
        ),
        delay=wait * source.clock.dt,
        clock=source.clock,
        name=synapses_name(projection, tap),
    )
    synapses.connect()  # Brian2 numbers synapses source by source
    return synapses


def build_in_default_order(
    network: Network, counts: ArrayLike | Mapping[str, ArrayLike], *, record_potential: Collection[str] = ()
) -> brian2.Network:
    """Turn a network into a `brian2.Network` that keeps Brian2's default schedule, each population late by its lag.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (time, channel) or (trial, time, channel), or mapping from input population to such
        Input spikes. Several trials follow one another in one run, as in `cortexsnn.brian.build`.
    record_potential : collection of str
        Spiking populations whose membrane potential is monitored too; that of readouts always is.

    Returns
    -------
    brian2.Network
        Parts are named as those of `cortexsnn.brian.build`. What a population's monitors show is late by
        ``lags(network)[name]`` steps, so that the run has to be longer by the largest lag;
        `run_in_default_order` does both.

    Raises
    ------
    InputError
        If the input does not fit the network, or a loop of projections is too fast for the default order.

    Examples
    --------
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> simulation = build_in_default_order(network, np.ones((5, 1)))
    >>> simulation.schedule
    ['start', 'groups', 'thresholds', 'synapses', 'resets', 'end']
    >>> brian2.prefs.codegen.target = "numpy"
    >>> simulation.run(60 * brian2.ms)
    >>> simulation["hidden1_spikes"].t / brian2.ms  # the exact twin fires at 10 and 30 ms
    array([20., 40.])
    """
    late = lags(network)
    exact = circuit(network)
    checked = trials_of(exact, counts)
    layout = layout_of(network, checked)
    recorded = {*known_populations(network, record_potential), *(p.name for p in network.readouts)}
    graded = {name for name, values in checked.items() if values.max(initial=0) > 1}
    waits = {
        q.name: [delay - 1 + late[q.target] - late[q.source] for delay in q.delay_steps] for q in network.projections
    }
    clock = brian2.Clock(network.dt_s * brian2.second, name="network_clock")
    groups: dict[str, brian2.NeuronGroup] = {}
    parts: list[brian2.core.base.BrianObject] = []
    for name, values in checked.items():
        # Beyond its end Brian2 repeats the last row of a raster, so that one has to be silent.
        raster = np.pad(layout.raster(values), ((0, max(late.values()) + 1), (0, 0)))
        asked = {wait for q in network.projections if q.source == name for wait in waits[q.name]}
        groups[name], _ = source_group(name, raster, clock, asked if name in graded else ())
        groups[name].thresholder["spike"].when = "thresholds"
    for population in network.order:
        name = population.name
        groups[name] = _neurons(population, exact.neurons[name], late[name], layout, clock)
        parts += _monitors(population, groups[name], with_potential=name in recorded)
    for projection in network.projections:
        source, target = projection.source, projection.target
        parts += [
            _synapses(projection, tap, wait, groups[source], groups[target], network[target], graded=source in graded)
            for tap, wait in enumerate(waits[projection.name])
        ]
    simulation = brian2.Network([*groups.values(), *parts])
    set_values(simulation, circuit_values(exact))
    return simulation


def _without_lags(monitored: Monitored, late: Mapping[str, int], steps: int) -> Monitored:
    """What the exact twin would have shown in so many steps."""
    spikes = {}
    for name, (step, neuron) in monitored.spikes.items():
        step = step - late[name]
        kept = (step >= 0) & (step < steps)
        spikes[name] = (step[kept], neuron[kept])
    potentials = {name: v[late[name] : late[name] + steps] for name, v in monitored.potentials.items()}
    return Monitored(spikes, potentials, {})


def run_in_default_order(
    simulation: brian2.Network, network: Network, counts: ArrayLike | Mapping[str, ArrayLike]
) -> xr.DataTree:
    """Run what `build_in_default_order` made, with whatever was added to it, and take the lags out of what it recorded.

    Parameters
    ----------
    simulation : brian2.Network
        Not run before.
    network : Network
        What it was built of.
    counts : array of int, shape (time, channel) or (trial, time, channel), or mapping from input population to such
        The input with which it was built.

    Returns
    -------
    xarray.DataTree
        A recording (`cortexsnn.recording`) whose steps are those of `cortexsnn.brian.run` and of the reference.
        Your own monitors keep what they saw, lags included.

    Examples
    --------
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> brian2.prefs.codegen.target = "numpy"
    >>> simulation = build_in_default_order(network, np.ones((5, 1)))
    >>> run_in_default_order(simulation, network, np.ones((5, 1)))["hidden1"]["spike_step"].values
    array([1, 3], dtype=int32)
    """
    late = lags(network)
    plan, checked = plan_by_hand(simulation, network, counts)
    total = plan.layout.total_steps
    simulation.run((total + max(late.values())) * network.dt_s * brian2.second)
    seen = _without_lags(monitored(plan, simulation), late, total)
    return recorded(plan, checked, seen, "brian2, default order", lags=late)
