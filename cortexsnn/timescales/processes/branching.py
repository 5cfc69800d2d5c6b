"""Branching process: the activity of a network of which only a part may be seen."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator
from cortexsnn.timescales.processes.arguments import fraction, positives, sizes

__all__ = ["branching_counts"]

# After so many timescales the start is forgotten: e^-20 is 2e-9.
_BURN_IN_TIMESCALES = 20


def branching_counts(
    *,
    reproduction: float,
    activity: float,
    trials: int,
    bins: int,
    subsampling: float = 1.0,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Stationary branching process with immigration, seen in full or in part.

    Each spike makes Poisson(m) spikes in the next bin, to which Poisson(h) spikes come from outside, so that
    A[t+1] is Poisson(m A[t] + h) with h = (1 - m) activity. Each spike is then seen with probability p (Wilting and
    Priesemann 2018, https://doi.org/10.1038/s41467-018-04725-4). The autocorrelation at a lag of k bins is
    b m^k, where b = p / (p + (1 - p) (1 - m^2)) and is 1 if all is seen: subsampling changes the height, not the
    timescale of -1 / ln(m) bins (`geometric_timescale_ms`).

    Parameters
    ----------
    reproduction : float
        m, how many spikes one spike causes on average; at least 0 and below 1.
    activity : float
        Mean number of spikes in a bin, of which ``activity * subsampling`` are seen.
    trials, bins : int
        All trials are independent.
    subsampling : float
        p, the probability that a spike is seen; above 0, at most 1. With the same seed another p shows another
        part of the same activity.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of int, shape (trial, bin, 1)
        Spikes seen of the whole population.

    Raises
    ------
    InputError
        If a size is not a whole number of at least 1, or a number out of its range.

    Examples
    --------
    >>> counts = branching_counts(reproduction=0.9, activity=100.0, trials=2, bins=5000, subsampling=0.1,
    ...                           rng=np.random.default_rng(1))
    >>> counts.shape, bool(abs(counts.mean() - 10.0) < 0.3)
    ((2, 5000, 1), True)
    """
    m = fraction("reproduction", reproduction, zero=True)
    (mean,) = positives(activity=activity)
    seen = fraction("subsampling", subsampling, one=True)
    trials, bins = sizes(trials=trials, bins=bins)
    generator(rng)
    burn_in = math.ceil(_BURN_IN_TIMESCALES / -math.log(m)) if m else 0
    outside = (1 - m) * mean
    now = np.full(trials, round(mean), dtype=np.int64)
    for _ in range(burn_in):
        now = rng.poisson(m * now + outside)
    # One contiguous row per bin.
    whole = np.empty((bins, trials), dtype=np.int64)
    for step in range(bins):
        now = rng.poisson(m * now + outside)
        whole[step] = now
    return rng.binomial(whole, seen).T[:, :, None]
