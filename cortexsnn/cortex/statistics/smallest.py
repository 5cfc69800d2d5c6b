"""The best that so many layers, seeds and areas could show, by exact tests, as numbers and as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial, inf, nan, prod

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import choice, whole
from cortexsnn.cortex.statistics.arrangements import METHODS, arrangements, rank_null, rank_scores, whole_ranks
from cortexsnn.cortex.statistics.inputs import (
    SIGNIFICANT,
    checked_level,
    finite_values,
    named_sides,
    number_of_sides,
    same_length,
    several,
)
from cortexsnn.errors import InputError

__all__ = [
    "Answer",
    "layers_needed",
    "seeds_needed",
    "smallest_p_of_order",
    "smallest_p_of_places",
    "smallest_p_of_seeds",
    "smallest_p_of_shuffled_layers",
    "smallest_significant_coefficient",
]


@dataclass(frozen=True)
class Answer:
    """A number and the sentence that says it.

    Parameters
    ----------
    value : float
    sentence : str
    """

    value: float
    sentence: str


def _verdict(p_value: float, level: float, subject: str) -> str:
    return "" if p_value <= level else f": {subject} can never be significant at {level:g}"


def smallest_p_of_order(n: int, *, alternative: str = "two-sided", level: float = SIGNIFICANT) -> Answer:
    """Smallest p of a rank correlation of n untied pairs: the perfect order, one of n! (or its reverse).

    Parameters
    ----------
    n : int
        Layers of one network, or areas.
    alternative : {"two-sided", "greater", "less"}
    level : float
        Of significance.

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If n is below 1, or the level is not between 0 and 1.

    Examples
    --------
    >>> smallest_p_of_order(4).sentence
    'the perfect order of 4 layers has a two-sided p of 0.083: 4 layers alone can never be significant at 0.05'
    """
    whole("n", n, 1)
    checked_level(level)
    # A layer has one order, two have each other.
    p_value = min(1.0, number_of_sides(alternative) / factorial(n))
    layers = several(n, "layer")
    verdict = _verdict(p_value, level, f"{layers} alone")
    return Answer(
        p_value, f"the perfect order of {layers} has a {named_sides(alternative)} p of {p_value:.2g}{verdict}"
    )


def smallest_p_of_places(places: ArrayLike, others: ArrayLike | None = None) -> float:
    """Smallest two-sided p of Spearman's coefficient that is possible with these places, ties included.

    Of all permutations, those that put both in the same order, or in the opposite one, are counted directly, so that
    it takes no time with many places too.

    Parameters
    ----------
    places : array, shape (n,)
        Any finite numbers; only their order counts.
    others : array, shape (n,), optional
        With what they are correlated, of which only the ties count; all different by default.

    Returns
    -------
    float
        NaN if all places, or all others, are equal.

    Raises
    ------
    InputError
        If lengths differ, or a value is not finite.

    Examples
    --------
    >>> [round(smallest_p_of_places(places), 3) for places in ([1, 2, 3, 4], [1, 2, 3, 3])]
    [0.083, 0.167]
    """
    given = finite_values("places", places)
    against = np.arange(given.size, dtype=np.float64) if others is None else finite_values("others", others)
    same_length("others", against, "places", given)
    if np.unique(given).size < 2 or np.unique(against).size < 2:
        return nan
    first, second = np.sort(whole_ranks(given)), np.sort(whole_ranks(against))
    orders = np.stack([second, second[::-1]])
    # Where places are equal, what stands there may be exchanged.
    ways = [prod(arrangements(order[first == place]) for place in np.unique(first)) for order in orders]
    sizes = np.abs(rank_scores(first, orders, "spearman"))
    # With ties in both, the two need not be equally far from 0.
    best = sum(way for way, size in zip(ways, sizes.tolist(), strict=True) if size == sizes.max())
    return float(best / arrangements(second))


def layers_needed(*, alternative: str = "two-sided", level: float = SIGNIFICANT) -> Answer:
    """Fewest layers whose perfect order is significant in one network.

    Parameters
    ----------
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> layers_needed().value, layers_needed(alternative="greater").value
    (5.0, 4.0)
    """
    checked_level(level)
    n = 1
    while smallest_p_of_order(n, alternative=alternative, level=level).value > level:
        n += 1
    sentence = (
        f"one network needs {n} layers in perfect order to be significant at {level:g} ({named_sides(alternative)})"
    )
    return Answer(float(n), sentence)


def smallest_p_of_seeds(seeds: int, *, alternative: str = "two-sided", level: float = SIGNIFICANT) -> Answer:
    """Smallest p of a sign-flip test: all seeds to one side.

    Parameters
    ----------
    seeds : int
        Seeds, or pairs of networks from the same seed.
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If seeds are below 1, or the level is not between 0 and 1.

    Examples
    --------
    >>> smallest_p_of_seeds(5).sentence
    '5 seeds that all rise have a two-sided sign-flip p of 0.062: 5 seeds can never be significant at 0.05'
    """
    whole("seeds", seeds, 1)
    checked_level(level)
    p_value = min(1.0, number_of_sides(alternative) / 2**seeds)
    named = several(seeds, "seed")
    words = "that rises has" if seeds == 1 else "that all rise have"
    verdict = _verdict(p_value, level, named)
    return Answer(p_value, f"{named} {words} a {named_sides(alternative)} sign-flip p of {p_value:.2g}{verdict}")


def seeds_needed(*, alternative: str = "two-sided", level: float = SIGNIFICANT) -> Answer:
    """Fewest seeds with which a sign-flip test can be significant.

    Parameters
    ----------
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> seeds_needed().value, seeds_needed().sentence
    (6.0, 'a sign-flip test needs 6 seeds, all to one side, to be significant at 0.05 (two-sided)')
    """
    checked_level(level)
    seeds = 1
    while smallest_p_of_seeds(seeds, alternative=alternative, level=level).value > level:
        seeds += 1
    words = f"a sign-flip test needs {seeds} seeds, all to one side, to be significant at {level:g}"
    return Answer(float(seeds), f"{words} ({named_sides(alternative)})")


def smallest_p_of_shuffled_layers(
    layers: int, seeds: int, *, alternative: str = "two-sided", level: float = SIGNIFICANT
) -> Answer:
    """Smallest p of `shuffled_layers`: every seed in perfect order.

    Parameters
    ----------
    layers, seeds : int
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If there are fewer than 2 layers or 1 seed, or the level is not between 0 and 1.

    Examples
    --------
    >>> smallest_p_of_shuffled_layers(4, 2).sentence
    '2 seeds of 4 layers, all in perfect order, have a two-sided p of 0.0035 against shuffled layers'
    """
    whole("layers", layers, 2)
    whole("seeds", seeds, 1)
    checked_level(level)
    p_value = min(1.0, number_of_sides(alternative) / factorial(layers) ** seeds)
    named = f"{several(seeds, 'seed')} of {layers} layers"
    words = ", all in perfect order, have" if seeds > 1 else " in perfect order has"
    verdict = _verdict(p_value, level, "they" if seeds > 1 else "it")
    outcome = f"{named}{words} a {named_sides(alternative)} p of {p_value:.2g} against shuffled layers"
    return Answer(p_value, outcome + verdict)


def smallest_significant_coefficient(
    n: int, method: str = "spearman", *, alternative: str = "two-sided", level: float = SIGNIFICANT
) -> Answer:
    """How high a rank correlation of n untied pairs must be to be significant, by the exact test.

    Parameters
    ----------
    n : int
        From 3 to 14.
    method : {"spearman", "kendall"}
    alternative : {"two-sided", "greater", "less"}
        For ``"less"`` the value is the size of the negative coefficient.
    level : float

    Returns
    -------
    Answer
        Infinite if none is.

    Raises
    ------
    InputError
        If n is not from 3 to 14, or the level is not between 0 and 1.

    Examples
    --------
    >>> [round(smallest_significant_coefficient(n).value, 3) for n in (5, 6, 7, 8)]
    [1.0, 0.886, 0.786, 0.738]
    >>> smallest_significant_coefficient(4).sentence
    'with 4 pairs no Spearman coefficient is significant at 0.05 (two-sided)'
    """
    choice("method", method, METHODS)
    sides, ranks = number_of_sides(alternative), np.arange(whole("n", n, 3))
    checked_level(level)
    null = rank_null(ranks, ranks, method)
    if null is None:
        raise InputError("n", n, "from 3 to 14", "above, one can sample: see rank_correlation")
    reached = sides * np.cumsum(null.share[::-1])[::-1]
    # Shares of permutations are sums of fractions.
    enough = null.scores[reached <= level + 1e-12]
    which = f"{method.capitalize()} coefficient"
    if not enough.size:
        return Answer(inf, f"with {n} pairs no {which} is significant at {level:g} ({named_sides(alternative)})")
    value = float(enough[0] / rank_scores(ranks, ranks[None], method)[0])
    words = f"with {n} pairs a {which} must be at least {value:.3f} to be significant at {level:g}"
    return Answer(value, f"{words} ({named_sides(alternative)})")
