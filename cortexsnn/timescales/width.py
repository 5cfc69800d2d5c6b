"""Widths of an autocorrelation: timescales without a fit.

For an autocorrelation exp(-|t| / tau) all but one of them become tau. For other shapes each means something else, so
they compare areas and conditions, not each other. The integral timescale uses all lags; the sum adds up the first
positive ones; the others ask where the autocorrelation first falls to a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.status import Status

__all__ = ["MEASURES", "WidthFit", "width"]

Values = NDArray[np.float64]

# The level that each measure waits for, and after how many tau an exponential gets there.
_LEVELS = {"acw0": (0.0, np.nan), "acw50": (0.5, float(np.log(2.0))), "decay": (float(np.exp(-1.0)), 1.0)}
MEASURES = ("integral", "sum", *_LEVELS)

WINDOW_IN_TAU = 5.0
_FEWEST_LAGS = 3
# Gregory's corrections of the trapezoid rule by the differences of order 1, 2, ... at its end.
_GREGORY = (1 / 12, -1 / 24, 19 / 720, -3 / 160, 863 / 60480)
# The value at lag 0 is extrapolated from the first lags with a decay between these, in bins.
_FIRST_LAGS = 10
_FASTEST, _SLOWEST = 0.5, 1000.0
_STANDARD_ERRORS = 3.0
# White noise falls to its levels within the first bin.
_SHORTEST_TAU_IN_BINS = 0.75
_GRID, _REFINEMENTS, _AT_BOUND = 120, 40, 1e-4
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


@dataclass(frozen=True, eq=False)
class WidthFit:
    """Widths of many autocorrelations; each array has shape (curve,).

    Parameters
    ----------
    measure : str
        One of `MEASURES`.
    value_ms : array of float
        The measure itself; NaN where it is not defined.
    tau_ms : array of float
        tau of the exponential that has this width; NaN for acw0, because an exponential never becomes 0.
    zero_lag : array of float
        Autocorrelation at lag 0 that the others were divided by.
    status : array of str
        A `Status` each: ok; no_decay if the level, 1 / e for an integral or sum, is not reached within the lags;
        too_short if the lags of an integral or sum last less than 5 tau; at_bound if tau is shorter than 3/4 of a bin,
        as that of white noise, or too short to extrapolate to lag 0; not_better_than_noise if C(0) is less than three
        standard errors, as far as `variance` tells; no_variance if fewer than 3 lags are known.
    """

    measure: str
    value_ms: Values
    tau_ms: Values
    zero_lag: Values
    status: NDArray[np.str_]


def _extrapolated(
    curves: Values, known: NDArray[np.bool_], variance: Values
) -> tuple[Values, NDArray[np.bool_], NDArray[np.bool_]]:
    """Value at lag 0 of the exponential through the first lags, whether it falls too fast to tell, or may be noise."""
    first = slice(0, _FIRST_LAGS)
    weights = known[:, first].astype(np.float64)
    values = np.where(known, curves, 0.0)[:, first]
    lag = np.arange(1, values.shape[1] + 1)

    def at(log_tau: Values) -> tuple[Values, Values]:
        """Explained sum of squares and value at lag 0 for tau of shape (curve, 1)."""
        decay = np.exp(-lag / np.exp(log_tau))
        product, square = (values * decay).sum(axis=1, keepdims=True), (weights * decay**2).sum(axis=1, keepdims=True)
        value = np.divide(product, square, out=np.zeros_like(product), where=square > 0)
        return value * product, value

    grid = np.linspace(np.log(_FASTEST), np.log(_SLOWEST), _GRID)
    decays = np.exp(-lag[:, None] / np.exp(grid))
    squares = weights @ decays**2
    gain = np.divide((values @ decays) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)
    best = np.argmax(gain, axis=1)[:, None]
    low, high = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _GRID - 1)]
    for _ in range(_REFINEMENTS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        go_left = at(left)[0] >= at(right)[0]
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
    log_tau = (low + high) / 2
    explained, zero = at(log_tau)
    noise = (weights * variance[:, first]).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
    return zero[:, 0], (log_tau - grid[0] < _AT_BOUND)[:, 0], explained[:, 0] < _STANDARD_ERRORS**2 * noise


def _bridged(curves: Values) -> Values:
    """Curves from lag 0 on with unknown lags on the straight line between known ones; unknown ends stay NaN."""
    known = np.isfinite(curves)
    lag = np.arange(curves.shape[1])
    filled = curves.copy()
    for row in np.flatnonzero(~known.all(axis=1)):
        inside = lag <= lag[known[row]].max(initial=0)
        filled[row, inside] = np.interp(lag[inside], lag[known[row]], curves[row, known[row]])
    return filled


def _crossing(curves: Values, level: float) -> Values:
    """Lag in bins at which each curve first falls to the level; NaN if it does not."""
    reached = curves <= level
    after = np.maximum(np.argmax(reached, axis=1), 1)
    row = np.arange(len(curves))
    high, low = curves[row, after - 1], curves[row, after]
    # Between two lags a curve is an exponential, or, if it becomes negative, a straight line.
    bent = (low > 0) & (level > 0)
    above, below, to = (
        np.where(bent, np.log(np.where(bent, height, 1.0)), height)
        for height in (high, low, np.full(high.shape, level))
    )
    share = np.divide(above - to, above - below, out=np.ones_like(high), where=above != below)
    return np.where(reached.any(axis=1), after - 1 + share, np.nan)


def _positive_sum(curves: Values) -> Values:
    """Sum from lag 1 to the last one before the curve first becomes 0 or less."""
    still = np.logical_and.accumulate(curves[:, 1:] > 0, axis=1)
    return np.where(still, curves[:, 1:], 0.0).sum(axis=1)


def _square_integral(curves: Values, variance: Values) -> Values:
    """Integral of the squares, less their noise, over both sides in bins.

    The trapezoid rule takes no notice of the corner at lag 0: for an exponential of 2 bins it is 8 % too large. With
    five of Gregory's corrections it is 0.2 % too large.
    """
    known = np.isfinite(curves)
    last = known.sum(axis=1) - 1
    lags = curves.shape[1]
    weights = known.astype(np.float64)
    weights[:, 0] = 0.5
    weights[np.arange(len(curves)), last] = 0.5
    for order, correction in enumerate(_GREGORY, start=1):
        terms = [correction * comb(order, k) * (-1) ** (order - k) for k in range(order + 1)]
        if order < lags:
            weights[:, : order + 1] += np.where(last[:, None] > order, terms, 0.0)
    squares = np.where(known, curves, 0.0) ** 2 - np.where(known, variance, 0.0)
    return 2 * (weights * squares).sum(axis=1)


def width(
    curves: NDArray[np.floating],
    bin_ms: float,
    *,
    measure: str = "integral",
    zero_lag: str = "one",
    variance: ArrayLike | None = None,
) -> WidthFit:
    """Measure the width of many autocorrelations C at once.

    ==========  ===============================================================================================
    integral    integral of (C(t) / C(0))^2 over all lags, both sides (Wieland et al. 2015,
                https://doi.org/10.1103/PhysRevE.92.040901), by the trapezoid rule with Gregory's corrections.
                Squared noise adds up: without `variance` the autocorrelation of a record of duration T, up to
                lag l, comes out longer by about 2 l / T of itself.
    sum         bin x sum of C(k) / C(0) from lag 1 to the last before the first that is not positive (Manea et
                al. 2022, https://doi.org/10.7554/eLife.75540); an exponential has bin / (exp(bin / tau) - 1).
    acw0        lag of the first zero (Golesorkhi et al. 2021, https://doi.org/10.1038/s42003-021-01785-z).
                Grows with the quality of the data and has no tau.
    acw50       lag at which C falls to half of C(0): half of the full width at half maximum (Honey et al. 2012,
                https://doi.org/10.1016/j.neuron.2012.08.011). tau = acw50 / ln 2.
    decay       lag at which C falls to 1 / e of C(0).
    ==========  ===============================================================================================

    Parameters
    ----------
    curves : array, shape (curve, lag)
        Autocorrelation or autocovariance at lags of 1, 2, ... bins. NaN lags are bridged; a NaN end is cut off.
    bin_ms : float
        Time between two lags.
    measure : {"integral", "sum", "acw0", "acw50", "decay"}
    zero_lag : {"one", "extrapolated"}
        C(0): 1 for the autocorrelation of a signal. Spikes add a peak at lag 0 that says nothing about time; for them
        C(0) is what the exponential through the first 10 lags has at lag 0, a negative number for a refractory neuron.
    variance : array that broadcasts to (curve, lag), optional
        Variance of the noise of `curves`, as from a bootstrap. It is taken from their squares in the integral, and is
        what an extrapolated C(0) must rise above: without it, noise is extrapolated too.

    Returns
    -------
    WidthFit

    Raises
    ------
    InputError
        If there are fewer than 3 lags, a name is unknown, or `variance` has another shape or is negative.

    Examples
    --------
    >>> curves = np.exp(-np.arange(1, 101) / [[4.0], [12.0]])
    >>> [width(curves, bin_ms=5.0, measure=measure).tau_ms.round(1) for measure in ("integral", "sum", "acw50")]
    [array([20., 60.]), array([20., 60.]), array([20., 60.])]
    """
    choice("measure", measure, MEASURES)
    choice("zero_lag", zero_lag, ("one", "extrapolated"))
    step = float(positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < _FEWEST_LAGS:
        raise InputError("shape of curves", values.shape, f"(curve, lag) with at least {_FEWEST_LAGS} lags")
    noise = _checked_variance(variance, values.shape)
    known = np.isfinite(values)
    enough = known.sum(axis=1) >= _FEWEST_LAGS
    zero, fast, faint = np.ones(len(values)), *np.zeros((2, len(values)), dtype=bool)
    if zero_lag == "extrapolated":
        zero, fast, faint = _extrapolated(values, known, noise)
    enough &= zero != 0
    divisor = np.where(enough, zero, 1.0)[:, None]
    scaled = np.concatenate([np.ones((len(values), 1)), np.where(known, values, np.nan) / divisor], axis=1)
    scaled = _bridged(np.where(enough[:, None], scaled, 0.0))
    longest = step * (np.isfinite(scaled).sum(axis=1) - 1)
    if measure == "integral":
        relative = np.concatenate([np.zeros((len(values), 1)), noise / divisor**2], axis=1)
        value = tau = step * _square_integral(scaled, relative)
    elif measure == "sum":
        value = step * _positive_sum(scaled)
        tau = step / np.log1p(step / np.where(value > 0, value, np.nan))
    else:
        level, in_tau = _LEVELS[measure]
        value = step * _crossing(scaled, level)
        tau = value / in_tau
    # An area says nothing while the curve goes on beyond its lags.
    falls = np.isfinite(_crossing(scaled, _LEVELS["decay"][0])) & (value > 0)
    decays = falls if measure in ("integral", "sum") else np.isfinite(value)
    short = (measure in ("integral", "sum")) & (np.nan_to_num(tau) * WINDOW_IN_TAU > longest)
    cases = {
        Status.NO_VARIANCE: ~enough,
        Status.NOT_BETTER_THAN_NOISE: faint,
        Status.NO_DECAY: ~decays,
        Status.AT_BOUND: fast | (tau < _SHORTEST_TAU_IN_BINS * step),
        Status.TOO_SHORT: short,
    }
    status = np.select(list(cases.values()), [case.value for case in cases], Status.OK.value)
    has_value = enough & decays
    value, tau = np.where(has_value, value, np.nan), np.where(has_value, tau, np.nan)
    return WidthFit(measure, value, tau, np.where(enough, zero, np.nan), status)


def _checked_variance(variance: Any, shape: tuple[int, ...]) -> Values:
    """Variance of every lag, 0 if none was given or it is not known."""
    given = np.zeros(shape) if variance is None else np.asarray(variance, dtype=np.float64)
    try:
        noise = np.broadcast_to(given, shape)
    except ValueError:
        raise InputError("shape of variance", given.shape, f"one that broadcasts to that of curves, {shape}") from None
    if np.any(noise < 0):
        raise InputError("variance", float(np.nanmin(noise)), "at least 0")
    return np.nan_to_num(noise, nan=0.0)
