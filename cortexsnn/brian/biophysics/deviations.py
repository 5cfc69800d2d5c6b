"""Changes that users ask for first, each a function from circuit to circuit: adaptation, noise, lesions, no delays.

They work on the exact twin and on its more biophysical versions, on every device, and one after another. `explain`
prints what a circuit has become, and `build` makes ordinary Brian2 objects of it. For time constants see
`cortexsnn.brian.biophysics.time_constants`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.biophysics.spike_effects import added_by_spike, hidden_weight
from cortexsnn.brian.circuit import COUNT, Circuit, SynapseModel, circuit_of
from cortexsnn.brian.equations import NeuronModel
from cortexsnn.checks import finite, generator, names_among, not_negative, positive
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

__all__ = ["adaptation_current", "lesion", "lesion_synapses", "synaptic_noise", "without_delays"]

_MEMBRANE = re.compile(r"^(dv/dt\s*=)([^:\n]*):(.*)$", re.MULTILINE)
# What flows within the membrane equation: a shift of the potential where that has no unit, else a current.
ADAPTING = {
    "tau": ("- adaptation/tau", "1"),
    "g_L": ("- adaptation/C", "amp"),
}
_ADAPTATION = """adaptation : {unit}
kick : {unit} (constant)
tau_adaptation : second (constant)
"""


def _spiking(circuit: Circuit, name: str, what: str) -> Population:
    """A population that spikes in the circuit."""
    names = [p.name for p in circuit.network.hidden]
    if name not in names:
        raise InputError(f"population {what}", name, f"one of {', '.join(names)}")
    return circuit.network[name]


def _projection(circuit: Circuit, name: str) -> Projection:
    names = [p.name for p in circuit.network.projections]
    if name not in names:
        raise InputError("projection", name, f"one of {', '.join(names)}")
    return circuit.network.projections[names.index(name)]


def _changed(circuit: Circuit, words: str) -> Circuit:
    return replace(circuit, changes=(*circuit.changes, words))


def _fraction(value: float) -> float:
    return finite("fraction", value, "a number above 0, at most 1", lambda given: 0 < given <= 1)


def _drawn(fraction: float, number: int, rng: np.random.Generator | None) -> NDArray[np.bool_]:
    """Which of so many things are hit; exactly the nearest whole number of them."""
    hit = np.zeros(number, dtype=bool)
    if fraction == 1:
        hit[:] = True
    else:
        hit[generator(rng).choice(number, round(fraction * number), replace=False)] = True
    return hit


def adaptation_current(circuit: Circuit | Network, population: str, tau_ms: float, kick: float) -> Circuit:
    """Every spike of a neuron strengthens an outward current, which decays and holds the neuron back.

    The current A is constant within a step, so that the membrane stays as exact as it was. With S = 1 in the step of
    a spike and 0 elsewhere::

        A[t] = exp(-dt/tau) (A[t-1] + kick S[t-1])
        dv/dt = ... - A/tau_membrane        (exact twin; in physical units: - A/C)

    A neuron that fires at the rate r has, on average, a potential that is lower by about kick r tau, in units of its
    distance from rest to threshold. Benda and Herz 2003 (https://doi.org/10.1162/089976603322385063) show that most
    adaptation currents come to this.

    Parameters
    ----------
    circuit : Circuit or Network
    population : str
        Spiking population.
    tau_ms : float
        Time constant of the current.
    kick : float
        Rise of the current per spike: how far a current that stays would lower the potential, divided by the distance
        from rest to threshold.

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If there is no such population, a number is out of its range, or the equations have no membrane that is known
        here, adapt already, or lack values of rest and threshold.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> adapting = adaptation_current(circuit(network), "hidden1", tau_ms=100.0, kick=0.05)
    >>> adapting.neurons["hidden1"].equations.splitlines()[0]
    'dv/dt = (drive - v)/tau - adaptation/tau : 1'
    """
    circuit = circuit_of(circuit)
    neurons = _spiking(circuit, population, "that adapts")
    positive("tau_ms", tau_ms, "a number of milliseconds above 0")
    not_negative("kick", kick)
    model = circuit.neurons[population]
    known = brian2.Equations(model.equations).names
    kind = next((name for name in ADAPTING if name in known), "")
    equation = _MEMBRANE.search(model.equations)
    if not kind or equation is None or "adaptation" in known:
        raise InputError(f"equations of population '{population}'", model.equations,
                         "a line dv/dt with parameters tau, or C and g_L, and no variable adaptation",
                         "write equations of your own with dataclasses.replace")  # fmt: skip
    flowing, unit = ADAPTING[kind]
    line = f"{equation[1]}{equation[2].rstrip()} {flowing} :{equation[3]}"
    adapting = replace(
        model,
        equations=model.equations.replace(equation[0], line).rstrip("\n") + "\n" + _ADAPTATION.format(unit=unit),
        reset=f"{model.reset}\nadaptation += kick",
        initial={**model.initial, "kick": kick * _height(neurons, model, kind), "tau_adaptation": tau_ms * 1e-3},
        before_decay=f"{model.before_decay}\nadaptation *= exp(-dt/tau_adaptation)".lstrip("\n"),
        memory=(*model.memory, "adaptation"),
    )
    words = f"adaptation current in {population}: {kick:g} of the threshold for each spike, decaying in {tau_ms:g} ms"
    return _changed(circuit.with_neurons({population: adapting}), words)


def _height(population: Population, model: NeuronModel, kind: str) -> NDArray[np.float64]:
    """From rest to threshold, without unit; or in physical units, the current that holds a neuron there, in amperes."""
    if kind == "tau":
        return population.threshold
    values = model.initial
    threshold = "V_T_rest" if "V_T_rest" in brian2.Equations(model.equations).names else "V_T"
    needed = ("E_L", threshold, "g_L")
    if any(name not in values for name in needed):
        raise InputError(f"initial of population '{population.name}'", sorted(values), f"values of {', '.join(needed)}")
    return np.broadcast_to((np.asarray(values[threshold]) - values["E_L"]) * values["g_L"], population.size)


def synaptic_noise(circuit: Circuit | Network, cv: float, projections: str | Collection[str] | None = None) -> Circuit:
    """The effect of every spike on every target varies: weights are multiplied by 1 + cv*randn(), anew each time.

    The mean drive stays. A draw below -1/cv turns the sign of a weight, which for a cv up to 0.3 happens once in two
    thousand times. Several spikes of an input channel in one step share a draw.

    Parameters
    ----------
    circuit : Circuit or Network
    cv : float
        Standard deviation of the effect of a spike, divided by its mean.
    projections : str or collection of str, optional
        All onto spiking populations if not given; readouts only decode.

    Returns
    -------
    Circuit
        Give `cortexsnn.brian.simulate` an `rng`, so that the noise can be drawn again.

    Raises
    ------
    InputError
        If there is no such projection, cv is negative, or the code of a projection does not mark its weights.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> synaptic_noise(circuit(network), 0.2).synapses["input_to_hidden1"].code("")
    'v_post += w*(1 + 0.2*randn())'
    """
    circuit = circuit_of(circuit)
    not_negative("cv", cv)
    network = circuit.network
    onto_spiking = [p.name for p in network.projections if network[p.target].kind == "lif"]
    every = [p.name for p in network.projections]
    names = onto_spiking if projections is None else names_among("projections", projections, every)
    noisy = {}
    for name in names:
        model = circuit.synapses[name]
        if COUNT not in model.on_pre:
            raise InputError(f"on_pre of '{name}'", model.on_pre, f"code with {COUNT} behind each weight")
        noisy[name] = replace(model, on_pre=model.on_pre.replace(COUNT, f"*(1 + {float(cv)}*randn()){COUNT}"))
    return _changed(
        circuit.with_synapses(noisy), f"effect of each spike varies with a cv of {cv:g}: {', '.join(names)}"
    )


def lesion(
    circuit: Circuit | Network, population: str, fraction: float = 1.0, rng: np.random.Generator | None = None
) -> Circuit:
    """Silence a population, or a random part of it: the neurons still receive, and never fire.

    Parameters
    ----------
    circuit : Circuit or Network
    population : str
        Spiking population.
    fraction : float
        Of the neurons, rounded to whole ones. Those silenced before count, too, so that a second lesion may meet them.
    rng : numpy.random.Generator, optional
        Chooses them; not needed for all.

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If there is no such spiking population, or the fraction is not above 0 and at most 1.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([np.full((4, 1), 0.8)], tau_s=0.02, dt_s=0.01)
    >>> lesioned = lesion(circuit(network), "hidden1", 0.5, np.random.default_rng(1))
    >>> lesioned.neurons["hidden1"].threshold, lesioned.changes
    ('(v > theta) and silenced < 0.5', ('2 of 4 neurons of hidden1 silenced',))
    """
    circuit = circuit_of(circuit)
    neurons = _spiking(circuit, population, "to silence")
    hit = _drawn(_fraction(fraction), neurons.size, rng)
    model = circuit.neurons[population]
    if "silenced" in model.initial:
        silenced = replace(model, initial={**model.initial, "silenced": np.maximum(model.initial["silenced"], hit)})
    else:
        silenced = replace(
            model,
            equations=model.equations.rstrip("\n") + "\nsilenced : 1 (constant)\n",
            threshold=f"({model.threshold}) and silenced < 0.5",
            initial={**model.initial, "silenced": hit.astype(np.float64)},
        )
    words = f"{hit.sum()} of {neurons.size} neurons of {population} silenced"
    return _changed(circuit.with_neurons({population: silenced}), words)


def lesion_synapses(
    circuit: Circuit | Network, projection: str, fraction: float = 1.0, rng: np.random.Generator | None = None
) -> Circuit:
    """Take a random part of the synapses of a projection away; the others stay as strong as they were.

    Parameters
    ----------
    circuit : Circuit or Network
    projection : str
        By its name, such as ``"hidden1_to_hidden2"``.
    fraction : float
        Of the synapses, rounded to whole ones. Each delay of a projection with several has synapses of its own.
    rng : numpy.random.Generator, optional
        Chooses them; not needed for all.

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If there is no such projection, or the fraction is not above 0 and at most 1.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> network = Network.from_arrays([np.full((4, 1), 0.8)], tau_s=0.02, dt_s=0.01)
    >>> lesioned = lesion_synapses(circuit(network), "input_to_hidden1", 0.25, np.random.default_rng(1))
    >>> lesioned.synapses["input_to_hidden1"].weights["w"].ravel()
    array([0.8, 0. , 0.8, 0.8])
    """
    circuit = circuit_of(circuit)
    hit = _projection(circuit, projection)
    gone = _drawn(_fraction(fraction), hit.weight.size, rng).reshape(hit.weight.shape)
    model = circuit.synapses[projection]
    left = {name: np.where(gone, 0.0, values) for name, values in model.values(hit).items()}
    words = f"{gone.sum():,} of {gone.size:,} synapses of {projection} gone"
    return _changed(circuit.with_synapses({projection: replace(model, weights=left)}), words)


def without_delays(circuit: Circuit | Network) -> Circuit:
    """Let every spike arrive as early as it can: in its own step, or in the next one where it leads back.

    Synapses of one pair of neurons with several delays become one with the sum of their weights, so that the drive of
    a steady rate stays what it was.

    Parameters
    ----------
    circuit : Circuit or Network

    Returns
    -------
    Circuit

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network
    >>> taps = Projection("input", "hidden1", [[[0.5]], [[0.25]]], (0, 3))
    >>> network = Network(0.01, (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)), (taps,))
    >>> early = without_delays(circuit(network)).network.projections[0]
    >>> early.weight.item(), early.delay_steps
    (0.75, (0,))
    """
    circuit = circuit_of(circuit)
    network = circuit.network
    projections, synapses, delayed = [], {}, 0
    for given in network.projections:
        model, shortest = circuit.synapses[given.name], 0 if network.is_feedforward(given) else 1
        delayed += max(given.delay_steps) > shortest
        projections.append(replace(given, weight=given.weight.sum(axis=0, keepdims=True), delay_steps=(shortest,)))
        synapses[given.name] = model if len(given.delay_steps) == 1 else _added_up(model, given)
    early = replace(circuit, network=replace(network, projections=tuple(projections)), synapses=synapses)
    return _changed(early, f"no delays: the shortest possible in {delayed} of {len(projections)} projections")


def _added_up(model: SynapseModel, projection: Projection) -> SynapseModel:
    """One synapse for all that a pair of neurons has with several delays."""
    summed = frozenset[str]().union(*(weights for _, weights in added_by_spike(model, projection)))
    if not summed:
        raise hidden_weight(model, projection)
    weights = {}
    for name, values in model.weights.items():
        if name not in summed and np.any(values != values[:1]):
            raise InputError(f"{name} in the synapses of '{projection.name}'", values, "one value for all delays",
                             "only weights can be added up")  # fmt: skip
        weights[name] = values.sum(axis=0, keepdims=True) if name in summed else values[:1]
    return replace(model, weights=weights)
