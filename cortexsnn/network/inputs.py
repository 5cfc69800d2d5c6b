"""Input spikes for a network: one check that every simulator shares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network.description import Network

__all__ = ["input_counts"]

Counts = NDArray[np.uint8]


def _checked(counts: ArrayLike, name: str, channels: int) -> Counts:
    array = np.asarray(counts)
    field = f"spike counts for '{name}'"
    if array.ndim != 3:
        raise InputError(f"shape of {field}", array.shape, "(trial, time, channel)")
    if array.shape[2] != channels:
        raise InputError(f"channels of {field}", array.shape[2], f"{channels}, the size of the population")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(f"shape of {field}", array.shape, "at least one trial and one time step")
    if array.dtype.kind not in "buif":
        raise InputError(f"type of {field}", str(array.dtype), "numbers")
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise InputError(field, "NaN or infinity", "whole numbers of spikes")
    within = array.dtype.kind == "b" or (array.min() >= 0 and array.max() <= 255)
    if not within or not np.array_equal(small := array.astype(np.uint8), array):
        raise InputError(field, [array.min(), array.max()], "whole numbers from 0 to 255",
                         "an input is the number of spikes of a channel in a time step")  # fmt: skip
    return small


def input_counts(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Counts]:
    """Check input spikes and name them by population.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from population name to such an array
        Number of spikes of each channel in each step. An array alone is enough if there is one input population.

    Returns
    -------
    dict of str to numpy.ndarray of uint8

    Raises
    ------
    InputError
        If an input population is missing, or shapes or values do not fit.

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> network = Network(0.01, (Population.input("input", 2),), ())
    >>> input_counts(network, np.zeros((1, 5, 3)))
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: channels of spike counts for 'input' is 3; expected 2, the size of the population
    """
    names = [p.name for p in network.inputs]
    if not isinstance(counts, Mapping):
        if len(names) != 1:
            raise InputError("spike counts", "one array", f"a mapping with the input populations {', '.join(names)}")
        counts = {names[0]: counts}
    if sorted(counts) != sorted(names):
        raise InputError("input populations", sorted(counts), f"{sorted(names)}")
    checked = {p.name: _checked(counts[p.name], p.name, p.size) for p in network.inputs}
    shapes = {array.shape[:2] for array in checked.values()}
    if len(shapes) > 1:
        raise InputError("trials and steps of the input populations", sorted(shapes), "the same for all")
    return checked
