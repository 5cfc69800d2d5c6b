"""What a result was made with, to be kept beside it."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import cortexsnn

__all__ = ["versions"]


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of cortexsnn and of the named packages.

    Parameters
    ----------
    *packages : str
        Names as installed; those that are not installed are left out.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> sorted(versions("numpy"))
    ['cortexsnn', 'numpy', 'python']
    """
    found = {"python": platform.python_version(), "cortexsnn": cortexsnn.__version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
