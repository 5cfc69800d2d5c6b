"""What all processes ask of the numbers that they are given."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexsnn.checks import positive, whole
from cortexsnn.errors import InputError

__all__ = ["fraction", "positives", "sizes", "steps_in_bin", "two_timescales"]

# A bin of 0.3 ms is 3 steps of 0.1 ms only up to rounding.
_ROUNDING = 1e-6


def positives(**given: Any) -> tuple[float, ...]:
    """Return the numbers as float if all are positive and finite."""
    return tuple(float(positive(name, value, "a positive number")) for name, value in given.items())


def sizes(**given: Any) -> tuple[int, ...]:
    """Return the sizes as int if all are whole numbers of at least 1."""
    return tuple(whole(name, value, 1) for name, value in given.items())


def fraction(field: str, value: Any, *, zero: bool = False, one: bool = False) -> float:
    """Return `value` as float if it lies between 0 and 1; the ends count only if they are allowed."""
    expected = f"a number from 0{'' if zero else ' (excluded)'} to 1{'' if one else ' (excluded)'}"
    if zero and isinstance(value, int | float | np.number) and not isinstance(value, bool) and value == 0:
        return 0.0
    part = float(positive(field, value, expected))
    if part > 1 or (part == 1 and not one):
        raise InputError(field, value, expected)
    return part


def two_timescales(tau_ms: Any) -> tuple[float, float]:
    """Return a pair of timescales."""
    expected = "a pair of positive numbers of milliseconds"
    pair = positive("tau_ms", tau_ms, expected, dimensions=1)
    if pair.shape != (2,):
        raise InputError("tau_ms", tau_ms, expected)
    return float(pair[0]), float(pair[1])


def steps_in_bin(bin_ms: float, dt_ms: float) -> int:
    """How many time steps a bin has, a whole number."""
    width = round(bin_ms / dt_ms)
    if width < 1 or abs(width - bin_ms / dt_ms) > _ROUNDING * width:
        raise InputError("bin_ms", bin_ms, f"a whole multiple of dt_ms = {dt_ms:g}")
    return width
