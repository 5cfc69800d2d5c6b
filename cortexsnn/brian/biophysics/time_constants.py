"""All membrane time constants of a circuit longer or shorter, by the capacitance or by the leak."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.circuit import Circuit, SynapseModel
from cortexsnn.brian.equations import NeuronModel
from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.network import Population

__all__ = ["scale_tau"]

FloatArray = NDArray[np.float64]


def scale_tau(
    circuit: Circuit,
    factor: float,
    populations: Collection[str] | None = None,
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

    Parameters
    ----------
    circuit : Circuit
    factor : float
        2 doubles the time constants.
    populations : collection of str, optional
        All spiking ones if not given.
    by : {"capacitance", "leak"}

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If the factor is not above 0, there is no such spiking population, or its equations have neither a parameter
        tau nor C and g_L.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> slow = scale_tau(circuit(network), 2.0).network
    >>> slow["hidden1"].tau_s.item(), round(slow.projections[0].weight.item(), 3)
    (0.04, 0.45)
    """
    positive("factor", factor, "a number above 0")
    choice("by", by, ("capacitance", "leak"))
    network = circuit.network
    spiking = [p.name for p in network.hidden]
    names = spiking if populations is None else list(populations)
    unknown = [name for name in names if name not in spiking]
    if unknown:
        raise InputError("population in populations", unknown[0], f"one of {', '.join(spiking)}")
    scaled, gains, models = {}, {}, {}
    for name in names:
        before = network[name]
        after = replace(before, tau_s=before.tau_s * factor)
        share = np.expm1(-network.dt_s / after.tau_s) / np.expm1(-network.dt_s / before.tau_s)
        gains[name] = share if by == "capacitance" else np.ones(before.size)
        # The bias of a step is what a steady current brings in it, and that current flows through the new leak.
        scaled[name] = replace(after, bias=before.bias * share * (1.0 if by == "capacitance" else factor))
        models[name] = _slower(circuit.neurons[name], before, factor, by)
    projections, synapses = [], {}
    for given in network.projections:
        gain = gains.get(given.target, np.ones(network[given.target].size))[:, np.newaxis]
        projections.append(replace(given, weight=given.weight * gain))
        synapses[given.name] = _jumps(circuit.synapses[given.name], gain)
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


def _slower(model: NeuronModel, population: Population, factor: float, by: str) -> NeuronModel:
    """The model with what it has of the membrane itself; tau and bias of the exact twin are the network's."""
    known = brian2.Equations(model.equations).parameter_names
    values: dict[str, Any] = dict(model.initial)
    if {"C", "g_L"} <= set(known):
        name = "C" if by == "capacitance" else "g_L"
        values[name] = values[name] * factor if by == "capacitance" else values[name] / factor
    elif "tau" not in known:
        raise InputError(f"equations of population '{population.name}'", model.equations,
                         "a parameter tau, or C and g_L")  # fmt: skip
    elif "tau" in values:
        values["tau"] = values["tau"] * factor
    if "alpha_bin" in values:
        # What a spike takes off is a whole threshold at the end of a trained step, with the new decay over it.
        values["alpha_bin"] = values["alpha_bin"] ** (1 / factor)
    return replace(model, initial=values)


def _jumps(model: SynapseModel, gain: FloatArray) -> SynapseModel:
    """Weights that are jumps of the potential, in volts or without unit; those of currents and conductances stay."""
    known = brian2.Equations(model.equations)
    jumps = {
        name
        for name in model.weights
        for unit in (1, brian2.volt)
        if brian2.have_same_dimensions(known[name].unit, unit)
    }
    return replace(
        model, weights={name: values * gain if name in jumps else values for name, values in model.weights.items()}
    )
