"""Least squares of sums of exponentials in which only the timescales are searched.

R(t) = sum of h_i exp(-t / tau_i), plus a level if asked for. For fixed tau the heights h_i and the level follow from a
linear fit, so that what is explained is a function of the log tau alone (variable projection, Golub & Pereyra 1973,
https://doi.org/10.1137/0710036). Here are that function for many curves at once, and the way uphill by Newton steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["INDEPENDENT", "Curves", "Place", "climb"]

Values = NDArray[np.float64]
Rows = NDArray[np.intp]

# Two exponentials more parallel than this (one less their squared correlation) are one.
INDEPENDENT = 1e-11
_STEPS_AT_MOST = 60
# Newton steps smaller than this change nothing that matters.
_SMALL_STEP = 1e-6
_LARGEST_STEP = 1.0
_NUMBERS_AT_A_TIME = 200_000


@dataclass(frozen=True, eq=False)
class Curves:
    """What is fitted.

    Parameters
    ----------
    lag : array, shape (lag,)
        Distance from the first fitted lag in bins, from 0 on.
    values : array, shape (curve, lag)
        Finite, also where the weight is 0.
    weights : array, shape (curve, lag) or (1, lag)
        Not negative; 0 where a lag is left out.
    level : bool
        Whether a constant is fitted too.
    """

    lag: Values
    values: Values
    weights: Values
    level: bool

    def rows(self, chosen: Rows | slice) -> Curves:
        """Some of the curves."""
        weights = self.weights if len(self.weights) == 1 else self.weights[chosen]
        return replace(self, values=self.values[chosen], weights=weights)

    def chunks(self, numbers_per_curve: int) -> Iterator[tuple[slice, Curves]]:
        """The curves in groups small enough for the cache."""
        size = max(1, _NUMBERS_AT_A_TIME // numbers_per_curve)
        for begin in range(0, len(self.values), size):
            part = slice(begin, begin + size)
            yield part, self.rows(part)

    def centred(self) -> Values:
        """What a level does not explain."""
        if not self.level:
            return self.values
        weights = self.weights / self.weights.sum(axis=1, keepdims=True)
        return self.values - np.einsum("nl,nl->n", np.broadcast_to(weights, self.values.shape), self.values)[:, None]

    def total(self) -> Values:
        """Weighted sum of squares that there is to explain, shape (curve,)."""
        return np.asarray((self.weights * self.centred() ** 2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Place:
    """The linear fit at some log tau, with the slope and the bend of what it explains."""

    log_tau: Values
    height: Values
    level: Values
    gain: Values
    slope: Values
    bend: Values

    def take(self, better: Place, rows: Rows, chosen: NDArray[np.bool_]) -> None:
        """Move the rows that are chosen to a better place."""
        for field in fields(self):
            getattr(self, field.name)[rows[chosen]] = getattr(better, field.name)[chosen]


def _solved(matrix: Values, right: Values) -> tuple[Values, Values]:
    """Solutions of symmetric systems of one or two unknowns, shape as `right` (curve, unknown, k); determinants."""
    if right.shape[1] == 1:
        determinant = matrix[:, 0, 0]
        adjugate = np.ones_like(matrix)
    else:
        determinant = matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] ** 2
        adjugate = matrix[:, ::-1, ::-1] * np.array([[1.0, -1.0], [-1.0, 1.0]])
    safe = np.where(determinant == 0, np.inf, determinant)
    return np.einsum("nij,njk->nik", adjugate, right) / safe[:, None, None], determinant


def _at(curves: Curves, log_tau: Values) -> Place:
    """Fit heights and level for these log tau, shape (curve, component).

    For heights h, f_i = exp(-t / tau_i), c_i = <f_i, R> and S_ij = <f_i, f_j>, explained is G = 2 h c - h S h at its
    largest. So its slope in log tau_i is 2 h_i <f_i', residual>, and its bend the one for fixed heights plus what the
    heights contribute by following.
    """
    number, components = log_tau.shape
    # Rows: a constant, the curve, the exponentials, and their first and second derivatives in log tau.
    rows = np.empty((number, 2 + 3 * components, curves.lag.size))
    one, two, three = (slice(2 + k * components, 2 + (k + 1) * components) for k in range(3))
    rows[:, 0], rows[:, 1] = 1.0, curves.values
    ratio = curves.lag / np.exp(log_tau)[:, :, None]
    rows[:, one] = np.expm1(-ratio)
    rows[:, two] = ratio * (rows[:, one] + 1.0)
    rows[:, three] = (ratio - 1.0) * rows[:, two]
    if not curves.level:
        rows[:, one] += 1.0
    sums = (rows * curves.weights[:, None, :]) @ rows.transpose(0, 2, 1)
    means = sums[:, 0, :] / sums[:, :1, 0]
    if curves.level:
        sums -= sums[:, :, :1] * means[:, None, :]
    overlap, covariance = sums[:, one, one], sums[:, one, 1]
    solved, determinant = _solved(overlap, covariance[:, :, None])
    height = solved[:, :, 0]
    scale = overlap[:, 0, 0] * (overlap[:, 1, 1] if components == 2 else 1.0)
    allowed = (determinant > INDEPENDENT * scale) & (height > 0).all(axis=1)
    diagonal = np.eye(components)
    of_slope = sums[:, two, 1] - np.einsum("nij,nj->ni", sums[:, two, one], height)
    of_bend = sums[:, three, 1] - np.einsum("nij,nj->ni", sums[:, three, one], height)
    # Second derivatives of G in (log tau_i, log tau_j) and in (log tau_i, h_j).
    fixed = 2 * (
        (height * of_bend)[:, :, None] * diagonal - height[:, :, None] * sums[:, two, two] * height[:, None, :]
    )
    mixed = 2 * (of_slope[:, :, None] * diagonal - height[:, :, None] * sums[:, two, one])
    followed = _solved(overlap, mixed.transpose(0, 2, 1))[0]
    level = means[:, 1] - (height * (means[:, one] + 1.0)).sum(axis=1) if curves.level else np.zeros(number)
    return Place(
        log_tau=log_tau,
        height=height,
        level=level,
        gain=np.where(allowed, (height * covariance).sum(axis=1), -np.inf),
        slope=2 * height * of_slope,
        bend=fixed + mixed @ followed / 2,
    )


def _newton_step(place: Place, rows: Rows, low: Values, high: Values, damping: Values) -> Values:
    """Steps uphill of some rows, shape (row, component), which stay inside the range."""
    log_tau, slope, bend = place.log_tau[rows], place.slope[rows], -place.bend[rows]
    held = ((log_tau <= low) & (slope < 0)) | ((log_tau >= high) & (slope > 0))
    slope = np.where(held, 0.0, slope)
    components = slope.shape[1]
    bend = np.where((held[:, :, None] | held[:, None, :]) & ~np.eye(components, dtype=bool), 0.0, bend)
    diagonal = np.einsum("nii->ni", bend)
    middle, spread = diagonal.mean(axis=1), np.ptp(diagonal, axis=1) / 2
    spread = np.hypot(spread, bend[:, 0, -1] if components == 2 else 0.0)
    # Where G does not bend down, the step is as if it did.
    lift = np.maximum(2 * (spread - middle), 0.0) + damping * (np.abs(middle) + spread)
    step = _solved(bend + lift[:, None, None] * np.eye(components), slope[:, :, None])[0][:, :, 0]
    step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return np.asarray(np.clip(log_tau + step, low, high) - log_tau)


def climb(curves: Curves, log_tau: Values, low: Values, high: Values) -> Place:
    """Go uphill from `log_tau`, shape (curve, component), until the steps are small."""
    place = _at(curves, log_tau)
    rows = np.arange(len(log_tau))
    damping = np.zeros(len(log_tau))
    for _ in range(_STEPS_AT_MOST):
        step = _newton_step(place, rows, low[rows], high[rows], damping[rows])
        rows, step = rows[keep := (np.abs(step) > _SMALL_STEP).any(axis=1)], step[keep]
        if not rows.size:
            break
        there = _at(curves.rows(rows), place.log_tau[rows] + step)
        better = there.gain >= place.gain[rows] * (1 - 1e-14)
        place.take(there, rows, better)
        damping[rows] = np.where(better, damping[rows] / 10, np.maximum(10 * damping[rows], 0.1))
    return place
