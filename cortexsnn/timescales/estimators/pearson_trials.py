"""Correlation across trials, as Murray et al. 2014 measured the cortex."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import finite
from cortexsnn.errors import InputError
from cortexsnn.timescales.autocorrelation import (
    ResampledTrials,
    correlation_across_trials,
    shuffled_bin_curves,
    without_lags,
)
from cortexsnn.timescales.blocks import BlockSums, TimeBlocks
from cortexsnn.timescales.decay import fit_decay
from cortexsnn.timescales.estimators.contract import (
    LONGEST_LAG_MS,
    Activity,
    Fit,
    Parameter,
    Plan,
    Source,
    bins_of,
    counts_of,
    whole_bins,
)
from cortexsnn.timescales.exponential import MINIMUM_LAGS
from cortexsnn.timescales.oscillation import oscillates
from cortexsnn.timescales.status import Status

__all__ = ["PearsonTrials"]

Values = NDArray[np.float64]

# Re-analyses of cortex ask for more than 10 trials (Kim & Sejnowski 2021, https://doi.org/10.1038/s41593-020-00753-w).
MINIMUM_TRIALS = 11
# With 5 bins there are too few orders of the bins for any decay to stand out from them at the level of the test.
MINIMUM_BINS = 6
SHUFFLES = 999
# The largest drop of a single neuron's curve may be noise at any lag.
START_WITHIN = 3
_NUMBERS_AT_A_TIME = 8_000_000


@dataclass(frozen=True)
class PearsonTrials:
    """Correlation across trials of the counts in two bins, against their distance (Murray et al. 2014).

    Each lag weighs as many bin pairs as it was averaged over; the fit A (exp(-lag/tau) + B) starts at the lag before
    the largest drop, in the curve of a single neuron one of the first three lags, since noise makes its largest drop
    fall anywhere.

    Parameters
    ----------
    bin_ms : float
        Width of the bins.
    max_lag_ms : float, optional
        Largest lag; by default 1 s, or what the trials hold if that is less.

    Examples
    --------
    >>> PearsonTrials(bin_ms=25.0)
    PearsonTrials(bin_ms=25.0, max_lag_ms=None)
    """

    bin_ms: float = 50.0
    max_lag_ms: float | None = None

    name: ClassVar[str] = "pearson_trials"
    doi: ClassVar[str] = "10.1038/nn.3862"
    axis_name: ClassVar[str] = "lag"
    curve_name: ClassVar[str] = "mean correlation across trials of counts so far apart"
    resampled: ClassVar[str] = "trials"
    noise_test: ClassVar[str] = f"{SHUFFLES} random orders of the bins"
    pools: ClassVar[bool] = False
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "amplitude": Parameter("A of the fit A * (exp(-lag/tau) + B)"),
        "offset": Parameter("B of the fit"),
        "first_fitted_lag_ms": Parameter("first fitted lag", "ms"),
    }

    def __post_init__(self) -> None:
        finite("bin_ms", self.bin_ms, "a positive number of milliseconds", lambda v: v > 0)
        if self.max_lag_ms is not None:
            finite("max_lag_ms", self.max_lag_ms, "a positive number of milliseconds", lambda v: v > 0)

    def plan(self, source: Source, replicates: int) -> Plan:
        """Lags that fit the shortest trial; each trial is a block."""
        bins_per_trial = bins_of(source, self.bin_ms)
        bins = int(bins_per_trial.min())
        if bins < MINIMUM_BINS:
            raise InputError("number of bins in a trial", bins, f"at least {MINIMUM_BINS}",
                             "use a smaller bin_ms or longer trials")  # fmt: skip
        lags = max(MINIMUM_LAGS, round(LONGEST_LAG_MS / self.bin_ms))
        if self.max_lag_ms is not None:
            lags = whole_bins("max_lag_ms", self.max_lag_ms, self.bin_ms, MINIMUM_LAGS)
        lags = min(lags, bins - 1)
        trials = bins_per_trial.size
        return Plan(
            axis=self.bin_ms * np.arange(1, lags + 1, dtype=np.float64),
            blocks=trials,
            trials=trials,
            window_ms=bins * self.bin_ms,
            neurons_at_a_time=max(1, _NUMBERS_AT_A_TIME // max(trials * bins, bins**2, (replicates + 1) * lags)),
            time=TimeBlocks(bins_per_trial, 1, 1),
            refusal=Status.TOO_FEW_TRIALS if trials < MINIMUM_TRIALS else None,
        )

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Counts of the part, of which trials can be drawn."""
        return ResampledTrials(counts_of(part, self.bin_ms), plan.axis.size)

    def fit(self, curves: Values, plan: Plan, *, layer: bool, variance: Values | None = None) -> Fit:
        """Fit with the rules of the class."""
        lags, bins = np.arange(1, plan.axis.size + 1), round(plan.window_ms / self.bin_ms)
        found = fit_decay(
            curves, bin_ms=self.bin_ms, lags=lags, weights=bins - lags, window_ms=plan.window_ms,
            start="largest_drop", start_within=None if layer else START_WITHIN,
        )  # fmt: skip
        return Fit(
            found.tau_ms,
            found.status,
            found.explained,
            found.curve(lags),
            {
                "amplitude": found.amplitude,
                "offset": found.offset,
                "first_fitted_lag_ms": found.first_lag * self.bin_ms,
            },
        )

    def oscillates(self, curves: Values, plan: Plan) -> NDArray[np.bool_]:
        """Which curves a damped cosine describes better than a decay."""
        lags, bins = np.arange(1, plan.axis.size + 1), round(plan.window_ms / self.bin_ms)
        return oscillates(curves, bin_ms=self.bin_ms, lags=lags, weights=bins - lags)

    def noise_p_values(
        self, parts: Callable[[], Iterator[Activity]], plan: Plan, fit: Fit, rng: np.random.Generator, *, layer: bool
    ) -> Values:
        """How often a random order of the bins decays at least as much as the real one."""
        matrices = self._mean_correlation(parts()) if layer else self._correlation(next(parts()))
        # What the fit passes over, such as a pause after each spike, is no part of the decay that is tested.
        skipped = np.nan_to_num(fit.parameters["first_fitted_lag_ms"] / self.bin_ms, nan=1.0).round() - 1
        shuffled = (
            shuffled_bin_curves(without_lags(matrix, int(lags)), plan.axis.size, SHUFFLES, rng)
            for matrix, lags in zip(matrices, skipped, strict=True)
        )
        return np.array([self._p_value(self.fit(curves, plan, layer=layer).explained) for curves in shuffled])

    def _correlation(self, part: Activity) -> Values:
        return correlation_across_trials(counts_of(part, self.bin_ms))

    def _mean_correlation(self, parts: Iterator[Activity]) -> Values:
        total = number = np.zeros(1)
        for part in parts:
            correlation = self._correlation(part)
            known = np.isfinite(correlation)
            total = total + np.where(known, correlation, 0.0).sum(axis=0)
            number = number + known.sum(axis=0)
        return np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)[None]

    @staticmethod
    def _p_value(explained: Values) -> float:
        """The real order comes first; it counts as one of the random ones, so that p is never 0."""
        return float((explained >= explained[0] * (1 - 1e-9)).mean())
