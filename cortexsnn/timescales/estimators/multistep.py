"""Multistep regression: the timescale of a population of which only few neurons are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice
from cortexsnn.timescales.blocks import BlockSums
from cortexsnn.timescales.estimators.contract import Activity, Plan, Source, counts_of
from cortexsnn.timescales.estimators.lags import DecayOverLags
from cortexsnn.timescales.multistep import METHODS, step_coefficients

__all__ = ["MultistepRegression"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class MultistepRegression(DecayOverLags):
    """Slopes of the activity k bins later on the activity now, and the decay fitted to them.

    That only some of the neurons are seen makes all slopes smaller by the same factor, and leaves tau as it is
    (Wilting & Priesemann 2018). A layer is the summed activity of its neurons. All lags count alike in the fit.

    Parameters
    ----------
    bin_ms, max_lag_ms, model, criterion, start, sign
        See `DecayOverLags`.
    method : {"stationarymean", "trialseparated"}
        Means over all trials, or slopes of each trial and then their mean.

    Examples
    --------
    >>> MultistepRegression(bin_ms=4.0).method
    'stationarymean'
    """

    bin_ms: float = 5.0
    method: str = "stationarymean"

    name: ClassVar[str] = "multistep"
    doi: ClassVar[str] = "10.1038/s41467-018-04725-4"
    curve_name: ClassVar[str] = "slope of the activity so much later on the activity now"
    pools: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("method", self.method, METHODS)

    def _bins(self, source: Source) -> NDArray[np.int64]:
        bins = super()._bins(source)
        return np.full(bins.size, bins.min())

    def _weights(self, plan: Plan) -> Values:
        return np.ones(plan.axis.size)

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Sums of products, block by block."""
        counts = counts_of(part, self.bin_ms)
        return step_coefficients(counts, np.arange(1, plan.axis.size + 1), plan.time, method=self.method)
