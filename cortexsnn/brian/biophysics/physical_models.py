"""Neurons and synapses of a network in millivolts, picoamperes, picofarads and nanosiemens, from closed templates.

One neuron, with what may be switched on in brackets::

    C dv/dt = g_L (E_L - v) + I_bias [+ I_synaptic] [+ I_noise]
    I_synaptic = I_excitatory - I_inhibitory                                                     currents
    I_synaptic = g_excitatory (E_excitatory - v) + g_inhibitory (E_inhibitory - v)               conductances

A step without synaptic dynamics is exact. With currents or conductances it is that of the exponential Euler method:
exact for what flows at the beginning of the step [1]_.

.. [1] Rotter and Diesmann (1999), doi:10.1007/s004220050570
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.biophysics.realism import Realism
from cortexsnn.brian.circuit import SynapseModel
from cortexsnn.brian.equations import NeuronModel
from cortexsnn.network import Population, Projection

__all__ = ["noise_sd_a", "physical_neuron", "physical_synapse", "start", "synaptic_current_a", "volts_per_unit"]

FloatArray = NDArray[np.float64]
Values = dict[str, float | FloatArray]

_MEMBRANE = """dv/dt = (g_L*(E_L - v) + {flowing})/C : volt
C : farad (constant)
g_L : siemens (constant)
E_L : volt (constant)
"""
_FIXED_THRESHOLD = "V_T : volt (constant)\n"
_ADAPTIVE_THRESHOLD = """V_T = V_T_rest + rise*a : volt
da/dt = -a/tau_a : 1
V_T_rest : volt (constant)
rise : volt (constant)
tau_a : second (constant)
rho_bin : 1 (constant)
"""
_RESETS = {
    "subtract": "v -= (V_T - E_L)/alpha_bin",
    "subtract_decayed": "v -= V_T - E_L",
    "zero": "v = E_L",
}
_DECAY_OF_A_BIN = "alpha_bin : 1 (constant)\n"
_DECAY_OF_A_STEP = "alpha = exp(-dt*g_L/C) : 1 (constant over dt)\n"
_ADAPT = "a += 1/rho_bin"

_KINDS = ("excitatory", "inhibitory")
_LETTERS = {"current": "I", "conductance": "g"}
_UNITS = {"current": "amp", "conductance": "siemens"}
_SYNAPTIC = """d{letter}_{kind}/dt = -{letter}_{kind}/tau_{kind} : {unit}
tau_{kind} : second (constant)
"""
_FROM_CURRENTS = "I_synaptic = I_excitatory - I_inhibitory : amp\n"
_FROM_CONDUCTANCES = """I_synaptic = g_excitatory*(E_excitatory - v) + g_inhibitory*(E_inhibitory - v) : amp
E_excitatory : volt (constant)
E_inhibitory : volt (constant)
"""
# Feedback arrives before the step in which it counts: it waits until the potential has gone on by that step.
_LET_IN = """{letter}_excitatory += {letter}_excitatory_next
{letter}_excitatory_next *= 0
{letter}_inhibitory += {letter}_inhibitory_next
{letter}_inhibitory_next *= 0"""
_NOISE = """I_noise : amp
sd_noise : amp (constant)
tau_noise : second (constant)
"""
_NOISE_STEP = "I_noise = I_noise*exp(-dt/tau_noise) + sd_noise*sqrt(1 - exp(-2*dt/tau_noise))*randn()"


def volts_per_unit(population: Population, realism: Realism) -> FloatArray:
    """What a potential of 1 becomes: the height of the threshold in volts, divided by theta.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"``.
    realism : Realism

    Returns
    -------
    numpy.ndarray, shape (neuron,)

    Examples
    --------
    >>> volts_per_unit(Population.lif("hidden1", 2, tau_s=0.02, threshold=[1.0, 0.5]), Realism())
    array([0.02, 0.04])
    """
    return realism.height_mv * 1e-3 / population.threshold


def start(population: Population, realism: Realism, trained_dt_s: float) -> FloatArray:
    """Potential with which a trial starts: what the bias has added in the first trained step before its input comes.

    Input stands in the first of the n short steps of a trained step, and at that time the whole step's bias is there.
    So it has flowed for n - 1 short steps when the trial begins: bias (1 - alpha^((n - 1)/n))/(1 - alpha).

    Parameters
    ----------
    population : Population
        Of kind ``"lif"`` or ``"readout"``; the latter takes in (1 - alpha) of its bias in each trained step.
    realism : Realism
    trained_dt_s : float
        Time step of the network in seconds.

    Returns
    -------
    numpy.ndarray, shape (neuron,)
        On the scale of the network, on which rest is 0; 0 where nothing is shorter than the trained step.

    Examples
    --------
    >>> population = Population.lif("hidden1", 1, tau_s=0.01, bias=0.1)
    >>> start(population, Realism(), 0.01), start(population, Realism(steps_per_bin=10), 0.01).round(3)
    (array([0.]), array([0.094]))
    """
    n = realism.steps_per_bin
    early = -np.expm1(-trained_dt_s * (n - 1) / n / population.tau_s)
    return population.bias * early / (1.0 if population.kind == "readout" else _taken_in(population, trained_dt_s))


def _taken_in(population: Population, dt_s: float) -> FloatArray:
    """1 - alpha, exactly."""
    return -np.expm1(-dt_s / population.tau_s)


def noise_sd_a(
    noise_sd_mv: float, noise_tau_ms: float, tau_s: FloatArray, leak_s: FloatArray, dt_s: float
) -> FloatArray:
    """Standard deviation of a background current with which the free membrane has a given one.

    The current of a step is b times that of the step before, plus noise, b = exp(-dt/tau_noise) [1]_; the potential
    takes in (1 - alpha)/g_L of it. Its variance is (sd/g_L)^2 (1 - alpha)(1 + alpha b)/((1 + alpha)(1 - alpha b)),
    in short steps (sd/g_L)^2 tau_noise/(tau + tau_noise). This is solved for sd.

    Parameters
    ----------
    noise_sd_mv : float
        Of the membrane.
    noise_tau_ms : float
        Correlation time of the current.
    tau_s : array, shape (neuron,)
        Membrane time constant in seconds.
    leak_s : array, shape (neuron,)
        Leak conductance in siemens.
    dt_s : float
        Time step in seconds.

    Returns
    -------
    numpy.ndarray, shape (neuron,)
        In amperes.

    References
    ----------
    .. [1] Gillespie (1996), doi:10.1103/PhysRevE.54.2084

    Examples
    --------
    In steps of a microsecond, 2 mV over 10 nS with equal time constants take 2 mV * 10 nS * sqrt(2):

    >>> (noise_sd_a(2.0, 20.0, np.array([0.02]), np.array([1e-8]), 1e-6) * 1e12).round(2)
    array([28.28])
    """
    alpha, b = np.exp(-dt_s / tau_s), np.exp(-dt_s * 1e3 / noise_tau_ms)
    variance = -np.expm1(-dt_s / tau_s) * (1 + alpha * b) / ((1 + alpha) * (1 - alpha * b))
    return noise_sd_mv * 1e-3 * leak_s / np.sqrt(variance)


def synaptic_current_a(jump_v: FloatArray, capacitance_pf: float, tau_ms: float, dt_s: float) -> FloatArray:
    """Current that a spike starts, so that it brings the charge of a jump of the potential.

    A jump w takes the charge w C. The current is I0 in the first step and exp(-dt/tau) of it in each further one, so
    that its charge is I0 dt/(1 - exp(-dt/tau)). Both are equal for I0 = w C (1 - exp(-dt/tau))/dt, in short steps
    w C/tau. The potential that a spike adds then has the same area as that of the jump, w tau_membrane, and the mean
    drive of any train of spikes stays what it was.

    Parameters
    ----------
    jump_v : array
        In volts.
    capacitance_pf : float
    tau_ms : float
        Time constant of the current.
    dt_s : float
        Time step of the circuit in seconds.

    Returns
    -------
    numpy.ndarray, shape of `jump_v`
        In amperes.

    Examples
    --------
    >>> (synaptic_current_a(np.array([0.001]), 200.0, 5.0, 1e-6) * 1e12).round(2)
    array([40.])
    """
    return jump_v * capacitance_pf * 1e-12 * -np.expm1(-dt_s * 1e3 / tau_ms) / dt_s


@dataclass(frozen=True)
class _Part:
    """What one mechanism adds to the model of a neuron."""

    flowing: str
    equations: str
    values: Values
    memory: tuple[str, ...] = ()


def physical_neuron(population: Population, realism: Realism, trained_dt_s: float, *, early: bool) -> NeuronModel:
    """The Brian2 model of one spiking population in physical units.

    Parameters
    ----------
    population : Population
        Of kind ``"lif"``.
    realism : Realism
    trained_dt_s : float
        Time step of the network in seconds. What a spike takes off, the bias and the kick of an adaptive threshold
        are such that a whole step of training makes of them what it was trained with.
    early : bool
        Whether spikes of feedback projections arrive, at the end of the step before the one in which they count.

    Returns
    -------
    NeuronModel

    Examples
    --------
    >>> model = physical_neuron(Population.lif("hidden1", 1, tau_s=0.02), Realism(), 0.001, early=False)
    >>> model.threshold, model.reset
    ('v > V_T', 'v -= (V_T - E_L)/alpha_bin')
    """
    jumps = realism.synapses == "delta"
    parts = [_bias(population, realism, trained_dt_s), _threshold(population, realism, trained_dt_s)]
    if jumps and early:
        parts.append(_Part("", _DECAY_OF_A_STEP, {}))
    if not jumps:
        parts.append(_synaptic(realism, early=early))
    if realism.noise_sd_mv:
        parts.append(_noise(population, realism, trained_dt_s / realism.steps_per_bin))
    rest_v = realism.resting_mv * 1e-3
    values: Values = {
        "v": rest_v + start(population, realism, trained_dt_s) * volts_per_unit(population, realism),
        "E_L": rest_v,
        "C": realism.capacitance_pf * 1e-12,
        "g_L": _leak_s(population, realism),
    }
    flowing = " + ".join(part.flowing for part in parts if part.flowing)
    reset = _RESETS[population.reset]
    return NeuronModel(
        _MEMBRANE.format(flowing=flowing) + "".join(part.equations for part in parts),
        "v > V_T",
        reset if population.adaptation is None else f"{reset}\n{_ADAPT}",
        "exact" if jumps else "exponential_euler",
        values | {name: value for part in parts for name, value in part.values.items()},
        _NOISE_STEP if realism.noise_sd_mv else "",
        _LET_IN.format(letter=_LETTERS[realism.synapses]) if early and not jumps else "",
        tuple(name for part in parts for name in part.memory),
    )


def _leak_s(population: Population, realism: Realism) -> FloatArray:
    """Leak conductance in siemens, which gives the trained time constant."""
    return realism.capacitance_pf * 1e-12 / population.tau_s


def _bias(population: Population, realism: Realism, trained_dt_s: float) -> _Part:
    """A steady current that adds the bias in every trained step."""
    level_v = population.bias / _taken_in(population, trained_dt_s) * volts_per_unit(population, realism)
    return _Part("I_bias", "I_bias : amp (constant)\n", {"I_bias": level_v * _leak_s(population, realism)})


def _threshold(population: Population, realism: Realism, trained_dt_s: float) -> _Part:
    threshold_v, adaptation = realism.threshold_mv * 1e-3, population.adaptation
    decay: Values = {"alpha_bin": population.alpha(trained_dt_s)} if population.reset == "subtract" else {}
    if adaptation is None:
        equations, values = _FIXED_THRESHOLD, Values(V_T=threshold_v)
    else:
        equations = _ADAPTIVE_THRESHOLD
        values = {
            "V_T_rest": threshold_v,
            "rise": adaptation.strength * volts_per_unit(population, realism),
            "tau_a": adaptation.tau_s,
            "rho_bin": np.exp(-trained_dt_s / adaptation.tau_s),
        }
    return _Part("", equations + (_DECAY_OF_A_BIN if decay else ""), values | decay)


def _synaptic(realism: Realism, *, early: bool) -> _Part:
    letter, unit = _LETTERS[realism.synapses], _UNITS[realism.synapses]
    values: Values = {
        "tau_excitatory": realism.tau_excitatory_ms * 1e-3,
        "tau_inhibitory": realism.tau_inhibitory_ms * 1e-3,
    }
    waiting = tuple(f"{letter}_{kind}_next" for kind in _KINDS) if early else ()
    equations = "".join(_SYNAPTIC.format(letter=letter, kind=kind, unit=unit) for kind in _KINDS)
    equations += "".join(f"{name} : {unit}\n" for name in waiting)
    if realism.synapses == "current":
        return _Part("I_synaptic", _FROM_CURRENTS + equations, values, waiting)
    values["E_excitatory"] = realism.reversal_excitatory_mv * 1e-3
    values["E_inhibitory"] = realism.reversal_inhibitory_mv * 1e-3
    return _Part("I_synaptic", _FROM_CONDUCTANCES + equations, values, waiting)


def _noise(population: Population, realism: Realism, dt_s: float) -> _Part:
    leak_s = _leak_s(population, realism)
    sd_a = noise_sd_a(realism.noise_sd_mv, realism.noise_tau_ms, population.tau_s, leak_s, dt_s)
    return _Part("I_noise", _NOISE, {"sd_noise": sd_a, "tau_noise": realism.noise_tau_ms * 1e-3}, ("I_noise",))


def physical_synapse(
    projection: Projection,
    target: Population,
    realism: Realism,
    dt_s: float,
    *,
    feedforward: bool,
    mean_potential_mv: float,
) -> SynapseModel:
    """The Brian2 model of the synapses onto one spiking population in physical units.

    A conductance has the current of `synaptic_current_a` at the mean potential of the target: g0 = I0/(E - v_mean).
    Excitatory and inhibitory parts of a weight are parameters of their own, at least one of them 0.

    Parameters
    ----------
    projection : Projection
    target : Population
        Of kind ``"lif"``.
    realism : Realism
    dt_s : float
        Time step of the circuit in seconds.
    feedforward : bool
        Whether the source is updated before the target within one step. What comes early is divided by the decay that
        it still meets, or kept until the next step if it is no jump.
    mean_potential_mv : float
        Of the target; counts for conductances only.

    Returns
    -------
    SynapseModel

    Examples
    --------
    >>> target, projection = Population.lif("hidden1", 1, tau_s=0.02), Projection("input", "hidden1", [[-0.05]])
    >>> options = {"feedforward": True, "mean_potential_mv": -60.0}
    >>> physical_synapse(projection, target, Realism(), 0.001, **options).weights["w"]
    array([[[-0.001]]])
    >>> model = physical_synapse(projection, target, Realism(synapses="conductance"), 0.001, **options)
    >>> print(model.on_pre)
    g_excitatory_post += w_excitatory{count}
    g_inhibitory_post += w_inhibitory{count}
    """
    jump_v = projection.weight * volts_per_unit(target, realism)[:, np.newaxis]
    if realism.synapses == "delta":
        return SynapseModel("w : volt", f"v_post += w{{count}}{'' if feedforward else '/alpha_post'}", {"w": jump_v})
    parts = {"excitatory": np.maximum(jump_v, 0.0), "inhibitory": np.maximum(-jump_v, 0.0)}
    taus_ms = {"excitatory": realism.tau_excitatory_ms, "inhibitory": realism.tau_inhibitory_ms}
    weights = {
        f"w_{kind}": synaptic_current_a(part, realism.capacitance_pf, taus_ms[kind], dt_s)
        for kind, part in parts.items()
    }
    if realism.synapses == "conductance":
        driving_v = {
            "excitatory": (realism.reversal_excitatory_mv - mean_potential_mv) * 1e-3,
            "inhibitory": (mean_potential_mv - realism.reversal_inhibitory_mv) * 1e-3,
        }
        weights = {f"w_{kind}": weights[f"w_{kind}"] / driving_v[kind] for kind in _KINDS}
    letter, unit, when = _LETTERS[realism.synapses], _UNITS[realism.synapses], "" if feedforward else "_next"
    return SynapseModel(
        "".join(f"w_{kind} : {unit}\n" for kind in _KINDS),
        "\n".join(f"{letter}_{kind}{when}_post += w_{kind}{{count}}" for kind in _KINDS),
        weights,
    )
