"""The slope of log tau over depth: how many times slower the top is than the bottom, with an interval.

All slopes are of the natural logarithm of tau over relative depth, 0 at the bottom and 1 at the top, so that exp(slope)
is the factor from bottom to top, whatever the unit of tau and the number of layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp, inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cortexsnn.checks import Values, choice
from cortexsnn.cortex.statistics.arrangements import rank_null, whole_ranks
from cortexsnn.cortex.statistics.inputs import checked_confidence, finite_values, joined, same_length, tau_values
from cortexsnn.errors import InputError

__all__ = [
    "SLOPE_METHODS",
    "LogSlope",
    "SlopeStatus",
    "least_squares_slopes",
    "log_ratio",
    "log_slope",
    "relative_depth",
]

SLOPE_METHODS = ("least squares", "theil-sen")


class SlopeStatus(StrEnum):
    """What a slope is worth."""

    OK = "ok"
    TWO_LAYERS = "two_layers"
    TOO_FEW_LAYERS = "too_few_layers"
    ONE_DEPTH = "one_depth"


_REASONS = {
    SlopeStatus.OK: "",
    SlopeStatus.TWO_LAYERS: "two layers always lie on a line: no interval",
    SlopeStatus.TOO_FEW_LAYERS: "n too small: a slope needs 2 layers with a timescale",
    SlopeStatus.ONE_DEPTH: "not defined: all depths are equal",
}


@dataclass(frozen=True)
class LogSlope:
    """Slope of ln(tau) over relative depth.

    Parameters
    ----------
    status : SlopeStatus
        ``two_layers`` has a slope but no interval; ``too_few_layers`` and ``one_depth`` have no slope.
    method : {"least squares", "theil-sen"}
    n : int
        Layers or areas.
    slope, intercept : float
        exp(intercept) is tau at the bottom, in the unit given.
    standard_error : float
        Of the slope by least squares; NaN with Theil-Sen.
    degrees_of_freedom : float
        n - 2.
    low, high : float
        Ends of the interval; infinite where these data give no bound.
    confidence : float
    note : str
        What to keep in mind, in words; empty if nothing.
    """

    status: SlopeStatus
    method: str
    n: int
    slope: float
    intercept: float
    standard_error: float
    degrees_of_freedom: float
    low: float
    high: float
    confidence: float
    note: str

    @property
    def factor(self) -> float:
        """How many times slower the top is than the bottom."""
        return exp(self.slope)


def relative_depth(place: ArrayLike, *, bottom: float | None = None, top: float | None = None) -> Values:
    """Depths or ranks as relative depth, 0 at the bottom and 1 at the top.

    Parameters
    ----------
    place : array, shape (layer,)
        Such as 1, 2, 3 for layers, or the hierarchy score of areas.
    bottom, top : float, optional
        Places that become 0 and 1; the smallest and largest by default. Give them if the first or last layer has no
        timescale, so that what is missing does not stretch the axis.

    Returns
    -------
    numpy.ndarray, shape (layer,)
        All zeros if bottom and top are equal.

    Raises
    ------
    InputError
        If a place is not finite, or top is below bottom.

    Examples
    --------
    >>> relative_depth([1, 2, 5]).tolist(), relative_depth([2, 3], bottom=1, top=5).tolist()
    ([0.0, 0.25, 1.0], [0.25, 0.5])
    """
    places = finite_values("place", place)
    if not places.size:
        return places
    first = float(places.min()) if bottom is None else float(bottom)
    last = float(places.max()) if top is None else float(top)
    if not last >= first:
        raise InputError("top", last, f"at least bottom, which is {first}")
    return np.zeros_like(places) if last == first else (places - first) / (last - first)


def least_squares_slopes(depth: Values, log_tau: Values, counts: Values | None = None) -> Values:
    """Least-squares slopes of many curves at once.

    Parameters
    ----------
    depth : array, shape (layer,)
    log_tau : array, shape (..., layer)
    counts : array, shape (..., layer), optional
        How often each point counts, as where points are drawn again; once by default.

    Returns
    -------
    numpy.ndarray, shape (...)
        NaN if all depths that count are equal, or there are fewer than two.

    Examples
    --------
    >>> least_squares_slopes(np.array([0.0, 0.5, 1.0]), np.array([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]])).tolist()
    [2.0, 0.0]
    >>> counts = np.array([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]])
    >>> least_squares_slopes(np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 3.0]), counts).tolist()
    [4.0, nan]
    """
    weights = np.ones(depth.size) if counts is None else counts
    slopes = np.full(np.broadcast_shapes(np.shape(log_tau), np.shape(weights))[:-1], nan)
    if depth.size < 2 or np.ptp(depth) == 0:
        return slopes
    total = weights.sum(axis=-1, keepdims=True)
    centred = depth - weights @ depth[:, None] / total
    pull = weights * centred
    spread = (pull * centred).sum(axis=-1)
    rise = log_tau @ pull if counts is None else (pull * log_tau).sum(axis=-1)
    # Rounding leaves something of nothing.
    moved = spread > 1e-12 * np.ptp(depth) ** 2 * total[..., 0]
    return np.asarray(np.divide(rise, spread, out=slopes, where=moved))


def log_ratio(depth: Values, log_tau: Values) -> Values:
    """By how much the logarithm of tau is larger at the top than at the bottom, of many curves at once.

    Parameters
    ----------
    depth : array, shape (layer,)
        Relative depth; see `relative_depth`.
    log_tau : array, shape (..., layer)

    Returns
    -------
    numpy.ndarray, shape (...)
        Mean ln(tau) over the layers at depth 1 less that over the layers at depth 0, whatever the order of the layers;
        NaN if there is none at either end.

    Examples
    --------
    >>> side_by_side = log_ratio(np.array([1.0, 0.0, 1.0]), np.log([400.0, 50.0, 100.0]))
    >>> np.exp(side_by_side).round(6).item()
    4.0
    """
    top, bottom = depth == 1, depth == 0
    if not (top.any() and bottom.any()):
        return np.full(np.shape(log_tau)[:-1], nan)
    return np.asarray(log_tau[..., top].mean(axis=-1) - log_tau[..., bottom].mean(axis=-1))


def _least_squares(depth: Values, log_tau: Values, confidence: float) -> LogSlope:
    n = depth.size
    slope = float(least_squares_slopes(depth, log_tau))
    intercept = float(log_tau.mean() - slope * depth.mean())
    if n == 2:
        status = SlopeStatus.TWO_LAYERS
        return LogSlope(
            status, SLOPE_METHODS[0], n, slope, intercept, nan, 0.0, -inf, inf, confidence, _REASONS[status]
        )
    residuals = log_tau - intercept - slope * depth
    centred = depth - depth.mean()
    error = sqrt(float(residuals @ residuals) / (n - 2) / float(centred @ centred))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 2)) * error
    return LogSlope(
        SlopeStatus.OK, SLOPE_METHODS[0], n, slope, intercept, error, float(n - 2), slope - reach, slope + reach,
        confidence, "",
    )  # fmt: skip


def _smallest_rejected(depth: Values, allowed: float) -> float:
    """Smallest size of Kendall's score that chance reaches with a probability of at most `allowed`."""
    ranks = whole_ranks(depth)
    null = rank_null(ranks, np.arange(depth.size), "kendall")
    if null is None:
        _, ties = np.unique(ranks, return_counts=True)
        n = depth.size
        variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
        return float(stats.norm.isf(allowed / 2) * sqrt(variance))
    sizes = np.unique(np.abs(null.scores))
    reached = np.array([null.share[np.abs(null.scores) >= size].sum() for size in sizes])
    # Shares of permutations are sums of fractions.
    rejected = sizes[reached <= allowed + 1e-12]
    return float(rejected[0]) if rejected.size else inf


def _theil_sen(depth: Values, log_tau: Values, confidence: float) -> LogSlope:
    i, j = np.triu_indices(depth.size, 1)
    run = depth[j] - depth[i]
    slopes = np.sort((log_tau[j] - log_tau[i])[run != 0] / run[run != 0])
    slope = float(np.median(slopes))
    intercept = float(np.median(log_tau - slope * depth))
    n, status = depth.size, SlopeStatus.TWO_LAYERS if depth.size == 2 else SlopeStatus.OK
    rejected = _smallest_rejected(depth, 1 - confidence)
    # A slope above k of the pairwise slopes has a score of (slopes - 2 k) and is in the interval if that is small.
    below = np.arange(slopes.size + 1)
    kept = below[np.abs(slopes.size - 2 * below) < rejected]
    ends = np.concatenate([[-inf], slopes, [inf]])
    low, high = float(ends[kept[0]]), float(ends[kept[-1] + 1])
    note = "" if np.isfinite(low) else f"n too small for an interval of {confidence:.0%} by order alone"
    return LogSlope(
        status, SLOPE_METHODS[1], n, slope, intercept, nan, float(n - 2), low, high, confidence,
        joined(_REASONS[status], "" if status == SlopeStatus.TWO_LAYERS else note),
    )  # fmt: skip


def log_slope(depth: ArrayLike, tau: ArrayLike, method: str = "least squares", *, confidence: float = 0.95) -> LogSlope:
    """Slope of ln(tau) over depth, with an interval.

    By least squares, with Student's t on n - 2 degrees of freedom; or by Theil and Sen, the median of the slopes of all
    pairs of different depth, which one odd layer does not move, with the interval of slopes that Kendall's exact test
    does not reject (Sen 1968, https://doi.org/10.1080/01621459.1968.10480934). Both take layers of the same depth as
    several measurements there. The interval says how well these points fix a line; it does not speak of other seeds.

    Parameters
    ----------
    depth : array, shape (n,)
        Relative depth of each layer or area; see `relative_depth`.
    tau : array, shape (n,)
        Timescales, of any unit.
    method : {"least squares", "theil-sen"}
    confidence : float
        Of the interval; Theil-Sen's holds at least that.

    Returns
    -------
    LogSlope
        With its status: two layers have a slope without an interval, one layer or one depth has none.

    Raises
    ------
    InputError
        If lengths differ, a depth is not finite, a tau is not positive and finite, or the method is unknown.

    Examples
    --------
    >>> slope = log_slope([0.0, 0.5, 1.0], [50.0, 110.0, 200.0])
    >>> round(slope.factor, 2), round(slope.low, 2), round(slope.high, 2), slope.status.value
    (4.0, -0.01, 2.78, 'ok')
    >>> log_slope([0.0, 1.0], [50.0, 200.0]).note
    'two layers always lie on a line: no interval'
    """
    choice("method", method, SLOPE_METHODS)
    places, log_tau = finite_values("depth", depth), tau_values("tau", tau)
    same_length("tau", log_tau, "depth", places)
    checked_confidence(confidence)
    if places.size < 2 or np.ptp(places) == 0:
        status = SlopeStatus.TOO_FEW_LAYERS if places.size < 2 else SlopeStatus.ONE_DEPTH
        return LogSlope(status, method, places.size, nan, nan, nan, nan, nan, nan, confidence, _REASONS[status])
    estimate = _least_squares if method == SLOPE_METHODS[0] else _theil_sen
    return estimate(places, log_tau, confidence)
