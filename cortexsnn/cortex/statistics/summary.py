"""Each network one number: the slope or ratio of every seed, and what their spread says about other seeds.

A network is the unit that could be drawn again; its neurons and layers are not independent of each other. So the
simplest honest analysis takes one number from each seed and leaves the rest to a t interval and a sign-flip test
(Holmes & Friston 1998, https://doi.org/10.1016/S1053-8119(18)31587-8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cortexsnn.checks import Values
from cortexsnn.cortex.statistics.inputs import checked_confidence, finite_values, joined, same_length, tau_values
from cortexsnn.cortex.statistics.signs import sign_flip_test
from cortexsnn.cortex.statistics.slopes import least_squares_slopes
from cortexsnn.errors import InputError

__all__ = ["SeedSummary", "over_seeds", "ratio_over_seeds", "slope_over_seeds"]


@dataclass(frozen=True)
class SeedSummary:
    """Mean of one number per seed.

    Parameters
    ----------
    seeds : int
    mean : float
    standard_deviation, standard_error : float
        NaN for one seed.
    degrees_of_freedom : float
        seeds - 1.
    low, high : float
        Ends of Student's interval of the mean; infinite for one seed.
    confidence : float
    t_p_value : float
        Two-sided, of the mean being 0; needs seeds that scatter normally.
    sign_flip_p_value : float
        Two-sided; needs only that seeds scatter alike to both sides. See `sign_flip_test`.
    note : str
        What to keep in mind, in words; empty if nothing.
    """

    seeds: int
    mean: float
    standard_deviation: float
    standard_error: float
    degrees_of_freedom: float
    low: float
    high: float
    confidence: float
    t_p_value: float
    sign_flip_p_value: float
    note: str


def over_seeds(values: ArrayLike, *, confidence: float = 0.95, rng: np.random.Generator) -> SeedSummary:
    """Mean of one number per seed, with Student's interval, t test and sign-flip test.

    Parameters
    ----------
    values : array, shape (seed,)
        Such as the slope of each seed, or the difference of two conditions in each seed.
    confidence : float
    rng : numpy.random.Generator
        For the sign flips of more than 16 seeds.

    Returns
    -------
    SeedSummary

    Raises
    ------
    InputError
        If there is no value, or one is not finite.

    Examples
    --------
    >>> summary = over_seeds([1.1, 1.4, 0.9, 1.2], rng=np.random.default_rng(1))
    >>> round(summary.mean, 2), round(summary.low, 2), round(summary.high, 2), round(summary.t_p_value, 4)
    (1.15, 0.82, 1.48, 0.0016)
    >>> summary.sign_flip_p_value, summary.note
    (0.125, 'n too small: with these 4 values the smallest possible two-sided p is 0.125')
    """
    given = finite_values("values", values)
    checked_confidence(confidence)
    flips = sign_flip_test(given, rng=rng)
    if not given.size:
        raise InputError("values", [], "one number for each seed, at least one")
    seeds, mean = given.size, float(given.mean())
    if seeds == 1:
        note = joined("one seed says nothing about other seeds: no interval", flips.note)
        return SeedSummary(1, mean, nan, nan, 0.0, -inf, inf, confidence, nan, flips.p_value, note)
    deviation = float(given.std(ddof=1))
    error = deviation / sqrt(seeds)
    reach = float(stats.t.ppf((1 + confidence) / 2, seeds - 1)) * error
    same = deviation <= 1e-12 * max(1e-300, abs(mean))
    p_value = nan if same else float(2 * stats.t.sf(abs(mean) / error, seeds - 1))
    note = joined("all seeds are equal: no t test, and are they really different seeds?" if same else "", flips.note)
    return SeedSummary(
        seeds, mean, deviation, error, float(seeds - 1), mean - reach, mean + reach, confidence, p_value,
        flips.p_value, note,
    )  # fmt: skip


def _seed_curves(tau: ArrayLike) -> Values:
    log_tau = tau_values("tau", tau, dimensions=2)
    if log_tau.shape[1] < 2:
        raise InputError("layers", log_tau.shape[1], "at least 2", "one layer has neither a slope nor a ratio")
    return log_tau


def slope_over_seeds(
    depth: ArrayLike, tau: ArrayLike, *, confidence: float = 0.95, rng: np.random.Generator
) -> SeedSummary:
    """Mean over seeds of the least-squares slope of ln(tau) over relative depth.

    With every layer of every seed present this is what `mixed_slope` gives too, unless seeds differ less than the
    scatter of their layers explains.

    Parameters
    ----------
    depth : array, shape (layer,)
    tau : array, shape (seed, layer)
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    SeedSummary
        Of slopes.

    Raises
    ------
    InputError
        If shapes do not fit, a tau is not positive and finite, all depths are equal, or there are fewer than 2 layers.

    Examples
    --------
    >>> tau = [[50.0, 100.0, 200.0], [60.0, 100.0, 190.0], [40.0, 90.0, 170.0]]
    >>> round(slope_over_seeds([0.0, 0.5, 1.0], tau, rng=np.random.default_rng(1)).mean, 3)
    1.329
    """
    places, log_tau = finite_values("depth", depth), _seed_curves(tau)
    same_length("tau", log_tau, "depth", places)
    if np.ptp(places) == 0:
        raise InputError("depth", places.tolist(), "at least two different depths")
    return over_seeds(least_squares_slopes(places, log_tau), confidence=confidence, rng=rng)


def ratio_over_seeds(tau: ArrayLike, *, confidence: float = 0.95, rng: np.random.Generator) -> SeedSummary:
    """Ratio of the top layer's tau to the bottom layer's: geometric mean over seeds, with its interval.

    Seeds are averaged and bounded as ln(tau_top / tau_bottom), so an interval without 1 means what one of the
    logarithm without 0 means.

    Parameters
    ----------
    tau : array, shape (seed, layer)
        In order of depth.
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    SeedSummary
        Mean and ends are ratios; the standard deviation and error are those of the logarithm.

    Raises
    ------
    InputError
        If a tau is not positive and finite, or there are fewer than 2 layers.

    Examples
    --------
    >>> ratio = ratio_over_seeds([[50.0, 90.0, 200.0], [60.0, 90.0, 180.0]], rng=np.random.default_rng(1))
    >>> round(ratio.mean, 2), round(ratio.low, 2), round(ratio.high, 1)
    (3.46, 0.56, 21.5)
    """
    log_tau = _seed_curves(tau)
    logs = over_seeds(log_tau[:, -1] - log_tau[:, 0], confidence=confidence, rng=rng)
    mean, low, high = (float(np.exp(end)) for end in (logs.mean, logs.low, logs.high))
    return replace(logs, mean=mean, low=low, high=high)
