"""Fibres of the auditory nerve that end on the same bushy cell: how many of them fire in each step.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364: each of 40 fibres fires in a step with the probability
that the hair cell gives, but not within 1 ms of its last spike. Only their number matters to the bushy cell. As they
differ in nothing but when they last fired, that number is binomial, drawn from the fibres that are not refractory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator, not_negative, whole
from cortexsnn.datasets.sound.compiling import compiled
from cortexsnn.errors import InputError

__all__ = ["Fibres"]

# Rounding of 0.001 * 24000 must not make a step more.
_ROUNDING_STEPS = 1e-9
_MOST_FIBRES = 255


def _draw(probability, uniform, fibres, refractory_steps, found):  # type: ignore[no-untyped-def]
    """Binomial numbers by inversion of one uniform number a step."""
    for channel in range(probability.shape[0]):
        ready = fibres
        for step in range(probability.shape[1]):
            if step >= refractory_steps:
                ready += found[channel, step - refractory_steps]
            chance, number = probability[channel, step], uniform[channel, step]
            # (1 - p)^n >= 1 - n p, so most steps without a spike need no power.
            if number < 1.0 - ready * chance or ready == 0:
                found[channel, step] = 0
                continue
            # Counting the rarer outcome keeps the first term away from 0. Small numbers mean few spikes all the same.
            often = chance > 0.5
            rare = 1.0 - chance if often else chance
            left = 1.0 - number if often else number
            term = (1.0 - rare) ** ready
            count = 0
            while left >= term and count < ready:
                left -= term
                term *= rare / (1.0 - rare) * (ready - count) / (count + 1)
                count += 1
            if often:
                count = ready - count
            found[channel, step] = count
            ready -= count


@dataclass(frozen=True)
class Fibres:
    """Fibres that end on a bushy cell.

    Parameters
    ----------
    number : int
        1 to 255.
    refractory_s : float
        Shortest time between two spikes of a fibre.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    number: int = 40
    refractory_s: float = 0.001

    def __post_init__(self) -> None:
        if whole("number of fibres", self.number, 1) > _MOST_FIBRES:
            raise InputError("number of fibres", self.number, f"1 to {_MOST_FIBRES}")
        not_negative("refractory_s of the fibres", self.refractory_s)

    def fired(self, probability: NDArray[np.float64], rate_hz: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """How many fibres fire in each step.

        Parameters
        ----------
        probability : array, shape (channel, step)
            Probability that a fibre fires which is not refractory; above 1 counts as 1.
        rate_hz : int
            Steps per second.
        rng : numpy.random.Generator
            One number is drawn for each step of each channel.

        Returns
        -------
        numpy.ndarray of uint8, shape (channel, step)

        Raises
        ------
        InputError
            If the extra ``audio`` is not installed.

        Examples
        --------
        >>> fibres = Fibres(number=40, refractory_s=0.001)
        >>> fibres.fired(np.full((1, 7), 0.5), 3000, np.random.default_rng(0)).sum(axis=1) <= 3 * 40
        array([ True])
        """
        # A spike in the same step as the last one is none.
        steps = max(1, math.ceil(self.refractory_s * rate_hz - _ROUNDING_STEPS))
        fired = np.empty(probability.shape, dtype=np.uint8)
        _drawn(np.minimum(probability, 1.0), generator(rng).random(probability.shape), self.number, steps, fired)
        return fired


_drawn = compiled(_draw)
