"""Continuous signals of mean 0 and variance 1 whose autocorrelation is known, shape (trial, time, neuron)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from cortexsnn.checks import generator, number
from cortexsnn.errors import InputError
from cortexsnn.timescales.processes.arguments import fraction, positives, sizes, two_timescales

__all__ = [
    "autoregressive",
    "geometric_timescale_ms",
    "ornstein_uhlenbeck",
    "oscillating",
    "oscillating_autocorrelation",
    "silence",
    "sinusoid",
    "two_timescale",
    "two_timescale_autocorrelation",
    "white_noise",
]

Values = NDArray[np.float64]


def geometric_timescale_ms(*, factor: float, step_ms: float) -> float:
    """Timescale of a process whose autocorrelation falls by a factor with every step.

    It is -step / ln(factor), for the autoregressive and the branching process alike (Wilting and Priesemann 2018,
    https://doi.org/10.1038/s41467-018-04725-4).

    Parameters
    ----------
    factor : float
        Coefficient of the autoregressive process, or mean offspring of the branching process; between 0 and 1.
    step_ms : float
        Duration of a step.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the factor is not between 0 and 1, or the step not positive.

    Examples
    --------
    >>> round(geometric_timescale_ms(factor=0.98, step_ms=1.0), 3)
    49.498
    """
    (step,) = positives(step_ms=step_ms)
    return float(-step / np.log(fraction("factor", factor)))


def _stationary(keep: float, fresh: float, noise: Values) -> Values:
    """Turn white noise into x[t+1] = keep x[t] + fresh noise[t+1]; the first value is already stationary."""
    noise[:, 1:] *= fresh
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, axis=1))


def autoregressive(
    *, coefficient: float, trials: int, steps: int, neurons: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Stationary autoregressive process of first order with mean 0 and variance 1.

    x[t+1] = a x[t] + sqrt(1 - a^2) noise has the autocorrelation a^k at a lag of k steps, so its timescale is
    -1 / ln(a) steps (`geometric_timescale_ms`) if a is positive. Below 0 it alternates, at 0 it is white noise.

    Parameters
    ----------
    coefficient : float
        a, between -1 and 1.
    trials, steps, neurons : int
        All trials and neurons are independent.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (trial, time, neuron)

    Raises
    ------
    InputError
        If a size is not a whole number of at least 1, or the coefficient not between -1 and 1.

    Examples
    --------
    >>> x = autoregressive(coefficient=0.9, trials=3, steps=4000, neurons=2, rng=np.random.default_rng(1))
    >>> bool(abs((x[:, 1:] * x[:, :-1]).mean() / x.var() - 0.9) < 0.02)
    True
    """
    keep = number("coefficient", coefficient)
    if not -1 < keep < 1:
        raise InputError("coefficient", coefficient, "a number between -1 and 1",
                         "the process is not stationary otherwise")  # fmt: skip
    shape = sizes(trials=trials, steps=steps, neurons=neurons)
    return _stationary(keep, float(np.sqrt((1 - keep) * (1 + keep))), generator(rng).standard_normal(shape))


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
    tau, dt = positives(tau_ms=tau_ms, dt_ms=dt_ms)
    shape = sizes(trials=trials, steps=steps, neurons=neurons)
    fresh = float(np.sqrt(-np.expm1(-2 * dt / tau)))
    return _stationary(float(np.exp(-dt / tau)), fresh, generator(rng).standard_normal(shape))


def two_timescale(
    *,
    tau_ms: tuple[float, float],
    share: float,
    trials: int,
    steps: int,
    neurons: int,
    dt_ms: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Sum of two independent Ornstein-Uhlenbeck processes with mean 0 and variance 1.

    x = sqrt(c) x1 + sqrt(1 - c) x2 has the autocorrelation c exp(-lag / tau1) + (1 - c) exp(-lag / tau2), as in
    Zeraati et al. 2022 (https://doi.org/10.1038/s43588-022-00214-3).

    Parameters
    ----------
    tau_ms : pair of float
        Both timescales.
    share : float
        c, the share of the variance that has the first timescale.
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
        If a size is not a whole number of at least 1, a duration not positive, or the share not between 0 and 1.

    Examples
    --------
    >>> x = two_timescale(tau_ms=(5.0, 80.0), share=0.4, trials=2, steps=9, neurons=3, dt_ms=1.0,
    ...                   rng=np.random.default_rng(1))
    >>> x.shape
    (2, 9, 3)
    """
    first, second = two_timescales(tau_ms)
    part = fraction("share", share)
    x1, x2 = (
        ornstein_uhlenbeck(tau_ms=tau, trials=trials, steps=steps, neurons=neurons, dt_ms=dt_ms, rng=rng)
        for tau in (first, second)
    )
    return np.sqrt(part) * x1 + np.sqrt(1 - part) * x2


def two_timescale_autocorrelation(lag_ms: ArrayLike, *, tau_ms: tuple[float, float], share: float) -> Values:
    """Autocorrelation of `two_timescale`, c exp(-lag / tau1) + (1 - c) exp(-lag / tau2).

    Parameters
    ----------
    lag_ms : array
        Lags, any shape.
    tau_ms : pair of float
    share : float
        c.

    Returns
    -------
    numpy.ndarray, shape of `lag_ms`

    Examples
    --------
    >>> two_timescale_autocorrelation([0.0, 50.0], tau_ms=(5.0, 80.0), share=0.4).round(4)
    array([1.    , 0.3212])
    """
    first, second = two_timescales(tau_ms)
    part, lag = fraction("share", share), np.abs(np.asarray(lag_ms, dtype=np.float64))
    return np.asarray(part * np.exp(-lag / first) + (1 - part) * np.exp(-lag / second))


def sinusoid(
    *, frequency_hz: float, trials: int, steps: int, neurons: int, dt_ms: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Sine of variance 1 with a random phase in every trial and neuron: an oscillation without any decay.

    sqrt(2) sin(phase + 2 pi f t) has the autocorrelation cos(2 pi f lag) over trials. An estimator must not call
    that a timescale.

    Parameters
    ----------
    frequency_hz : float
    trials, steps, neurons : int
    dt_ms : float
        Time step.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (trial, time, neuron)

    Raises
    ------
    InputError
        If a size is not a whole number of at least 1, or a duration or the frequency not positive.

    Examples
    --------
    >>> x = sinusoid(frequency_hz=2.0, trials=1, steps=1000, neurons=1, dt_ms=1.0, rng=np.random.default_rng(1))
    >>> round(float(x.var()), 9), bool(np.allclose(x[:500], x[500:]))
    (1.0, True)
    """
    frequency, dt = positives(frequency_hz=frequency_hz, dt_ms=dt_ms)
    trials, steps, neurons = sizes(trials=trials, steps=steps, neurons=neurons)
    phase = generator(rng).uniform(0.0, 2 * np.pi, (trials, 1, neurons))
    turns = frequency * dt / 1000.0 * np.arange(steps)
    return np.asarray(np.sqrt(2.0) * np.sin(phase + 2 * np.pi * turns[:, None]))


def oscillating(
    *,
    tau_ms: float,
    frequency_hz: float,
    share: float,
    trials: int,
    steps: int,
    neurons: int,
    dt_ms: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Ornstein-Uhlenbeck process and an oscillation, together with mean 0 and variance 1.

    sqrt(c) x + sqrt(1 - c) sqrt(2) sin(phase + 2 pi f t), with a random phase in every trial and neuron, has the
    autocorrelation c exp(-lag / tau) + (1 - c) cos(2 pi f lag) over trials, as in Zeraati et al. 2022
    (https://doi.org/10.1038/s43588-022-00214-3).

    Parameters
    ----------
    tau_ms : float
        Timescale of the part that does not oscillate.
    frequency_hz : float
    share : float
        c, the share of the variance that does not oscillate.
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
        If a size is not a whole number of at least 1, a duration or the frequency not positive, or the share not
        between 0 and 1.

    Examples
    --------
    >>> x = oscillating(tau_ms=60.0, frequency_hz=2.0, share=0.8, trials=2, steps=9, neurons=3, dt_ms=1.0,
    ...                 rng=np.random.default_rng(1))
    >>> x.shape
    (2, 9, 3)
    """
    part = fraction("share", share)
    noise = ornstein_uhlenbeck(tau_ms=tau_ms, trials=trials, steps=steps, neurons=neurons, dt_ms=dt_ms, rng=rng)
    wave = sinusoid(frequency_hz=frequency_hz, trials=trials, steps=steps, neurons=neurons, dt_ms=dt_ms, rng=rng)
    return np.sqrt(part) * noise + np.sqrt(1 - part) * wave


def oscillating_autocorrelation(lag_ms: ArrayLike, *, tau_ms: float, frequency_hz: float, share: float) -> Values:
    """Autocorrelation of `oscillating` over trials, c exp(-lag / tau) + (1 - c) cos(2 pi f lag).

    Parameters
    ----------
    lag_ms : array
        Lags, any shape.
    tau_ms, frequency_hz : float
    share : float
        c.

    Returns
    -------
    numpy.ndarray, shape of `lag_ms`

    Examples
    --------
    >>> oscillating_autocorrelation([0.0, 250.0], tau_ms=60.0, frequency_hz=2.0, share=0.8).round(4)
    array([ 1.    , -0.1876])
    """
    tau, frequency = positives(tau_ms=tau_ms, frequency_hz=frequency_hz)
    part, lag = fraction("share", share), np.abs(np.asarray(lag_ms, dtype=np.float64))
    return np.asarray(part * np.exp(-lag / tau) + (1 - part) * np.cos(2 * np.pi * frequency * lag / 1000.0))


def white_noise(*, trials: int, steps: int, neurons: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Independent normal numbers with mean 0 and variance 1: no timescale at all.

    Examples
    --------
    >>> white_noise(trials=2, steps=9, neurons=3, rng=np.random.default_rng(1)).shape
    (2, 9, 3)
    """
    return generator(rng).standard_normal(sizes(trials=trials, steps=steps, neurons=neurons))


def silence(*, trials: int, steps: int, neurons: int) -> NDArray[np.float64]:
    """Nothing but zeros: no timescale, and no variance either.

    Examples
    --------
    >>> silence(trials=2, steps=9, neurons=3).any()
    np.False_
    """
    return np.zeros(sizes(trials=trials, steps=steps, neurons=neurons))
