"""Spike trains that depend on their own past: gamma renewal and self-exciting processes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator, whole
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.processes.arguments import fraction, positives, sizes
from cortexsnn.timescales.processes.units import Events, trains_of_units

__all__ = ["gamma_timescale_ms", "gamma_trains", "hawkes_timescale_ms", "hawkes_trains"]

Values = NDArray[np.float64]

# After so many timescales the start is forgotten: e^-20 is 2e-9.
_BURN_IN_TIMESCALES = 20.0
# Intervals are drawn for the expected number of spikes and so many standard deviations more, rarely twice.
_MORE_INTERVALS = 5.0


def gamma_timescale_ms(*, shape: int, rate_hz: float) -> float:
    """Timescale on which a gamma renewal train forgets its last spike.

    For a whole shape k the density of later spikes is a sum of exponentials, because the Laplace transform of the
    intervals, (1 + s / (k rate))^-k, is 1 at k points (Deger et al. 2012,
    https://doi.org/10.1007/s10827-011-0362-8). The slowest decays with tau = 1 / (k rate (1 - cos(2 pi / k))). For
    k = 2 that is 1 / (4 rate), and the autocovariance is -rate^2 exp(-lag / tau): negative. For k above 2 it
    oscillates as well, with tau as its envelope.

    Parameters
    ----------
    shape : int
        k, at least 2; at 1 the train is Poisson and has no timescale.
    rate_hz : float

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the shape is not a whole number of at least 2, or the rate not positive.

    Examples
    --------
    >>> round(gamma_timescale_ms(shape=2, rate_hz=10.0), 9)
    25.0
    """
    k = whole("shape", shape, 2)
    (rate,) = positives(rate_hz=rate_hz)
    return 1000.0 / (k * rate * (1 - math.cos(2 * math.pi / k)))


def _running_sum(rows: Values) -> Values:
    return np.cumsum(rows, axis=1, out=rows)


def gamma_trains(
    *, shape: float, rate_hz: float, trials: int, duration_s: float, neurons: int, rng: np.random.Generator
) -> SpikeTrains:
    """Stationary renewal trains whose intervals follow a gamma distribution.

    The time to the first spike is what is left of an interval that was under way at the start (Deger et al. 2012,
    https://doi.org/10.1007/s10827-011-0362-8): an even part of an interval drawn in proportion to its length, which
    again follows a gamma distribution, of a shape larger by 1. The coefficient of variation of the intervals is
    1 / sqrt(shape); the timescale is `gamma_timescale_ms`.

    Parameters
    ----------
    shape : float
        Of the gamma distribution: 1 is Poisson, above it spikes are regular, below it they come in bursts.
    rate_hz : float
    trials : int
    duration_s : float
        Of each trial.
    neurons : int
    rng : numpy.random.Generator

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        If a size or a number is not positive.

    Examples
    --------
    >>> trains = gamma_trains(shape=2.0, rate_hz=10.0, trials=1, duration_s=100.0, neurons=5,
    ...                       rng=np.random.default_rng(1))
    >>> bool(abs(trains.rates_hz.mean() - 10.0) < 1.0)
    True
    """
    k, rate, duration = positives(shape=shape, rate_hz=rate_hz, duration_s=duration_s)
    trials, neurons = sizes(trials=trials, neurons=neurons)
    generator(rng)
    scale, expected = 1.0 / (k * rate), rate * duration
    columns = math.ceil(expected + _MORE_INTERVALS * (math.sqrt(expected / k) + 1.0 + 1.0 / k))

    def make(_: int, units: int) -> Events:
        intervals = rng.gamma(k, scale, (units, columns))
        intervals[:, 0] = rng.random(units) * rng.gamma(k + 1.0, scale, units)
        times = _running_sum(intervals)
        unit, column = np.nonzero(times < duration)
        found_unit, found_time = [unit], [times[unit, column]]
        short = np.flatnonzero(times[:, -1] < duration)
        last = times[short, -1]
        while short.size:
            more = rng.gamma(k, scale, (short.size, columns))
            more[:, 0] += last
            times = _running_sum(more)
            unit, column = np.nonzero(times < duration)
            found_unit.append(short[unit])
            found_time.append(times[unit, column])
            behind = times[:, -1] < duration
            short, last = short[behind], times[behind, -1]
        return _in_order(np.concatenate(found_unit), np.concatenate(found_time))

    return trains_of_units(make, neurons=neurons, trials=trials, duration_s=duration, numbers_per_unit=columns)


def hawkes_timescale_ms(*, reproduction: float, kernel_tau_ms: float) -> float:
    """Timescale of the autocovariance of `hawkes_trains`, tau_k / (1 - a).

    Parameters
    ----------
    reproduction : float
        a, how many spikes one spike causes on average.
    kernel_tau_ms : float
        tau_k, how long after it they come on average.

    Returns
    -------
    float

    Raises
    ------
    InputError
        If the reproduction is not between 0 and 1, or the time not positive.

    Examples
    --------
    >>> round(hawkes_timescale_ms(reproduction=0.7, kernel_tau_ms=30.0), 9)
    100.0
    """
    (tau,) = positives(kernel_tau_ms=kernel_tau_ms)
    return tau / (1 - fraction("reproduction", reproduction))


def _in_order(unit: NDArray[np.int64], time: Values) -> Events:
    order = np.lexsort((time, unit))
    return unit[order], time[order]


def hawkes_trains(
    *,
    reproduction: float,
    kernel_tau_ms: float,
    rate_hz: float,
    trials: int,
    duration_s: float,
    neurons: int,
    rng: np.random.Generator,
) -> SpikeTrains:
    """Stationary self-exciting (Hawkes) trains with an exponential kernel.

    Each spike raises the rate by a / tau_k exp(-t / tau_k). At a lag t the autocovariance density is
    rate a (2 - a) / (2 tau_k (1 - a)) exp(-t / tau) with tau = tau_k / (1 - a) (Hawkes 1971,
    https://doi.org/10.1093/biomet/58.1.83), and the counts of bins have the same timescale from lag 1 on. The trains
    are made without time steps as families: spikes from outside at the rate (1 - a) rate, the Poisson(a) spikes that
    each causes, those that these cause, and so on (Hawkes and Oakes 1974, https://doi.org/10.2307/3212693). Families
    begin up to 20 tau before the trial.

    Parameters
    ----------
    reproduction : float
        a, how many spikes one spike causes on average; between 0 and 1.
    kernel_tau_ms : float
        tau_k, how long after it they come on average.
    rate_hz : float
        Mean rate.
    trials : int
    duration_s : float
        Of each trial.
    neurons : int
        All trials and neurons are independent.
    rng : numpy.random.Generator

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        If a size or a number is not positive, or the reproduction not between 0 and 1.

    Examples
    --------
    >>> trains = hawkes_trains(reproduction=0.7, kernel_tau_ms=30.0, rate_hz=2.0, trials=1, duration_s=100.0,
    ...                        neurons=50, rng=np.random.default_rng(1))
    >>> bool(abs(trains.rates_hz.mean() - 2.0) < 0.4)
    True
    """
    a = fraction("reproduction", reproduction)
    tau_k, rate, duration = positives(kernel_tau_ms=kernel_tau_ms, rate_hz=rate_hz, duration_s=duration_s)
    trials, neurons = sizes(trials=trials, neurons=neurons)
    generator(rng)
    kernel_s = tau_k / 1000.0
    before = _BURN_IN_TIMESCALES * kernel_s / (1 - a)

    def make(_: int, units: int) -> Events:
        number = rng.poisson((1 - a) * rate * (before + duration) * units)
        unit, time = rng.integers(units, size=number), rng.uniform(-before, duration, number)
        found_unit, found_time = [], []
        while time.size:
            # What comes before the trial matters only for its descendants; nothing returns from after the trial.
            inside = time >= 0
            found_unit.append(unit[inside])
            found_time.append(time[inside])
            children = rng.poisson(a, time.size)
            time = np.repeat(time, children)
            time += rng.exponential(kernel_s, time.size)
            early = time < duration
            unit, time = np.repeat(unit, children)[early], time[early]
        if not found_unit:
            return np.empty(0, dtype=np.int64), np.empty(0)
        return _in_order(np.concatenate(found_unit), np.concatenate(found_time))

    return trains_of_units(make, neurons=neurons, trials=trials, duration_s=duration,
                           numbers_per_unit=rate * (before + duration))  # fmt: skip
