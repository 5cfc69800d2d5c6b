"""Import a framework only when somebody asks for it, and say what to install."""

from __future__ import annotations

import importlib
from typing import Any

from cortexsnn.errors import InputError

__all__ = ["framework"]


def framework(name: str, install: str) -> Any:
    """Import a module that this package does not depend on.

    Parameters
    ----------
    name : str
        What to import.
    install : str
        Command that installs it.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it is not installed.

    Examples
    --------
    >>> framework("no_such_framework", "pip install no-such-framework")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: framework is 'no_such_framework'; expected an installed one. pip install no-such-...
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != name.split(".")[0]:
            raise
        raise InputError("framework", name.split(".")[0], "an installed one", install) from None
