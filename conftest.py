"""Brian2, when it is imported, replaces pytest's collector of doctests by one that fails on ``__init__.py`` files.

It is imported here, before anything is collected, and pytest's own collector is put back.
"""

from _pytest import doctest

_collector = doctest.DoctestModule

import brian2  # noqa: E402, F401

doctest.DoctestModule = _collector  # type: ignore[misc]
