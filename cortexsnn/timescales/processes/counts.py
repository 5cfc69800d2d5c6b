"""Spike counts in bins whose autocorrelation is known, shape (trial, bin, neuron)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator
from cortexsnn.timescales.processes.arguments import positives, sizes, steps_in_bin
from cortexsnn.timescales.processes.signals import ornstein_uhlenbeck, two_timescale

__all__ = ["ou_poisson_counts", "rectified_rates_hz", "two_timescale_poisson_counts", "white_poisson_counts"]

Values = NDArray[np.float64]


def rectified_rates_hz(signal: Values, *, rate_hz: float, rate_variation: float) -> Values:
    """Turn a signal of mean 0 and variance 1 into rates; what would lie below zero is set to zero.

    Parameters
    ----------
    signal : array, any shape
    rate_hz : float
        Mean rate before rates below zero are set to zero.
    rate_variation : float
        Standard deviation of the rate over its mean.

    Returns
    -------
    numpy.ndarray, shape of `signal`

    Raises
    ------
    InputError
        If the rate or its variation is not positive.

    Examples
    --------
    >>> rectified_rates_hz(np.array([-2.0, 0.0, 1.0]), rate_hz=20.0, rate_variation=0.6)
    array([ 0., 20., 32.])
    """
    rate, variation = positives(rate_hz=rate_hz, rate_variation=rate_variation)
    return np.asarray(rate * np.maximum(1.0 + variation * signal, 0.0))


def _driven(
    signal: Callable[[int], Values],
    *,
    bins: int,
    bin_ms: float,
    rate_hz: float,
    rate_variation: float,
    dt_ms: float,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Counts of Poisson neurons whose rates follow a signal, of which so many steps are made."""
    width_ms, dt = positives(bin_ms=bin_ms, dt_ms=dt_ms)
    (number,) = sizes(bins=bins)
    width = steps_in_bin(width_ms, dt)
    rates = rectified_rates_hz(signal(number * width), rate_hz=rate_hz, rate_variation=rate_variation)
    trials, _, neurons = rates.shape
    expected = rates.reshape(trials, number, width, neurons).sum(axis=2) * dt / 1000.0
    return rng.poisson(expected)


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

    The correlation of the counts falls as exp(-lag / tau) from lag 1 on (a doubly stochastic Poisson process, Cox
    1955, https://doi.org/10.1111/j.2517-6161.1955.tb00188.x). A rate below zero is set to zero, which at a variation
    of 0.6 happens 5 % of the time: it lifts the mean rate by 1 % and hardly changes the shape.

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

    def signal(steps: int) -> Values:
        return ornstein_uhlenbeck(tau_ms=tau_ms, trials=trials, steps=steps, neurons=neurons, dt_ms=dt_ms, rng=rng)

    return _driven(signal, bins=bins, bin_ms=bin_ms, rate_hz=rate_hz, rate_variation=rate_variation, dt_ms=dt_ms,
                   rng=rng)  # fmt: skip


def two_timescale_poisson_counts(
    *,
    tau_ms: tuple[float, float],
    share: float,
    trials: int,
    bins: int,
    neurons: int,
    bin_ms: float,
    rate_hz: float = 20.0,
    rate_variation: float = 0.6,
    dt_ms: float = 1.0,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Spike counts of Poisson neurons whose rates have two timescales.

    From lag 1 on the correlation of the counts is a sum of exp(-lag / tau1) and exp(-lag / tau2), as in Zeraati et
    al. 2022 (https://doi.org/10.1038/s43588-022-00214-3). Bins change their weights: with q = bin / (2 tau), they
    are as c (sinh(q1) / q1)^2 to (1 - c) (sinh(q2) / q2)^2.

    Parameters
    ----------
    tau_ms : pair of float
        Timescales of the rate.
    share : float
        c, the share of the variance of the rate that has the first timescale.
    trials, bins, neurons : int
    bin_ms : float
        Width of a bin, a whole multiple of `dt_ms`.
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
        If a size or a number is not positive, the share is not between 0 and 1, or the bin is not a whole multiple
        of the step.

    Examples
    --------
    >>> two_timescale_poisson_counts(tau_ms=(5.0, 80.0), share=0.4, trials=4, bins=20, neurons=5, bin_ms=5.0,
    ...                              rng=np.random.default_rng(1)).shape
    (4, 20, 5)
    """

    def signal(steps: int) -> Values:
        return two_timescale(
            tau_ms=tau_ms, share=share, trials=trials, steps=steps, neurons=neurons, dt_ms=dt_ms, rng=rng
        )

    return _driven(signal, bins=bins, bin_ms=bin_ms, rate_hz=rate_hz, rate_variation=rate_variation, dt_ms=dt_ms,
                   rng=rng)  # fmt: skip


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
    width_ms, rate = positives(bin_ms=bin_ms, rate_hz=rate_hz)
    shape = sizes(trials=trials, bins=bins, neurons=neurons)
    return generator(rng).poisson(rate * width_ms / 1000.0, shape)
