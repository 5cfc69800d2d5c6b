"""Sign-flip tests: whether seeds, or pairs of seeds, lie on one side of zero."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values
from cortexsnn.cortex.statistics.inputs import checked_sampling, finite_values, too_small
from cortexsnn.cortex.statistics.permutation import sampled_p

__all__ = ["LARGEST_EXACT_FLIPS", "SignFlipTest", "sign_flip_test"]

LARGEST_EXACT_FLIPS = 16
_FLIPPED_AT_ONCE = 10_000


@dataclass(frozen=True)
class SignFlipTest:
    """Whether values lie on one side of zero.

    Parameters
    ----------
    n, positive : int
        Number of values, and of those above 0.
    mean : float
    p_value : float
        The share of all choices of signs whose mean is at least as far from 0, or to the side of `alternative`.
    p_is_exact : bool
        Whether all choices were counted; otherwise a random sample of them.
    p_standard_error : float
        Of a sampled p; 0 for an exact one.
    smallest_possible_p : float
        If all values had the same sign; for a sampled p, the smallest the sample can show.
    note : str
        What to keep in mind, in words; empty if nothing.
    alternative : {"two-sided", "greater", "less"}
    """

    n: int
    positive: int
    mean: float
    p_value: float
    p_is_exact: bool
    p_standard_error: float
    smallest_possible_p: float
    note: str
    alternative: str = "two-sided"


def _sided(sums: Values, alternative: str) -> Values:
    return {"two-sided": np.abs(sums), "greater": sums, "less": -sums}[alternative]


def sign_flip_test(
    values: ArrayLike, *, alternative: str = "two-sided", flips: int = 99_999, rng: np.random.Generator
) -> SignFlipTest:
    """Test whether values lie on one side of zero by flipping their signs: exact up to n = 16, sampled above.

    If order had no direction, a slope would be as likely as its opposite (Fisher's randomisation test; Hoeffding 1952,
    https://doi.org/10.1214/aoms/1177729436). For pairs of conditions, give the differences within pairs.

    Parameters
    ----------
    values : array, shape (n,)
        Such as the slope of each seed.
    alternative : {"two-sided", "greater", "less"}
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
    given = finite_values("values", values)
    number = checked_sampling("flips", flips, alternative, rng)
    n = given.size
    if n == 0:
        return SignFlipTest(0, 0, nan, nan, False, nan, nan, "n too small: no value at all", alternative)
    size = np.abs(given)
    positive, mean = int((given > 0).sum()), float(given.mean())
    # Sums in another order differ in the last digits.
    enough = float(_sided(given.sum(), alternative)) - 1e-12 * size.sum()
    if n <= LARGEST_EXACT_FLIPS:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        p_value = float((_sided(signs @ size, alternative) >= enough).mean())
        best = (2.0 if alternative == "two-sided" else 1.0) / 2 ** int((size > 0).sum())
        smallest = min(1.0, best)
        note = too_small(n, "value", smallest, alternative)
        return SignFlipTest(n, positive, mean, p_value, True, 0.0, smallest, note, alternative)
    hits = 0
    for begin in range(0, number, _FLIPPED_AT_ONCE):
        signs = 1 - 2 * rng.integers(0, 2, (min(_FLIPPED_AT_ONCE, number - begin), n))
        hits += int((_sided(signs @ size, alternative) >= enough).sum())
    p_value, error = sampled_p(hits, number)
    return SignFlipTest(n, positive, mean, p_value, False, error, 1 / (1 + number), "", alternative)
