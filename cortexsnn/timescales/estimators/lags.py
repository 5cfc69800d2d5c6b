"""What estimators have in common that fit a decay over lags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import finite
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import TimeBlocks, time_blocks
from cortexsnn.timescales.correlogram import Correlogram, signal_correlogram, spike_correlogram
from cortexsnn.timescales.decay import WINDOW_IN_TAU, fit_decay
from cortexsnn.timescales.estimators.contract import (
    LONGEST_LAG_MS,
    Activity,
    Fit,
    Parameter,
    Plan,
    Source,
    binned_spikes,
    bins_of,
    counts_of,
    whole_bins,
)
from cortexsnn.timescales.noise import noise_of_mean, noise_of_neurons, noise_p_values
from cortexsnn.timescales.oscillation import oscillates

__all__ = ["DECAY_PARAMETERS", "DecayOverLags", "OverLags", "correlogram_of", "usual_lags", "white_noise_p_values"]

Values = NDArray[np.float64]

# Two exponentials with a level need six lags.
FEWEST_LAGS = 6
_NUMBERS_AT_A_TIME = 8_000_000

DECAY_PARAMETERS: Mapping[str, Parameter] = {
    "amplitude": Parameter("A of the fit A * (exp(-lag/tau) + B)"),
    "offset": Parameter("B of the fit"),
    "first_fitted_lag_ms": Parameter("first fitted lag", "ms"),
    "model": Parameter("model that was fitted", ""),
    "tau_fast_ms": Parameter("timescale of the faster of two components; NaN if one was enough", "ms"),
    "tau_slow_ms": Parameter("timescale of the slower of two components, or of the only one", "ms"),
    "amplitude_fast": Parameter("amplitude of the faster component at lag 0"),
    "amplitude_slow": Parameter("amplitude of the slower component at lag 0"),
    "explained_share": Parameter("R squared of the fit, against a flat line for models with offset"),
}


def usual_lags(bins: int, bin_ms: float) -> int:
    """Number of lags where the user sets none: 1 s, or half of a trial of so many bins."""
    return max(FEWEST_LAGS, min(bins // 2, round(LONGEST_LAG_MS / bin_ms)))


def _binned(part: Activity, bin_ms: float) -> BinnedSpikes | Values:
    """Filled bins of spikes, or means of a signal in bins."""
    binned = binned_spikes(part, bin_ms)
    return counts_of(part, bin_ms) if binned is None else binned


def correlogram_of(part: Activity, bin_ms: float, max_lag: int, blocks: TimeBlocks, **how: str) -> Correlogram:
    """Autocorrelation of each neuron, of spikes by pairs of spikes."""
    binned = _binned(part, bin_ms)
    if isinstance(binned, BinnedSpikes):
        return spike_correlogram(binned, max_lag, blocks, **how)
    return signal_correlogram(binned, max_lag, blocks, **how)


def white_noise_p_values(
    parts: Callable[[], Iterator[Activity]],
    rng: np.random.Generator,
    *,
    bin_ms: float,
    lags: int,
    time: TimeBlocks,
    layer: bool,
    sign: str = "positive",
    starts: tuple[str, ...] = ("first",),
) -> Values:
    """How often the autocorrelation of white activity decays at least as much as that of the parts.

    A fit that may begin at the largest drop passes over a pause after each spike, but finds a drop in noise too: tested
    that way alone, weak decays are missed. So both starts are tested, and the smaller p value counts, times two.

    Parameters
    ----------
    parts : callable
        Gives the parts that fit in memory.
    rng : numpy.random.Generator
    bin_ms : float
    lags : int
        Number of lags.
    time : TimeBlocks
        In bins.
    layer : bool
        Whether the mean over all neurons is tested, or each neuron of a single part.
    sign : str
        Of the amplitude.
    starts : tuple of str
        Where the fit may begin, see `cortexsnn.timescales.decay.fit_decay`.

    Returns
    -------
    numpy.ndarray, shape (unit,)
    """
    once = np.ones((1, time.number))
    total, number = np.zeros((1, lags)), np.zeros((1, lags))
    for part in parts():
        correlogram = correlogram_of(part, bin_ms, lags, time)
        if not layer:
            total, number = correlogram.curves(once)[0], np.ones((1, 1))
            break
        more, neurons = correlogram.total(once)
        total, number = total + more, number + neurons
    curves = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    activity = (_binned(part, bin_ms) for part in parts())
    noise = noise_of_mean(activity, rng) if layer else noise_of_neurons(next(activity))
    pairs = time.pairs(np.arange(lags + 1)).sum(axis=0).astype(np.float64)
    window_ms = float(time.bins.max() * bin_ms)

    def explained(values: Values, start: str) -> Values:
        return fit_decay(
            values, bin_ms=bin_ms, lags=np.arange(1, lags + 1), weights=pairs[1:], window_ms=window_ms, sign=sign,
            start=start,
        ).explained  # fmt: skip

    p_values = [
        noise_p_values(explained(curves, start), noise, pairs, partial(explained, start=start), rng) for start in starts
    ]
    return np.minimum(1.0, len(starts) * np.min(p_values, axis=0))


@dataclass(frozen=True)
class OverLags:
    """Settings of an estimator that gives one value per lag.

    Parameters
    ----------
    bin_ms : float
        Width of the bins.
    max_lag_ms : float, optional
        Largest lag; by default 1 s, or half the longest trial if that is shorter.
    """

    bin_ms: float = 10.0
    max_lag_ms: float | None = None

    axis_name: ClassVar[str] = "lag"
    resampled: ClassVar[str] = "trials, or blocks of time that outlast two times the largest lag"
    noise_test: ClassVar[str] = "autocorrelation against that of white activity"
    pools: ClassVar[bool] = False

    def __post_init__(self) -> None:
        finite("bin_ms", self.bin_ms, "a positive number of milliseconds", lambda v: v > 0)
        if self.max_lag_ms is not None:
            finite("max_lag_ms", self.max_lag_ms, "a positive number of milliseconds", lambda v: v > 0)

    def _bins(self, source: Source) -> NDArray[np.int64]:
        """Bins of each trial that are used, shape (trial,)."""
        return bins_of(source, self.bin_ms)

    def _lags(self, bins: NDArray[np.int64]) -> int:
        longest = int(bins.max())
        if longest < 2 * FEWEST_LAGS:
            raise InputError("number of bins in the longest trial", longest, f"at least {2 * FEWEST_LAGS}",
                             "use a smaller bin_ms or longer trials")  # fmt: skip
        if self.max_lag_ms is None:
            return usual_lags(longest, self.bin_ms)
        lags = whole_bins("max_lag_ms", self.max_lag_ms, self.bin_ms, FEWEST_LAGS)
        if lags > longest - 2:
            raise InputError("max_lag_ms", self.max_lag_ms, f"at most {(longest - 2) * self.bin_ms:g}, two bins less "
                             f"than the longest trial of {longest * self.bin_ms:g} ms")  # fmt: skip
        return lags

    def plan(self, source: Source, replicates: int) -> Plan:
        """Lags that fit the trials, and the blocks that are drawn."""
        bins = self._bins(source)
        lags = self._lags(bins)
        blocks = time_blocks(bins, lags)
        numbers = (lags + 1) * max(blocks.number, replicates + 1)
        return Plan(
            axis=self.bin_ms * np.arange(1, lags + 1, dtype=np.float64),
            blocks=blocks.number,
            trials=bins.size,
            window_ms=float(bins.max() * self.bin_ms),
            neurons_at_a_time=max(1, _NUMBERS_AT_A_TIME // max(numbers, bins.size)),
            time=blocks,
            of_signals=isinstance(source, Signals),
        )

    def _weights(self, plan: Plan) -> Values:
        """How much each lag counts: as many pairs of bins as are behind it."""
        return plan.time.pairs(np.arange(1, plan.axis.size + 1)).sum(axis=0).astype(np.float64)

    def oscillates(self, curves: Values, plan: Plan) -> NDArray[np.bool_]:
        """Which curves a damped cosine describes better than a decay."""
        lags = np.arange(1, plan.axis.size + 1)
        return oscillates(curves, bin_ms=self.bin_ms, lags=lags, weights=self._weights(plan))

    def noise_p_values(
        self, parts: Callable[[], Iterator[Activity]], plan: Plan, fit: Fit, rng: np.random.Generator, *, layer: bool
    ) -> Values:
        """How often the autocorrelation of white activity decays at least as much."""
        return white_noise_p_values(parts, rng, bin_ms=self.bin_ms, lags=plan.axis.size, time=plan.time, layer=layer)


@dataclass(frozen=True)
class DecayOverLags(OverLags):
    """An estimator to whose values a decay is fitted.

    Parameters
    ----------
    bin_ms, max_lag_ms
        See `OverLags`.
    model : str or tuple of str
        See `cortexsnn.timescales.decay.fit_decay`; of several the criterion chooses.
    criterion : {"bic", "aicc"}
    start : {"first", "largest_drop"}
        Where the fit begins.
    sign : {"positive", "negative", "any"}
        Of the amplitude.
    """

    model: str | tuple[str, ...] = "exponential_offset"
    criterion: str = "bic"
    start: str = "first"
    sign: str = "positive"

    parameters: ClassVar[Mapping[str, Parameter]] = DECAY_PARAMETERS

    def fit(self, curves: Values, plan: Plan, *, layer: bool, variance: Values | None = None) -> Fit:
        """Fit the decay of curves of shape (curve, lag)."""
        lags = np.arange(1, plan.axis.size + 1)
        found = fit_decay(
            curves, bin_ms=self.bin_ms, lags=lags, weights=self._weights(plan),
            # However long the recording: a tau longer than the largest lag is a rough one (too_short).
            window_ms=min(plan.window_ms, WINDOW_IN_TAU * float(plan.axis[-1])),
            model=self.model, criterion=self.criterion, start=self.start, sign=self.sign,
        )  # fmt: skip
        one = np.isnan(found.tau_components_ms[:, 1])
        tau, amplitude = found.tau_components_ms, found.amplitude_components
        return Fit(
            found.tau_ms,
            found.status,
            found.explained,
            found.curve(lags),
            {
                "amplitude": found.amplitude,
                "offset": found.offset,
                "first_fitted_lag_ms": found.first_lag * self.bin_ms,
                "model": found.model,
                "tau_fast_ms": np.where(one, np.nan, tau[:, 0]),
                "tau_slow_ms": np.where(one, tau[:, 0], tau[:, 1]),
                "amplitude_fast": np.where(one, np.nan, amplitude[:, 0]),
                "amplitude_slow": np.where(one, amplitude[:, 0], amplitude[:, 1]),
                "explained_share": found.explained_share,
            },
        )

    def noise_p_values(
        self, parts: Callable[[], Iterator[Activity]], plan: Plan, fit: Fit, rng: np.random.Generator, *, layer: bool
    ) -> Values:
        """How often the autocorrelation of white activity decays at least as much, fitted by the same rules."""
        return white_noise_p_values(
            parts, rng, bin_ms=self.bin_ms, lags=plan.axis.size, time=plan.time, layer=layer,
            sign=self.sign, starts=("first",) if self.start == "first" else ("first", self.start),
        )  # fmt: skip
