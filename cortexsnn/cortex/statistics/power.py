"""What so many layers, seeds and areas can and cannot show, as numbers and as sentences.

Nothing here needs data: it is known before a network is trained.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from scipy import stats

from cortexsnn.checks import whole
from cortexsnn.cortex.statistics.effects import noncentral_below
from cortexsnn.cortex.statistics.inputs import SIGNIFICANT, checked_level, named_sides, number_of_sides
from cortexsnn.cortex.statistics.smallest import (
    Answer,
    seeds_needed,
    smallest_p_of_order,
    smallest_p_of_seeds,
    smallest_p_of_shuffled_layers,
    smallest_significant_coefficient,
)
from cortexsnn.errors import InputError

__all__ = ["detectable_effect", "pairs_needed", "what_can_be_shown"]

_MOST_PAIRS = 100_000


def _checked_power(power: Any) -> None:
    if isinstance(power, bool) or not isinstance(power, float) or not 0 < power < 1:
        raise InputError("power", power, "a number between 0 and 1", "0.8 is usual")


def _power(effect: float, pairs: int, sides: int, level: float) -> float:
    """Probability that a t test of so many pairs is significant."""
    critical = float(stats.t.isf(level / sides, pairs - 1))
    shift = effect * sqrt(pairs)
    upper = 1 - noncentral_below(critical, pairs - 1, shift)
    return upper + (noncentral_below(-critical, pairs - 1, shift) if sides == 2 else 0.0)


def pairs_needed(
    d_z: float, *, power: float = 0.8, alternative: str = "two-sided", level: float = SIGNIFICANT
) -> Answer:
    """Fewest seeds, or pairs of networks, with which a t test probably finds an effect of size d_z.

    Parameters
    ----------
    d_z : float
        Mean over standard deviation of the slopes, or of the differences within pairs.
    power : float
        With what probability.
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer
        By the noncentral t distribution (Cohen 1992, https://doi.org/10.1037/0033-2909.112.1.155, for what is usual).

    Raises
    ------
    InputError
        If d_z is not positive, or so small that 100,000 pairs do not suffice.

    Examples
    --------
    >>> pairs_needed(1.0).sentence
    'an effect of d_z = 1 needs 10 seeds for a power of 80 % at 0.05 (two-sided)'
    """
    if not (np.isfinite(d_z) and d_z > 0):
        raise InputError("d_z", d_z, "a positive number", "give the size of the effect without its sign")
    _checked_power(power)
    sides = number_of_sides(alternative)
    checked_level(level)
    below, above = 1, 2
    while _power(d_z, above, sides, level) < power:
        below, above = above, 2 * above
        if above > _MOST_PAIRS:
            raise InputError("d_z", d_z, f"an effect that {_MOST_PAIRS:,} seeds could show")
    while above - below > 1:
        middle = (below + above) // 2
        if _power(d_z, middle, sides, level) < power:
            below = middle
        else:
            above = middle
    words = f"an effect of d_z = {d_z:g} needs {above} seeds for a power of {100 * power:g} % at {level:g}"
    return Answer(float(above), f"{words} ({named_sides(alternative)})")


def detectable_effect(
    pairs: int, *, power: float = 0.8, alternative: str = "two-sided", level: float = SIGNIFICANT
) -> Answer:
    """Smallest d_z that a t test of so many seeds, or pairs of networks, probably finds.

    Parameters
    ----------
    pairs : int
        At least 2.
    power : float
    alternative : {"two-sided", "greater", "less"}
    level : float

    Returns
    -------
    Answer

    Raises
    ------
    InputError
        If pairs are below 2, or power or level are not between 0 and 1.

    Examples
    --------
    >>> detectable_effect(5).sentence
    '5 seeds find an effect of d_z = 1.68 or more with a power of 80 % at 0.05 (two-sided)'
    """
    whole("pairs", pairs, 2)
    _checked_power(power)
    sides = number_of_sides(alternative)
    checked_level(level)
    low, high = 0.0, 1.0
    while _power(high, pairs, sides, level) < power:
        high *= 2
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _power(middle, pairs, sides, level) < power else (low, middle)
    words = f"{pairs} seeds find an effect of d_z = {high:.2f} or more with a power of {100 * power:g} % at {level:g}"
    return Answer(high, f"{words} ({named_sides(alternative)})")


def what_can_be_shown(
    layers: int, seeds: int, *, areas: int | None = None, level: float = SIGNIFICANT
) -> tuple[str, ...]:
    """Say what a comparison of so many layers, seeds and areas can and cannot show.

    Parameters
    ----------
    layers : int
        Of each network.
    seeds : int
        Networks of one condition.
    areas : int, optional
        Cortical areas they are compared with.
    level : float

    Returns
    -------
    tuple of str
        Sentences without full stop.

    Raises
    ------
    InputError
        If layers or seeds are below 1, or the level is not between 0 and 1.

    Examples
    --------
    >>> for sentence in what_can_be_shown(4, 5, areas=5):
    ...     print(sentence)
    the perfect order of 4 layers has a two-sided p of 0.083: 4 layers alone can never be significant at 0.05
    5 seeds of 4 layers, all in perfect order, have a two-sided p of 2.5e-07 against shuffled layers
    5 seeds that all rise have a two-sided sign-flip p of 0.062: 5 seeds can never be significant at 0.05
    a sign-flip test needs 6 seeds, all to one side, to be significant at 0.05 (two-sided)
    5 seeds find an effect of d_z = 1.68 or more with a power of 80 % at 0.05 (two-sided)
    with 5 pairs a Spearman coefficient must be at least 1.000 to be significant at 0.05 (two-sided)
    """
    whole("layers", layers, 1)
    by_seeds = smallest_p_of_seeds(seeds, level=level)
    sentences = [smallest_p_of_order(layers, level=level).sentence]
    if layers >= 2:
        sentences.append(smallest_p_of_shuffled_layers(layers, seeds, level=level).sentence)
    sentences.append(by_seeds.sentence)
    if by_seeds.value > level:
        sentences.append(seeds_needed(level=level).sentence)
    if seeds >= 2:
        sentences.append(detectable_effect(seeds, level=level).sentence)
    if areas is not None and 3 <= areas <= 14:
        sentences.append(smallest_significant_coefficient(areas, level=level).sentence)
    return tuple(sentences)
