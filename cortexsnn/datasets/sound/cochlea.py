"""Sound to spikes: the artificial cochlea of the Spiking Heidelberg Digits.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364. The sound, at 48 kHz and scaled to a root mean square of
0.3, rises and falls by a Hann window that spans the utterance. It moves the basilar membrane; a hair cell at each of
700 places excites 40 fibres of the auditory nerve, and a bushy cell fires when enough of them fire together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from cortexsnn.checks import generator, positive, whole
from cortexsnn.datasets.sound.audio import Sound, resampled, windowed
from cortexsnn.datasets.sound.basilar_membrane import BasilarMembrane, MembraneFilter
from cortexsnn.datasets.sound.bushy_cell import BushyCell
from cortexsnn.datasets.sound.fibres import Fibres
from cortexsnn.datasets.sound.hair_cell import HairCell

__all__ = ["Cochlea"]

# 16 MB for each of the arrays that a batch of channels needs, however long the sound.
_VALUES_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class Cochlea:
    """The chain from sound to spikes; what it is given by default is that of the Spiking Heidelberg Digits.

    Parameters
    ----------
    rate_hz : int
        Rate to which sounds are brought. Below some 24 kHz the hair cell cannot be stepped.
    loudness : float
        Root mean square of every sound.
    membrane : BasilarMembrane
    hair_cell : HairCell
    fibres : Fibres
    bushy_cell : BushyCell

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> tone = Sound(np.sin(2 * np.pi * 1000 * np.arange(8000) / 16_000), 16_000)
    >>> cochlea = Cochlea(membrane=BasilarMembrane(channels=20))
    >>> times_s, units = cochlea.spikes(tone, np.random.default_rng(0))
    >>> int(np.bincount(units).argmax()), bool(times_s.max() < tone.duration_s)
    (11, True)
    """

    rate_hz: int = 48_000
    loudness: float = 0.3
    membrane: BasilarMembrane = field(default_factory=BasilarMembrane)
    hair_cell: HairCell = field(default_factory=HairCell)
    fibres: Fibres = field(default_factory=Fibres)
    bushy_cell: BushyCell = field(default_factory=BushyCell)

    def __post_init__(self) -> None:
        whole("rate_hz of the cochlea", self.rate_hz, 1)
        positive("loudness of the cochlea", self.loudness, "a positive number")

    def describe(self) -> dict[str, Any]:
        """All parameters, for a file that keeps what was made with them."""
        return asdict(self)

    @cached_property
    def membrane_filter(self) -> MembraneFilter:
        """The membrane's response, computed once: seconds for 700 channels."""
        return MembraneFilter(self.membrane, self.rate_hz)

    def heard(self, sound: Sound) -> NDArray[np.float64]:
        """The sound as it reaches the membrane.

        Silence is added where it makes the number of samples one that transforms quickly, less than 1 % of a word.

        Parameters
        ----------
        sound : Sound

        Returns
        -------
        numpy.ndarray, shape (sample,)
            At ``rate_hz``.

        Raises
        ------
        InputError
            If the sound has another rate and the extra ``audio`` is not installed.
        """
        samples = windowed(resampled(sound, self.rate_hz).samples, self.loudness)
        velocities = next_fast_len(samples.size // 2 + 1, real=True)
        return np.concatenate([samples, np.zeros(max(0, 2 * (velocities - 1) - samples.size))])

    def velocities(self, sound: Sound) -> Iterator[NDArray[np.float64]]:
        """Velocity of the membrane, some channels at a time.

        Parameters
        ----------
        sound : Sound

        Yields
        ------
        numpy.ndarray, shape (channel, step)
            At half of ``rate_hz``, without the silence that was added to the sound.
        """
        responses = self.membrane_filter
        spectrum = responses.spectrum(self.heard(sound))
        steps = round(sound.duration_s * responses.velocity_rate_hz)
        at_once = max(1, _VALUES_AT_ONCE // spectrum.size)
        for first in range(0, self.membrane.channels, at_once):
            yield responses.velocity(spectrum, slice(first, first + at_once))[:, :steps]

    def spikes(self, sound: Sound, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.uint16]]:
        """Spikes of the bushy cells.

        Parameters
        ----------
        sound : Sound
        rng : numpy.random.Generator
            Draws which fibres fire. The same generator and sound give the same spikes.

        Returns
        -------
        times_s : numpy.ndarray of float64, shape (spike,)
            Sorted, whole steps of ``2 / rate_hz``.
        units : numpy.ndarray of uint16, shape (spike,)
            Channel 0 is at the base of the cochlea: the highest frequency, about 22 kHz.

        Raises
        ------
        InputError
            If the extra ``audio`` is not installed.
        """
        generator(rng)
        rate_hz = self.membrane_filter.velocity_rate_hz
        units, steps, first = [], [], 0
        for velocity in self.velocities(sound):
            probability = self.hair_cell.firing_probability(velocity, rate_hz)
            fired = self.fibres.fired(probability, rate_hz, rng)
            unit, step = self.bushy_cell.spikes(fired, self.fibres.number, rate_hz)
            units.append(unit + first)
            steps.append(step)
            first += len(velocity)
        all_units, all_steps = np.concatenate(units), np.concatenate(steps)
        order = np.lexsort((all_units, all_steps))
        return all_steps[order] / rate_hz, all_units[order].astype(np.uint16)
