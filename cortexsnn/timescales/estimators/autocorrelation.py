"""Autocorrelation over time, of each neuron with itself, across the whole recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cortexsnn.checks import choice
from cortexsnn.timescales.blocks import BlockSums
from cortexsnn.timescales.estimators.contract import Activity, Plan
from cortexsnn.timescales.estimators.lags import DecayOverLags, correlogram_of

__all__ = ["Autocorrelation"]


@dataclass(frozen=True)
class Autocorrelation(DecayOverLags):
    """Autocorrelation of counts or signals over time, and the decay fitted to it.

    A layer is the mean over the curves of its neurons. Lag 0, which holds the noise of single spikes, is left out.

    Parameters
    ----------
    bin_ms, max_lag_ms, model, criterion, start, sign
        See `DecayOverLags`.
    centre : {"all", "trial"}
        What is subtracted: the mean of a neuron over all trials, or that of each trial. The latter shortens every
        timescale that is not much shorter than the trial (Marriott & Pope 1954, https://doi.org/10.1093/biomet/41.3-4.390).
    weighting : {"pairs", "all"}
        Whether sums over N - k pairs of bins are divided by N - k, or by N, which shortens timescales too.

    Examples
    --------
    >>> Autocorrelation(bin_ms=5.0, model=("exponential", "two_exponentials")).criterion
    'bic'
    """

    centre: str = "all"
    weighting: str = "pairs"

    name: ClassVar[str] = "acf"
    doi: ClassVar[str] = "10.1038/s43588-022-00214-3"
    curve_name: ClassVar[str] = "autocorrelation over time"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("centre", self.centre, ("all", "trial"))
        choice("weighting", self.weighting, ("pairs", "all"))

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Sums of products, block by block."""
        return correlogram_of(
            part, self.bin_ms, plan.axis.size, plan.time, centre=self.centre, weighting=self.weighting
        )
