"""Timescale from the knee of the power spectrum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, finite
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals
from cortexsnn.timescales.blocks import MOST_BLOCKS, BlockSums, time_blocks
from cortexsnn.timescales.estimators.contract import (
    Activity,
    Fit,
    Parameter,
    Plan,
    Source,
    bins_of,
    counts_of,
)
from cortexsnn.timescales.estimators.lags import usual_lags, white_noise_p_values
from cortexsnn.timescales.knee import MODELS, fit_knee
from cortexsnn.timescales.spectrum import power_spectra

__all__ = ["SpectralKnee"]

Values = NDArray[np.float64]

LONGEST_SEGMENT_S = 2.0
_NUMBERS_AT_A_TIME = 8_000_000


@dataclass(frozen=True)
class SpectralKnee:
    """Frequency at which the power spectrum bends, tau = 1 / (2 pi f_knee) (Gao et al. 2020).

    Spectra by Welch's method. A layer is the mean over the spectra of its neurons.

    Parameters
    ----------
    bin_ms : float
        Width of the bins; of a signal, its step or a multiple of it.
    segment_s : float, optional
        Duration of a segment, at least 10 tau; by default 2 s, or the shortest trial if that is shorter.
    model : str, optional
        See `cortexsnn.timescales.knee.fit_knee`; by default ar1_floor for spikes, whose noise is a floor, and knee
        for signals.
    average : {"mean", "median"}, optional
        Over segments; by default the median for signals and the mean for spikes.

    Examples
    --------
    >>> SpectralKnee(bin_ms=1.0, segment_s=1.0)
    SpectralKnee(bin_ms=1.0, segment_s=1.0, model=None, average=None)
    """

    bin_ms: float = 5.0
    segment_s: float | None = None
    model: str | None = None
    average: str | None = None

    name: ClassVar[str] = "knee"
    doi: ClassVar[str] = "10.7554/eLife.61277"
    axis_name: ClassVar[str] = "frequency"
    curve_name: ClassVar[str] = "power spectral density"
    resampled: ClassVar[str] = "segments of the spectrum"
    noise_test: ClassVar[str] = "autocorrelation against that of white activity"
    pools: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "f_knee_hz": Parameter("frequency of the knee", "Hz"),
        "exponent": Parameter("chi of the power law above the knee"),
        "floor": Parameter("power of the noise floor"),
    }

    def __post_init__(self) -> None:
        finite("bin_ms", self.bin_ms, "a positive number of milliseconds", lambda v: v > 0)
        if self.segment_s is not None:
            finite("segment_s", self.segment_s, "a positive number of seconds", lambda v: v > 0)
        if self.model is not None:
            choice("model", self.model, MODELS)
        if self.average is not None:
            choice("average", self.average, ("mean", "median"))

    def _segment_bins(self, bins: int) -> int:
        wanted = LONGEST_SEGMENT_S if self.segment_s is None else self.segment_s
        steps = round(1000.0 * wanted / self.bin_ms)
        if self.segment_s is not None and steps > bins:
            raise InputError("segment_s", self.segment_s, f"at most the {bins * self.bin_ms / 1000.0:g} s of a trial")
        return min(steps, bins)

    def _average(self, of_signals: bool) -> str:
        return self.average or ("median" if of_signals else "mean")

    def plan(self, source: Source, replicates: int) -> Plan:
        """Frequencies that the segments hold, and the blocks of segments that are drawn."""
        bins_per_trial = bins_of(source, self.bin_ms)
        trials, bins = bins_per_trial.size, int(bins_per_trial.min())
        steps, of_signals = self._segment_bins(bins), isinstance(source, Signals)
        segments = trials * len(range(0, bins - steps + 1, (steps + 1) // 2))
        blocks = segments if self._average(of_signals) == "median" else min(segments, MOST_BLOCKS)
        frequency = np.arange(1, (steps + 1) // 2) / (steps * self.bin_ms / 1000.0)
        return Plan(
            axis=frequency,
            blocks=blocks,
            trials=trials,
            window_ms=steps * self.bin_ms,
            neurons_at_a_time=max(
                1, _NUMBERS_AT_A_TIME // max(frequency.size * max(blocks, replicates + 1), trials * bins)
            ),
            time=time_blocks(np.full(trials, bins), usual_lags(bins, self.bin_ms)),
            of_signals=of_signals,
        )

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Spectra of the segments."""
        return power_spectra(
            counts_of(part, self.bin_ms), self.bin_ms,
            segment_s=plan.window_ms / 1000.0, average=self._average(plan.of_signals),
        )  # fmt: skip

    def fit(self, curves: Values, plan: Plan, *, layer: bool, variance: Values | None = None) -> Fit:
        """Fit the knee of spectra of shape (curve, frequency)."""
        model = self.model or ("knee" if plan.of_signals else "ar1_floor")
        found = fit_knee(curves, plan.axis, model=model, step_ms=self.bin_ms)
        fitted = np.full(curves.shape, np.nan)
        fitted[:, np.isin(plan.axis, found.frequency_hz)] = found.curve()
        return Fit(
            found.tau_ms,
            found.status,
            found.explained,
            fitted,
            {"f_knee_hz": found.f_knee_hz, "exponent": found.exponent, "floor": found.floor},
        )

    def oscillates(self, curves: Values, plan: Plan) -> NDArray[np.bool_]:
        """None: a peak of the spectrum does not move the knee."""
        return np.zeros(len(curves), dtype=bool)

    def noise_p_values(
        self, parts: Callable[[], Iterator[Activity]], plan: Plan, fit: Fit, rng: np.random.Generator, *, layer: bool
    ) -> Values:
        """How often the autocorrelation of white activity decays at least as much."""
        lags = usual_lags(int(plan.time.bins.min()), self.bin_ms)
        return white_noise_p_values(parts, rng, bin_ms=self.bin_ms, lags=lags, time=plan.time, layer=layer)
