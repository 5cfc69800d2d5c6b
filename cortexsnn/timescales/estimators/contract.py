"""What an estimator is: a description of its settings that can observe neurons, fit curves and tell noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import BlockSums, TimeBlocks
from cortexsnn.timescales.recordings import RecordedSpikes
from cortexsnn.timescales.status import Status

__all__ = [
    "LONGEST_LAG_MS",
    "Activity",
    "Estimator",
    "Fit",
    "Parameter",
    "Plan",
    "Source",
    "binned_spikes",
    "bins_of",
    "counts_of",
    "step_of",
    "summed",
    "whole_bins",
]

Values = NDArray[np.float64]
Activity = SpikeTrains | BinnedSpikes | Signals
Source = Activity | RecordedSpikes

# Where the user sets none: ten times the timescale of a slow layer of a network.
LONGEST_LAG_MS = 1000.0
# A bin of 0.3 ms is 3 steps of 0.1 ms only up to rounding.
_TOLERANCE_IN_BINS = 1e-6


@dataclass(frozen=True)
class Parameter:
    """A number that an estimator gives besides tau."""

    long_name: str
    units: str = "1"


@dataclass(frozen=True, eq=False)
class Fit:
    """Timescales of many curves.

    Parameters
    ----------
    tau_ms : array, shape (curve,)
        NaN where there is none.
    status : array of str, shape (curve,)
        A `Status` each, of what the curve alone can say.
    explained : array, shape (curve,)
        How much the decay explains; what noise is compared by.
    fitted : array, shape (curve, lag)
        NaN where the fit says nothing.
    parameters : mapping from name to array, shape (curve,)
        Those that the estimator declares.
    """

    tau_ms: Values
    status: NDArray[np.str_]
    explained: Values
    fitted: Values
    parameters: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Plan:
    """What can be known before anything is measured.

    Parameters
    ----------
    axis : array, shape (lag,)
        Lags in ms, or frequencies in Hz.
    blocks : int
        Number of blocks that an interval draws from.
    trials : int
        Number of trials.
    window_ms : float
        How long a trial is observed.
    neurons_at_a_time : int
        Neurons whose sums and replicates fit in memory.
    time : TimeBlocks
        The blocks, in bins.
    of_signals : bool
        Whether the activity is continuous.
    refusal : Status, optional
        Why this activity has no timescale by this estimator, whatever its values.
    """

    axis: Values
    blocks: int
    trials: int
    window_ms: float
    neurons_at_a_time: int
    time: TimeBlocks
    of_signals: bool = False
    refusal: Status | None = None


class Estimator(Protocol):
    """An estimator with its settings: a frozen dataclass of plain values, which are kept with the result."""

    name: ClassVar[str]
    doi: ClassVar[str]
    axis_name: ClassVar[str]
    curve_name: ClassVar[str]
    resampled: ClassVar[str]
    noise_test: ClassVar[str]
    pools: ClassVar[bool]  # a layer is the sum over its neurons' activity rather than the mean of their curves
    parameters: ClassVar[Mapping[str, Parameter]]
    bin_ms: float

    def plan(self, source: Source, replicates: int) -> Plan:
        """Check the settings against the activity.

        Raises
        ------
        InputError
            If they do not fit.
        """
        ...

    def observe(self, part: Activity, plan: Plan) -> BlockSums:
        """Sums of each neuron of a part that fits in memory."""
        ...

    def fit(self, curves: Values, plan: Plan, *, layer: bool, variance: Values | None = None) -> Fit:
        """Fit curves of shape (curve, lag), which are means over a layer or of one neuron each.

        Parameters
        ----------
        curves : array, shape (curve, lag)
        plan : Plan
        layer : bool
            Whether they are means over neurons.
        variance : array, shape (curve, lag), optional
            Variance of the noise in each value, as the resamples tell it.
        """
        ...

    def oscillates(self, curves: Values, plan: Plan) -> NDArray[np.bool_]:
        """Which curves a decay does not describe, because they oscillate; shape (curve,)."""
        ...

    def noise_p_values(
        self, parts: Callable[[], Iterator[Activity]], plan: Plan, fit: Fit, rng: np.random.Generator, *, layer: bool
    ) -> Values:
        """Chance that activity without a timescale gives at least as much decay, shape (curve,).

        Parameters
        ----------
        parts : callable
            Gives the parts that the curves are of: a single one if each neuron has its curve.
        plan : Plan
        fit : Fit
        rng : numpy.random.Generator
        layer : bool
            Whether the fit is of the mean over all neurons.
        """
        ...


def whole_bins(field: str, duration_ms: float, bin_ms: float, fewest: int) -> int:
    """Turn a duration into bins, rounding down."""
    bins = int(np.floor(duration_ms / bin_ms * (1 + 1e-9)))
    if bins < fewest:
        raise InputError(field, duration_ms, f"at least {fewest * bin_ms:g} ({fewest} bins of {bin_ms:g} ms)")
    return bins


def bins_of(source: Source, bin_ms: float) -> NDArray[np.int64]:
    """Number of bins in each trial, shape (trial,)."""
    if isinstance(source, BinnedSpikes):
        return source.bins // _factor(bin_ms, source.bin_ms)
    if isinstance(source, Signals):
        trials, steps, _ = source.values.shape
        return np.full(trials, steps // _factor(bin_ms, source.step_ms), dtype=np.int64)
    return np.floor(source.durations_s * 1000.0 / bin_ms + _TOLERANCE_IN_BINS).astype(np.int64)


def step_of(sources: Sequence[Source]) -> float | None:
    """Time between the values of signals, binned spikes or recordings in ms; None if there is none, or several."""
    steps = set()
    for source in sources:
        if isinstance(source, RecordedSpikes):
            steps.add(1000.0 * source.dt_s)
        elif not isinstance(source, SpikeTrains):
            steps.add(source.step_ms if isinstance(source, Signals) else source.bin_ms)
    return steps.pop() if len(steps) == 1 else None


def _factor(bin_ms: float, own_ms: float) -> int:
    factor = round(bin_ms / own_ms)
    if factor < 1 or abs(bin_ms / own_ms - factor) > _TOLERANCE_IN_BINS * factor:
        raise InputError("bin_ms", bin_ms, f"a whole multiple of the {own_ms:g} ms between the values given")
    return factor


def binned_spikes(part: Activity, bin_ms: float) -> BinnedSpikes | None:
    """The filled bins of spikes; None for a signal."""
    if isinstance(part, SpikeTrains):
        return part.binned(bin_ms)
    if isinstance(part, BinnedSpikes):
        return part.rebinned(_factor(bin_ms, part.bin_ms))
    return None


def counts_of(part: Activity, bin_ms: float) -> NDArray[Any]:
    """Activity in bins, shape (trial, bin, neuron): spike counts, or means of a signal; trials cut to the shortest."""
    if not isinstance(part, Signals):
        binned = binned_spikes(part, bin_ms)
        assert binned is not None
        return binned.counts()
    factor = _factor(bin_ms, part.step_ms)
    values = np.asarray(part.values)
    trials, steps, neurons = values.shape
    return values[:, : steps // factor * factor].reshape(trials, -1, factor, neurons).mean(axis=2)


def summed(parts: Iterator[Activity], bin_ms: float) -> Activity:
    """The sum over all neurons of all parts, as one unit."""
    total: NDArray[Any] | None = None
    for part in parts:
        one = counts_of(part, bin_ms).sum(axis=2, keepdims=True)
        total = one if total is None else total + one
    assert total is not None
    if total.dtype.kind in "iu":
        return BinnedSpikes.from_counts(total, bin_ms)
    return Signals.from_array(total, bin_ms)
