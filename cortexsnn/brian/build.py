"""From a `Network` to an ordinary `brian2.Network`, with every part under its own name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import brian2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit_of
from cortexsnn.brian.equations import NeuronModel, NeuronModels, neuron_group
from cortexsnn.brian.fine_input import on_fine_steps
from cortexsnn.brian.layout import (
    TrialLayout,
    inside,
    replay_name,
    separate_trials,
    start_name,
    state_variables,
    unit_text,
)
from cortexsnn.brian.schedule import FEEDBACK_SLOT, slot, slots
from cortexsnn.brian.sources import count_variable, source_group
from cortexsnn.brian.values import circuit_values, set_values, start_values, started_variables, synapses_name
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, input_counts

__all__ = ["Assembled", "Plan", "assemble", "build", "known_populations", "layout_of", "trials_of"]


@dataclass(frozen=True)
class Plan:
    """Everything that decides which Brian2 objects there are, and so which program is compiled; no numbers.

    Parameters
    ----------
    circuit : Circuit
        Only its structure and its code count.
    layout : TrialLayout
        Where the trials stand in one run.
    graded : frozenset of str
        Input populations in which a channel may have several spikes in a step.
    record_potential : tuple of str
        Populations whose potential is monitored.
    continuing : bool
        Whether the run is a block of a longer trial.
    """

    circuit: Circuit
    layout: TrialLayout
    graded: frozenset[str]
    record_potential: tuple[str, ...] = ()
    continuing: bool = False

    def described(self) -> dict[str, Any]:
        """The plan as JSON can say it, with the structure of the network and the names of initial values."""
        return {
            "structure": {**self.network.structure(), "decoder": None},
            "layout": [self.layout.trials, self.layout.steps, self.layout.gap],
            "graded": sorted(self.graded),
            "models": {
                name: {**vars(model), "initial": sorted(model.initial), "memory": list(model.memory)}
                for name, model in self.models.items()
            },
            "synapses": {
                name: {"equations": model.equations, "on_pre": model.on_pre, "weights": sorted(model.weights)}
                for name, model in self.circuit.synapses.items()
            },
            "record_potential": list(self.record_potential),
            "continuing": self.continuing,
        }

    @classmethod
    def from_described(cls, described: Mapping[str, Any], network: Network) -> Plan:
        """The plan for a network of the described structure; numbers that models have of their own are left out."""
        neurons = {
            name: NeuronModel(
                **{**model, "initial": dict.fromkeys(model["initial"], 0.0), "memory": tuple(model["memory"])}
            )
            for name, model in described["models"].items()
        }
        of = {projection.name: projection.weight for projection in network.projections}
        synapses = {
            name: SynapseModel(model["equations"], model["on_pre"], dict.fromkeys(model["weights"], of[name]))
            for name, model in described["synapses"].items()
        }
        return cls(
            Circuit(network, {p.name: neurons[p.name] for p in network.order}, synapses),
            TrialLayout(*described["layout"]),
            frozenset(described["graded"]),
            tuple(described["record_potential"]),
            described["continuing"],
        )

    @property
    def network(self) -> Network:
        """Populations and projections."""
        return self.circuit.network

    @property
    def models(self) -> Mapping[str, NeuronModel]:
        """Models of all populations but the inputs."""
        return self.circuit.neurons

    @cached_property
    def state(self) -> dict[str, list[str]]:
        """State variables of every population."""
        return {name: state_variables(model) for name, model in self.models.items()}

    @cached_property
    def started(self) -> dict[str, list[str]]:
        """State variables of every population that do not start at 0."""
        return {
            name: started_variables(model, self.state[name], continuing=self.continuing)
            for name, model in self.models.items()
        }

    @property
    def with_potential(self) -> list[str]:
        """Populations with a monitor of the potential: readouts, and the ones asked for."""
        return [p.name for p in self.network.order if p.kind == "readout" or p.name in self.record_potential]


@dataclass(frozen=True, eq=False)
class Assembled:
    """A Brian2 network and the tables that it reads while it runs.

    Parameters
    ----------
    simulation : brian2.Network
    rasters : dict of str to brian2.TimedArray
        Input spikes by population.
    replays : dict of str to brian2.TimedArray
        Spikes that populations repeat before a block of a longer trial.
    """

    simulation: brian2.Network
    rasters: dict[str, brian2.TimedArray]
    replays: dict[str, brian2.TimedArray] = field(default_factory=dict)


def _synapses(
    projection: Projection,
    model: SynapseModel,
    tap: int,
    source: brian2.NeuronGroup,
    target: brian2.NeuronGroup,
    *,
    feedforward: bool,
    graded: bool,
) -> brian2.Synapses:
    """All synapses of one tap, which share one delay; the weights are still 0."""
    delay = projection.delay_steps[tap]
    synapses = brian2.Synapses(
        source,
        target,
        model.equations,
        on_pre=model.code(f"{count_variable(delay)}_pre" if graded else ""),
        delay=(delay if feedforward else delay - 1) * source.clock.dt,
        clock=source.clock,
        name=synapses_name(projection, tap),
    )
    synapses.connect()  # Brian2 numbers synapses source by source
    synapses.pre.when = slot("synapses", projection.target) if feedforward else FEEDBACK_SLOT
    return synapses


def _monitors(
    population: Population, group: brian2.NeuronGroup, with_potential: Collection[str]
) -> list[brian2.core.base.BrianObject]:
    monitors: list[brian2.core.base.BrianObject] = []
    if population.kind == "lif":
        monitors.append(brian2.SpikeMonitor(group, name=f"{population.name}_spikes"))
    if population.name in with_potential:
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


def _group(
    population: Population, plan: Plan, clock: brian2.Clock
) -> tuple[brian2.NeuronGroup, brian2.TimedArray | None]:
    """Neurons with what the layout of trials asks of them: values at the start, and spikes to repeat."""
    name = population.name
    model = plan.models[name]
    known = brian2.Equations(model.equations)
    parameters = "".join(f"\n{start_name(v)} : {unit_text(known[v].dim)} (constant)" for v in plan.started[name])
    model = replace(model, equations=f"{model.equations}\n{parameters}")
    if plan.layout.gap and population.kind == "lif" and ("v" in model.initial or model.threshold != "v > theta"):
        # Held at 0, a neuron could fire where rest is not 0, or by a condition of its own.
        model = replace(model, threshold=f"({model.threshold}) and {inside(plan.layout)} > 0")
    if not plan.continuing or population.kind != "lif":
        return neuron_group(population, model, clock), None
    # Beyond its end Brian2 repeats the last row of a table, so that one has to be silent.
    table = brian2.TimedArray(np.zeros((plan.layout.gap + 1, population.size)), dt=clock.dt, name=replay_name(name))
    model = replace(model, threshold=f"({model.threshold}) or ({table.name}(t, i) > 0.5)")
    group = neuron_group(population, model, clock)
    group.namespace[table.name] = table
    return group, table


def assemble(plan: Plan, rasters: Mapping[str, NDArray[np.uint8]]) -> Assembled:
    """Make all Brian2 objects of a network, without numbers (`cortexsnn.brian.values`).

    Parameters
    ----------
    plan : Plan
    rasters : mapping from input population to array of int, shape (time, channel)

    Returns
    -------
    Assembled
    """
    network = plan.network
    clock = brian2.Clock(network.dt_s * brian2.second, name="network_clock")
    groups: dict[str, brian2.NeuronGroup] = {}
    tables: dict[str, brian2.TimedArray] = {}
    replays: dict[str, brian2.TimedArray] = {}
    parts: list[brian2.core.base.BrianObject] = []
    for population in network.inputs:
        name = population.name
        delays = {d for q in network.projections if q.source == name for d in q.delay_steps}
        graded = delays if name in plan.graded else ()
        groups[name], tables[name] = source_group(name, rasters[name], clock, graded)
        parts.append(groups[name])
    for population in network.order:
        name = population.name
        group, replay = _group(population, plan, clock)
        if replay is not None:
            replays[name] = replay
        group.state_updater.when = slot("decay", name)
        for code, phase in (
            (plan.models[name].before_decay, "decay"),
            (plan.models[name].before_threshold, "threshold"),
        ):
            if code:
                group.run_regularly(code, when=slot(phase, name), order=-2, name=f"{name}_before_{phase}")
        if population.kind == "lif":
            group.thresholder["spike"].when = slot("threshold", name)
            group.resetter["spike"].when = slot("reset", name)
        groups[name] = group
        parts.append(group)
        parts.extend(_monitors(population, group, plan.with_potential))
    for projection in network.projections:
        parts.extend(
            _synapses(
                projection,
                plan.circuit.synapses[projection.name],
                tap,
                groups[projection.source],
                groups[projection.target],
                feedforward=network.is_feedforward(projection),
                graded=projection.source in plan.graded,
            )
            for tap in range(len(projection.delay_steps))
        )
    simulation = brian2.Network(parts)
    simulation.schedule = slots(network)
    if plan.layout.gap:
        separate_trials(simulation, network, plan.layout, plan.state, plan.started)
    return Assembled(simulation, tables, replays)


def layout_of(network: Network, counts: Mapping[str, NDArray[np.uint8]]) -> TrialLayout:
    """Where the trials of `build` stand: a single trial starts at once, several have gaps before them."""
    trials, steps = next(iter(counts.values())).shape[:2]
    return TrialLayout(1, steps, 0) if trials == 1 else TrialLayout.for_network(network, trials, steps)


def trials_of(circuit: Circuit, counts: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, NDArray[np.uint8]]:
    """Checked input spikes by population, shape (trial, time, channel); a single trial may come without that axis.

    They are given in the steps of the input, and returned in those in which the circuit runs.
    """
    several = counts if isinstance(counts, Mapping) else {p.name: counts for p in circuit.network.inputs[:1]}
    checked = input_counts(
        circuit.network,
        {name: np.asarray(c)[np.newaxis] if np.ndim(c) == 2 else np.asarray(c) for name, c in several.items()},
    )
    return {name: on_fine_steps(values, circuit.steps_per_bin) for name, values in checked.items()}


def build(
    network: Network | Circuit,
    counts: ArrayLike | Mapping[str, ArrayLike],
    *,
    models: NeuronModels | None = None,
    record_potential: Collection[str] = (),
) -> brian2.Network:
    """Turn a network into an ordinary `brian2.Network` that is ready to run.

    Parameters
    ----------
    network : Network or Circuit
        A circuit says what else than the exact twin it shall be (`cortexsnn.brian.circuit`).
    counts : array of int, shape (time, channel) or (trial, time, channel), or mapping from input population to such
        Input spikes. Several trials follow one another in one run, each after a gap in which every trace of the last
        one dies away.
    models : mapping from str to NeuronModel, optional
        Other equations for some populations (`cortexsnn.brian.neuron_model`).
    record_potential : collection of str
        Spiking populations whose membrane potential is monitored too; that of readouts always is.

    Returns
    -------
    brian2.Network
        Its parts carry the names of the network: ``simulation["hidden1"]`` is a NeuronGroup,
        ``simulation["hidden1_spikes"]`` a SpikeMonitor, ``simulation["readout_potential"]`` a StateMonitor,
        ``simulation["input_to_hidden1"]`` a Synapses. A projection with several taps is one Synapses for each
        delay, ``simulation["input_to_hidden1_delay3"]``. All parts share the clock ``simulation["hidden1"].clock``;
        Brian2's ``defaultclock`` is left alone. Add to it what you like; `cortexsnn.brian.run` runs it and gives back
        a recording, or call its own ``run``.

    Raises
    ------
    InputError
        If the input or a model does not fit the network.

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
    chosen = circuit_of(network, models)
    checked = trials_of(chosen, counts)
    plan = Plan(
        chosen,
        layout_of(chosen.network, checked),
        frozenset(name for name, values in checked.items() if values.max(initial=0) > 1),
        tuple(known_populations(chosen.network, record_potential)),
    )
    # Beyond its end Brian2 repeats the last row of a raster, so that one has to be silent.
    rasters = {name: np.pad(plan.layout.raster(values), ((0, 1), (0, 0))) for name, values in checked.items()}
    simulation = assemble(plan, rasters).simulation
    set_values(simulation, {**circuit_values(chosen), **start_values(plan.models, plan.started, None)})
    if not plan.layout.gap:
        for name, variables in plan.started.items():
            for variable in variables:
                setattr(simulation[name], f"{variable}_", plan.models[name].initial[variable])
    return simulation


def known_populations(network: Network, names: Collection[str]) -> list[str]:
    """`names` in alphabetical order, if they are populations with a membrane potential."""
    unknown = sorted(set(names) - {p.name for p in network.order})
    if unknown:
        raise InputError("record_potential", unknown[0], f"one of {', '.join(p.name for p in network.order)}")
    return sorted(names)
