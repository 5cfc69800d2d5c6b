"""Brian2 equations of the neurons and synapses of a `Network`, from closed templates.

The state updater multiplies V by alpha = exp(-dt/tau) before the input of the step is added, and the resetter runs
after the threshold of the same step. What the network's difference equations do at another moment is scaled so
that it comes to the same: the reset "subtract", which is not multiplied by alpha, becomes ``v -= theta/alpha``.
"""

from __future__ import annotations

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.network import Population

__all__ = ["lif_group", "on_pre", "readout_group"]

_MEMBRANE = """
dv/dt = (drive - v)/tau : 1
bias : 1 (constant)
tau : second (constant)
alpha = exp(-dt/tau) : 1
"""
# The bias comes in once a step, after the decay; the readout takes in (1 - alpha) of it, as of all its input.
_LIF_DRIVE = """
drive = bias/(1 - exp(-dt/tau)) : 1
"""
_READOUT_DRIVE = """
drive = bias : 1
"""
_FIXED_THRESHOLD = """
theta : 1 (constant)
"""
_ADAPTIVE_THRESHOLD = """
theta = theta_rest + strength*a : 1
da/dt = -a/tau_a : 1
theta_rest : 1 (constant)
strength : 1 (constant)
tau_a : second (constant)
"""
_RESETS = {"subtract": "v -= theta/alpha", "subtract_decayed": "v -= theta", "zero": "v = 0"}
_MOST_DECAY = 700.0
# a[t+1] = rho a[t] + S[t]: the spike of this step is not yet multiplied by rho.
_ADAPT = "a += 1/exp(-dt/tau_a)"


def _require_memory(tau_s: NDArray[np.float64], field: str, clock: brian2.Clock) -> None:
    """Refuse a decay within one step that underflows, so that dividing by it would overflow."""
    shortest = float(clock.dt) / _MOST_DECAY
    if np.any(tau_s < shortest):
        raise InputError(field, float(tau_s.min()), f"at least {shortest:g} s in Brian2",
                         "so much faster than the time step, it has no memory; take dt / 50, say")  # fmt: skip


def lif_group(population: Population, clock: brian2.Clock) -> brian2.NeuronGroup:
    """Spiking neurons of one population.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"``.
    clock : brian2.Clock
        Clock with the time step of the network.

    Returns
    -------
    brian2.NeuronGroup
        With variables ``v``, ``tau``, ``bias`` and ``theta``; adaptive populations have ``theta_rest``,
        ``strength``, ``a`` and ``tau_a`` as well. All may be changed before a run, and the rest follows.

    Raises
    ------
    InputError
        If a time constant is so short that its decay over one step underflows.

    Examples
    --------
    >>> clock = brian2.Clock(10 * brian2.ms)
    >>> group = lif_group(Population.lif("hidden1", 2, tau_s=[0.02, 0.04]), clock)
    >>> group.tau / brian2.ms
    array([20., 40.])
    """
    adaptation = population.adaptation
    _require_memory(population.tau_s, f"tau_s of population '{population.name}'", clock)
    if adaptation is not None:
        _require_memory(adaptation.tau_s, f"adaptation_tau_s of population '{population.name}'", clock)
    reset = _RESETS[population.reset]
    # Brian2 counts the step of the spike itself as refractory.
    refractory = (
        {} if population.refractory_steps == 0 else {"refractory": (population.refractory_steps + 1) * clock.dt}
    )
    group = brian2.NeuronGroup(
        population.size,
        _MEMBRANE + _LIF_DRIVE + (_FIXED_THRESHOLD if adaptation is None else _ADAPTIVE_THRESHOLD),
        threshold="v > theta",
        reset=reset if adaptation is None else f"{reset}\n{_ADAPT}",
        method="exact",
        clock=clock,
        name=population.name,
        **refractory,
    )
    group.tau = population.tau_s * brian2.second
    group.bias = population.bias
    if adaptation is None:
        group.theta = population.threshold
    else:
        group.theta_rest = population.threshold
        group.strength = adaptation.strength
        group.tau_a = adaptation.tau_s * brian2.second
    return group


def readout_group(population: Population, clock: brian2.Clock) -> brian2.NeuronGroup:
    """Leaky integrators of one population.

    Parameters
    ----------
    population : Population
        Of kind ``"readout"``.
    clock : brian2.Clock
        Clock with the time step of the network.

    Returns
    -------
    brian2.NeuronGroup
        With variables ``v``, ``tau`` and ``bias``.

    Examples
    --------
    >>> clock = brian2.Clock(10 * brian2.ms)
    >>> group = readout_group(Population.readout("readout", 2, tau_s=0.1), clock)
    >>> group.tau / brian2.ms
    array([100., 100.])
    """
    group = brian2.NeuronGroup(
        population.size, _MEMBRANE + _READOUT_DRIVE, method="exact", clock=clock, name=population.name
    )
    group.tau = population.tau_s * brian2.second
    group.bias = population.bias
    return group


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
        Code for Brian2, in which ``w`` is the weight of the synapse.

    Examples
    --------
    >>> readout = Population.readout("readout", 1, tau_s=0.1)
    >>> on_pre(readout, feedforward=True)
    'v_post += (1 - alpha_post)*w'
    """
    weight = "w" if feedforward else "w/alpha_post"
    return f"v_post += (1 - alpha_post)*{weight}" if target.kind == "readout" else f"v_post += {weight}"
