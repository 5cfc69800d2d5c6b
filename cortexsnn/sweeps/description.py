"""Descriptions of runs: nested dictionaries of plain values, with one text and one hash each."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cortexsnn.errors import InputError

__all__ = ["canonical", "grid", "leaves", "run_hash", "varied_keys"]

# Dots separate the keys of a path; xarray and netCDF use white space and slashes for other things.
_KEY = re.compile(r"[^\s./]+")
_HASH_LENGTH = 16


def _check(value: Any, path: str) -> None:
    """Refuse what JSON would lose or change."""
    where = f"'{path}' of the description" if path else "description of a run"
    if isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise InputError(f"a key in {where}", key, "a name without '.', '/' and white space")
            _check(member, f"{path}.{key}" if path else key)
    elif not path:
        raise InputError(where, value, "a dictionary of names and plain values")
    elif isinstance(value, list | tuple):
        for index, member in enumerate(value):
            _check(member, f"{path}[{index}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InputError(where, value, "a finite number", "write None for 'no value', and a text for infinity")
    elif not (value is None or isinstance(value, str | int)):
        hint = "numbers and arrays of NumPy become plain by value.tolist()" if hasattr(value, "tolist") else ""
        raise InputError(where, value, "a number, text, truth value, None, list or dictionary", hint)


def canonical(description: Mapping[str, Any]) -> str:
    """Write a description as the one text that stands for it: JSON with sorted keys.

    Parameters
    ----------
    description : mapping
        Names and plain values (numbers, texts, truth values, None, lists, dictionaries of the same).

    Returns
    -------
    str
        ASCII. The order of keys makes no difference; 1 and 1.0 are different values, since a function may
        treat them differently.

    Raises
    ------
    InputError
        If something is not a plain value; the message has its path.

    Examples
    --------
    >>> canonical({"task": "mts_xor", "hierarchy": {"span_ms": -400, "kind": "linear"}})
    '{"hierarchy":{"kind":"linear","span_ms":-400},"task":"mts_xor"}'
    >>> canonical({"hierarchy": {"span_ms": float("nan")}})
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: 'hierarchy.span_ms' of the description is nan; expected a finite number. ...
    """
    plain = dict(description) if isinstance(description, Mapping) else description
    _check(plain, "")
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def run_hash(description: Mapping[str, Any]) -> str:
    """Name of a run: the first 16 hexadecimal digits of the SHA-256 of its description.

    Parameters
    ----------
    description : mapping
        See `canonical`.

    Returns
    -------
    str

    Examples
    --------
    >>> run_hash({"a": 1, "b": 2}) == run_hash({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(description).encode("ascii")).hexdigest()[:_HASH_LENGTH]


def _values(key: str, given: Any) -> list[Any]:
    values = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence) or not len(values):
        raise InputError(f"values of '{key}' in the grid", given, "a list with at least one value")
    return list(values)


def _set(description: dict[str, Any], key: str, value: Any) -> None:
    """Set the value at a dotted path whose parents exist."""
    *parents, leaf = key.split(".")
    place, path = description, "the description"
    for parent in parents:
        if not isinstance(place.get(parent), dict):
            groups = [name for name, member in place.items() if isinstance(member, dict)]
            known = f"one of {', '.join(groups)}" if groups else f"a name that {path} has; it has no groups of values"
            raise InputError(f"'{parent}' of '{key}' in the grid", parent, known, f"'{key}' is set inside the base")
        place, path = place[parent], f"'{parent}'"
    place[leaf] = copy.deepcopy(value)


def grid(
    base: Mapping[str, Any], varied: Mapping[str, Sequence[Any]], seeds: Sequence[int] | None = None
) -> list[dict[str, Any]]:
    """Every combination of the values of some keys, as descriptions of runs.

    Parameters
    ----------
    base : mapping
        The description that all have in common.
    varied : mapping of str to sequence
        Values of each key that varies; ``"hierarchy.span_ms"`` is the key ``span_ms`` in the group ``hierarchy``
        of `base`. The last key varies fastest.
    seeds : sequence of int, optional
        Values of the key ``seed``, which varies faster than all others.

    Returns
    -------
    list of dict
        Independent of each other and of `base`.

    Raises
    ------
    InputError
        If a group is not in `base`, a list is empty, or one key lies inside another.

    Examples
    --------
    >>> for run in grid({"hierarchy": {"kind": "linear"}}, {"hierarchy.span_ms": [0, 400]}, seeds=[0, 1]):
    ...     print(run)
    {'hierarchy': {'kind': 'linear', 'span_ms': 0}, 'seed': 0}
    {'hierarchy': {'kind': 'linear', 'span_ms': 0}, 'seed': 1}
    {'hierarchy': {'kind': 'linear', 'span_ms': 400}, 'seed': 0}
    {'hierarchy': {'kind': 'linear', 'span_ms': 400}, 'seed': 1}
    """
    if seeds is not None and "seed" in varied:
        raise InputError("'seed' in the grid", varied["seed"], "one list of seeds", "give them once")
    axes = {key: _values(key, values) for key, values in varied.items()}
    if seeds is not None:
        axes["seed"] = _values("seed", seeds)
    for key, other in itertools.permutations(axes, 2):
        if key.startswith(f"{other}."):
            raise InputError(f"'{key}' in the grid", key, f"a key outside '{other}'", f"'{other}' is varied as a whole")
    descriptions = []
    for values in itertools.product(*axes.values()):
        description = copy.deepcopy(dict(base))
        for key, value in zip(axes, values, strict=True):
            _set(description, key, value)
        canonical(description)
        descriptions.append(description)
    return descriptions


def leaves(description: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a description that is not itself a group, with its dotted path.

    Parameters
    ----------
    description : mapping
    prefix : str
        What to put before each path.

    Yields
    ------
    tuple of str and object

    Examples
    --------
    >>> list(leaves({"task": "mts_xor", "hierarchy": {"span_ms": 0}}))
    [('task', 'mts_xor'), ('hierarchy.span_ms', 0)]
    """
    for key, value in description.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def varied_keys(descriptions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Dotted paths of the values that are not the same in all descriptions.

    Parameters
    ----------
    descriptions : sequence of mapping

    Returns
    -------
    list of str
        In the order in which they are first met. A value that some descriptions lack counts as varied.

    Examples
    --------
    >>> varied_keys(grid({"task": "mts_xor", "hierarchy": {}}, {"hierarchy.span_ms": [0, 400]}))
    ['hierarchy.span_ms']
    """
    texts: dict[str, list[str]] = {}
    for description in descriptions:
        for key, value in leaves(description):
            texts.setdefault(key, []).append(json.dumps(value, sort_keys=True))
    return [key for key, found in texts.items() if len(found) < len(descriptions) or len(set(found)) > 1]
