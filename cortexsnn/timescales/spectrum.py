"""Power spectra by Welch's method, in pieces that can be drawn again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.blocks import MOST_BLOCKS

__all__ = ["FEWEST_FREQUENCIES", "Spectra", "power_spectra"]

Values = NDArray[np.float64]

FEWEST_FREQUENCIES = 8
_NUMBERS_AT_A_TIME = 4_000_000


def _hamming(steps: int) -> Values:
    """Periodic Hamming window: one cosine, so that the mean of a segment reaches its two lowest frequencies only."""
    return np.asarray(0.54 - 0.46 * np.cos(2 * np.pi * np.arange(steps) / steps))


def _median_bias(number: Values) -> Values:
    """Expected median over expected mean of so many exponentially distributed numbers.

    Allen et al. 2012, appendix B (https://doi.org/10.1103/PhysRevD.85.122006).
    """
    odd = np.arange(3, int(number.max()) + 1, 2)
    sums = np.cumsum(np.concatenate([[1.0], 1.0 / odd - 1.0 / (odd - 1)]))
    return np.asarray(sums[(number.astype(np.int64) - 1) // 2])


def _weighted_medians(values: Values, drawn: Values) -> Values:
    """`numpy.median` over blocks of `values`, (block, frequency), if block b is there ``drawn[r, b]`` times."""
    blocks, frequencies = values.shape
    order = np.argsort(values, axis=0)
    weights = np.ascontiguousarray(drawn.T, dtype=np.float32)
    half = drawn.sum(axis=1) / 2
    medians = np.empty((len(drawn), frequencies))
    # The median of a resample has a rank within a few sqrt(blocks) / 2 of the middle: no need to count them all.
    reach = 2 + int(3 * np.sqrt(blocks))
    low, high = max(0, blocks // 2 - reach), min(blocks, blocks // 2 + reach)
    at_a_time = max(1, _NUMBERS_AT_A_TIME // (len(drawn) * (high - low)))
    for begin in range(0, frequencies, at_a_time):
        part = slice(begin, begin + at_a_time)
        ranks, ranked = order[:, part], np.take_along_axis(values[:, part], order[:, part], axis=0)
        is_below = np.zeros((ranks.shape[1], blocks), dtype=np.float32)
        np.put_along_axis(is_below, ranks[:low].T, 1.0, axis=1)
        start, counted = low, is_below @ weights + np.cumsum(weights[ranks[low:high]], axis=0)
        if np.any(counted[0] >= half) or np.any(counted[-1] <= half):
            start, counted = 0, np.cumsum(weights[ranks], axis=0)
        column = np.arange(ranks.shape[1])[:, None]
        first, second = (start + np.sum(reached, axis=0) for reached in (counted < half, counted <= half))
        medians[:, part] = ((ranked[first, column] + ranked[second, column]) / 2).T
    return medians


@dataclass(frozen=True, eq=False)
class Spectra:
    """Power spectra of overlapping segments: a `BlockSums` over frequencies instead of lags.

    Parameters
    ----------
    power : array, shape (block, unit, frequency)
        Density in unit^2 / Hz of each segment (median), or summed over the segments of each block (mean).
    segments : array of int64, shape (block,)
        Number of segments in each block: 1 (median), or as many consecutive ones as make at most 100 blocks (mean).
    frequency_hz : array, shape (frequency,)
        Multiples of 1 / `segment_s`, without 0 and the Nyquist frequency, whose noise is of another kind.
    average : {"median", "mean"}
    step_ms, segment_s : float
        Time step of the signal and duration of a segment.
    """

    power: Values
    segments: NDArray[np.int64]
    frequency_hz: Values
    average: str
    step_ms: float
    segment_s: float

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return int(self.segments.size)

    def curves(self, drawn: Values) -> Values:
        """Spectra when block b counts ``drawn[r, b]`` times, a whole number; all ones for the estimate itself.

        Parameters
        ----------
        drawn : array, shape (replicate, block)

        Returns
        -------
        numpy.ndarray, shape (replicate, unit, frequency)
            Density in unit^2 / Hz.
        """
        blocks, units, frequencies = self.power.shape
        number = drawn @ self.segments
        if self.average == "mean":
            total = drawn @ self.power.reshape(blocks, units * frequencies)
            return np.asarray((total / number[:, None]).reshape(len(drawn), units, frequencies))
        medians = [_weighted_medians(self.power[:, unit], drawn) for unit in range(units)]
        return np.stack(medians, axis=1) / _median_bias(number)[:, None, None]


def power_spectra(values: NDArray[Any], step_ms: float, *, segment_s: float = 1.0, average: str = "median") -> Spectra:
    """Power spectra by Welch's method: Hamming windows, half overlapping, each segment less its mean.

    Welch 1967 (https://doi.org/10.1109/TAU.1967.1161901). The median, divided by its known bias, is proof against
    artefacts. It takes the power of a segment to be distributed exponentially, which that of a neuron with a few
    spikes per segment is not: take the mean for spike counts.

    Parameters
    ----------
    values : array, shape (trial, time, unit)
        Signals or spike counts.
    step_ms : float
        Time between two values, or width of a bin.
    segment_s : float
        Duration of a segment. Knees below 1 / `segment_s` are out of reach: at least 2 pi tau, better 10 tau.
    average : {"median", "mean"}
        Over segments.

    Returns
    -------
    Spectra

    Raises
    ------
    InputError
        If the shape is another, values are not finite, a segment does not fit into a trial or has fewer than 20 steps.

    Examples
    --------
    >>> white = np.random.default_rng(1).standard_normal((1, 60_000, 2))
    >>> spectra = power_spectra(white, step_ms=1.0)
    >>> power = spectra.curves(np.ones((1, spectra.blocks)))
    >>> power.shape, (1000 * power.mean(axis=2)).round(1)
    ((1, 2, 499), array([[2., 2.]]))
    """
    step = float(positive("step_ms", step_ms, "a positive number of milliseconds"))
    duration = float(positive("segment_s", segment_s, "a positive number of seconds"))
    choice("average", average, ("median", "mean"))
    given = np.asarray(values)
    if given.ndim != 3 or 0 in given.shape:
        raise InputError("shape of values", given.shape, "(trial, time, unit), none of them 0")
    if not np.all(np.isfinite(given)):
        raise InputError("values", "NaN or infinity", "finite numbers", "interpolate gaps, or cut epochs around them")
    trials, length, units = given.shape
    steps, fewest = round(1000.0 * duration / step), 2 * (FEWEST_FREQUENCIES + 2)
    if not fewest <= steps <= length:
        raise InputError("segment_s", segment_s, f"at least {fewest * step / 1000:g} s, {fewest} steps, and at most "
                         f"the {length * step / 1000:g} s of a trial")  # fmt: skip
    window = _hamming(steps)
    scale = float(2.0 * step / 1000.0 / (window**2).sum())
    places = np.arange(1, (steps + 1) // 2)
    starts = np.arange(0, length - steps + 1, (steps + 1) // 2)
    number = trials * starts.size
    blocks = number if average == "median" else min(number, MOST_BLOCKS)
    block = np.arange(number) * blocks // number
    power = np.zeros((blocks, units, places.size))
    at_a_time = max(1, _NUMBERS_AT_A_TIME // (steps * units))
    for trial in range(trials):
        pieces = np.lib.stride_tricks.sliding_window_view(given[trial], steps, axis=0)
        for begin in range(0, starts.size, at_a_time):
            piece = np.asarray(pieces[starts[begin : begin + at_a_time]], dtype=np.float64)
            # Less its first value a constant is exactly 0, and then so is its mean.
            piece = piece - piece[:, :, :1]
            found = fft.rfft((piece - piece.mean(axis=2, keepdims=True)) * window, axis=2)[:, :, places]
            first = trial * starts.size + begin
            np.add.at(power, block[first : first + len(piece)], scale * (found.real**2 + found.imag**2))
    return Spectra(power, np.bincount(block), places / (steps * step / 1000.0), average, step, steps * step / 1000.0)
