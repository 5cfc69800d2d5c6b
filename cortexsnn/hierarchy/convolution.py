"""Hierarchies of causal convolutions over time: kernel sizes and dilations of the layers.

The formulas of `kernel_sizes` and `dilations` are those of the code of Moro et al. 2024, "The Role of Temporal
Hierarchy in Spiking Neural Networks" (https://doi.org/10.48550/arXiv.2407.18838); doubling dilations are those of
WaveNet, van den Oord et al. 2016 (https://doi.org/10.48550/arXiv.1609.03499).
"""

from __future__ import annotations

import math
from typing import Any

from cortexsnn.checks import number, whole
from cortexsnn.errors import InputError
from cortexsnn.hierarchy.time_constants import number_of_layers
from cortexsnn.hierarchy.time_constants import profile as profile_over_depth

__all__ = ["dilations", "exponential_dilations", "kernel_sizes"]

# A whole number that rounding has made a hair too small must not lose 1 when fractions are cut off.
_ROUNDING = 1e-9


def _cut(value: float) -> int:
    """Cut the fraction off a number that is not negative."""
    return math.floor(value + _ROUNDING)


def _ends(what: str, name: str, layers: int, mean: float, span: float) -> tuple[float, float, float]:
    """Check the numbers; return mean, lowest and highest value as the profile will reach them."""
    middle, width = number(f"mean of the {what}", mean), number(f"span of the {what}", span)
    if number_of_layers(layers) == 1 or name == "homogeneous":
        width = 0.0
    first, last = middle - width / 2, middle + width / 2
    if _cut(min(first, last)) < 1:
        raise InputError(f"{what} with mean {middle:g} and span {width:g}", [first, last], "at least 1 in every layer",
                         "choose a mean of at least 1 and |span| <= 2 * (mean - 1)")  # fmt: skip
    return middle, first, last


def kernel_sizes(layers: int, mean: float, span: float, profile: str = "linear", **shape: Any) -> tuple[int, ...]:
    """Kernel sizes over depth, as whole numbers.

    Linear: ``int(linspace(int(mean - span/2), int(mean + span/2), layers))``. Fractions are cut off, not rounded, and
    at the two ends before the layers between are computed; so an odd span has a mean below `mean`. Other profiles run
    between the same two ends.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean : float
        Mean kernel size, in taps.
    span : float
        Last minus first kernel size; positive for longer kernels in later layers.
    profile : str
        Name of a profile over depth, see `hierarchy.profile`.
    **shape
        Of the profile: `centre` and `steepness` of "tanh", `seed` of "shuffled".

    Returns
    -------
    tuple of int, one for each layer

    Raises
    ------
    InputError
        If a kernel would have no tap or the profile is unknown.

    Examples
    --------
    >>> kernel_sizes(2, 5, 3)
    (3, 6)
    >>> kernel_sizes(3, 5, -4)
    (7, 5, 3)
    """
    middle, first, last = _ends("kernel sizes", profile, layers, mean, span)
    if first != last:
        first, last = _cut(first), _cut(last)
        middle = (first + last) / 2
    return tuple(_cut(size) for size in profile_over_depth(profile, layers, middle, last - first, **shape).tolist())


def dilations(layers: int, mean: float, span: float, profile: str = "linear", **shape: Any) -> tuple[int, ...]:
    """Dilations over depth, as whole numbers: the steps between neighbouring taps of a kernel.

    Linear, for layer l = 0, ..., layers - 1: ``int(mean + (l - (layers - 1)/2) * span / (layers - 1))``. Fractions are
    cut off in each layer; other than in `kernel_sizes` not at the ends first, so with three layers or more the two can
    differ. The original code cuts what is below 0 to 0; a dilation of 0 would lay all taps on one another, so it is
    refused.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean : float
        Mean dilation, in time steps.
    span : float
        Last minus first dilation; positive for later layers that look further back.
    profile : str
        Name of a profile over depth, see `hierarchy.profile`.
    **shape
        Of the profile: `centre` and `steepness` of "tanh", `seed` of "shuffled".

    Returns
    -------
    tuple of int, one for each layer

    Raises
    ------
    InputError
        If a dilation would be below 1 or the profile is unknown.

    Examples
    --------
    >>> dilations(2, 5, 2)
    (4, 6)
    >>> dilations(3, 5, 3), kernel_sizes(3, 5, 3)
    ((3, 5, 6), (3, 4, 6))
    """
    middle, first, last = _ends("dilations", profile, layers, mean, span)
    return tuple(_cut(step) for step in profile_over_depth(profile, layers, middle, last - first, **shape).tolist())


def exponential_dilations(layers: int, base: int = 2) -> tuple[int, ...]:
    """Dilations that grow by a constant factor: 1, base, base**2, ...

    With kernels of `base` taps, the last layer then sees ``base**layers`` steps without a gap.

    Parameters
    ----------
    layers : int
        Number of hidden layers.
    base : int
        Factor from layer to layer.

    Returns
    -------
    tuple of int, one for each layer

    Raises
    ------
    InputError
        If there is no layer or the base is not a whole number of at least 1.

    Examples
    --------
    >>> exponential_dilations(4)
    (1, 2, 4, 8)
    """
    factor = whole("base", base, 1, "a whole number")
    return tuple(factor**layer for layer in range(number_of_layers(layers)))
