"""Multistep regression: how well the activity in one bin predicts the activity k bins later, for many k.

r_k is the slope of the straight line that predicts A(t + k) from A(t) (Wilting & Priesemann 2018,
https://doi.org/10.1038/s41467-018-04725-4). For a branching process with branching parameter m, and for any process
whose expectation decays by a factor m in each bin, r_k = b m^k. To see only some of the neurons lowers b, which makes
the usual estimate m = r_1 too small, but leaves the decay over k as it is: tau = -bin / ln m does not depend on how
many neurons were recorded.

The two ways to join trials are those of Spitzner et al. 2021 (https://doi.org/10.1371/journal.pone.0249447):

- ``trialseparated``: a line for each trial, with the trial's own means, and the mean of the slopes. Changes from trial
  to trial do no harm, but in trials that are not much longer than tau every r_k is too small.
- ``stationarymean``: one line through the pairs of all trials. No such bias, but a mean that changes from trial to
  trial looks like a long timescale.

All steps are found together: the products of bins k apart by a Fourier transform, the means by cumulative sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import BlockSums, TimeBlocks, ratio

__all__ = ["METHODS", "branching_parameter", "population_counts", "step_coefficients"]

Values = NDArray[np.float64]
Whole = NDArray[np.int64]

METHODS = ("trialseparated", "stationarymean")

# Rounding leaves activity that never changes with a variance of about 1e-16 of its scale.
_NO_VARIANCE = 1e-12
# Transforms of more numbers than these no longer fit the cache of a processor.
_NUMBERS_AT_A_TIME = 60_000


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the pairs (A(t), A(t + k)) that begin in each block; the slopes follow from them.

    `pairs` has the shape (block, step), the others (block, unit, step): A(t), A(t + k), their product, A(t) squared.
    """

    pairs: Values
    early: Values
    late: Values
    product: Values
    square: Values

    @property
    def blocks(self) -> int:
        return len(self.pairs)

    def curves(self, drawn: Values) -> Values:
        pairs = (drawn @ self.pairs)[:, None]
        return _slope(pairs, *(_weighted(drawn, part) for part in (self.early, self.late, self.product, self.square)))

    def between(self, begin: int, end: int) -> _Sums:
        """The blocks `begin` to `end` - 1."""
        return _Sums(*(getattr(self, part.name)[begin:end] for part in fields(self)))


@dataclass(frozen=True, eq=False)
class _MeanSlopes:
    """Sum of the slopes of the trials in each block and the number of those that have one, (block, unit, step)."""

    slopes: Values
    trials: Values

    @property
    def blocks(self) -> int:
        return len(self.slopes)

    def curves(self, drawn: Values) -> Values:
        return ratio(_weighted(drawn, self.slopes), _weighted(drawn, self.trials))


@dataclass(frozen=True, eq=False)
class _MeanOfTrials:
    """Sums of each trial, all of them cut into the same number of blocks."""

    trials: tuple[_Sums, ...]

    @property
    def blocks(self) -> int:
        return sum(trial.blocks for trial in self.trials)

    def curves(self, drawn: Values) -> Values:
        of_trials = np.split(drawn, len(self.trials), axis=1)
        slopes = np.stack([trial.curves(own) for trial, own in zip(self.trials, of_trials, strict=True)])
        # A trial counts as often as its blocks were drawn.
        weights = np.where(np.isfinite(slopes), np.sum(of_trials, axis=2)[:, :, None, None], 0.0)
        return ratio((weights * np.nan_to_num(slopes)).sum(axis=0), weights.sum(axis=0))


def _weighted(drawn: Values, sums: Values) -> Values:
    return np.asarray(np.tensordot(drawn, sums, axes=1), dtype=np.float64)


def _slope(pairs: Values, early: Values, late: Values, product: Values, square: Values) -> Values:
    """Slope of the line from A(t) to A(t + k) from sums over pairs; NaN where A(t) does not vary."""
    mean = np.divide(early, pairs, out=np.zeros_like(early), where=pairs > 0)
    variance = square - mean * early
    varies = variance > _NO_VARIANCE * square
    slope: Values = np.full(early.shape, np.nan)
    return np.divide(product - mean * late, variance, out=slope, where=varies)


def _checked(counts: ArrayLike, steps: ArrayLike, blocks: TimeBlocks) -> tuple[NDArray[Any], Whole]:
    activity = np.asarray(counts)
    if activity.ndim != 3 or 0 in activity.shape or activity.dtype.kind not in "biuf":
        raise InputError("counts", f"{activity.dtype} of shape {activity.shape}", "numbers of shape (trial, bin, unit)")
    trials, bins, _ = activity.shape
    longest = int(blocks.bins.max())
    if blocks.bins.size != trials or longest > bins:
        raise InputError("blocks", f"blocks of {blocks.bins.size} trials of up to {longest} bins",
                         f"blocks of the {trials} trials of counts, of at most {bins} bins")  # fmt: skip
    chosen = np.asarray(steps)
    whole = chosen.ndim == 1 and chosen.size > 0 and chosen.dtype.kind in "iu"
    # A line needs two pairs.
    if not whole or chosen.min() < 1 or chosen.max() > longest - 2:
        raise InputError("steps", steps, f"whole numbers of bins, from 1 to {longest - 2}",
                         "two bins less than the longest trial has")  # fmt: skip
    shortest = int(blocks.bins.min()) // blocks.per_trial
    if blocks.per_trial > 1 and shortest < chosen.max():
        raise InputError("number of bins in the shortest block", shortest, f"at least {chosen.max()}, the largest step",
                         "time_blocks chooses such blocks")  # fmt: skip
    return activity[:, :longest], chosen.astype(np.int64)


def _parts(bins: Whole, units: int) -> Iterator[tuple[slice, slice]]:
    """Trials of equal length that follow each other, and units, so many that their transforms stay in the cache."""
    starts = np.flatnonzero(np.diff(bins, prepend=-1))
    for start, end in pairwise([*starts.tolist(), bins.size]):
        length = int(bins[start])
        if length == 0:
            continue
        units_at_once = max(1, min(units, _NUMBERS_AT_A_TIME // length))
        trials_at_once = max(1, _NUMBERS_AT_A_TIME // (length * units_at_once))
        for trial in range(start, end, trials_at_once):
            for unit in range(0, units, units_at_once):
                yield slice(trial, min(trial + trials_at_once, end)), slice(unit, min(unit + units_at_once, units))


def _levels(activity: NDArray[Any]) -> Values:
    """About the mean of each unit, shape (unit, 1); `activity` as (trial, unit, bin)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.nan_to_num(activity.mean(axis=2, dtype=np.float64).mean(axis=0))[:, None]


def _centred(activity: NDArray[Any], part: tuple[slice, slice], bins: int, levels: Values | None) -> Values:
    """Some trials and units of (trial, unit, bin), each unit less its level, or each trial less its own mean.

    Slopes do not depend on what is subtracted, but their rounding errors do.
    """
    trials, units = part
    values = activity[trials, units, :bins].astype(np.float64, order="C")
    with np.errstate(invalid="ignore", over="ignore"):
        mean = values.mean(axis=2, keepdims=True)
    if not np.all(np.isfinite(mean)):
        trial, unit, _ = np.argwhere(~np.isfinite(mean))[0]
        where = f"activity in trial {trials.start + trial} of unit {units.start + unit}"
        raise InputError(where, "NaN or infinity", "finite numbers", "interpolate gaps, or cut epochs around them")
    values -= mean if levels is None else levels[units]
    return values


def _added(values: NDArray[Any], starts: Whole) -> NDArray[Any]:
    """Add up trials, the first axis, from one start to the next."""
    return values if starts.size == len(values) else np.asarray(np.add.reduceat(values, starts, axis=0))


def _products(early: Values, late: Values, steps: Whole, starts: Whole) -> Values:
    """Sums of early(t) late(t + k) over all t, which are 0 outside, from (trial, unit, bin) to (start, unit, step)."""
    length = fft.next_fast_len(early.shape[2] + int(steps.max()), real=True)
    spectrum = fft.rfft(early, length)
    other = spectrum if late is early else fft.rfft(late, length)
    np.multiply(spectrum.conj(), other, out=spectrum)
    return np.asarray(fft.irfft(_added(spectrum, starts), length)[:, :, steps])


def _first(values: Values, number: Whole) -> Values:
    """Sums of the first so many bins, from (..., bin) to (..., number)."""
    sums = np.zeros((*values.shape[:-1], int(number.max()) + 1))
    np.cumsum(values[..., : sums.shape[-1] - 1], axis=-1, out=sums[..., 1:])
    return sums[..., number]


def _all_but_last(values: Values, number: Whole) -> Values:
    """Sums of all but the last so many bins, from (..., bin) to (..., number)."""
    most = int(number.max())
    # Nothing is subtracted from a sum, which would leave rounding errors where activity ends.
    start = values.shape[-1] - most
    return values[..., :start].sum(axis=-1, keepdims=True) + _first(values[..., start:], most - number)


def _piece_sums(values: Values, begin: int, end: int, steps: Whole, starts: Whole) -> Values:
    """Sums as in `_Sums` but for pairs, over those that begin in bins `begin` to `end` - 1 of trials.

    From (trial, unit, bin) to (4, start, unit, step); trials are added up from one start to the next.
    """
    bins, furthest = values.shape[2], int(steps.max())
    piece, after = values[:, :, begin:end], values[:, :, end : end + furthest]
    product = _products(piece, values[:, :, begin : end + furthest] if after.size else piece, steps, starts)
    square = _added(piece**2, starts)
    piece, after = _added(piece, starts), _added(after, starts)
    # The last bins of a trial have no bin k later.
    last = np.clip(steps - (bins - end), 0, end - begin)
    late = _all_but_last(piece[:, :, ::-1], np.minimum(steps, end - begin))
    late += _first(after, np.minimum(steps, bins - end))
    return np.stack([_all_but_last(piece, last), late, product, _all_but_last(square, last)])


def _sums(values: Values, steps: Whole, pieces: int, starts: Whole) -> Values:
    """`_piece_sums` of equal pieces of the trials, shape (4, start, piece, unit, step)."""
    edges = -(-np.arange(pieces + 1) * values.shape[2] // pieces)
    parts = [_piece_sums(values, begin, end, steps, starts) for begin, end in pairwise(edges.tolist())]
    return np.stack(parts, axis=2)


def step_coefficients(counts: ArrayLike, steps: ArrayLike, blocks: TimeBlocks, *, method: str) -> BlockSums:
    """Coefficients r_k of multistep regression, each unit on its own.

    With the mean x of A(t) and the mean y of A(t + k) over all pairs k bins apart, r_k = sum((A(t) - x) (A(t + k) -
    y)) / sum((A(t) - x)^2). With ``stationarymean`` means and sums are over the pairs of all trials (Wilting &
    Priesemann 2018, https://doi.org/10.1038/s41467-018-04725-4); with ``trialseparated`` they are over the pairs of a
    trial, and r_k is the mean over trials (Spitzner et al. 2021, https://doi.org/10.1371/journal.pone.0249447). Trials
    in which A(t) does not vary have no slope and are left out of that mean.

    Parameters
    ----------
    counts : array, shape (trial, bin, unit)
        Activity: spike counts of a population (`population_counts`) or of neurons, or a signal.
    steps : array of int, shape (step,)
        k in bins, each at least 1.
    blocks : TimeBlocks
        Pieces that can be drawn again. Its `bins` say where each trial ends; what `counts` hold after that is ignored.
    method : str
        ``"trialseparated"`` or ``"stationarymean"``.

    Returns
    -------
    BlockSums
        Its `curves` are r_k of shape (replicate, unit, step), NaN where the activity does not vary.

    Raises
    ------
    InputError
        If shapes do not fit, values are not finite, a step leaves fewer than two pairs in the longest trial, or the
        method is none of the two.

    Examples
    --------
    Activity that falls by a tenth in each bin:

    >>> from cortexsnn.timescales.blocks import time_blocks
    >>> counts = (100.0 * 0.9 ** np.arange(50))[None, :, None]
    >>> blocks = time_blocks(np.array([50]), max_lag=3)
    >>> sums = step_coefficients(counts, [1, 2, 3], blocks, method="stationarymean")
    >>> sums.curves(np.ones((1, sums.blocks)))[0, 0].round(6)
    array([0.9  , 0.81 , 0.729])
    """
    choice("method", method, METHODS)
    activity, chosen = _checked(counts, steps, blocks)
    activity = np.moveaxis(activity, 1, 2)
    trials, units, _ = activity.shape
    bins, pieces = blocks.bins, blocks.per_trial
    separate = method == METHODS[0]
    # A block of whole trials needs no more of them than their slopes.
    of_slopes = separate and pieces == 1
    levels = None if separate else _levels(activity)
    total = np.zeros((2 if of_slopes else 4, -(-trials // blocks.trials_in_block), pieces, units, chosen.size))
    for part in _parts(bins, units):
        values = _centred(activity, part, int(bins[part[0].start]), levels)
        trial = np.arange(part[0].start, part[0].stop)
        block, starts = np.unique(trial // blocks.trials_in_block, return_index=True)
        sums = _sums(values, chosen, pieces, trial - trial[0] if of_slopes else starts)
        if of_slopes:
            slopes = _slope(np.maximum(values.shape[2] - chosen, 0.0), *sums)
            sums = np.add.reduceat([np.nan_to_num(slopes), np.isfinite(slopes)], starts, axis=1)
        total[:, block[0] : block[-1] + 1, :, part[1]] += sums
    total = total.reshape(len(total), blocks.number, units, chosen.size)
    if of_slopes:
        return _MeanSlopes(*total)
    pooled = _Sums(blocks.pairs(chosen).astype(np.float64), *total)
    if not separate:
        return pooled
    return _MeanOfTrials(tuple(pooled.between(begin, begin + pieces) for begin in range(0, pooled.blocks, pieces)))


def population_counts(binned: BinnedSpikes) -> Values:
    """Spikes of all neurons together in each bin, as `step_coefficients` takes them.

    Parameters
    ----------
    binned : BinnedSpikes

    Returns
    -------
    numpy.ndarray, shape (trial, bin, 1)
        With the bins of the longest trial; 0 after the end of the others.

    Examples
    --------
    >>> from cortexsnn.timescales.activity import SpikeTrains
    >>> trains = SpikeTrains.from_times([[0.1, 0.7], [0.15], [0.72]], durations_s=1.0)
    >>> population_counts(trains.binned(250.0))[0, :, 0]
    array([2., 0., 2., 0.])
    """
    trials, longest = binned.bins.size, int(binned.bins.max())
    place = binned.trial * longest + binned.bin
    counts = np.bincount(place, weights=binned.count, minlength=trials * longest)
    return counts.astype(np.float64).reshape(trials, longest, 1)


def branching_parameter(tau_ms: ArrayLike, bin_ms: float) -> Values:
    """m, by which activity is multiplied in each bin on average: exp(-bin / tau).

    Parameters
    ----------
    tau_ms : float or array
        Timescale; NaN stays NaN.
    bin_ms : float
        Width of a bin.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    InputError
        If `bin_ms` is not positive.

    Examples
    --------
    >>> branching_parameter([49.498, 500.0], bin_ms=1.0).round(3)
    array([0.98 , 0.998])
    """
    width = float(positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    return np.asarray(np.exp(-width / np.asarray(tau_ms, dtype=np.float64)))
