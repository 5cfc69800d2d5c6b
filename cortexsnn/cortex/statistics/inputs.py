"""What the statistics are given, checked in one way and refused in the same words."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values, choice, generator, whole
from cortexsnn.errors import InputError

__all__ = [
    "ALTERNATIVES",
    "SIGNIFICANT",
    "checked_confidence",
    "checked_level",
    "checked_sampling",
    "finite_values",
    "joined",
    "named_sides",
    "number_of_sides",
    "same_length",
    "several",
    "tau_values",
    "too_small",
]

SIGNIFICANT = 0.05
ALTERNATIVES = ("two-sided", "greater", "less")


def finite_values(field: str, given: ArrayLike, dimensions: int = 1) -> Values:
    """Return `given` as float64 array of so many dimensions if all of it is finite."""
    values = np.asarray(given, dtype=np.float64)
    if values.ndim != dimensions:
        words = {1: "one dimension", 2: "two dimensions"}
        raise InputError(f"shape of {field}", values.shape, words.get(dimensions, f"{dimensions} dimensions"))
    if not np.all(np.isfinite(values)):
        raise InputError(field, values.tolist(), "finite numbers", "leave missing values out of both")
    return values


def tau_values(field: str, given: ArrayLike, dimensions: int = 1) -> Values:
    """Return the natural logarithm of timescales, of any unit, if all of them are positive and finite."""
    tau = np.asarray(given, dtype=np.float64)
    if tau.ndim != dimensions:
        expected = {1: "one dimension", 2: "two dimensions, (seed, layer)"}
        raise InputError(f"shape of {field}", tau.shape, expected.get(dimensions, f"{dimensions} dimensions"))
    if not np.all(np.isfinite(tau) & (tau > 0)):
        raise InputError(
            field, tau.tolist(), "positive, finite timescales",
            "leave out a layer without a timescale together with its depth, and say how many were left out",
        )  # fmt: skip
    return np.log(tau)


def same_length(field: str, values: Values, other: str, reference: Values) -> None:
    """Refuse arrays that do not belong together."""
    if values.shape[-1] != reference.shape[-1]:
        raise InputError(f"length of {field}", values.shape[-1], f"{reference.shape[-1]}, as of {other}")


def checked_confidence(confidence: Any) -> float:
    """Return the confidence of an interval if it lies between 0 and 1."""
    if isinstance(confidence, bool) or not isinstance(confidence, float) or not 0 < confidence < 1:
        raise InputError("confidence", confidence, "a number between 0 and 1", "0.95 is usual")
    return confidence


def checked_sampling(field: str, number: Any, alternative: str, rng: Any) -> int:
    """Return how many random draws a test makes; check its alternative and its generator too."""
    choice("alternative", alternative, ALTERNATIVES)
    generator(rng)
    return whole(field, number, 1)


def several(number: int, what: str) -> str:
    """Say how many there are of something that is given in the singular."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def too_small(n: int, what: str, smallest: float, alternative: str = "two-sided", *, more: str = "") -> str:
    """Say that no outcome of n of `what`, in the singular, could have been significant; empty if one could."""
    if smallest <= SIGNIFICANT:
        return ""
    given = f"{'this' if n == 1 else 'these'} {several(n, what)}{more}"
    return f"n too small: with {given} the smallest possible {named_sides(alternative)} p is {smallest:.3f}"


def number_of_sides(alternative: str) -> int:
    """Return how many tails of a distribution count."""
    choice("alternative", alternative, ALTERNATIVES)
    return 2 if alternative == "two-sided" else 1


def named_sides(alternative: str) -> str:
    """Say how many tails of a distribution count."""
    return alternative if alternative == "two-sided" else "one-sided"


def checked_level(level: Any) -> float:
    """Return a level of significance if it lies between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, float) or not 0 < level < 1:
        raise InputError("level", level, "a number between 0 and 1", "0.05 is usual")
    return level


def joined(*notes: str) -> str:
    """Put what is to be kept in mind in a row, each once; empty notes are left out."""
    return "; ".join(dict.fromkeys(note for note in notes if note))
