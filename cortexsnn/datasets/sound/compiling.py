"""Packages that only sound needs: imported, and loops compiled, when they are first called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache, wraps
from types import ModuleType
from typing import Any

from cortexsnn.errors import InputError

__all__ = ["compiled", "needed"]


def needed(package: str, extra: str = "audio") -> ModuleType:
    """Import a package that is not installed with the rest.

    Parameters
    ----------
    package : str
        Its name in Python.
    extra : str
        The extra that installs it.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed; the message says how to install it.

    Examples
    --------
    >>> needed("json").__name__
    'json'
    >>> needed("no_such_package")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: package no_such_package is 'not there'; expected the extra 'audio'. pip install...
    """
    try:
        return importlib.import_module(package)
    # A library that a package loads may be missing though the package is there.
    except (ImportError, OSError) as error:
        raise InputError(f"package {package}", "not there", f"the extra '{extra}'",
                         f"pip install 'cortexsnn[{extra}]' ({error})") from None  # fmt: skip


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let numba compile a function when it is first called.

    The machine code is kept in ``__pycache__`` beside the source file, or in the user's own cache folder where that
    can't be written (numba decides), so only the first call ever takes seconds.

    Parameters
    ----------
    function : callable
        Of arrays and numbers. It may call no other function of its module.

    Returns
    -------
    callable
        With the same parameters, by position. It raises `InputError` if numba is not installed.
    """

    @cache
    def machine_code() -> Callable[..., Any]:
        return needed("numba").njit(cache=True)(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        return machine_code()(*arguments)

    return call
