"""Decay per step, as frameworks have it, and the time constant in seconds that a `Network` keeps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError

__all__ = ["FloatArray", "require_leak", "shown", "time_constant"]

FloatArray = NDArray[np.float64]


def shown(values: ArrayLike) -> float | list[float]:
    """Values of a parameter as a message has them, without the digits that float32 adds.

    Parameters
    ----------
    values : float or array

    Returns
    -------
    float or list of float

    Examples
    --------
    >>> shown(np.float32(0.8))
    0.8
    """
    return np.asarray(values, dtype=np.float64).round(6).tolist()


def require_leak(field: str, alpha: ArrayLike, given: ArrayLike) -> FloatArray:
    """Return the decay per step if it lies between 0 and 1, and refuse it by the name of a parameter otherwise.

    Parameters
    ----------
    field : str
        The parameter from which it comes, as the user knows it.
    alpha : float or array
        Factor by which the membrane potential is multiplied in each step.
    given : float or array
        Value of that parameter, for the message.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If a neuron never leaks, never remembers, or grows.

    Examples
    --------
    >>> require_leak("beta of layer '1'", 1.0, 1.0)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: beta of layer '1' is 1.0; expected a decay per step above 0 and below 1. ...
    """
    values = np.asarray(alpha, dtype=np.float64)
    if np.any(values >= 1):
        raise InputError(field, shown(given), "a decay per step above 0 and below 1",
                         "without leak there is no finite time constant; let it leak a little")  # fmt: skip
    if not np.all(values > 0):
        raise InputError(field, shown(given), "a decay per step above 0 and below 1",
                         "the potential must keep something of the step before")  # fmt: skip
    return values


def time_constant(alpha: ArrayLike, dt_s: float) -> FloatArray:
    """The time constant for which exp(-dt / tau) is the decay per step, whatever rule made that decay.

    Parameters
    ----------
    alpha : float or array
        Decay per step, above 0 and below 1.
    dt_s : float
        Time step in seconds.

    Returns
    -------
    numpy.ndarray
        In seconds.

    Examples
    --------
    An Euler step with dt / tau = 0.1 decays a little faster than exp(-0.1):

    >>> float(time_constant(1 - 0.1, 0.001).round(6))
    0.009491
    """
    return np.asarray(-dt_s / np.log(np.asarray(alpha, dtype=np.float64)))
