"""Bushy cells of the cochlear nucleus: each fires when many of its fibres fire together.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364: leaky integrate-and-fire neurons with an exponential
synaptic current. In each step ::

    I[t] = exp(-dt / tau_synapse) I[t-1] + spikes[t]
    V[t] = exp(-dt / tau_membrane) V[t-1] + w dt I[t]

and a spike when V reaches 1; then V is 0 and stays so for the refractory period, while the current goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import not_negative, positive
from cortexsnn.datasets.sound.compiling import compiled

__all__ = ["BushyCell"]

_ROUNDING_STEPS = 1e-9


def _integrate(fired, keep_current, keep_potential, gain, refractory_steps, units, steps):  # type: ignore[no-untyped-def]
    """Fill in the unit and step of each spike; return their number."""
    spikes = 0
    for channel in range(fired.shape[0]):
        current = potential = 0.0
        free_from = 0
        for step in range(fired.shape[1]):
            current = current * keep_current + fired[channel, step]
            if step < free_from:
                continue
            potential = potential * keep_potential + gain * current
            if potential >= 1.0:
                units[spikes], steps[spikes] = channel, step
                spikes += 1
                potential = 0.0
                free_from = step + 1 + refractory_steps
    return spikes


@dataclass(frozen=True)
class BushyCell:
    """Time constants and weight.

    Parameters
    ----------
    membrane_tau_s : float
    synapse_tau_s : float
    refractory_s : float
        Time after a spike during which the potential stays at 0.
    weight_hz : float
        How fast the potential rises, in thresholds per second, after every fibre has fired once.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    membrane_tau_s: float = 0.001
    synapse_tau_s: float = 0.0005
    refractory_s: float = 0.001
    weight_hz: float = 13_000.0

    def __post_init__(self) -> None:
        for name in ("membrane_tau_s", "synapse_tau_s", "weight_hz"):
            positive(f"{name} of the bushy cell", getattr(self, name), "a positive number")
        not_negative("refractory_s of the bushy cell", self.refractory_s)

    def spikes(
        self, fired: NDArray[np.uint8], fibres: int, rate_hz: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """When and where bushy cells fire.

        Parameters
        ----------
        fired : array of uint8, shape (channel, step)
            Fibres that fire.
        fibres : int
            Fibres that there are.
        rate_hz : int
            Steps per second.

        Returns
        -------
        units, steps : numpy.ndarray of int64, shape (spike,)
            By unit, then by step.

        Raises
        ------
        InputError
            If the extra ``audio`` is not installed.
        """
        refractory_steps = max(0, math.ceil(self.refractory_s * rate_hz - _ROUNDING_STEPS))
        most = fired.shape[0] * (fired.shape[1] // (refractory_steps + 1) + 1)
        units, steps = np.empty((2, most), dtype=np.int64)
        dt_s = 1 / rate_hz
        keep = [math.exp(-dt_s / tau_s) for tau_s in (self.synapse_tau_s, self.membrane_tau_s)]
        number = _integrated(fired, *keep, self.weight_hz / fibres * dt_s, refractory_steps, units, steps)
        return units[:number].copy(), steps[:number].copy()


_integrated = compiled(_integrate)
