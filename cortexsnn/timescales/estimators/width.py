"""Widths of the autocorrelation that need no fit: integral timescale, sum of positive lags, ACW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice
from cortexsnn.timescales.blocks import BlockSums
from cortexsnn.timescales.estimators.contract import Activity, Fit, Parameter, Plan
from cortexsnn.timescales.estimators.lags import OverLags, correlogram_of
from cortexsnn.timescales.width import MEASURES, width

__all__ = ["IntegralTimescale"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class IntegralTimescale(OverLags):
    """Width of the autocorrelation, without assuming the shape of its decay.

    tau_ms is the timescale of the exponential that is as wide. Lag 0 of spikes, which holds the noise of single
    spikes, is replaced by what the first lags extrapolate to.

    Parameters
    ----------
    bin_ms, max_lag_ms
        See `OverLags`.
    measure : {"integral", "sum", "acw0", "acw50", "decay"}
        See `cortexsnn.timescales.width.width`. acw0 has a value_ms but no tau_ms.

    Examples
    --------
    >>> IntegralTimescale(measure="acw50").measure
    'acw50'
    """

    measure: str = "integral"

    name: ClassVar[str] = "integral"
    doi: ClassVar[str] = "10.1103/PhysRevE.92.040901"
    curve_name: ClassVar[str] = "autocorrelation over time"
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "value_ms": Parameter("the measure itself", "ms"),
        "zero_lag": Parameter("autocorrelation at lag 0 that the others were divided by"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("measure", self.measure, MEASURES)

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Sums of products, block by block."""
        return correlogram_of(part, self.bin_ms, plan.axis.size, plan.time)

    def fit(self, curves: Values, plan: Plan, *, layer: bool, variance: Values | None = None) -> Fit:
        """Measure the width of curves of shape (curve, lag)."""
        if variance is None and not layer:
            # What white activity has; that of a mean over neurons is less, by a factor that the curve cannot tell.
            variance = 1.0 / np.maximum(self._weights(plan), 1.0)
        zero_lag = "one" if plan.of_signals else "extrapolated"
        found = width(curves, self.bin_ms, measure=self.measure, zero_lag=zero_lag, variance=variance)
        return Fit(
            found.tau_ms,
            found.status,
            np.nan_to_num(found.value_ms),
            np.full(curves.shape, np.nan),
            {"value_ms": found.value_ms, "zero_lag": found.zero_lag},
        )
