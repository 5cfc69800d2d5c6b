"""Processes whose timescale is known: what an estimator must recover, and noise in which it must find nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from cortexsnn.errors import InputError

__all__ = ["ornstein_uhlenbeck", "ou_poisson_counts", "white_poisson_counts"]


def _positive(**given: float) -> None:
    for name, value in given.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(name, value, "a positive number")


def _sizes(**given: int) -> None:
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise InputError(name, value, "a whole number, at least 1")


def ornstein_uhlenbeck(
    *, tau_ms: float, trials: int, steps: int, neurons: int, dt_ms: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Stationary Ornstein-Uhlenbeck process with mean 0 and variance 1.

    The step is exact, x[t+1] = a x[t] + sqrt(1 - a^2) noise with a = exp(-dt/tau) (Gillespie 1996,
    https://doi.org/10.1103/PhysRevE.54.2084). The usual Euler step 1 - dt/tau has a shorter timescale,
    -dt / ln(1 - dt/tau).

    Parameters
    ----------
    tau_ms : float
        Its autocorrelation is exp(-lag / tau).
    trials, steps, neurons : int
        All trials and neurons are independent.
    dt_ms : float
        Time step.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (trial, time, neuron)

    Raises
    ------
    InputError
        If a size is not a whole number of at least 1, or a duration not positive.

    Examples
    --------
    >>> x = ornstein_uhlenbeck(tau_ms=20.0, trials=2, steps=9, neurons=3, dt_ms=1.0, rng=np.random.default_rng(1))
    >>> x.shape
    (2, 9, 3)
    """
    _positive(tau_ms=tau_ms, dt_ms=dt_ms)
    _sizes(trials=trials, steps=steps, neurons=neurons)
    keep = np.exp(-dt_ms / tau_ms)
    noise = rng.standard_normal((trials, steps, neurons))
    # The first value is drawn from the stationary distribution, so there is no burn-in.
    noise[:, 1:] *= np.sqrt(-np.expm1(-2 * dt_ms / tau_ms))
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, axis=1))


def ou_poisson_counts(
    *,
    tau_ms: float,
    trials: int,
    bins: int,
    neurons: int,
    bin_ms: float,
    rate_hz: float = 20.0,
    rate_variation: float = 0.6,
    dt_ms: float = 1.0,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Spike counts of Poisson neurons whose rates are independent Ornstein-Uhlenbeck processes.

    The correlation of the counts falls as exp(-lag / tau) from lag 1 on. (A rate below zero is set to zero, which
    at a variation of 0.6 happens 5 % of the time and hardly changes the shape.)

    Parameters
    ----------
    tau_ms : float
        Timescale of the rate.
    trials, bins, neurons : int
    bin_ms : float
        Width of a bin, a whole multiple of `dt_ms`. With ``bin_ms = dt_ms`` the counts are those of time steps.
    rate_hz : float
        Mean rate.
    rate_variation : float
        Standard deviation of the rate over its mean.
    dt_ms : float
        Time step of the rate.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of int, shape (trial, bin, neuron)

    Raises
    ------
    InputError
        If a size or a number is not positive, or the bin is not a whole multiple of the step.

    Examples
    --------
    >>> counts = ou_poisson_counts(tau_ms=100.0, trials=50, bins=20, neurons=5, bin_ms=50.0,
    ...                            rng=np.random.default_rng(1))
    >>> counts.shape, bool(abs(counts.mean() - 1.0) < 0.2)
    ((50, 20, 5), True)
    """
    _positive(bin_ms=bin_ms, rate_hz=rate_hz, rate_variation=rate_variation, dt_ms=dt_ms)
    _sizes(bins=bins)
    width = round(bin_ms / dt_ms)
    if width < 1 or abs(width - bin_ms / dt_ms) > 1e-6 * width:
        raise InputError("bin_ms", bin_ms, f"a whole multiple of dt_ms = {dt_ms:g}")
    x = ornstein_uhlenbeck(tau_ms=tau_ms, trials=trials, steps=bins * width, neurons=neurons, dt_ms=dt_ms, rng=rng)
    rate = rate_hz * np.maximum(1.0 + rate_variation * x, 0.0)
    expected = rate.reshape(trials, bins, width, neurons).sum(axis=2) * dt_ms / 1000.0
    return rng.poisson(expected)


def white_poisson_counts(
    *, trials: int, bins: int, neurons: int, bin_ms: float, rate_hz: float = 20.0, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Spike counts of Poisson neurons at a constant rate: no timescale at all.

    Parameters
    ----------
    trials, bins, neurons : int
    bin_ms : float
        Width of a bin.
    rate_hz : float
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of int, shape (trial, bin, neuron)

    Raises
    ------
    InputError
        If a size or a number is not positive.

    Examples
    --------
    >>> white_poisson_counts(trials=4, bins=10, neurons=3, bin_ms=50.0, rng=np.random.default_rng(1)).shape
    (4, 10, 3)
    """
    _positive(bin_ms=bin_ms, rate_hz=rate_hz)
    _sizes(trials=trials, bins=bins, neurons=neurons)
    return rng.poisson(rate_hz * bin_ms / 1000.0, (trials, bins, neurons))
