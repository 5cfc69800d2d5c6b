"""Rank correlations with permutation p-values, for the few layers and areas one has.

With four layers or seven areas the usual formulas for p-values are wrong by a factor, always towards significance.
Here p is the share of all permutations that do at least as well, so it is right at any n; and a result says when no
outcome at this n could have been significant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values, choice
from cortexsnn.cortex.statistics.arrangements import METHODS, Integers, RankNull, rank_null, rank_scores, whole_ranks
from cortexsnn.cortex.statistics.inputs import checked_sampling, finite_values, same_length, too_small

__all__ = ["RankCorrelation", "rank_correlation", "sampled_p"]

_SHUFFLED_AT_ONCE = 10_000


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation with its permutation test.

    Parameters
    ----------
    method : {"spearman", "kendall"}
    n : int
        Number of pairs.
    coefficient : float
        Spearman's rho or Kendall's tau-b; NaN where it is not defined.
    p_value : float
        The share of permutations with a coefficient at least as far from 0, or as far to the side of `alternative`.
    p_is_exact : bool
        Whether all permutations were counted; otherwise a random sample of them.
    p_standard_error : float
        Of a sampled p; 0 for an exact one.
    smallest_possible_p : float
        What the best possible order of these values would give; for a sampled p, the smallest the sample can show.
    note : str
        What to keep in mind, in words; empty if nothing.
    alternative : {"two-sided", "greater", "less"}
    """

    method: str
    n: int
    coefficient: float
    p_value: float
    p_is_exact: bool
    p_standard_error: float
    smallest_possible_p: float
    note: str
    alternative: str = "two-sided"


def _sided(scores: Integers, alternative: str) -> Integers:
    """What counts as extreme is large."""
    return {"two-sided": np.abs(scores), "greater": scores, "less": -scores}[alternative]


def _shuffled(ranks: Integers, number: int, rng: np.random.Generator) -> Iterator[Integers]:
    """`number` random permutations in chunks of shape (permutation, n)."""
    for begin in range(0, number, _SHUFFLED_AT_ONCE):
        yield rng.permuted(np.tile(ranks, (min(_SHUFFLED_AT_ONCE, number - begin), 1)), axis=1)


def _undefined(x: Values, y: Values) -> str:
    """Why there is no coefficient; empty if there is one."""
    if x.size < 3:
        return f"n too small: {x.size} of the 3 pairs needed"
    constant = [name for name, values in (("x", x), ("y", y)) if np.all(values == values[0])]
    return f"not defined: all values of {constant[0]} are equal" if constant else ""


def _exact(null: RankNull, observed: int, alternative: str) -> tuple[float, float]:
    """Find p and the smallest possible p."""
    extreme = _sided(null.scores, alternative)
    least = int(_sided(np.array([observed]), alternative)[0])
    hits, best = (null.counts[which].sum() for which in (extreme >= least, extreme == extreme.max()))
    return float(hits / null.counts.sum()), float(best / null.counts.sum())


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    method: str = "spearman",
    *,
    alternative: str = "two-sided",
    permutations: int = 99_999,
    rng: np.random.Generator,
) -> RankCorrelation:
    """Rank correlation with a permutation p-value: exact where permutations can be counted, sampled elsewhere.

    p is exact if at most 10^11 permutations of one of the variables look different, and n is at most 30. That is
    always so up to n = 14, and with many ties beyond.

    Spearman's rho is the Pearson correlation of average ranks (https://doi.org/10.2307/1412159); Kendall's is tau-b
    (https://doi.org/10.1093/biomet/33.3.239). Ties are permuted as they are, so p is right with them too. Scores are
    compared in whole numbers: no rounding decides what is "at least as far from 0".

    Parameters
    ----------
    x, y : array, shape (n,)
        Any finite numbers; only their order counts.
    method : {"spearman", "kendall"}
    alternative : {"two-sided", "greater", "less"}
        One-sided only where the direction was fixed before looking.
    permutations : int
        Random permutations where p is sampled. The p of m of them is (1 + hits) / (1 + m)
        (https://doi.org/10.2202/1544-6115.1585).
    rng : numpy.random.Generator
        Used where p is sampled.

    Returns
    -------
    RankCorrelation
        Below n = 3, or if all x or all y are equal, the coefficient is NaN and the note says why.

    Raises
    ------
    InputError
        If lengths differ, a value is not finite, or the method or alternative is unknown.

    Examples
    --------
    >>> result = rank_correlation([1, 2, 3, 4], [60.0, 90.0, 130.0, 300.0], rng=np.random.default_rng(1))
    >>> result.coefficient, round(result.p_value, 3), result.note
    (1.0, 0.083, 'n too small: with these 4 pairs the smallest possible two-sided p is 0.083')
    """
    choice("method", method, METHODS)
    left, right = finite_values("x", x), finite_values("y", y)
    same_length("y", right, "x", left)
    number = checked_sampling("permutations", permutations, alternative, rng)
    n = left.size
    reason = _undefined(left, right)
    if reason:
        return RankCorrelation(method, n, nan, nan, False, nan, nan, reason, alternative)
    first, second = whole_ranks(left), whole_ranks(right)
    observed = int(rank_scores(first, second[None], method)[0])
    itself = [float(rank_scores(ranks, ranks[None], method)[0]) for ranks in (first, second)]
    coefficient = observed / sqrt(itself[0] * itself[1])
    null = rank_null(first, second, method)
    if null is not None:
        p_value, smallest = _exact(null, observed, alternative)
        note = too_small(n, "pair", smallest, alternative)
        return RankCorrelation(method, n, coefficient, p_value, True, 0.0, smallest, note, alternative)
    least = _sided(np.array([observed]), alternative)
    hits = sum(
        int((_sided(rank_scores(first, chunk, method), alternative) >= least).sum())
        for chunk in _shuffled(second, number, rng)
    )
    p_value, error = sampled_p(hits, number)
    return RankCorrelation(method, n, coefficient, p_value, False, error, 1 / (1 + number), "", alternative)


def sampled_p(hits: int, number: int) -> tuple[float, float]:
    """Give p of a sampled test and its standard error (https://doi.org/10.2202/1544-6115.1585).

    Parameters
    ----------
    hits : int
        How many of the draws were at least as extreme.
    number : int
        How many were drawn.

    Returns
    -------
    p_value, standard_error : float

    Examples
    --------
    >>> p_value, error = sampled_p(49, 999)
    >>> p_value, round(error, 4)
    (0.05, 0.0069)
    """
    p_value = (1 + hits) / (1 + number)
    return p_value, sqrt(p_value * (1 - p_value) / (1 + number))
