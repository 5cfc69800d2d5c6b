"""How biophysical a twin shall be: one description with all switches and constants, and the rungs of the ladder.

A rung adds one thing to the rung before it. As each is a value of the same frozen class, they combine by
`dataclasses.replace`. `cortexsnn.brian.realistic` makes a circuit of a network and a description.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from cortexsnn.checks import choice, not_negative, number, positive, whole
from cortexsnn.errors import InputError

__all__ = ["RUNGS", "SYNAPSES", "Realism", "Rung", "require_realism"]

SYNAPSES = ("delta", "current", "conductance")


@dataclass(frozen=True)
class Realism:
    """What makes a circuit more biophysical than the exact twin; change it with `dataclasses.replace`.

    The synaptic constants are those of the networks with which simulators are compared [1]_, [2]_. The threshold
    20 mV above rest and the refractory period of the ladder are those of the best-known network of integrate-and-fire
    neurons [3]_. Membrane time constants, delays and adaptation stay as they were trained.

    Parameters
    ----------
    steps_per_bin : int
        Time steps for each step of training. Input stays on the coarse grid; the network's own spikes do not.
    refractory_ms : float
        Shortest time from one spike of a neuron to its next; 0 for none. A network that has a longer one keeps it.
    synapses : {"delta", "current", "conductance"}
        A spike makes the potential jump, starts an exponential current, or opens an exponential conductance.
    noise_sd_mv : float
        Standard deviation that the background current gives to a membrane that never fires and has no other input.
        Neurons of the living cortex show about 4 mV in all [4]_, a part of which is the input that is modelled here.
    resting_mv, threshold_mv : float
        What 0 and theta become. With currents only their distance counts. The threshold is that of [1]_.
    capacitance_pf : float
        Of the membrane [1]_. The leak conductance follows: capacitance divided by the trained time constant.
    tau_excitatory_ms, tau_inhibitory_ms : float
        Decay of synaptic currents or conductances: fast AMPA and GABA-A receptors [1]_, [2]_.
    reversal_excitatory_mv, reversal_inhibitory_mv : float
        Where the current of open synapses vanishes [1]_, [2]_.
    noise_tau_ms : float
        Correlation time of the background current: that of the excitatory synapses of which it consists.

    Raises
    ------
    InputError
        If a value makes no sense by itself. Whether the time step is short enough is seen with the network.

    References
    ----------
    .. [1] Brette et al. (2007), doi:10.1007/s10827-007-0038-6
    .. [2] Vogels and Abbott (2005), doi:10.1523/JNEUROSCI.3508-05.2005
    .. [3] Brunel (2000), doi:10.1023/A:1008925309027
    .. [4] Destexhe et al. (2001), doi:10.1016/S0306-4522(01)00344-X

    Examples
    --------
    Conductances in short steps, without the refractory period that their rung has:

    >>> replace(RUNGS[5].realism, refractory_ms=0.0).synapses
    'conductance'
    """

    steps_per_bin: int = 1
    refractory_ms: float = 0.0
    synapses: Literal["delta", "current", "conductance"] = "delta"
    noise_sd_mv: float = 0.0
    resting_mv: float = -70.0
    threshold_mv: float = -50.0
    capacitance_pf: float = 200.0
    tau_excitatory_ms: float = 5.0
    tau_inhibitory_ms: float = 10.0
    reversal_excitatory_mv: float = 0.0
    reversal_inhibitory_mv: float = -80.0
    noise_tau_ms: float = 5.0

    def __post_init__(self) -> None:
        choice("synapses", self.synapses, SYNAPSES)
        # Kept as plain numbers, which JSON takes, whatever kind of number they came as.
        plain: dict[str, int | float | str] = {
            "steps_per_bin": whole("steps_per_bin", self.steps_per_bin, 1),
            "synapses": str(self.synapses),
        }
        for name in ("refractory_ms", "noise_sd_mv"):
            plain[name] = not_negative(name, getattr(self, name))
        for name in ("capacitance_pf", "tau_excitatory_ms", "tau_inhibitory_ms", "noise_tau_ms"):
            plain[name] = float(positive(name, getattr(self, name), "a number above 0"))
        for name in ("resting_mv", "threshold_mv", "reversal_excitatory_mv", "reversal_inhibitory_mv"):
            plain[name] = number(name, getattr(self, name))
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.threshold_mv <= self.resting_mv:
            raise InputError("threshold_mv", self.threshold_mv, f"more than the resting {self.resting_mv:g} mV")
        if self.synapses == "conductance":
            self._require_reversals()

    def _require_reversals(self) -> None:
        if self.reversal_excitatory_mv <= self.threshold_mv:
            raise InputError("reversal_excitatory_mv", self.reversal_excitatory_mv,
                             f"more than the threshold of {self.threshold_mv:g} mV",
                             "from below it, no excitatory synapse could make a neuron fire")  # fmt: skip
        if self.reversal_inhibitory_mv > self.resting_mv:
            raise InputError("reversal_inhibitory_mv", self.reversal_inhibitory_mv,
                             f"at most the resting {self.resting_mv:g} mV",
                             "from above it, inhibitory synapses would excite a resting neuron")  # fmt: skip

    @property
    def height_mv(self) -> float:
        """From rest to threshold."""
        return self.threshold_mv - self.resting_mv

    def refractory_steps(self, trained: int, dt_s: float) -> int:
        """Steps after a spike in which a neuron cannot fire, so that the shortest interval is at least the period.

        Parameters
        ----------
        trained : int
            Refractory steps of the network, in steps of training: n of them allow a spike every n + 1 steps.
        dt_s : float
            Time step of the circuit in seconds.

        Returns
        -------
        int
            Intervals count from spike to spike, hence one step less than the period. Without a refractory period of
            its own, a network that fires at most once in a step of training may fire in each of the shorter steps.

        Examples
        --------
        >>> Realism(refractory_ms=2.0).refractory_steps(0, dt_s=0.0004)
        4
        >>> Realism(steps_per_bin=10).refractory_steps(1, dt_s=0.0004)
        19
        """
        own = (trained + 1) * self.steps_per_bin - 1 if trained else 0
        # A millionth of a step less, so that 2 ms are 20 steps of 0.1 ms in floating point too.
        return max(own, math.ceil(self.refractory_ms * 1e-3 / dt_s - 1e-6) - 1)

    def require_steps(self, trained_dt_s: float, trained: Collection[int] = (0,)) -> None:
        """Refuse a time step that is too long for what shall happen within it.

        Parameters
        ----------
        trained_dt_s : float
            Time step of the network in seconds.
        trained : collection of int
            Refractory steps of the spiking populations of the network. One step of training and more are longer than
            any period that is shorter than a step of the circuit.

        Raises
        ------
        InputError
            If the refractory period is shorter than a step of the circuit, or a synapse decays within two; the
            message says how many steps would do.
        """
        dt_ms = trained_dt_s * 1e3 / self.steps_per_bin
        if 0 < self.refractory_ms < dt_ms * (1 - 1e-6) and 0 in trained:
            raise InputError("refractory_ms", self.refractory_ms, f"at least the time step of {dt_ms:g} ms, or 0",
                             f"take steps_per_bin >= {_enough(trained_dt_s, self.refractory_ms)}")  # fmt: skip
        if self.synapses == "delta":
            return
        for name in ("tau_excitatory_ms", "tau_inhibitory_ms"):
            tau_ms = getattr(self, name)
            if tau_ms < 2 * dt_ms * (1 - 1e-6):
                raise InputError(name, tau_ms, f"at least two time steps of {dt_ms:g} ms",
                                 f"take steps_per_bin >= {_enough(2 * trained_dt_s, tau_ms)}")  # fmt: skip


def _enough(longest_s: float, step_ms: float) -> int:
    """Into how many parts a time must be cut so that none is longer than the step."""
    return math.ceil(longest_s * 1e3 / step_ms - 1e-6)


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder from the exact twin to biophysics.

    Parameters
    ----------
    adds : str
        What it adds to the rung before it.
    realism : Realism or None
        All that is so from this rung on; None for the exact twin.
    """

    adds: str
    realism: Realism | None


def _rungs() -> Mapping[int, Rung]:
    units = Realism()
    fine = replace(units, steps_per_bin=10)
    refractory = replace(fine, refractory_ms=2.0)
    current = replace(refractory, synapses="current")
    conductance = replace(current, synapses="conductance")
    noise = replace(conductance, noise_sd_mv=2.0)
    return MappingProxyType(
        {
            0: Rung("the exact twin", None),
            1: Rung("physical units", units),
            2: Rung("a tenth of the time step", fine),
            3: Rung("a refractory period of 2 ms", refractory),
            4: Rung("exponential synaptic currents", current),
            5: Rung("synaptic conductances in place of currents", conductance),
            6: Rung("a background current that makes the potential fluctuate by 2 mV", noise),
        }
    )


RUNGS: Mapping[int, Rung] = _rungs()
"""The ladder, by number; each rung keeps what those before it have added.

>>> [number for number, rung in RUNGS.items() if rung.realism and rung.realism.synapses == "delta"]
[1, 2, 3]
"""


def require_realism(given: Any, expected: str = "a Realism") -> None:
    """Refuse what is no `Realism`, such as a rung or its number.

    Parameters
    ----------
    given : object
    expected : str
        What would do.

    Raises
    ------
    InputError
        If it is none; the message says where to find one.

    Examples
    --------
    >>> require_realism(RUNGS[4])
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: realism is 'Rung'; expected a Realism. RUNGS[4].realism is one
    """
    if isinstance(given, Realism):
        return
    number_given = given if isinstance(given, int) else None
    meant = next((n for n, r in RUNGS.items() if r.realism and (given is r or number_given == n)), max(RUNGS))
    shown = "Rung" if isinstance(given, Rung) else given
    raise InputError("realism", shown, expected, f"RUNGS[{meant}].realism is one")
