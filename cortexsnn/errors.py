"""The one exception that tells a user what to change."""

from __future__ import annotations

from typing import Any

__all__ = ["InputError"]

_LONGEST_SHOWN_VALUE = 80


class InputError(ValueError):
    """Something the caller gave cannot be used; the message says what would be.

    Every check of user input in the package raises this error, so the command line can turn it into one
    line and exit code 2, while a bug still shows its traceback.

    Parameters
    ----------
    field : str
        Name of what was given, as the user knows it (``"tau_s of population 'hidden1'"``).
    value : object
        What was given; long values are shortened.
    expected : str
        What would have been right.
    hint : str, optional
        What to do about it.

    Examples
    --------
    >>> raise InputError("dt_s", -1, "a positive number of seconds", "a step of 1 ms is dt_s=0.001")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: dt_s is -1; expected a positive number of seconds. a step of 1 ms is dt_s=0.001
    """

    def __init__(self, field: str, value: Any, expected: str, hint: str = "") -> None:
        shown = " ".join(repr(value).split())
        if len(shown) > _LONGEST_SHOWN_VALUE:
            shown = shown[: _LONGEST_SHOWN_VALUE - 3] + "..."
        self.field = field
        self.value = value
        self.expected = expected
        self.hint = hint
        message = f"{field} is {shown}; expected {expected}"
        super().__init__(f"{message}. {hint}" if hint else message)
