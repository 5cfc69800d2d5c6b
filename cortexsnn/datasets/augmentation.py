"""Augmentation: batches of training trials are changed at random, every time anew.

All work on counts, not on the times behind them: so they serve every data set, generated tasks too, and a batch is
changed after it was made. Each is a frozen description with a method ``apply(counts, dt_s, rng)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import not_negative
from cortexsnn.datasets.counting import counts_at
from cortexsnn.errors import InputError

__all__ = ["AUGMENTATIONS", "Augmentation", "BackgroundNoise", "ChannelShift", "SpikeDropout", "TimeJitter", "augment"]

_HIGHEST_COUNT = 255


@dataclass(frozen=True)
class ChannelShift:
    """Augmentation: every training trial is moved along its channels, up or down.

    For trial i of a batch, channel c and step t ::

        counts'[i, t, c] = counts[i, t, c - s_i * d],    d = max(0, floor(Normal(mean, sd))),    s_i = 1 or -1

    The distance d is drawn once for a batch, the direction s_i for each trial with equal chances. What moves over the
    edge is lost, and zeros follow. For channels with an order, such as those of a cochlea.

    Parameters
    ----------
    mean, sd : float
        Of the distance in channels.

    Raises
    ------
    InputError
        If a number is negative or not finite.

    Examples
    --------
    >>> counts = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 4)
    >>> ChannelShift(mean=1, sd=0).apply(counts, 0.01, np.random.default_rng(0)).ravel()
    array([0, 1, 2, 3], dtype=uint8)
    """

    kind: ClassVar[str] = "channel_shift"

    mean: float = 10.0
    sd: float = 3.0

    def __post_init__(self) -> None:
        _check_numbers(self, "channel shift")

    def apply(self, counts: NDArray[np.uint8], dt_s: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Move the trials of a batch.

        Parameters
        ----------
        counts : array of uint8, shape (trial, time, channel)
            Left as it is.
        dt_s : float
            Time step in seconds; has no part here.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray of uint8
            Of the shape of `counts`.
        """
        channels = counts.shape[2]
        distance = min(max(0, int(rng.normal(self.mean, self.sd))), channels)
        upwards = rng.random(len(counts)) < 0.5
        if distance == 0:
            return counts
        shifted = np.zeros_like(counts)
        shifted[upwards, :, distance:] = counts[upwards, :, : channels - distance]
        shifted[~upwards, :, : channels - distance] = counts[~upwards, :, distance:]
        return shifted


@dataclass(frozen=True)
class TimeJitter:
    """Augmentation: every spike is moved in time by a distance of its own.

    A spike of step t goes to step ::

        t' = t + floor(u + x / dt),    u ~ Uniform(0, 1),    x ~ Normal(0, sd_s)

    It was somewhere within its step (u), and falls into the step where it is after it was moved by x: this is what
    binning moved spikes gives where spikes are spread evenly within their steps. What moves before the start or
    after the end of the trial is lost.

    Parameters
    ----------
    sd_s : float
        Standard deviation of the distance in seconds.

    Raises
    ------
    InputError
        If the number is negative or not finite.

    Examples
    --------
    >>> counts = np.zeros((1, 9, 1), dtype=np.uint8)
    >>> counts[0, 4] = 5
    >>> TimeJitter(sd_s=0.01).apply(counts, 0.01, np.random.default_rng(0)).ravel()
    array([0, 0, 1, 2, 0, 2, 0, 0, 0], dtype=uint8)
    """

    kind: ClassVar[str] = "time_jitter"

    sd_s: float = 0.01

    def __post_init__(self) -> None:
        _check_numbers(self, "time jitter")

    def apply(self, counts: NDArray[np.uint8], dt_s: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Move the spikes of a batch.

        Parameters
        ----------
        counts : array of uint8, shape (trial, time, channel)
            Left as it is.
        dt_s : float
            Time step in seconds.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray of uint8
            Of the shape of `counts`; counts above 255 are cut to it.
        """
        if self.sd_s == 0:
            return counts
        trials, steps, channels = counts.shape
        size = steps * channels
        cells = np.flatnonzero(counts != 0)  # of bytes it takes twice as long
        number = counts.ravel()[cells].astype(np.int64)
        starts = np.searchsorted(cells, size * np.arange(trials + 1))  # of the trials among the cells with spikes
        within = cells - np.repeat(size * np.arange(trials), np.diff(starts))
        within = np.repeat(within.astype(np.int32), number)  # one entry a spike
        offsets = np.concatenate([[0], np.cumsum(number)])[starts]
        # In 32 bits, and no further than out of the trial, so that nothing overflows.
        distance = rng.standard_normal(within.size, dtype=np.float32) * np.float32(min(self.sd_s / dt_s, 1e9))
        distance += rng.random(within.size, dtype=np.float32)
        moved = np.floor(np.clip(distance, -steps, steps, out=distance)).astype(np.int32)
        moved *= np.int32(channels)
        moved += within
        kept = (moved >= 0) & (moved < size)
        left = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])[offsets]
        return _cut_counts_at(moved[kept], left, size).reshape(counts.shape)


@dataclass(frozen=True)
class SpikeDropout:
    """Augmentation: every spike is left out with the same probability, whatever the others do.

    For each cell ::

        counts' ~ Binomial(counts, 1 - probability)

    Parameters
    ----------
    probability : float
        From 0 to 1.

    Raises
    ------
    InputError
        If it is no probability.

    Examples
    --------
    >>> counts = np.full((1, 2, 3), 9, dtype=np.uint8)
    >>> SpikeDropout(0.5).apply(counts, 0.01, np.random.default_rng(0))[0]
    array([[3, 9, 6],
           [5, 0, 6]], dtype=uint8)
    """

    kind: ClassVar[str] = "spike_dropout"

    probability: float = 0.1

    def __post_init__(self) -> None:
        _check_numbers(self, "spike dropout")
        if self.probability > 1:
            raise InputError("probability of the spike dropout", self.probability, "a number from 0 to 1")

    def apply(self, counts: NDArray[np.uint8], dt_s: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Leave out spikes of a batch.

        Parameters
        ----------
        counts : array of uint8, shape (trial, time, channel)
            Left as it is.
        dt_s : float
            Time step in seconds; has no part here.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray of uint8
            Of the shape of `counts`.
        """
        left = counts.copy(order="C")
        flat = left.reshape(-1)
        cells = np.flatnonzero(flat != 0)
        spikes = np.repeat(cells, flat[cells])
        # One number a spike is drawn much faster than a binomial number a cell, and says the same.
        lost = spikes[rng.random(spikes.size, dtype=np.float32) < self.probability]
        np.subtract.at(flat, lost, np.uint8(1))
        return left


@dataclass(frozen=True)
class BackgroundNoise:
    """Augmentation: spikes of a Poisson process are added to every channel, independent of everything.

    For each cell ::

        counts' = min(counts + Poisson(rate_hz * dt), 255)

    Parameters
    ----------
    rate_hz : float
        Added spikes per second of each channel.

    Raises
    ------
    InputError
        If the number is negative or not finite.

    Examples
    --------
    >>> counts = np.zeros((10, 100, 70), dtype=np.uint8)
    >>> noisy = BackgroundNoise(rate_hz=2.0).apply(counts, 0.01, np.random.default_rng(0))
    >>> round(float(noisy.mean()) / 0.01, 1)
    2.0
    """

    kind: ClassVar[str] = "background_noise"

    rate_hz: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers(self, "background noise")

    def apply(self, counts: NDArray[np.uint8], dt_s: float, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Add spikes to a batch.

        Parameters
        ----------
        counts : array of uint8, shape (trial, time, channel)
            Left as it is.
        dt_s : float
            Time step in seconds.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray of uint8
            Of the shape of `counts`.
        """
        trials = len(counts)
        cells = counts[0].size if trials else 0
        # Once their number is known, spikes of a Poisson process fall anywhere: one draw a spike, not one a cell.
        number = rng.poisson(self.rate_hz * dt_s * cells, trials)
        places = rng.integers(cells, size=number.sum(), dtype=np.int32) if cells else np.empty(0, dtype=np.int32)
        offsets = np.concatenate([[0], np.cumsum(number)])
        noisy = _cut_counts_at(places, offsets, cells).reshape(counts.shape)
        noisy += counts
        noisy[noisy < counts] = _HIGHEST_COUNT  # a sum that wraps around is below both its parts
        return noisy


Augmentation = ChannelShift | TimeJitter | SpikeDropout | BackgroundNoise

#: Each by the name that a description calls it by.
AUGMENTATIONS: dict[str, type[Augmentation]] = {
    one.kind: one for one in (ChannelShift, TimeJitter, SpikeDropout, BackgroundNoise)
}


def augment(
    counts: NDArray[np.uint8],
    augmentation: Augmentation | Sequence[Augmentation] | None,
    dt_s: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Change a batch by one augmentation, or by several one after another.

    Parameters
    ----------
    counts : array of uint8, shape (trial, time, channel)
        Left as it is.
    augmentation : augmentation, or sequence of such, optional
        With none, no random number is drawn.
    dt_s : float
        Time step in seconds.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of uint8
        Of the shape of `counts`.

    Examples
    --------
    >>> counts = np.ones((1, 2, 3), dtype=np.uint8)
    >>> both = (ChannelShift(mean=1, sd=0), SpikeDropout(probability=0.0))
    >>> int(augment(counts, both, 0.01, np.random.default_rng(0)).sum())
    4
    """
    if augmentation is None:
        return counts
    for one in augmentation if isinstance(augmentation, Sequence) else (augmentation,):
        counts = one.apply(counts, dt_s, rng)
    return counts


def _cut_counts_at(places: NDArray[np.int32], offsets: NDArray[np.int64], cells: int) -> NDArray[np.uint8]:
    """As `counts_at`, but what is above 255 is cut to it."""
    found: NDArray[np.uint8] = counts_at(places, offsets, cells)
    if int(found.sum(dtype=np.uint64)) == places.size:
        return found
    return np.minimum(counts_at(places, offsets, cells, np.uint32), _HIGHEST_COUNT).astype(np.uint8)


def _check_numbers(description: Augmentation, name: str) -> None:
    """Make every field a finite number of at least 0 that JSON can say."""
    for field in fields(description):
        value = not_negative(f"{field.name} of the {name}", getattr(description, field.name))
        object.__setattr__(description, field.name, value)
