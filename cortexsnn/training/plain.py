"""Plain numbers in descriptions, so that they can be written as JSON."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

__all__ = ["make_plain", "plain"]


def plain(value: Any) -> Any:
    """A Python number for a NumPy one, a tuple for an array; anything else unchanged.

    Parameters
    ----------
    value : object

    Returns
    -------
    object

    Examples
    --------
    >>> plain(np.int64(3)), plain(np.array([0.1, 0.9])), plain("adam")
    (3, (0.1, 0.9), 'adam')
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return tuple(map(plain, value)) if isinstance(value, list | tuple) else value


def make_plain(description: Any) -> None:
    """Do so for all fields of a frozen dataclass that is being made.

    Parameters
    ----------
    description : dataclass
        Changed in place.
    """
    for field in fields(description):
        object.__setattr__(description, field.name, plain(getattr(description, field.name)))
