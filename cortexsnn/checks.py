"""What is asked of the values that descriptions and functions are given, said in the same words everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = ["Values", "choice", "finite", "generator", "names_among", "not_negative", "number", "positive", "whole"]

Values = NDArray[np.float64]


def whole(field: str, value: Any, lowest: int, expected: str = "") -> int:
    """Return `value` as int if it is a whole number of at least `lowest`; ``True`` and ``2.0`` are not."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
        words = f"{expected}, at least {lowest}" if expected else f"a whole number of at least {lowest}"
        raise InputError(field, value, words)
    return int(value)


def choice(field: str, value: Any, among: Iterable[str]) -> None:
    """Check that `value` is one of some words."""
    words = tuple(among)
    if value not in words:
        raise InputError(field, value, f"one of {', '.join(words)}")


def names_among(field: str, given: str | Iterable[str] | None, among: Iterable[str]) -> list[str]:
    """The names that are given, all of them known; a single string is one name, and None stands for all."""
    known = list(among)
    if given is None:
        return known
    names = [given] if isinstance(given, str) else list(given)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise InputError(field, unknown[0] if unknown else names, f"one or more of {', '.join(known)}")
    return names


def _real(value: Any) -> Values | None:
    """Return `value` as float64 array; None if it does not consist of real numbers."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a list of lists of different lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def number(field: str, value: Any, *, finite: bool = True) -> float:
    """Return `value` as float if it is one number, and a finite one unless `finite` is False."""
    array = _real(value)
    if array is None or array.ndim or (finite and not np.isfinite(array)):
        raise InputError(field, value, "a finite number")
    return float(array)


def positive(field: str, values: Any, expected: str, hint: str = "", *, dimensions: int = 0) -> Values:
    """Return `values` as float64 array if they are positive and finite, with at most so many dimensions."""
    array = _real(values)
    if array is None or array.ndim > dimensions or not array.size or not np.all((array > 0) & np.isfinite(array)):
        raise InputError(field, values, expected, hint)
    return array


def not_negative(field: str, value: Any) -> float:
    """Return `value` as float if it is one finite number of at least 0."""
    array = _real(value)
    if array is None or array.ndim or not np.isfinite(array) or array < 0:
        raise InputError(field, value, "a number of at least 0")
    return float(array)


def finite(field: str, value: Any, expected: str, accepts: Callable[[float], bool]) -> float:
    """Return `value` as a float if it is a finite number that is accepted."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InputError(field, value, expected)
    if not np.isfinite(value) or not accepts(float(value)):
        raise InputError(field, value, expected)
    return float(value)


def generator(rng: Any) -> np.random.Generator:
    """Return `rng` if it is a NumPy generator."""
    if not isinstance(rng, np.random.Generator):
        raise InputError("rng", rng, "a numpy.random.Generator", "numpy.random.default_rng(seed) makes one")
    return rng
