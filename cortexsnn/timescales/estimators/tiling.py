"""Spike time tiling against the lag: for sparse spikes and short epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import finite
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import BlockSums
from cortexsnn.timescales.estimators.contract import Activity, Plan, Source
from cortexsnn.timescales.estimators.lags import DecayOverLags
from cortexsnn.timescales.tiling import tiling_blocks, tiling_sums

__all__ = ["Tiling"]


@dataclass(frozen=True)
class Tiling(DecayOverLags):
    """Spike time tiling coefficient of a spike train with itself some time later, and the decay fitted to it (iSTTC).

    It needs spike times. Trials and epochs may differ in length, and none is too short to help.

    Parameters
    ----------
    bin_ms : float
        Distance between two lags.
    max_lag_ms, model, criterion, start, sign
        See `DecayOverLags`.
    window_ms : float, optional
        How near two spikes are one; by default half of `bin_ms`, so that every pair of spikes counts at one lag.

    Examples
    --------
    >>> Tiling().window_ms is None, Tiling().bin_ms
    (True, 25.0)
    """

    bin_ms: float = 25.0
    window_ms: float | None = None

    name: ClassVar[str] = "isttc"
    doi: ClassVar[str] = "10.1371/journal.pcbi.1013385"
    curve_name: ClassVar[str] = "spike time tiling coefficient of the train with itself so much later"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_ms is not None:
            finite("window_ms", self.window_ms, f"positive, less than bin_ms = {self.bin_ms:g}: at a lag within the "
                   "window every spike meets itself", lambda v: 0 < v < self.bin_ms)  # fmt: skip

    def _window(self) -> float:
        return self.bin_ms / 2 if self.window_ms is None else self.window_ms

    def _bins(self, source: Source) -> NDArray[np.int64]:
        if isinstance(source, BinnedSpikes | Signals):
            raise InputError("data", type(source).__name__, "spike times (SpikeTrains or a recording)",
                             "binned activity is for pearson_trials, acf and multistep")  # fmt: skip
        return super()._bins(source)

    def plan(self, source: Source, replicates: int) -> Plan:
        """Lags that fit the trials, and the blocks of tiled time that are drawn."""
        plan = super().plan(source, replicates)
        assert not isinstance(source, BinnedSpikes | Signals)
        blocks = tiling_blocks(source.durations_s, lags_ms=plan.axis, window_ms=self._window()).number
        return replace(plan, blocks=blocks)

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Spikes covered and time tiled, block by block."""
        assert isinstance(part, SpikeTrains)
        blocks = tiling_blocks(part.durations_s, lags_ms=plan.axis, window_ms=self._window())
        return tiling_sums(part, lags_ms=plan.axis, window_ms=self._window(), blocks=blocks)
