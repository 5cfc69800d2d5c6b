"""Profiles over depth: how time constants change from the first hidden layer to the last.

The formulas are those of Moro et al. 2024, "The Role of Temporal Hierarchy in Spiking Neural Networks"
(https://doi.org/10.48550/arXiv.2407.18838). Values are plain numbers in the unit in which the mean is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = ["PROFILES", "homogeneous", "linear", "profile", "reversed_linear", "tanh"]

Values = NDArray[np.float64]


def _number_of_layers(layers: int) -> int:
    if isinstance(layers, bool) or not isinstance(layers, int | np.integer) or layers < 1:
        raise InputError("layers", layers, "a whole number of hidden layers, at least 1")
    return int(layers)


def _positive(values: Values, name: str, mean: float, span: float) -> Values:
    """Return ``mean + span * values`` if every one can be a time constant.

    The original code cuts negative time constants to zero. A neuron without memory is another model, so it is
    refused here.
    """
    finite = np.isfinite(mean) and np.isfinite(span)
    tau = mean + span * values if finite else np.full(values.shape, np.nan)
    if not np.all(tau > 0):
        raise InputError(f"profile '{name}' with mean {mean:g} and span {span:g}", tau.tolist(),
                         "a positive time constant in every layer", "choose |span| < 2 * mean")  # fmt: skip
    return tau


def homogeneous(layers: int, mean: float) -> Values:
    """The same time constant in every layer.

    Parameters
    ----------
    layers : int
        Number of hidden layers.
    mean : float
        The time constant.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If there is no layer or the time constant is not positive.

    Examples
    --------
    >>> homogeneous(3, 100.0)
    array([100., 100., 100.])
    """
    return _positive(np.zeros(_number_of_layers(layers)), "homogeneous", mean, 0.0)


def linear(layers: int, mean: float, span: float) -> Values:
    """Time constants that rise in equal steps from ``mean - span/2`` to ``mean + span/2``.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean : float
        Mean time constant.
    span : float
        Last minus first time constant; negative for a reversed hierarchy.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If a time constant would not be positive.

    Examples
    --------
    >>> linear(4, 100.0, 150.0)
    array([ 25.,  75., 125., 175.])
    """
    if _number_of_layers(layers) == 1:
        return homogeneous(1, mean)
    return _positive(np.linspace(-0.5, 0.5, layers), "linear", mean, span)


def reversed_linear(layers: int, mean: float, span: float) -> Values:
    """The linear profile upside down: the slowest layer first.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean : float
        Mean time constant.
    span : float
        First minus last time constant.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If a time constant would not be positive.

    Examples
    --------
    >>> reversed_linear(4, 100.0, 150.0)
    array([175., 125.,  75.,  25.])
    """
    return linear(layers, mean, span)[::-1].copy()


def tanh(layers: int, mean: float, span: float, centre: float = 0.5, steepness: float = 0.5) -> Values:
    """Time constants on a hyperbolic tangent over depth, from ``mean - span/2`` to ``mean + span/2``.

    With x from 0 (first layer) to 1 (last), h = tanh((x - centre) / steepness) is rescaled to [-0.5, 0.5] and
    tau = mean + span * h.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean, span : float
        As in `linear`.
    centre : float
        Relative depth of the steepest rise, 0 to 1.
    steepness : float
        Width of the rise; small values make a step.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If a time constant would not be positive or `steepness` is not.

    Examples
    --------
    >>> tanh(4, 100.0, 150.0).round(1)
    array([ 25. ,  68.3, 131.7, 175. ])
    """
    if not np.isfinite(steepness) or steepness <= 0:
        raise InputError("steepness", steepness, "a positive number", "0.5 is the usual value")
    if _number_of_layers(layers) == 1:
        return homogeneous(1, mean)
    rise = np.tanh((np.linspace(0.0, 1.0, layers) - centre) / steepness)
    rise = rise - rise.min()
    if rise.max() == 0.0:
        raise InputError("centre and steepness", (centre, steepness), "a tanh that rises between depth 0 and 1")
    return _positive(rise / rise.max() - 0.5, "tanh", mean, span)


PROFILES: dict[str, Callable[..., Values]] = {
    "homogeneous": lambda layers, mean, span=0.0: homogeneous(layers, mean),
    "linear": linear,
    "reversed": reversed_linear,
    "tanh": tanh,
}


def profile(name: str, layers: int, mean: float, span: float = 0.0, **shape: Any) -> Values:
    """Look a profile up by its name.

    Parameters
    ----------
    name : {"homogeneous", "linear", "reversed", "tanh"}
    layers : int
        Number of hidden layers.
    mean, span : float
        Mean time constant, and last minus first. `homogeneous` has no span.
    **shape
        `centre` and `steepness` of the tanh profile.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If the name is unknown or a time constant would not be positive.

    Examples
    --------
    >>> profile("reversed", 3, 100.0, 100.0)
    array([150., 100.,  50.])
    """
    if name not in PROFILES:
        raise InputError("hierarchy profile", name, f"one of {', '.join(sorted(PROFILES))}")
    try:
        return PROFILES[name](layers, mean, span, **shape)
    except TypeError:
        raise InputError(
            f"shape of profile '{name}'", shape, "centre and steepness with 'tanh', nothing else"
        ) from None
