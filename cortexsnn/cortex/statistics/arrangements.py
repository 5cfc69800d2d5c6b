"""The exact null distribution of rank scores: every permutation is counted, none is made.

Values that are tied look the same, so a permutation is a table: how many members of each tie group of y stand in each
tie group of x. Filling that table one tie group of x after the other, what is still to come depends only on how often
each value of y was used, not on the order. So the distribution of the score is built up from one such state to the
next: about n 2^n steps instead of n!, the same numbers, with ties exactly right.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, factorial, gcd, prod

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from cortexsnn.checks import Values

__all__ = [
    "LARGEST_EXACT_ARRANGEMENTS",
    "LARGEST_EXACT_N",
    "METHODS",
    "RankNull",
    "arrangements",
    "rank_null",
    "rank_scores",
    "whole_ranks",
]

Integers = NDArray[np.int64]

# 14! is below the first: a second of work. The second bounds the tables of many ties.
LARGEST_EXACT_ARRANGEMENTS = 100_000_000_000
LARGEST_EXACT_N = 30
METHODS = ("spearman", "kendall")


@dataclass(frozen=True, eq=False)
class RankNull:
    """How often each score occurs among all permutations.

    Parameters
    ----------
    scores : array of int64, shape (score,)
        Ascending, centred on 0 and in the units of `rank_scores`.
    counts : array, shape (score,)
        Permutations that look different, of each score. Floats, since 30! is no int64; whole up to 2^53.
    """

    scores: Integers
    counts: Values

    @property
    def share(self) -> Values:
        """Of all permutations, shape (score,); sums to 1."""
        return self.counts / self.counts.sum()


def whole_ranks(values: Values) -> Integers:
    """Ranks from 0, ties averaged, in the smallest whole numbers that keep their distances.

    Parameters
    ----------
    values : array, shape (n,)

    Returns
    -------
    array of int64, shape (n,)

    Examples
    --------
    >>> whole_ranks(np.array([7.0, 1.0, 3.0])).tolist(), whole_ranks(np.array([1.0, 1.0, 3.0, 4.0])).tolist()
    ([2, 0, 1], [0, 0, 3, 5])
    """
    # Twice an average rank is a whole number.
    doubled = (2 * rankdata(values)).astype(np.int64)
    doubled -= doubled.min(initial=doubled[0] if doubled.size else 0)
    step = gcd(*doubled.tolist())
    return doubled // step if step else doubled


def arrangements(ranks: Integers) -> int:
    """Count the permutations that look different: those of equal values among each other do not.

    Parameters
    ----------
    ranks : array of int64, shape (n,)

    Returns
    -------
    int

    Examples
    --------
    >>> arrangements(np.array([0, 0, 1, 2]))
    12
    """
    _, sizes = np.unique(ranks, return_counts=True)
    return factorial(ranks.size) // prod(factorial(size) for size in sizes.tolist())


def _spearman(x: Integers, y: Integers) -> Integers:
    return x.size * (y @ x) - x.sum() * y.sum(axis=1)


def _kendall(x: Integers, y: Integers) -> Integers:
    # Small numbers in whole columns: this is the inner loop of many permutations.
    columns = np.ascontiguousarray(y.T).astype(np.int32)
    score = np.zeros(len(y), dtype=np.int32)
    for i in range(x.size):
        for j in range(i + 1, x.size):
            if x[i] != x[j]:
                concordant = np.sign(columns[j] - columns[i])
                score = score + concordant if x[j] > x[i] else score - concordant
    return score.astype(np.int64)


def rank_scores(x: Integers, y: Integers, method: str) -> Integers:
    """Scores in whole numbers, so that no rounding decides which of two is larger.

    Parameters
    ----------
    x : array of int64, shape (n,)
        Ranks of `whole_ranks`.
    y : array of int64, shape (permutation, n)
    method : {"spearman", "kendall"}
        Covariance of ranks times n squared, or concordant less discordant pairs. The score of two variables over the
        root of the product of their scores with themselves is rho, or tau-b.

    Returns
    -------
    array of int64, shape (permutation,)

    Examples
    --------
    >>> rank_scores(np.arange(3), np.array([[0, 1, 2], [2, 1, 0]]), "kendall").tolist()
    [3, -3]
    """
    return _spearman(x, y) if method == "spearman" else _kendall(x, y)


def _fillings(sizes: Integers, total: int) -> Integers:
    """All ways to take `total` members of groups of such sizes, shape (way, group), in lexical order."""
    taken = np.zeros((1, 0), dtype=np.int64)
    to_come = sizes[::-1].cumsum()[::-1]
    for group, size in enumerate(sizes.tolist()):
        after = int(to_come[group]) - size
        left = total - taken.sum(axis=1)
        row, number = np.nonzero(
            (np.arange(size + 1) <= left[:, None]) & (left[:, None] - np.arange(size + 1) <= after)
        )
        taken = np.column_stack([taken[row], number])
    return taken


def _ways(choice: Integers) -> float:
    """In how many orders a choice of members can stand within a tie group."""
    left, ways = int(choice.sum()), 1
    for number in choice.tolist():
        ways *= comb(left, number)
        left -= number
    return float(ways)


def rank_null(x: Integers, y: Integers, method: str) -> RankNull | None:
    """Null distribution of the score of `rank_scores` over all permutations of one variable.

    Parameters
    ----------
    x, y : array of int64, shape (n,)
        Ranks of `whole_ranks`.
    method : {"spearman", "kendall"}

    Returns
    -------
    RankNull or None
        None if there are too many: more than 10^11 that look different (14 untied values have fewer), or n above 30.

    Examples
    --------
    >>> null = rank_null(np.arange(3), np.arange(3), "kendall")
    >>> dict(zip(null.scores.tolist(), (6 * null.share).round().tolist()))
    {-3: 1.0, -1: 2.0, 1: 2.0, 3: 1.0}
    """
    # It is all the same which variable is permuted: the one with more ties looks different less often.
    fixed, permuted = (x, y) if arrangements(x) >= arrangements(y) else (y, x)
    if x.size > LARGEST_EXACT_N or arrangements(permuted) > LARGEST_EXACT_ARRANGEMENTS:
        return None
    rows, row_sizes = np.unique(fixed, return_counts=True)
    columns, sizes = np.unique(permuted, return_counts=True)
    place = np.append(np.cumprod((sizes + 1)[:0:-1])[::-1], 1)
    below = np.sign(np.arange(sizes.size) - np.arange(sizes.size)[:, None])
    n = x.size
    most = n * (n - 1) // 2 if method == "kendall" else int(np.sort(fixed) @ np.sort(permuted))
    width = 2 * most + 1 if method == "kendall" else most + 1
    states = np.zeros((1, sizes.size), dtype=np.int64)
    mass = np.zeros((1, width))
    mass[0, most if method == "kendall" else 0] = 1.0
    for row, size in zip(rows.tolist(), row_sizes.tolist(), strict=True):
        following = _fillings(sizes, int(states[0].sum()) + size)
        keys = following @ place
        grown = np.zeros((len(following), width))
        for choice in _fillings(sizes, size):
            source = np.flatnonzero(np.all(states + choice <= sizes, axis=1))
            if not source.size:
                continue
            target = np.searchsorted(keys, (states[source] + choice) @ place)
            gains = (
                states[source] @ below @ choice
                if method == "kendall"
                else np.full(source.size, row * int(choice @ columns))
            )
            ways = _ways(choice)
            for gain in np.unique(gains).tolist():
                come, go = source[gains == gain], target[gains == gain]
                if gain >= 0:
                    grown[go, gain:] += ways * mass[come, : width - gain]
                else:
                    grown[go, :gain] += ways * mass[come, -gain:]
        states, mass = following, grown
    occurs = np.flatnonzero(mass[0])
    scores = occurs - most if method == "kendall" else n * occurs - int(x.sum()) * int(y.sum())
    return RankNull(scores.astype(np.int64), mass[0, occurs])
