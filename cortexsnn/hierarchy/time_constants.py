"""Profiles over depth: how time constants change from the first hidden layer to the last.

The formulas of `linear` and `tanh` are those of Moro et al. 2024, "The Role of Temporal Hierarchy in Spiking Neural
Networks" (https://doi.org/10.48550/arXiv.2407.18838). Values are plain numbers in the unit in which the mean is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cortexsnn.checks import Values, generator, number, whole
from cortexsnn.errors import InputError

__all__ = ["PROFILES", "geometric", "homogeneous", "linear", "profile", "reversed_linear", "shuffled", "tanh"]


def number_of_layers(layers: Any) -> int:
    """Return the number of hidden layers as int."""
    return whole("layers", layers, 1, "a whole number of hidden layers")


def _positive(values: Values, name: str, mean: float, span: float) -> Values:
    """Return ``mean + span * values`` if every one can be a time constant.

    The original code cuts negative time constants to zero. A neuron without memory is another model, so it is
    refused here.
    """
    mean, span = number("mean", mean, finite=False), number("span", span, finite=False)
    finite = np.isfinite(mean) and np.isfinite(span)
    tau = mean + span * values if finite else np.full(values.shape, np.nan)
    if not np.all((tau > 0) & np.isfinite(tau)):
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
    return _positive(np.zeros(number_of_layers(layers)), "homogeneous", mean, 0.0)


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
    if number_of_layers(layers) == 1:
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
    centre, steepness = number("centre", centre), number("steepness", steepness, finite=False)
    if not np.isfinite(steepness) or steepness <= 0:
        raise InputError("steepness", steepness, "a positive number", "0.5 is the usual value")
    if number_of_layers(layers) == 1:
        return homogeneous(1, mean)
    rise = np.tanh((np.linspace(0.0, 1.0, layers) - centre) / steepness)
    rise = rise - rise.min()
    if rise.max() == 0.0:
        raise InputError("centre and steepness", (centre, steepness), "a tanh that rises between depth 0 and 1")
    return _positive(rise / rise.max() - 0.5, "tanh", mean, span)


def geometric(layers: int, mean: float, span: float) -> Values:
    """Time constants with a constant ratio between neighbours, from ``mean - span/2`` to ``mean + span/2``.

    The two ends are those of `linear`, and the layers between are ``numpy.geomspace`` of the same ends: equal steps on
    a logarithmic axis. `mean` is therefore the middle of the ends, and the mean over layers is below it.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean : float
        Half-way between the first and the last time constant.
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
    >>> geometric(4, 45.0, 70.0).round(1)
    array([10., 20., 40., 80.])
    """
    if number_of_layers(layers) == 1:
        return homogeneous(1, mean)
    first, last = _positive(np.array([-0.5, 0.5]), "geometric", mean, span)
    tau = first * (last / first) ** np.linspace(0.0, 1.0, layers)
    tau[-1] = last
    return tau


def shuffled(layers: int, mean: float, span: float, rng: np.random.Generator) -> Values:
    """The time constants of the linear profile in random order: the same values without a hierarchy.

    With three layers or more the order is never the ascending one nor the descending one: those are drawn again, and
    all other orders are equally likely. Two layers have no other order, so either may come.

    Parameters
    ----------
    layers : int
        Number of hidden layers. A single layer gets the mean.
    mean, span : float
        As in `linear`.
    rng : numpy.random.Generator
        Draws the order.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If a time constant would not be positive or `rng` is no generator.

    Examples
    --------
    >>> shuffled(4, 100.0, 150.0, np.random.default_rng(0))
    array([125.,  25.,  75., 175.])
    """
    tau, rng = linear(layers, mean, span), generator(rng)
    order = rng.permutation(layers)
    while layers > 2 and np.ptp(np.diff(order)) == 0:  # steps all +1 or all -1
        order = rng.permutation(layers)
    return tau[order]


def _shuffled_by_seed(layers: int, mean: float, span: float, seed: int | None = None) -> Values:
    if seed is None:
        raise InputError("seed of profile 'shuffled'", seed, "a whole number, at least 0",
                         "the same seed gives the same order of layers")  # fmt: skip
    whole("seed of profile 'shuffled'", seed, 0, "a whole number")
    return shuffled(layers, mean, span, np.random.default_rng(seed))


PROFILES: dict[str, Callable[..., Values]] = {
    "homogeneous": lambda layers, mean, span=0.0: homogeneous(layers, mean),
    "linear": linear,
    "reversed": reversed_linear,
    "tanh": tanh,
    "geometric": geometric,
    "shuffled": _shuffled_by_seed,
}

_SHAPES = {"tanh": {"centre", "steepness"}, "shuffled": {"seed"}}


def profile(name: str, layers: int, mean: float, span: float = 0.0, **shape: Any) -> Values:
    """Look a profile up by its name.

    Parameters
    ----------
    name : {"homogeneous", "linear", "reversed", "tanh", "geometric", "shuffled"}
    layers : int
        Number of hidden layers.
    mean, span : float
        Mean time constant, and last minus first. `homogeneous` has no span.
    **shape
        `centre` and `steepness` of the tanh profile; `seed`, a whole number, of the shuffled profile, which has no
        default: runs that differ in nothing but their seed should not all share one order by accident.

    Returns
    -------
    numpy.ndarray, shape (layers,)

    Raises
    ------
    InputError
        If the name is unknown, a time constant would not be positive, or the shape does not belong to the profile.

    Examples
    --------
    >>> profile("reversed", 3, 100.0, 100.0)
    array([150., 100.,  50.])
    >>> profile("shuffled", 3, 100.0, 100.0, seed=0)
    array([150.,  50., 100.])
    """
    if not isinstance(name, str) or name not in PROFILES:
        raise InputError("hierarchy profile", name, f"one of {', '.join(sorted(PROFILES))}")
    if not set(shape) <= _SHAPES.get(name, set()):
        raise InputError(f"shape of profile '{name}'", shape,
                         "centre and steepness with 'tanh', seed with 'shuffled', nothing else")  # fmt: skip
    return PROFILES[name](layers, mean, span, **shape)
