"""Two conditions, pair by pair: differences, effect sizes, and p-values corrected for several contrasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats
from scipy.special import gammaln

from cortexsnn.checks import Values
from cortexsnn.cortex.statistics.inputs import checked_confidence, finite_values, joined, same_length
from cortexsnn.cortex.statistics.summary import SeedSummary, over_seeds
from cortexsnn.errors import InputError

__all__ = [
    "PairedComparison",
    "cliffs_delta",
    "cohens_dz",
    "holm",
    "noncentral_below",
    "paired_comparison",
    "rank_biserial",
]


@dataclass(frozen=True)
class PairedComparison:
    """How one condition differs from another in the same seeds.

    Parameters
    ----------
    difference : SeedSummary
        Of first less second: mean, interval, t test and sign-flip test.
    greater : int
        Pairs in which the first is greater.
    d_z : float
        Mean difference over the standard deviation of differences (Cohen's d_z); NaN where that is 0.
    d_z_low, d_z_high : float
        Ends of its interval; infinite where there is no bound.
    hedges_g : float
        `d_z` less the bias of few pairs.
    rank_biserial : float
        From -1 to 1: share of the ranks of differences in favour of the first, less that against.
    cliffs_delta : float
        From -1 to 1: how often any of the first is above any of the second, less how often below; ignores pairs.
    note : str
    """

    difference: SeedSummary
    greater: int
    d_z: float
    d_z_low: float
    d_z_high: float
    hedges_g: float
    rank_biserial: float
    cliffs_delta: float
    note: str


def noncentral_below(t: float, freedom: int, shift: float) -> float:
    """Probability that a noncentral t lies below a value.

    Parameters
    ----------
    t : float
    freedom : int
        Degrees of freedom.
    shift : float
        Noncentrality: effect size times the root of the number of pairs.

    Returns
    -------
    float

    Examples
    --------
    >>> noncentral_below(0.0, 4, 0.0)
    0.5
    """
    share = float(stats.nct.cdf(t, freedom, shift))
    # Far out in a tail SciPy gives NaN.
    return float(shift < t) if np.isnan(share) else share


def _noncentrality(t: float, freedom: int, share: float) -> float:
    """Shift of Student's t for which `share` of it lies below `t`."""

    def excess(shift: float) -> float:
        return noncentral_below(t, freedom, shift) - share

    reach = 10.0 + 2 * abs(t)
    while excess(-reach) < 0 or excess(reach) > 0:
        reach *= 2
    return float(optimize.brentq(excess, -reach, reach, xtol=1e-10))


def cohens_dz(differences: ArrayLike, *, confidence: float = 0.95) -> tuple[float, float, float]:
    """Standardised mean of paired differences with its interval.

    The interval holds all effects for which the t found would not be among the rarest (inverted noncentral t; Cumming
    & Finch 2001, https://doi.org/10.1177/0013164401614002; Lakens 2013, https://doi.org/10.3389/fpsyg.2013.00863).

    Parameters
    ----------
    differences : array, shape (pair,)
    confidence : float

    Returns
    -------
    d_z, low, high : float
        Below 2 pairs, or if all differences are equal, d_z is NaN and there is no bound.

    Raises
    ------
    InputError
        If a difference is not finite.

    Examples
    --------
    >>> [round(value, 2) for value in cohens_dz([0.4, 0.7, 0.2, 0.9, 0.3, 0.5])]
    [1.92, 0.49, 3.29]
    """
    given = finite_values("differences", differences)
    checked_confidence(confidence)
    n = given.size
    deviation = float(given.std(ddof=1)) if n > 1 else 0.0
    if deviation <= 1e-12 * float(np.abs(given).max(initial=0.0)):
        return nan, -inf, inf
    effect = float(given.mean()) / deviation
    t = effect * sqrt(n)
    low, high = (_noncentrality(t, n - 1, share) / sqrt(n) for share in ((1 + confidence) / 2, (1 - confidence) / 2))
    return effect, low, high


def rank_biserial(differences: ArrayLike) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014, https://doi.org/10.2466/11.IT.3.1).

    Parameters
    ----------
    differences : array, shape (pair,)

    Returns
    -------
    float
        Sum of ranks of the sizes of positive differences less that of negative ones, over the sum of all; differences
        of 0 are left out, as Wilcoxon did. NaN if nothing is left.

    Raises
    ------
    InputError
        If a difference is not finite.

    Examples
    --------
    >>> rank_biserial([3.0, 2.0, -1.0]), rank_biserial([0.4, 0.7, 0.2])
    (0.6666666666666666, 1.0)
    """
    given = finite_values("differences", differences)
    moved = given[given != 0]
    if not moved.size:
        return nan
    ranks = stats.rankdata(np.abs(moved))
    return float((np.sign(moved) * ranks).sum() / ranks.sum())


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> float:
    """Cliff's delta: how often a value of one sample is above one of the other, less how often below.

    Cliff 1993 (https://doi.org/10.1037/0033-2909.114.3.494).

    Parameters
    ----------
    first : array, shape (n,)
    second : array, shape (m,)

    Returns
    -------
    float
        From -1 to 1; NaN if a sample is empty.

    Raises
    ------
    InputError
        If a value is not finite.

    Examples
    --------
    >>> cliffs_delta([3.0, 4.0], [1.0, 3.0])
    0.75
    """
    left, right = finite_values("first", first), finite_values("second", second)
    return float(np.sign(left[:, None] - right).mean()) if left.size and right.size else nan


def _bias(pairs: int) -> float:
    """By what the standardised mean of so many pairs is too large (Hedges 1981)."""
    freedom = pairs - 1
    return float(np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / sqrt(freedom / 2)) if freedom > 1 else nan


def paired_comparison(
    first: ArrayLike, second: ArrayLike, *, confidence: float = 0.95, rng: np.random.Generator
) -> PairedComparison:
    """Compare two conditions whose networks come in pairs, such as trained and untrained from the same seed.

    Parameters
    ----------
    first, second : array, shape (pair,)
        One number of each network, such as its slope or its rank correlation with the cortex; entry k of both is the
        same seed.
    confidence : float
    rng : numpy.random.Generator
        For the sign flips of more than 16 pairs.

    Returns
    -------
    PairedComparison
        Hedges' correction: https://doi.org/10.3102/10769986006002107.

    Raises
    ------
    InputError
        If lengths differ, there is no pair, or a value is not finite.

    Examples
    --------
    >>> result = paired_comparison([1.2, 1.5, 1.1, 1.6], [0.4, 0.9, 0.7, 0.6], rng=np.random.default_rng(1))
    >>> round(result.difference.mean, 2), round(result.d_z, 2), result.rank_biserial, result.cliffs_delta
    (0.7, 2.71, 1.0, 1.0)
    >>> result.note
    'n too small: with these 4 values the smallest possible two-sided p is 0.125'
    """
    left, right = finite_values("first", first), finite_values("second", second)
    same_length("second", right, "first", left)
    differences: Values = left - right
    summary = over_seeds(differences, confidence=confidence, rng=rng)
    effect, low, high = cohens_dz(differences, confidence=confidence)
    note = joined(summary.note, "no effect size: the differences do not scatter" if np.isnan(effect) else "")
    return PairedComparison(
        summary, int((differences > 0).sum()), effect, low, high, effect * _bias(differences.size),
        rank_biserial(differences), cliffs_delta(left, right), note,
    )  # fmt: skip


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values for the number of contrasts that were looked at (Holm's step-down method).

    The chance of any false finding among them stays below the level, whatever depends on what (Aickin & Gensler 1996,
    https://doi.org/10.2105/AJPH.86.5.726).

    Parameters
    ----------
    p_values : mapping of str to float
        By the name of the contrast. NaN is a contrast that could not be tested, and is not counted.

    Returns
    -------
    dict of str to float
        Corrected, in the same order.

    Raises
    ------
    InputError
        If a p-value is not between 0 and 1.

    Examples
    --------
    >>> holm({"trained - untrained": 0.01, "hierarchy - none": 0.03, "learned - none": 0.04})
    {'trained - untrained': 0.03, 'hierarchy - none': 0.06, 'learned - none': 0.06}
    """
    given = np.array(list(p_values.values()), dtype=np.float64)
    wrong = [name for name, p in p_values.items() if p < 0 or p > 1]
    if wrong:
        raise InputError(f"p-value of '{wrong[0]}'", p_values[wrong[0]], "a number between 0 and 1")
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    corrected = np.full(given.size, nan)
    steps = given[order] * np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return dict(zip(p_values, corrected.tolist(), strict=True))
