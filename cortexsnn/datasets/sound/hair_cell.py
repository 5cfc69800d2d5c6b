"""Inner hair cells: the membrane's velocity lets transmitter out, which makes fibres of the auditory nerve fire.

Meddis 1986, https://doi.org/10.1121/1.393460, with the rates of Meddis, Hewitt & Shackleton 1990 for fibres of medium
spontaneous rate, https://doi.org/10.1121/1.399379: transmitter is free (q), in the cleft (c) or being reprocessed (w).
With the permeability k of the cell, which grows with the velocity s ::

    k = g (s + A) / (s + A + B)  if s > -A, else 0
    dq/dt = y (M - q) + x w - k q
    dc/dt = k q - l c - r c
    dw/dt = r c - x w

and a fibre fires with probability h c dt in a step dt. The equations are stepped forward as Meddis does, by Euler's
method, from their rest without sound.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive
from cortexsnn.datasets.sound.compiling import compiled
from cortexsnn.errors import InputError

__all__ = ["HairCell"]


def _step_through(velocity, offset, half, release, refill, reprocess, loss, reuptake, pool, fire, state, found):  # type: ignore[no-untyped-def]
    """Euler steps; all rates are per step, `state` is q, c, w at the start of each channel."""
    for channel in range(velocity.shape[0]):
        free, cleft, processed = state
        for step in range(velocity.shape[1]):
            drive = velocity[channel, step] + offset
            ejected = release * drive / (drive + half) * free if drive > 0.0 else 0.0
            made = refill * (pool - free) if free < pool else 0.0
            returned = reprocess * processed
            taken = reuptake * cleft
            free = max(free + made - ejected + returned, 0.0)
            cleft = max(cleft + ejected - loss * cleft - taken, 0.0)
            processed = max(processed + taken - returned, 0.0)
            found[channel, step] = fire * cleft


@dataclass(frozen=True)
class HairCell:
    """Rates of the transmitter's circulation.

    Parameters
    ----------
    offset : float
        A: velocity at which permeability starts, with the sign turned.
    half : float
        B: velocity, counted from -A, at which permeability is half of its limit.
    release_hz : float
        g: limit of the permeability.
    refill_hz : float
        y
    reprocess_hz : float
        x
    loss_hz : float
        l
    reuptake_hz : float
        r
    pool : float
        M: transmitter that is free when all is.
    fire_hz : float
        h: rate of spikes for each unit of transmitter in the cleft.

    Raises
    ------
    InputError
        If a number is not positive.
    """

    offset: float = 5.0
    half: float = 300.0
    release_hz: float = 2000.0
    refill_hz: float = 5.05
    reprocess_hz: float = 66.3
    loss_hz: float = 2500.0
    reuptake_hz: float = 6580.0
    pool: float = 1.0
    fire_hz: float = 50_000.0

    def __post_init__(self) -> None:
        for field in fields(self):
            positive(f"{field.name} of the hair cell", getattr(self, field.name), "a positive number")

    def at_rest(self) -> tuple[float, float, float]:
        """Free transmitter, that in the cleft and that being reprocessed, without sound.

        Returns
        -------
        tuple of float
            Where none of the three changes.

        Examples
        --------
        >>> [round(part, 5) for part in HairCell().at_rest()]
        [0.35874, 0.0013, 0.12856]
        """
        permeability = self.release_hz * self.offset / (self.offset + self.half)
        leaving = self.loss_hz + self.reuptake_hz
        cleft = self.pool * self.refill_hz * permeability / (self.loss_hz * permeability + self.refill_hz * leaving)
        return cleft * leaving / permeability, cleft, cleft * self.reuptake_hz / self.reprocess_hz

    def firing_probability(self, velocity: ArrayLike, rate_hz: int) -> NDArray[np.float64]:
        """Probability that a fibre which is not refractory fires in a step.

        Parameters
        ----------
        velocity : array, shape (channel, step)
            Of the basilar membrane.
        rate_hz : int
            Steps per second.

        Returns
        -------
        numpy.ndarray, shape (channel, step)
            Above 1 for absurdly fast movements.

        Raises
        ------
        InputError
            If Euler's method would be unstable at this rate, or the extra ``audio`` is not installed.
        """
        leaving = self.loss_hz + self.reuptake_hz
        if not rate_hz > leaving:
            raise InputError("rate of the velocity in Hz", rate_hz, f"above {leaving:g}",
                             "the transmitter leaves the cleft within a step")  # fmt: skip
        moved = np.ascontiguousarray(velocity, dtype=np.float64)
        probability = np.empty_like(moved)
        rates = (self.release_hz, self.refill_hz, self.reprocess_hz, self.loss_hz, self.reuptake_hz)
        per_step = [rate / rate_hz for rate in rates]
        _stepped(
            moved, self.offset, self.half, *per_step, self.pool, self.fire_hz / rate_hz, self.at_rest(), probability
        )
        return probability


_stepped = compiled(_step_through)
