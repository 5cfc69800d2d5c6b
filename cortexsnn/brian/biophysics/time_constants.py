"""All membrane time constants of a circuit longer or shorter, by the capacitance or by the leak."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.biophysics.deviations import ADAPTING
from cortexsnn.brian.biophysics.spike_effects import added_by_spike, hidden_weight
from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit_of
from cortexsnn.brian.equations import NeuronModel
from cortexsnn.checks import choice, names_among, positive
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

__all__ = ["scale_tau"]

FloatArray = NDArray[np.float64]


def scale_tau(
    circuit: Circuit | Network,
    factor: float,
    populations: str | Collection[str] | None = None,
    *,
    by: Literal["capacitance", "leak"] = "capacitance",
) -> Circuit:
    """Multiply the membrane time constants of spiking populations, tau = C/g_L, by one factor.

    Which of the two a membrane changes decides what happens to its drive:

    ===============  ==============================  ===================================================
    ``by``           jump of the potential by spike  steady potential of a steady drive
    ===============  ==============================  ===================================================
    ``capacitance``  (1 - alpha')/(1 - alpha) of it  as it was: mean drive and, roughly, rates are kept
    ``leak``         as it was                       (1 - alpha)/(1 - alpha') of it: about `factor` times
    ===============  ==============================  ===================================================

    with alpha = exp(-dt/tau), so that the jump falls to about 1/`factor`. All that flows stays as it is: the bias,
    synaptic currents, conductances, background and adaptation currents. So do thresholds, and readouts, which decode.
    In finer steps, trials start with what the bias now adds before the first input (`physical_models.start`).

    Parameters
    ----------
    circuit : Circuit or Network
    factor : float
        2 doubles the time constants.
    populations : str or collection of str, optional
        All spiking ones if not given.
    by : {"capacitance", "leak"}

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If the factor is not above 0, there is no such spiking population, its equations have neither a parameter
        tau nor C and g_L, or the code of its synapses does not show its weights.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> slow = scale_tau(circuit(network), 2.0).network
    >>> slow["hidden1"].tau_s.item(), round(slow.projections[0].weight.item(), 3)
    (0.04, 0.45)
    """
    circuit = circuit_of(circuit)
    positive("factor", factor, "a number above 0")
    choice("by", by, ("capacitance", "leak"))
    network = circuit.network
    spiking = [p.name for p in network.hidden]
    names = names_among("populations", populations, spiking)
    scaled, gains, models = {}, {}, {}
    early_s = (circuit.steps_per_bin - 1) * network.dt_s
    for name in names:
        before = network[name]
        after = replace(before, tau_s=before.tau_s * factor)
        share = np.expm1(-network.dt_s / after.tau_s) / np.expm1(-network.dt_s / before.tau_s)
        gains[name] = share if by == "capacitance" else np.ones(before.size)
        # The bias of a step is what a steady current brings in it, and that current flows through the new leak.
        scaled[name] = replace(after, bias=before.bias * share * (1.0 if by == "capacitance" else factor))
        models[name] = _slower(circuit.neurons[name], before, factor, by, early_s)
    projections, synapses = [], {}
    for given in network.projections:
        gain = gains.get(given.target, np.ones(network[given.target].size))[:, np.newaxis]
        projections.append(replace(given, weight=given.weight * gain))
        synapses[given.name] = _jumps(circuit, given, gain)
    slower = replace(
        circuit,
        network=replace(
            network,
            populations=tuple(scaled.get(p.name, p) for p in network.populations),
            projections=tuple(projections),
        ),
        neurons={name: models.get(name, model) for name, model in circuit.neurons.items()},
        synapses=synapses,
    )
    words = f"membrane time constants times {factor:g} by the {by}: {', '.join(names)}"
    return replace(slower, changes=(*circuit.changes, words))


def _slower(model: NeuronModel, population: Population, factor: float, by: str, early_s: float) -> NeuronModel:
    """The model with what it has of the membrane itself; tau and bias of the exact twin are the network's."""
    known = brian2.Equations(model.equations).parameter_names
    values: dict[str, Any] = dict(model.initial)
    if {"C", "g_L"} <= set(known):
        name = "C" if by == "capacitance" else "g_L"
        if name not in values:
            raise InputError(f"initial of population '{population.name}'", sorted(values), f"a value of {name}")
        values[name] = values[name] * factor if by == "capacitance" else values[name] / factor
        if early_s > 0 and "v" in values:
            # The bias has flowed for this long before the first input, towards a level that a leak changes.
            level = 1.0 if by == "capacitance" else factor
            share = np.expm1(-early_s / (population.tau_s * factor)) / np.expm1(-early_s / population.tau_s)
            rest = values.get("E_L", 0.0)
            values["v"] = rest + (values["v"] - rest) * level * share
    elif "tau" not in known:
        raise InputError(f"equations of population '{population.name}'", model.equations,
                         "a parameter tau, or C and g_L")  # fmt: skip
    else:
        if "tau" in values:
            values["tau"] = values["tau"] * factor
        if by == "leak" and "kick" in values and ADAPTING["tau"][0] in model.equations:
            # Divided by tau, and not by C, the current stays as it is if it grows with tau.
            values["kick"] = values["kick"] * factor
    if "alpha_bin" in values:
        # What a spike takes off is a whole threshold at the end of a trained step, with the new decay over it.
        values["alpha_bin"] = values["alpha_bin"] ** (1 / factor)
    return replace(model, initial=values)


def _jumps(circuit: Circuit, projection: Projection, gain: FloatArray) -> SynapseModel:
    """The synapses with other jumps of the potential; currents and conductances stay."""
    model = circuit.synapses[projection.name]
    if np.all(gain == 1):
        return model
    known = brian2.Equations(circuit.neurons[projection.target].equations)
    jumps: set[str] = set()
    for variable, weights in added_by_spike(model, projection):
        if variable == "v" and not weights:
            raise hidden_weight(model, projection)
        # What waits until the potential takes it up has no equation of its own.
        waits = variable in known and variable not in known.diff_eq_names
        if variable == "v" or (waits and brian2.have_same_dimensions(known[variable].unit, known["v"].unit)):
            jumps |= weights
    if not model.weights and "w" in jumps:
        return model  # its weights are those of the network
    values = model.values(projection)
    return replace(model, weights={name: value * gain if name in jumps else value for name, value in values.items()})
