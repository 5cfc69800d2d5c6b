"""Augmentation of training trials."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cortexsnn.training.protocol import ChannelShift

__all__ = ["shift_channels"]


def shift_channels(counts: NDArray[np.uint8], shift: ChannelShift, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Move every trial of a batch along its channels, up or down with equal chances.

    Parameters
    ----------
    counts : array of uint8, shape (trial, time, channel)
    shift : ChannelShift
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray
        Of the shape of `counts`.

    Examples
    --------
    >>> counts = np.arange(1, 5, dtype=np.uint8).reshape(1, 1, 4)
    >>> shift_channels(counts, ChannelShift(mean=1, sd=0), np.random.default_rng(0)).ravel()
    array([0, 1, 2, 3], dtype=uint8)
    """
    channels = counts.shape[2]
    distance = min(max(0, int(rng.normal(shift.mean, shift.sd))), channels)
    upwards = rng.random(len(counts)) < 0.5
    if distance == 0:
        return counts
    shifted = np.zeros_like(counts)
    shifted[upwards, :, distance:] = counts[upwards, :, : channels - distance]
    shifted[~upwards, :, : channels - distance] = counts[~upwards, :, distance:]
    return shifted
