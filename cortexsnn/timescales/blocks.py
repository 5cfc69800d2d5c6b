"""Blocks of time: what an interval draws again, whatever the estimator.

Every estimator here is a ratio of sums over time. Summed block by block, the estimate of any resample is a weighted
sum of the blocks, so that no resampled recording is ever made, and no false neighbours arise where pieces meet
(Kuensch 1989, https://doi.org/10.1214/aos/1176347265, his blocks of pairs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockSums", "TimeBlocks", "draws", "ratio", "time_blocks"]

Values = NDArray[np.float64]

# Percentiles of fewer blocks than these are not worth the name; more than these change nothing but the memory.
FEWEST_BLOCKS = 10
MOST_BLOCKS = 100
# A block must outlast the correlations inside it.
LAGS_IN_BLOCK = 2


@dataclass(frozen=True, eq=False)
class TimeBlocks:
    """Cut of trials into blocks: several whole trials in one block, or several blocks in each trial.

    Parameters
    ----------
    bins : array of int64, shape (trial,)
        Number of bins in each trial.
    per_trial : int
        Blocks in each trial; more than 1 only if `trials_in_block` is 1.
    trials_in_block : int
        Trials in each block.
    """

    bins: NDArray[np.int64]
    per_trial: int
    trials_in_block: int

    @property
    def number(self) -> int:
        """How many blocks there are."""
        return -(-self.bins.size // self.trials_in_block) * self.per_trial

    def of(self, trial: NDArray[np.int64], which: NDArray[np.int64]) -> NDArray[np.int64]:
        """Block of each bin `which` of `trial`, any shape."""
        within = which * self.per_trial // np.maximum(self.bins[trial], 1)
        return trial // self.trials_in_block * self.per_trial + within

    def pairs(self, lags: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many bins of each block have a bin so many lags later in their trial, shape (block, lag)."""
        first = -(-np.arange(self.per_trial + 1) * self.bins[:, None] // self.per_trial)
        # Bins t of a piece [a, b) with t + lag < bins.
        end = np.minimum(first[:, 1:, None], np.maximum(self.bins[:, None] - lags, 0)[:, None, :])
        pieces = np.maximum(end - first[:, :-1, None], 0)
        total = np.zeros((self.number, lags.size), dtype=np.int64)
        block = np.arange(self.bins.size)[:, None] // self.trials_in_block * self.per_trial + np.arange(self.per_trial)
        np.add.at(total, block, pieces)
        return total


def time_blocks(bins: NDArray[np.int64], max_lag: int) -> TimeBlocks:
    """Choose blocks that outlast the largest lag, up to 100 of them.

    Parameters
    ----------
    bins : array of int64, shape (trial,)
        Number of bins in each trial.
    max_lag : int
        Largest lag in bins.

    Returns
    -------
    TimeBlocks
        With fewer than 10 blocks (`FEWEST_BLOCKS`) there is too little to draw from.

    Examples
    --------
    >>> time_blocks(np.array([10_000]), max_lag=100).number
    50
    >>> time_blocks(np.full(500, 20), max_lag=19).number
    100
    """
    trials = bins.size
    if trials >= FEWEST_BLOCKS:
        return TimeBlocks(bins, 1, -(-trials // MOST_BLOCKS))
    fit = int(bins.min()) // max(1, LAGS_IN_BLOCK * max_lag)
    return TimeBlocks(bins, max(1, min(fit, MOST_BLOCKS // trials)), 1)


def ratio(total: Values, number: NDArray[np.number]) -> Values:
    """Divide where there is something to divide by; NaN elsewhere."""
    return np.divide(total, number, out=np.full(np.shape(total), np.nan), where=number > 0)


def draws(blocks: int, replicates: int, rng: np.random.Generator) -> Values:
    """How often each block is drawn in each replicate, shape (replicate, block)."""
    return rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=replicates).astype(np.float64)


class BlockSums(Protocol):
    """A curve over lags (or frequencies), in pieces that add up."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        ...

    def curves(self, drawn: Values) -> Values:
        """Curves when block b counts ``drawn[r, b]`` times.

        Parameters
        ----------
        drawn : array, shape (replicate, block)
            All ones for the estimate itself.

        Returns
        -------
        numpy.ndarray, shape (replicate, unit, lag)
            NaN where a curve is not defined.
        """
        ...
