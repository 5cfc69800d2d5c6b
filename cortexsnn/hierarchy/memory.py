"""Effective memory: how far back, on average, the input lies that moves a membrane potential now.

It is a property of the architecture, computed from time constants and taps alone: the mean lag of the impulse response
without threshold and reset, which is the taps convolved with ``alpha**t``, ``alpha = exp(-dt/tau)``. It is neither the
time constant of the membrane nor the timescale that is measured from spikes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values, positive, whole
from cortexsnn.errors import InputError

__all__ = ["EffectiveMemory", "effective_memory_s", "mean_lag_s", "receptive_field_steps"]


@dataclass(frozen=True, eq=False)
class EffectiveMemory:
    """Effective memory of the layers of a network.

    Parameters
    ----------
    layer_s : array, shape (layer,)
        Mean lag, in seconds, from the input of a layer to its potential.
    cumulative_s : array, shape (layer,)
        Mean lag from the input of the network to the potential of the layer: the sum up to and with this layer.
    """

    layer_s: Values
    cumulative_s: Values


def _taps(kernel_size: int, dilation: int) -> tuple[int, int]:
    size = whole("kernel_size", kernel_size, 1, "a whole number of taps")
    return size, whole("dilation", dilation, 1, "a whole number of time steps")


def receptive_field_steps(kernel_size: int, dilation: int) -> int:
    """Time steps from the oldest tap of a kernel to the newest, both counted: ``(kernel_size - 1)*dilation + 1``.

    Parameters
    ----------
    kernel_size : int
        Number of taps.
    dilation : int
        Time steps between neighbouring taps.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If one of them is not a whole number of at least 1.

    Examples
    --------
    >>> receptive_field_steps(5, 5)
    21
    """
    size, step = _taps(kernel_size, dilation)
    return (size - 1) * step + 1


def _mean_tap(size: int, weight: ArrayLike | None) -> float:
    """Mean position of the taps 0, 1, ..., weighted."""
    if weight is None:
        return (size - 1) / 2
    try:
        taps = np.asarray(weight, dtype=np.float64)
    except (TypeError, ValueError):
        taps = np.empty(0)
    if taps.shape != (size,) or not np.all((taps >= 0) & np.isfinite(taps)) or not np.any(taps > 0):
        raise InputError("weight", weight, f"{size} weights of the taps, newest first, none negative and not all 0",
                         "with weights of both signs a mean lag says nothing: give their magnitudes")  # fmt: skip
    taps = taps / taps.max()
    return float(np.arange(size) @ taps / taps.sum())


def mean_lag_s(
    tau_s: ArrayLike, dt_s: float, kernel_size: int = 1, dilation: int = 1, weight: ArrayLike | None = None
) -> float:
    """Mean lag of the impulse response of one layer, in seconds: membrane plus taps.

    The membrane contributes ``dt * alpha/(1 - alpha)``, which is a little less than its time constant (tau - dt/2 for
    small dt), and the taps their mean delay.

    Parameters
    ----------
    tau_s : float or array, shape (neuron,)
        Membrane time constants, in seconds.
    dt_s : float
        Time step, in seconds.
    kernel_size : int
        Number of taps of the causal kernel; 1 for a dense layer.
    dilation : int
        Time steps between neighbouring taps.
    weight : array, shape (kernel_size,), optional
        Weights of the taps, not negative. The first is the newest time step, the other way round than in torch. By
        default all are equal.

    Returns
    -------
    float
        Mean over neurons, each of which counts the same.

    Raises
    ------
    InputError
        If a time constant or the time step is not positive, or the taps are not as described.

    Examples
    --------
    >>> round(mean_lag_s(0.1, 0.01), 4)
    0.0951
    >>> round(mean_lag_s(0.1, 0.01, kernel_size=5, dilation=5), 4)
    0.1951
    """
    tau = positive("tau_s", tau_s, "positive time constants in seconds", dimensions=1)
    step = float(positive("dt_s", dt_s, "a positive number of seconds", "a step of 1 ms is dt_s=0.001"))
    size, apart = _taps(kernel_size, dilation)
    with np.errstate(over="ignore"):  # tau far below dt: no memory, a lag of 0
        membrane = step / np.expm1(step / tau)  # alpha/(1 - alpha) without the rounding of 1 - alpha
    return float(membrane.mean()) + _mean_tap(size, weight) * apart * step


def _is_list(values: Any) -> bool:
    return isinstance(values, list | tuple) or (isinstance(values, np.ndarray) and values.ndim > 0)


def _for_each_layer(field: str, values: Sequence[int] | None, layers: int) -> Sequence[int]:
    if values is None:
        return [1] * layers
    if not _is_list(values) or len(values) != layers:
        raise InputError(field, values, f"{layers} whole numbers, one for each layer")
    return values


def effective_memory_s(
    tau_s: Sequence[ArrayLike] | Values,
    dt_s: float,
    kernel_sizes: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
) -> EffectiveMemory:
    """Effective memory of every layer, and summed over depth.

    A spike reaches the next layer in the same time step, so that the lags of layers in series add up.

    Parameters
    ----------
    tau_s : sequence over layers of float or array, shape (neuron,)
        Membrane time constants, in seconds; one number for each layer, or one for each neuron of it.
    dt_s : float
        Time step, in seconds.
    kernel_sizes : sequence of int, optional
        Taps of each layer, all with equal weights; 1 by default.
    dilations : sequence of int, optional
        Time steps between the taps of each layer; 1 by default.

    Returns
    -------
    EffectiveMemory

    Raises
    ------
    InputError
        If there is no layer, the lists differ in length, or a number of a layer is not positive.

    Examples
    --------
    >>> memory = effective_memory_s([0.05, 0.1], 0.01, kernel_sizes=(3, 6), dilations=(4, 6))
    >>> memory.layer_s.round(3), memory.cumulative_s.round(3)
    (array([0.085, 0.245]), array([0.085, 0.33 ]))
    """
    if not _is_list(tau_s) or not len(tau_s):
        raise InputError("tau_s", tau_s, "time constants in seconds, one or an array for each layer")
    sizes = _for_each_layer("kernel_sizes", kernel_sizes, len(tau_s))
    steps = _for_each_layer("dilations", dilations, len(tau_s))
    layers = zip(tau_s, sizes, steps, strict=True)
    layer_s = np.array([mean_lag_s(tau, dt_s, size, step) for tau, size, step in layers])
    return EffectiveMemory(layer_s, np.cumsum(layer_s))
