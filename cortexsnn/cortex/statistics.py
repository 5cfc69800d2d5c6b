"""Rank correlations and sign-flip tests for the few layers, areas and seeds one has.

With four layers or seven areas the usual formulas for p-values are wrong by a factor, always towards significance.
Here p is the share of all permutations (or sign flips) that do at least as well, so it is right at any n; and a
result says when no outcome at this n could have been significant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial, nan, prod, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from cortexsnn.errors import InputError

__all__ = [
    "LARGEST_EXACT_ARRANGEMENTS",
    "LARGEST_EXACT_N",
    "RankCorrelation",
    "SignFlipTest",
    "rank_correlation",
    "sign_flip_test",
]

Integers = NDArray[np.int64]

# 10! is 3.6 million. The limit on n bounds memory, and the time of Kendall's to some seconds.
LARGEST_EXACT_ARRANGEMENTS = 5_000_000
LARGEST_EXACT_N = 30
LARGEST_EXACT_FLIPS = 16
SIGNIFICANT = 0.05
METHODS = ("spearman", "kendall")
_ARRANGED_AT_ONCE = 20_000
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
        Two-sided: the share of permutations with a coefficient at least as far from 0.
    p_is_exact : bool
        Whether all permutations were counted; otherwise a random sample of them.
    p_standard_error : float
        Of a sampled p; 0 for an exact one.
    smallest_possible_p : float
        What the best possible order of these values would give; for a sampled p, the smallest the sample can show.
    note : str
        What to keep in mind, in words; empty if nothing.
    """

    method: str
    n: int
    coefficient: float
    p_value: float
    p_is_exact: bool
    p_standard_error: float
    smallest_possible_p: float
    note: str


@dataclass(frozen=True)
class SignFlipTest:
    """Whether values lie on one side of zero.

    Parameters
    ----------
    n, positive : int
        Number of values, and of those above 0.
    mean : float
    p_value : float
        Two-sided: the share of all choices of signs whose mean is at least as far from 0.
    p_is_exact : bool
        Whether all choices were counted; otherwise a random sample of them.
    p_standard_error : float
        Of a sampled p; 0 for an exact one.
    smallest_possible_p : float
        If all values had the same sign; for a sampled p, the smallest the sample can show.
    note : str
        What to keep in mind, in words; empty if nothing.
    """

    n: int
    positive: int
    mean: float
    p_value: float
    p_is_exact: bool
    p_standard_error: float
    smallest_possible_p: float
    note: str


def _finite(field: str, given: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != 1:
        raise InputError(f"shape of {field}", values.shape, "one dimension")
    if not np.all(np.isfinite(values)):
        raise InputError(field, values.tolist(), "finite numbers", "leave missing values out of both")
    return values


def _too_small(n: int, what: str, smallest: float) -> str:
    if smallest <= SIGNIFICANT:
        return ""
    return f"n too small: with these {n} {what} the smallest possible two-sided p is {smallest:.3f}"


def _arrangements(values: Integers) -> int:
    """Number of permutations of `values` that look different: those of equal values among each other do not."""
    _, sizes = np.unique(values, return_counts=True)
    return factorial(values.size) // prod(factorial(size) for size in sizes.tolist())


def _every_arrangement(values: Integers) -> Iterator[Integers]:
    """All permutations of `values` that look different, once each, in chunks of shape (arrangement, n)."""
    distinct, sizes = np.unique(values, return_counts=True)
    # Beginnings of arrangements and how often each distinct value is still to come.
    blocks = [(np.empty((1, 0), dtype=np.int8), sizes[None].astype(np.int8))]
    while blocks:
        begun, left = blocks.pop()
        if len(begun) > _ARRANGED_AT_ONCE:
            middle = len(begun) // 2
            blocks += [(begun[:middle], left[:middle]), (begun[middle:], left[middle:])]
        elif begun.shape[1] == values.size:
            yield distinct[begun]
        else:
            row, following = np.nonzero(left)
            left = left[row]
            left[np.arange(row.size), following] -= 1
            blocks.append((np.column_stack([begun[row], following.astype(np.int8)]), left))


def _some_orders(y: Integers, number: int, rng: np.random.Generator) -> Iterator[Integers]:
    """`number` random permutations of y in chunks of shape (permutation, n)."""
    for begin in range(0, number, _SHUFFLED_AT_ONCE):
        yield rng.permuted(np.tile(y, (min(_SHUFFLED_AT_ONCE, number - begin), 1)), axis=1)


def _spearman(x: Integers, y: Integers) -> Integers:
    """Covariance of ranks times n squared, in whole numbers, for every row of y."""
    return x.size * (y @ x) - x.sum() * y.sum(axis=1)


def _kendall(x: Integers, y: Integers) -> Integers:
    """Concordant less discordant pairs for every row of y."""
    # Small numbers in whole columns: this is the inner loop of millions of permutations.
    columns = np.ascontiguousarray(y.T).astype(np.int32)
    score = np.zeros(len(y), dtype=np.int32)
    for i in range(x.size):
        for j in range(i + 1, x.size):
            if x[i] != x[j]:
                concordant = np.sign(columns[j] - columns[i])
                score = score + concordant if x[j] > x[i] else score - concordant
    return score.astype(np.int64)


def rank_correlation(
    x: ArrayLike,
    y: ArrayLike,
    method: str = "spearman",
    *,
    permutations: int = 99_999,
    rng: np.random.Generator,
) -> RankCorrelation:
    """Rank correlation with a permutation p-value: exact where permutations can be counted, sampled elsewhere.

    Permutations that only swap equal values look the same, so counting those that look different is enough: p is
    exact if one of the variables has at most 5 million of them, and n is at most 30. That is always so up to n = 10,
    and with many ties beyond.

    Spearman's rho is the Pearson correlation of average ranks; Kendall's is tau-b
    (https://doi.org/10.1093/biomet/33.3.239). Ties are permuted as they are, so p is right with them too. Scores are
    compared in whole numbers: no rounding decides what is "at least as far from 0".

    Parameters
    ----------
    x, y : array, shape (n,)
        Any finite numbers; only their order counts.
    method : {"spearman", "kendall"}
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
        If lengths differ, a value is not finite, or the method is unknown.

    Examples
    --------
    >>> result = rank_correlation([1, 2, 3, 4], [60.0, 90.0, 130.0, 300.0], rng=np.random.default_rng(1))
    >>> result.coefficient, round(result.p_value, 3), result.note
    (1.0, 0.083, 'n too small: with these 4 pairs the smallest possible two-sided p is 0.083')
    """
    if method not in METHODS:
        raise InputError("method", method, f"one of {', '.join(METHODS)}")
    left, right = _finite("x", x), _finite("y", y)
    if left.size != right.size:
        raise InputError("length of y", right.size, f"{left.size}, as of x")
    if isinstance(permutations, bool) or not isinstance(permutations, int | np.integer) or permutations < 1:
        raise InputError("permutations", permutations, "a whole number, at least 1")
    n = left.size
    if n < 3:
        return RankCorrelation(method, n, nan, nan, False, nan, nan, f"n too small: {n} of the 3 pairs needed")
    constant = [name for name, values in (("x", left), ("y", right)) if np.all(values == values[0])]
    if constant:
        note = f"not defined: all values of {constant[0]} are equal"
        return RankCorrelation(method, n, nan, nan, False, nan, nan, note)

    # Twice the average rank is a whole number.
    first, second = ((2 * rankdata(values)).astype(np.int64) for values in (left, right))
    score = _spearman if method == "spearman" else _kendall
    observed = int(score(first, second[None])[0])
    # The score of a variable with itself is its (co)variance, so this one line is rho and tau-b.
    coefficient = observed / sqrt(float(score(first, first[None])[0]) * float(score(second, second[None])[0]))
    # It is all the same which variable is permuted: the one with more ties looks different less often.
    fixed, permuted = sorted((first, second), key=_arrangements, reverse=True)
    exact = n <= LARGEST_EXACT_N and _arrangements(permuted) <= LARGEST_EXACT_ARRANGEMENTS
    hits, largest, at_largest, total = 0, -1, 0, 0
    for chunk in _every_arrangement(permuted) if exact else _some_orders(permuted, int(permutations), rng):
        size = np.abs(score(fixed, chunk))
        hits += int((size >= abs(observed)).sum())
        total += size.size
        top = int(size.max())
        if top > largest:
            largest, at_largest = top, 0
        if top == largest:
            at_largest += int((size == top).sum())
    if exact:
        smallest = at_largest / total
        return RankCorrelation(
            method, n, coefficient, hits / total, True, 0.0, smallest, _too_small(n, "pairs", smallest)
        )
    p_value = (1 + hits) / (1 + total)
    error = sqrt(p_value * (1 - p_value) / (1 + total))
    return RankCorrelation(method, n, coefficient, p_value, False, error, 1 / (1 + total), "")


def sign_flip_test(values: ArrayLike, *, flips: int = 99_999, rng: np.random.Generator) -> SignFlipTest:
    """Test whether values lie on one side of zero by flipping their signs: exact up to n = 16, sampled above.

    If order had no direction, a slope would be as likely as its opposite (Fisher's randomisation test).

    Parameters
    ----------
    values : array, shape (n,)
        Such as the slope of each seed.
    flips : int
        Random choices of signs above n = 16.
    rng : numpy.random.Generator
        Used above n = 16 only.

    Returns
    -------
    SignFlipTest

    Raises
    ------
    InputError
        If a value is not finite.

    Examples
    --------
    >>> test = sign_flip_test([0.4, 0.7, 0.2, 0.9, 0.3, 0.5], rng=np.random.default_rng(1))
    >>> test.positive, test.p_value
    (6, 0.03125)
    """
    given = _finite("values", values)
    if isinstance(flips, bool) or not isinstance(flips, int | np.integer) or flips < 1:
        raise InputError("flips", flips, "a whole number, at least 1")
    n = given.size
    if n == 0:
        return SignFlipTest(0, 0, nan, nan, False, nan, nan, "n too small: no value at all")
    size = np.abs(given)
    positive, mean = int((given > 0).sum()), float(given.mean())
    # Sums in another order differ in the last digits.
    enough = abs(given.sum()) - 1e-12 * size.sum()
    exact = n <= LARGEST_EXACT_FLIPS
    if exact:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        p_value = float((np.abs(signs @ size) >= enough).mean())
        smallest = min(1.0, 2.0 / 2 ** int((size > 0).sum()))
        return SignFlipTest(n, positive, mean, p_value, True, 0.0, smallest, _too_small(n, "values", smallest))
    hits = 0
    for begin in range(0, int(flips), _SHUFFLED_AT_ONCE):
        signs = 1 - 2 * rng.integers(0, 2, (min(_SHUFFLED_AT_ONCE, int(flips) - begin), n))
        hits += int((np.abs(signs @ size) >= enough).sum())
    p_value = (1 + hits) / (1 + int(flips))
    error = sqrt(p_value * (1 - p_value) / (1 + int(flips)))
    return SignFlipTest(n, positive, mean, p_value, False, error, 1 / (1 + int(flips)), "")
