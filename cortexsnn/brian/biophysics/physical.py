"""From a trained network to a circuit that is as biophysical as a `Realism` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn import reference
from cortexsnn.brian.biophysics.physical_models import physical_neuron, physical_synapse, start
from cortexsnn.brian.biophysics.realism import Realism, require_realism
from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit, synapse_model
from cortexsnn.brian.equations import NeuronModel, neuron_model, parameters
from cortexsnn.checks import number
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

__all__ = ["fine_network", "mean_potential", "realistic"]


def mean_potential(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, float]:
    """Mean potential of every spiking population of the exact twin, on the way from rest to threshold.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from input population to such
        Some trials of the task: ten are plenty.

    Returns
    -------
    dict of str to float
        Mean of V/theta over trials, steps and neurons, from 0 for rest to 1 for the threshold; what lies beyond is
        taken for the limit.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.5]]], tau_s=0.02, dt_s=0.01)
    >>> {name: round(mean, 2) for name, mean in mean_potential(network, np.ones((1, 3, 1))).items()}
    {'hidden1': 0.76}
    """
    names = [p.name for p in network.hidden]
    recording = reference.simulate(network, counts, record_potential=names)
    return {
        name: float(np.clip((recording[name]["potential"].to_numpy() / network[name].threshold).mean(), 0.0, 1.0))
        for name in names
    }


def fine_network(network: Network, realism: Realism) -> Network:
    """The network in the time steps of the circuit: delays and refractory periods last as long as they did, or longer.

    Parameters
    ----------
    network : Network
    realism : Realism

    Returns
    -------
    Network
        The difference equations of such a network are not those of the circuit; only its times count.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.5]]], tau_s=0.02, dt_s=0.01, delay_steps=[[3]])
    >>> fine = fine_network(network, Realism(steps_per_bin=10))
    >>> fine.dt_s, fine.projections[0].delay_steps
    (0.001, (30,))
    """
    n = realism.steps_per_bin
    dt_s = network.dt_s / n
    return replace(
        network,
        dt_s=dt_s,
        populations=tuple(
            replace(p, refractory_steps=realism.refractory_steps(p.refractory_steps, dt_s)) if p.kind == "lif" else p
            for p in network.populations
        ),
        projections=tuple(replace(q, delay_steps=tuple(d * n for d in q.delay_steps)) for q in network.projections),
    )


def realistic(
    network: Network, realism: Realism | None, *, mean_potential: Mapping[str, float] | None = None
) -> Circuit:
    """A circuit with the weights of a trained network and more biophysical neurons and synapses.

    Rest becomes the resting potential and theta the threshold, so that all that is added to the potential is
    multiplied by scale = (threshold - rest)/theta of its neuron. The trained time constant gives the leak,
    g_L = C/tau, and the bias a steady current I_bias = bias scale g_L/(1 - exp(-dt/tau)) with the trained time step
    dt. Gains are computed and not tuned:

    ==============  ===================================================================================
    delta           v jumps by w = W scale
    current         I0 = w C (1 - exp(-dt/tau_synapse))/dt with the time step of the circuit: same charge
    conductance     g0 = I0/(E - v_mean): same charge at the mean potential of the population
    noise           sd of the current from that of the free membrane (`physical_models.noise_sd_a`)
    ==============  ===================================================================================

    Readouts decode and are no neurons: they keep their equations without units. In shorter steps their weights are
    multiplied by (1 - alpha)/(1 - alpha_short), so that at the times of the trained steps they have the trained values
    if the spikes are the same. These times are the first of the short steps of each, when the input comes; so trials
    start with what the bias has added before (`physical_models.start`).

    Parameters
    ----------
    network : Network
    realism : Realism or None
        None stands for the exact twin (`RUNGS` begins with it).
    mean_potential : mapping from str to float, optional
        Of every spiking population, 0 at rest and 1 at the threshold (`cortexsnn.brian.mean_potential`). Needed for
        conductances only.

    Returns
    -------
    Circuit
        For `cortexsnn.brian.build`, `simulate`, `run` and `explain`.

    Raises
    ------
    InputError
        If the network or the realism is none, a time step is too long for the refractory period or the synapses, or
        conductances lack a mean potential between their reversal potentials.

    Notes
    -----
    In physical units alone, the spikes are those of the exact twin, up to rounding: a potential that is within 1e-12
    of the threshold may fall to either side.

    In shorter steps without anything else, a neuron fires only at the times of the trained steps, and there the same
    spikes, under four conditions: all its input comes at these times; its threshold is fixed, as an adaptive one may
    sink below the potential in between; its bias alone cannot make it fire, bias <= theta (1 - exp(-dt/tau)), as it
    now flows all the time; and it does not stand above the threshold after its reset. There, the trained network has
    to wait for its next step, and the circuit need not: with the reset "subtract" and no bias it fires again at once
    where V - theta/alpha > theta/alpha_short. A network with a refractory period of its own waits in both.

    The background current starts every trial at 0 and is stationary after a few of its time constants.

    Examples
    --------
    >>> from cortexsnn.brian import RUNGS, explain
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> print(explain(realistic(network, RUNGS[1].realism)))
    Network of 1 input channels and 1 neurons, time step 10 ms
    ...
          dv/dt = (g_L*(E_L - v) + I_bias)/C : volt
    ...
    >>> realistic(network, RUNGS[4].realism).synapses["input_to_hidden1"].weights["w_excitatory"].round(12)
    array([[[5.8e-10]]])
    """
    if not isinstance(network, Network):
        raise InputError("network", type(network).__name__, "a Network", "other changes come after this one")
    if realism is None:
        return circuit(network)
    require_realism(realism, "a Realism, or None for the exact twin")
    realism.require_steps(network.dt_s, {p.refractory_steps for p in network.hidden})
    means_mv = _means_mv(network, realism, mean_potential)
    fine = fine_network(network, realism)
    late = {q.target for q in network.projections if not network.is_feedforward(q)}
    neurons = {}
    for population in network.order:
        parameters(population, network.dt_s)  # a membrane without memory cannot take a threshold off a step before
        neurons[population.name] = (
            _readout(population, realism, network.dt_s)
            if population.kind == "readout"
            else physical_neuron(population, realism, network.dt_s, early=population.name in late)
        )
    synapses = {
        q.name: _readout_synapse(network, fine, q)
        if network[q.target].kind == "readout"
        else physical_synapse(
            q,
            network[q.target],
            realism,
            fine.dt_s,
            feedforward=network.is_feedforward(q),
            mean_potential_mv=means_mv.get(q.target, realism.resting_mv),
        )
        for q in network.projections
    }
    return Circuit(fine, neurons, synapses, realism.steps_per_bin, _changes(network, realism))


def _readout(population: Population, realism: Realism, trained_dt_s: float) -> NeuronModel:
    exact, potential = neuron_model(population), start(population, realism, trained_dt_s)
    return replace(exact, initial={"v": potential}) if potential.any() else exact


def _readout_synapse(network: Network, fine: Network, projection: Projection) -> SynapseModel:
    exact = synapse_model(fine, projection)
    if fine.dt_s == network.dt_s:
        return exact
    tau_s = network[projection.target].tau_s
    gain = np.expm1(-network.dt_s / tau_s) / np.expm1(-fine.dt_s / tau_s)
    return replace(exact, weights={"w": projection.weight * gain[:, np.newaxis]})


def _means_mv(network: Network, realism: Realism, given: Mapping[str, float] | None) -> dict[str, float]:
    """Mean potential of every population, for conductances; empty without them."""
    if realism.synapses != "conductance":
        return {}
    names = [p.name for p in network.hidden]
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise InputError("mean_potential", list(given) if isinstance(given, Mapping) else given,
                         f"a number for {', '.join(names)}",
                         "cortexsnn.brian.mean_potential(network, counts) computes it of some trials")  # fmt: skip
    means = {}
    for name in names:
        mean_mv = realism.resting_mv + realism.height_mv * number(f"mean_potential['{name}']", given[name])
        if not realism.reversal_inhibitory_mv < mean_mv < realism.reversal_excitatory_mv:
            raise InputError(f"mean_potential['{name}']", given[name], "between the reversal potentials, at "
                             f"{realism.reversal_inhibitory_mv:g} and {realism.reversal_excitatory_mv:g} mV, "
                             f"and not {mean_mv:g} mV", "0 is the resting potential and 1 the threshold")  # fmt: skip
        means[name] = mean_mv
    return means


def _changes(network: Network, realism: Realism) -> tuple[str, ...]:
    """What was changed, in words."""
    dt_ms = network.dt_s * 1e3
    said = [
        f"physical units: rest at {realism.resting_mv:g} mV, threshold at {realism.threshold_mv:g} mV, "
        f"{realism.capacitance_pf:g} pF; readouts decode and have no units"
    ]
    if realism.steps_per_bin > 1:
        said.append(
            f"time step {dt_ms / realism.steps_per_bin:g} ms in place of {dt_ms:g} ms; input stays at the start of "
            f"every {dt_ms:g} ms"
        )
    if realism.refractory_ms:
        said.append(f"at least {realism.refractory_ms:g} ms from one spike of a neuron to its next")
    if realism.synapses != "delta":
        what = {"current": "exponential currents", "conductance": "exponential conductances"}[realism.synapses]
        where = "" if realism.synapses == "current" else " at the mean potential of the population"
        said.append(
            f"{what} in place of jumps, decaying in {realism.tau_excitatory_ms:g} ms (excitatory) and "
            f"{realism.tau_inhibitory_ms:g} ms (inhibitory), with the charge of the jumps{where}"
        )
    if realism.synapses == "conductance":
        said.append(
            f"reversal potentials {realism.reversal_excitatory_mv:g} mV (excitatory) and "
            f"{realism.reversal_inhibitory_mv:g} mV (inhibitory)"
        )
    if realism.noise_sd_mv:
        said.append(
            f"background current that makes a free membrane fluctuate by {realism.noise_sd_mv:g} mV, "
            f"correlated over {realism.noise_tau_ms:g} ms"
        )
    return tuple(said)
