"""Statistics of drawn observations, for `hierarchical_bootstrap`: from how often each counts to one number."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import Values
from cortexsnn.cortex.statistics.inputs import finite_values
from cortexsnn.cortex.statistics.slopes import least_squares_slopes
from cortexsnn.errors import InputError

__all__ = ["Statistic", "layer_slope_statistic", "mean_statistic", "of_observations"]

Statistic = Callable[[Values], Values]


def mean_statistic(values: ArrayLike) -> Statistic:
    """Make a statistic of `hierarchical_bootstrap`: the mean of the drawn observations.

    Parameters
    ----------
    values : array, shape (observation,)

    Returns
    -------
    callable

    Raises
    ------
    InputError
        If a value is not finite.

    Examples
    --------
    >>> mean_statistic([1.0, 2.0, 6.0])(np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 2.0]])).tolist()
    [3.0, 6.0]
    """
    given = finite_values("values", values)

    def mean(counts: Values) -> Values:
        return np.asarray(counts @ given / counts.sum(axis=1))

    return mean


def layer_slope_statistic(layer: ArrayLike, depth: ArrayLike, log_tau: ArrayLike) -> Statistic:
    """Make a statistic of `hierarchical_bootstrap`: the slope, over depth, of the mean ln(tau) of each layer.

    Parameters
    ----------
    layer : array of int, shape (observation,)
        Index of the layer of each observation, from 0.
    depth : array, shape (layer,)
        Relative depth; see `relative_depth`.
    log_tau : array, shape (observation,)

    Returns
    -------
    callable
        Least-squares slope over all layers; NaN in a resample that lacks one.

    Raises
    ------
    InputError
        If shapes do not fit, a layer has no depth or no observation, or a value is not finite.

    Examples
    --------
    >>> slope = layer_slope_statistic([0, 0, 1], [0.0, 1.0], [1.0, 3.0, 4.0])
    >>> slope(np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])).tolist()
    [2.0, 3.0]
    """
    places, values = finite_values("depth", depth), finite_values("log_tau", log_tau)
    which = np.asarray(layer)
    if which.dtype.kind not in "iu" or which.shape != values.shape:
        raise InputError("layer", which.tolist(), f"{values.size} whole numbers, one for each observation")
    missing = sorted(set(which.tolist()) ^ set(range(places.size)))
    if missing:
        raise InputError("layer", missing, f"every layer from 0 to {places.size - 1}, each with an observation",
                         "depth has one value for each layer that is used")  # fmt: skip
    member = (which[:, None] == np.arange(places.size)).astype(np.float64)

    def slope(counts: Values) -> Values:
        number, total = counts @ member, counts @ (member * values[:, None])
        means = np.divide(total, number, out=np.full(total.shape, nan), where=number > 0)
        return least_squares_slopes(places, means)

    return slope


def of_observations(function: Callable[[NDArray[np.int64]], float]) -> Statistic:
    """Make a statistic of `hierarchical_bootstrap` from any function of the indices of the drawn observations.

    Parameters
    ----------
    function : callable
        From indices of observations, repeated as drawn, to one number. It is called once for each resample.

    Returns
    -------
    callable

    Examples
    --------
    >>> values = np.array([1.0, 2.0, 6.0])
    >>> median = of_observations(lambda drawn: float(np.median(values[drawn])))
    >>> median(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])).tolist()
    [2.0, 6.0]
    """

    def each(counts: Values) -> Values:
        which = np.arange(counts.shape[1])
        return np.array([function(np.repeat(which, row)) for row in counts.astype(np.int64)], dtype=np.float64)

    return each
