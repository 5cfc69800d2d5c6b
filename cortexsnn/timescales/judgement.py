"""What curves are worth: fitted, told from noise and from oscillations, and bounded by their replicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.timescales.estimators import Activity, Estimator
from cortexsnn.timescales.estimators.contract import Fit, Plan
from cortexsnn.timescales.status import Status

__all__ = ["NOISE_LEVEL", "judged", "nothing"]

Values = NDArray[np.float64]

NOISE_LEVEL = 0.01


def _intervals(replicates: Fit, shape: tuple[int, int], confidence: float, shortest_ms: float) -> tuple[Values, Values]:
    """Ends of the central interval of tau of each unit, each a replicate; 0 and infinity where there is no bound."""
    status, tau_ms = replicates.status.reshape(shape), replicates.tau_ms.reshape(shape)
    if shape[0] == 0:
        return np.full(shape[1], np.nan), np.full(shape[1], np.nan)
    at_bound = status == Status.AT_BOUND.value
    anything = ~np.isfinite(tau_ms) & ~at_bound
    # Only the lower bound of the search is shorter than this.
    short = tau_ms < shortest_ms
    low = np.where(anything | (at_bound & short), 0.0, tau_ms)
    high = np.where(anything | (at_bound & ~short), np.inf, tau_ms)
    outside = int((1 - confidence) / 2 * (shape[0] - 1))
    return np.sort(low, axis=0)[outside], np.sort(high, axis=0)[-1 - outside]


def _spread(curves: Values, blocks: int) -> Values | None:
    """Variance of each value over the replicates, shape (unit, lag); None if there are none."""
    if len(curves) < 2:
        return None
    known = np.isfinite(curves)
    number = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, curves, 0.0)
    mean = values.sum(axis=0) / number
    squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
    # Drawing again from so many blocks varies by a little less than new blocks would.
    return np.asarray(squares / np.maximum(number - 1, 1) * blocks / max(blocks - 1, 1))


def judged(
    curves: Values, parts: Callable[[], Iterator[Activity]], plan: Plan, estimator: Estimator, confidence: float,
    rng: np.random.Generator, *, layer: bool,
) -> dict[str, Any]:  # fmt: skip
    """Fit, test and bound the curves of some units, shape (1 + replicate, unit, lag), the estimate first."""
    replicates, units, lags = curves.shape[0] - 1, *curves.shape[1:]
    spread = _spread(curves[1:], plan.blocks)
    fit = estimator.fit(curves[0], plan, layer=layer, variance=spread)
    status = fit.status.astype(object)
    status[~np.isfinite(curves[0]).any(axis=1)] = Status.NO_VARIANCE.value
    found = np.isin(status, [Status.OK.value, Status.TOO_SHORT.value, Status.AT_BOUND.value])
    noise = np.full(units, np.nan)
    if found.any():
        noise = np.where(found, estimator.noise_p_values(parts, plan, fit, rng, layer=layer), np.nan)
    status[found & (noise > NOISE_LEVEL)] = Status.NOT_BETTER_THAN_NOISE.value
    decides = np.isin(status, [Status.OK.value, Status.TOO_SHORT.value, Status.AT_BOUND.value, Status.NO_DECAY.value])
    if decides.any():
        status[np.flatnonzero(decides)[estimator.oscillates(curves[0, decides], plan)]] = Status.OSCILLATION.value
    usable = np.array([Status(str(one)).usable for one in status])
    shown = usable | (status == Status.AT_BOUND.value)
    low, high, fitted = np.full(units, np.nan), np.full(units, np.nan), np.zeros(units, dtype=np.int64)
    # What has no timescale needs no interval.
    # A replicate has the noise of the estimate, and as much again from being drawn.
    twice = None if spread is None else np.tile(2.0 * spread[usable], (replicates, 1))
    again = estimator.fit(curves[1:, usable].reshape(-1, lags), plan, layer=layer, variance=twice)
    shape = (replicates, int(usable.sum()))
    low[usable], high[usable] = _intervals(again, shape, confidence, float(estimator.bin_ms))
    fitted[usable] = (again.status != Status.NO_DECAY.value).reshape(shape).sum(axis=0)
    return {
        "tau_ms": np.where(usable, fit.tau_ms, np.nan),
        "tau_low_ms": low,
        "tau_high_ms": high,
        "replicates_fitted": fitted,
        "noise_p_value": noise,
        "status": status.astype(str),
        "curve": curves[0],
        "fitted": np.where(shown[:, None], fit.fitted, np.nan),
        **{name: _blank_unless(shown, values) for name, values in fit.parameters.items()},
    }


def _blank_unless(shown: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[Any]:
    return np.where(shown, values, "" if values.dtype.kind in "US" else np.nan)


def nothing(status: NDArray[np.str_], plan: Plan, estimator: Estimator) -> dict[str, Any]:
    """Rows of units without an estimate."""
    units, lags = status.size, plan.axis.size
    blank = np.full(units, np.nan)
    words = {name: np.full(units, "") for name, one in estimator.parameters.items() if not one.units}
    return {
        **dict.fromkeys(("tau_ms", "tau_low_ms", "tau_high_ms", "noise_p_value", *estimator.parameters), blank),
        **words,
        "replicates_fitted": np.zeros(units, dtype=np.int64),
        "status": status,
        "curve": np.full((units, lags), np.nan),
        "fitted": np.full((units, lags), np.nan),
    }
