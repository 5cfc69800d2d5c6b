"""Poisson spike trains whose rates are constant, given, or follow a process of known timescale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import generator
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.processes.arguments import fraction, positives, sizes, two_timescales
from cortexsnn.timescales.processes.counts import rectified_rates_hz
from cortexsnn.timescales.processes.signals import ornstein_uhlenbeck, two_timescale
from cortexsnn.timescales.processes.units import Events, trains_of_units

__all__ = [
    "ou_poisson_trains",
    "poisson_trains",
    "silent_trains",
    "two_timescale_poisson_trains",
    "white_poisson_trains",
]

Values = NDArray[np.float64]


def _events(rates_hz: Values, dt_s: float, rng: np.random.Generator) -> Events:
    """Draw the spikes of each row, shape (unit, step).

    In the time that is stretched by the rate, spikes are spread evenly (Brown et al. 2002,
    https://doi.org/10.1162/08997660252741149). All rows are one line in that time.
    """
    ends = np.cumsum(rates_hz * dt_s)
    stretched = np.sort(rng.random(rng.poisson(ends[-1]))) * ends[-1]
    step = np.searchsorted(ends, stretched, side="right")
    begins = np.where(step > 0, ends[step - 1], 0.0)
    unit, within = np.divmod(step, rates_hz.shape[1])
    return unit, (within + (stretched - begins) / (ends[step] - begins)) * dt_s


def _array(rates_hz: ArrayLike) -> NDArray[Any]:
    try:
        rates = np.asarray(rates_hz)
    except ValueError:  # lists of different lengths
        raise InputError("rates_hz", rates_hz, "an array of numbers, shape (trial, time, neuron)") from None
    if rates.dtype.kind not in "iuf":
        raise InputError("dtype of rates_hz", str(rates.dtype), "real numbers")
    if rates.ndim != 3 or 0 in rates.shape:
        raise InputError("shape of rates_hz", rates.shape, "(trial, time, neuron), none of them 0")
    return rates


def poisson_trains(*, rates_hz: ArrayLike, dt_ms: float, rng: np.random.Generator) -> SpikeTrains:
    """Poisson spike trains with given rates.

    Parameters
    ----------
    rates_hz : array, shape (trial, time, neuron)
        Rate in each time step, constant within it.
    dt_ms : float
        Time step.
    rng : numpy.random.Generator

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        If a rate is negative or not finite, the array has not three dimensions, or the step is not positive.

    Examples
    --------
    Spikes that follow a wave of 2 Hz without any decay:

    >>> from cortexsnn.timescales.processes import sinusoid
    >>> rng = np.random.default_rng(1)
    >>> wave = sinusoid(frequency_hz=2.0, trials=3, steps=1000, neurons=2, dt_ms=1.0, rng=rng)
    >>> trains = poisson_trains(rates_hz=50.0 * (1.0 + 0.5 * wave), dt_ms=1.0, rng=rng)
    >>> trains.durations_s, bool(abs(trains.rates_hz.mean() - 50.0) < 10.0)
    (array([1., 1., 1.]), True)
    """
    (dt,) = positives(dt_ms=dt_ms)
    rates = _array(rates_hz)
    generator(rng)
    trials, steps, neurons = rates.shape

    def make(begin: int, units: int) -> Events:
        neuron, trial = np.divmod(np.arange(begin, begin + units), trials)
        chosen = rates[trial, :, neuron].astype(np.float64)
        wrong = ~(np.isfinite(chosen) & (chosen >= 0))
        if wrong.any():
            place = tuple(int(axis) for axis in np.argwhere(wrong)[0])
            where = f"trial {trial[place[0]]}, time {place[1]}, neuron {neuron[place[0]]}"
            raise InputError(f"rate at {where}", float(chosen[place]), "a number of at least 0")
        return _events(chosen, dt / 1000.0, rng)

    return trains_of_units(make, neurons=neurons, trials=trials, duration_s=steps * dt / 1000.0, numbers_per_unit=steps)


def _driven(
    signal: Callable[[int, int], Values],
    *,
    rate_hz: float,
    rate_variation: float,
    trials: int,
    duration_s: float,
    neurons: int,
    dt_ms: float,
    rng: np.random.Generator,
) -> SpikeTrains:
    """Poisson trains whose rates follow a signal, of which so many units and steps are made at a time."""
    duration, dt = positives(duration_s=duration_s, dt_ms=dt_ms)
    trials, neurons = sizes(trials=trials, neurons=neurons)
    steps = math.ceil(duration * 1000.0 / dt)  # the trial may end within the last

    def make(_: int, units: int) -> Events:
        rates = rectified_rates_hz(signal(units, steps)[:, :, 0], rate_hz=rate_hz, rate_variation=rate_variation)
        return _events(rates, dt / 1000.0, rng)

    return trains_of_units(make, neurons=neurons, trials=trials, duration_s=duration, numbers_per_unit=steps)


def ou_poisson_trains(
    *,
    tau_ms: float,
    trials: int,
    duration_s: float,
    neurons: int,
    rate_hz: float = 20.0,
    rate_variation: float = 0.6,
    dt_ms: float = 1.0,
    rng: np.random.Generator,
) -> SpikeTrains:
    """Poisson spike trains whose rates are independent Ornstein-Uhlenbeck processes.

    The autocorrelation of their counts falls as exp(-lag / tau) from lag 1 on, whatever the bin (a doubly stochastic
    Poisson process, Cox 1955, https://doi.org/10.1111/j.2517-6161.1955.tb00188.x). A rate below zero is set to
    zero, which at a variation of 0.6 happens 5 % of the time: it lifts the mean rate by 1 % and gives half a percent
    of the variance of the rate half the timescale.

    Parameters
    ----------
    tau_ms : float
        Timescale of the rate.
    trials : int
    duration_s : float
        Of each trial.
    neurons : int
    rate_hz : float
        Mean rate.
    rate_variation : float
        Standard deviation of the rate over its mean.
    dt_ms : float
        The rate is constant for so long; spike times are continuous.
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
    >>> trains = ou_poisson_trains(tau_ms=100.0, trials=4, duration_s=20.0, neurons=5, rng=np.random.default_rng(1))
    >>> trains.durations_s, bool(abs(trains.rates_hz.mean() - 20.0) < 2.0)
    (array([20., 20., 20., 20.]), True)
    """
    positives(tau_ms=tau_ms)
    generator(rng)

    def signal(units: int, steps: int) -> Values:
        return ornstein_uhlenbeck(tau_ms=tau_ms, trials=units, steps=steps, neurons=1, dt_ms=dt_ms, rng=rng)

    return _driven(signal, rate_hz=rate_hz, rate_variation=rate_variation, trials=trials, duration_s=duration_s,
                   neurons=neurons, dt_ms=dt_ms, rng=rng)  # fmt: skip


def two_timescale_poisson_trains(
    *,
    tau_ms: tuple[float, float],
    share: float,
    trials: int,
    duration_s: float,
    neurons: int,
    rate_hz: float = 20.0,
    rate_variation: float = 0.6,
    dt_ms: float = 1.0,
    rng: np.random.Generator,
) -> SpikeTrains:
    """Poisson spike trains whose rates have two timescales.

    Their autocorrelation is that of `two_timescale_poisson_counts` (Zeraati et al. 2022,
    https://doi.org/10.1038/s43588-022-00214-3).

    Parameters
    ----------
    tau_ms : pair of float
        Timescales of the rate.
    share : float
        c, the share of the variance of the rate that has the first timescale.
    trials : int
    duration_s : float
        Of each trial.
    neurons : int
    rate_hz : float
        Mean rate.
    rate_variation : float
        Standard deviation of the rate over its mean.
    dt_ms : float
        The rate is constant for so long; spike times are continuous.
    rng : numpy.random.Generator

    Returns
    -------
    SpikeTrains

    Raises
    ------
    InputError
        If a size or a number is not positive, or the share not between 0 and 1.

    Examples
    --------
    >>> trains = two_timescale_poisson_trains(tau_ms=(5.0, 80.0), share=0.4, trials=1, duration_s=60.0, neurons=5,
    ...                                       rng=np.random.default_rng(1))
    >>> bool(abs(trains.rates_hz.mean() - 20.0) < 2.0)
    True
    """
    two_timescales(tau_ms)
    fraction("share", share)
    generator(rng)

    def signal(units: int, steps: int) -> Values:
        return two_timescale(tau_ms=tau_ms, share=share, trials=units, steps=steps, neurons=1, dt_ms=dt_ms, rng=rng)

    return _driven(signal, rate_hz=rate_hz, rate_variation=rate_variation, trials=trials, duration_s=duration_s,
                   neurons=neurons, dt_ms=dt_ms, rng=rng)  # fmt: skip


def white_poisson_trains(
    *, trials: int, duration_s: float, neurons: int, rate_hz: float = 20.0, rng: np.random.Generator
) -> SpikeTrains:
    """Poisson spike trains at a constant rate: no timescale at all.

    Parameters
    ----------
    trials : int
    duration_s : float
        Of each trial.
    neurons : int
    rate_hz : float
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
    >>> trains = white_poisson_trains(trials=2, duration_s=100.0, neurons=3, rng=np.random.default_rng(1))
    >>> bool(abs(trains.rates_hz.mean() - 20.0) < 1.0)
    True
    """
    rate, duration = positives(rate_hz=rate_hz, duration_s=duration_s)
    trials, neurons = sizes(trials=trials, neurons=neurons)
    generator(rng)

    def make(_: int, units: int) -> Events:
        return _events(np.full((units, 1), rate), duration, rng)

    return trains_of_units(make, neurons=neurons, trials=trials, duration_s=duration, numbers_per_unit=rate * duration)


def silent_trains(*, trials: int, duration_s: float, neurons: int) -> SpikeTrains:
    """Trains without a single spike: nothing to measure.

    Examples
    --------
    >>> silent_trains(trials=2, duration_s=1.0, neurons=3).rates_hz
    array([0., 0., 0.])
    """
    (duration,) = positives(duration_s=duration_s)
    trials, neurons = sizes(trials=trials, neurons=neurons)
    none = np.empty(0, dtype=np.int64)
    return SpikeTrains(np.empty(0), none, none, np.full(trials, duration), np.arange(neurons))
