"""Brian2 equations of the neurons and synapses of a `Network`, from closed templates.

The state updater multiplies V by alpha = exp(-dt/tau) before the input of the step is added, and the resetter runs
after the threshold of the same step. What the network's difference equations do at another moment is scaled so
that it comes to the same: the reset "subtract", which is not multiplied by alpha, becomes ``v -= theta/alpha``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.network import Population

__all__ = ["NeuronModel", "NeuronModels", "neuron_group", "neuron_model", "on_pre", "parameters"]

_MEMBRANE = """dv/dt = (drive - v)/tau : 1
bias : 1 (constant)
tau : second (constant)
alpha = exp(-dt/tau) : 1 (constant over dt)
"""
# The bias comes in once a step, after the decay; the readout takes in (1 - alpha) of it, as of all its input.
_LIF_DRIVE = "drive = bias/(1 - alpha) : 1\n"
_READOUT_DRIVE = "drive = bias : 1\n"
_FIXED_THRESHOLD = "theta : 1 (constant)\n"
_ADAPTIVE_THRESHOLD = """theta = theta_rest + strength*a : 1
da/dt = -a/tau_a : 1
theta_rest : 1 (constant)
strength : 1 (constant)
tau_a : second (constant)
"""
_RESETS = {"subtract": "v -= theta/alpha", "subtract_decayed": "v -= theta", "zero": "v = 0"}
_MOST_DECAY = 700.0
# a[t+1] = rho a[t] + S[t]: the spike of this step is not yet multiplied by rho.
_ADAPT = "a += 1/exp(-dt/tau_a)"


@dataclass(frozen=True)
class NeuronModel:
    """What Brian2 is told about the neurons of one population; change it with `dataclasses.replace`.

    Parameters
    ----------
    equations : str
        As for `brian2.NeuronGroup`. The exact synapses add to ``v`` and divide by ``alpha`` where a spike comes early,
        so both have to stay unless the synapses change too; what else there is may change.
    threshold, reset : str
        Condition to fire, and what a spike does to the neuron. Empty for readouts.
    method : str or None
        Numerical integration; None lets Brian2 choose.
    initial : mapping from str to float or array, shape (neuron,)
        Values of variables that the network knows nothing of, in SI units, at the start of every trial.
    before_decay, before_threshold : str
        Code that runs in every step, just before the equations go on by a step, and just before the threshold, when
        the spikes of the step have arrived.
    memory : tuple of str
        Variables without a differential equation that carry something from one step to the next.

    Examples
    --------
    An adaptation current, which every spike strengthens:

    >>> from dataclasses import replace
    >>> model = neuron_model(Population.lif("hidden1", 2, tau_s=0.02))
    >>> model.reset
    'v -= theta/alpha'
    >>> adapting = replace(
    ...     model,
    ...     equations=model.equations.replace("(drive - v)", "(drive - v - current)")
    ...     + "dcurrent/dt = -current/(100*ms) : 1",
    ...     reset=model.reset + "; current += 0.1",
    ... )
    """

    equations: str
    threshold: str = ""
    reset: str = ""
    method: str | None = "exact"
    initial: Mapping[str, float | NDArray[np.float64]] = field(default_factory=dict)
    before_decay: str = ""
    before_threshold: str = ""
    memory: tuple[str, ...] = ()


NeuronModels = Mapping[str, NeuronModel]


def neuron_model(population: Population) -> NeuronModel:
    """The Brian2 model of one population that does what the difference equations of `cortexsnn.reference` do.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"`` or ``"readout"``.

    Returns
    -------
    NeuronModel

    Examples
    --------
    >>> neuron_model(Population.readout("readout", 2, tau_s=0.1)).equations.splitlines()[-1]
    'drive = bias : 1'
    """
    if population.kind == "readout":
        return NeuronModel(_MEMBRANE + _READOUT_DRIVE)
    reset = _RESETS[population.reset]
    if population.adaptation is None:
        return NeuronModel(_MEMBRANE + _LIF_DRIVE + _FIXED_THRESHOLD, "v > theta", reset)
    return NeuronModel(_MEMBRANE + _LIF_DRIVE + _ADAPTIVE_THRESHOLD, "v > theta", f"{reset}\n{_ADAPT}")


def _require_memory(tau_s: NDArray[np.float64], field_name: str, dt_s: float) -> None:
    """Refuse a decay within one step that underflows, so that dividing by it would overflow."""
    shortest = dt_s / _MOST_DECAY
    if np.any(tau_s < shortest):
        raise InputError(field_name, float(tau_s.min()), f"at least {shortest:g} s in Brian2",
                         "so much faster than the time step, it has no memory; take dt / 50, say")  # fmt: skip


def parameters(population: Population, dt_s: float) -> dict[str, NDArray[np.float64]]:
    """Values of the parameters of one population in the equations, in SI units.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"`` or ``"readout"``.
    dt_s : float
        Time step in seconds.

    Returns
    -------
    dict of str to numpy.ndarray, shape (neuron,)

    Raises
    ------
    InputError
        If a time constant is so short that its decay over one step underflows.

    Examples
    --------
    >>> sorted(parameters(Population.lif("hidden1", 2, tau_s=0.02), 0.001))
    ['bias', 'tau', 'theta']
    """
    _require_memory(population.tau_s, f"tau_s of population '{population.name}'", dt_s)
    values = {"tau": population.tau_s, "bias": population.bias}
    if population.kind == "readout":
        return values
    if population.adaptation is None:
        return {**values, "theta": population.threshold}
    adaptation = population.adaptation
    _require_memory(adaptation.tau_s, f"adaptation_tau_s of population '{population.name}'", dt_s)
    return {
        **values,
        "theta_rest": population.threshold,
        "strength": adaptation.strength,
        "tau_a": adaptation.tau_s,
    }


def neuron_group(population: Population, model: NeuronModel, clock: brian2.Clock) -> brian2.NeuronGroup:
    """Neurons of one population, all parameters still at 0.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"`` or ``"readout"``.
    model : NeuronModel
    clock : brian2.Clock
        Clock with the time step of the network.

    Returns
    -------
    brian2.NeuronGroup

    Examples
    --------
    >>> clock = brian2.Clock(10 * brian2.ms)
    >>> population = Population.lif("hidden1", 2, tau_s=[0.02, 0.04])
    >>> len(neuron_group(population, neuron_model(population), clock))
    2
    """
    options = {}
    if population.kind == "lif":
        options = {"threshold": model.threshold, "reset": model.reset}
    if population.refractory_steps:
        # Brian2 counts the step of the spike itself as refractory.
        options["refractory"] = (population.refractory_steps + 1) * clock.dt
    return brian2.NeuronGroup(
        population.size, model.equations, method=model.method, clock=clock, name=population.name, **options
    )


def on_pre(target: Population, *, feedforward: bool) -> str:
    """What a spike does to its target.

    A readout takes in (1 - alpha) of its input. Feedback arrives after the step's decay, one step early, and so is
    divided by the decay that it will still meet.

    Parameters
    ----------
    target : Population
        Where the spike goes.
    feedforward : bool
        Whether the source is updated before the target within one step.

    Returns
    -------
    str
        Code for Brian2, in which ``w`` is the weight of the synapse and ``{count}`` stands where a weight is
        multiplied by the number of spikes of a channel in the step (`cortexsnn.brian.SynapseModel`).

    Examples
    --------
    >>> readout = Population.readout("readout", 1, tau_s=0.1)
    >>> on_pre(readout, feedforward=True)
    'v_post += (1 - alpha_post)*w{count}'
    """
    amount = "w{count}" if feedforward else "w{count}/alpha_post"
    return f"v_post += (1 - alpha_post)*{amount}" if target.kind == "readout" else f"v_post += {amount}"
