"""How the timescales of a table were measured: what its metadata may say of it, checked before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cortexsnn.checks import choice, positive, whole
from cortexsnn.errors import InputError
from cortexsnn.timescales.estimators import ESTIMATORS, estimator_of

__all__ = ["PER", "protocol_text"]

PER = ("layer", "neuron")
_WORDS = ("statistic", "inclusion", "difference")
_KEYS = ("estimator", "settings", "per", "trial_ms", "trials", *_WORDS)


def _require_estimator(how: Mapping[str, Any], field: str) -> None:
    """The estimator, if one of this package does what was done, with all that measuring needs."""
    if not isinstance(how.get("settings", {}), Mapping):
        raise InputError(f"settings of {field}", how["settings"], "a mapping from setting to value",
                         "such as {'bin_ms': 50.0}; empty where the usual ones were used")  # fmt: skip
    if "per" in how:
        choice(f"per of {field}", how["per"], PER)
    name = how.get("estimator")
    if name is None:
        return
    if not isinstance(name, str) or name not in ESTIMATORS:
        raise InputError(f"estimator of {field}", name, f"one of {', '.join(ESTIMATORS)}",
                         "None where none of them does what was done; say under 'difference' what was")  # fmt: skip
    missing = [key for key in ("settings", "per") if key not in how]
    if missing:
        raise InputError(f"keys of {field}", sorted(map(str, how)), f"{missing[0]} too",
                         "with an estimator stand its settings, which may be empty, and per: 'layer' for one fit to "
                         "the mean curve of an area, 'neuron' for one fit each")  # fmt: skip
    nothing = [key for key, value in how["settings"].items() if value is None]
    if nothing:
        raise InputError(f"{nothing[0]} in the settings of {field}", None, "a value", "leave out what is not known")
    try:
        estimator = estimator_of(name, dict(how["settings"]))
    except InputError as error:
        raise InputError(f"{error.field} in the settings of {field}", error.value, error.expected, error.hint) from None
    except TypeError:
        raise InputError(f"settings of {field}", dict(how["settings"]), f"settings that {name} takes") from None
    _require_long_enough(how, estimator.bin_ms, field)


def _require_long_enough(how: Mapping[str, Any], bin_ms: float, field: str) -> None:
    """Trials that hold the bins of three lags, or the longest lag and a bin."""
    if how.get("trial_ms") is None:
        return
    least_ms = max(3 * bin_ms, float(how["settings"].get("max_lag_ms", 0.0)) + bin_ms)
    if min(how["trial_ms"]) < least_ms:
        raise InputError(f"trial_ms of {field}", how["trial_ms"], f"at least {least_ms:g} ms each",
                         f"the bins of {bin_ms:g} ms and the lags of {how['estimator']} need them")  # fmt: skip


def _require_trials(how: Mapping[str, Any], field: str) -> None:
    lengths = how.get("trial_ms")
    expected = "a list of positive numbers, the lengths in ms"
    if lengths is not None:
        if not isinstance(lengths, list | tuple):
            raise InputError(f"trial_ms of {field}", lengths, expected, "a single length stands in a list too: [1000]")
        positive(f"trial_ms of {field}", list(lengths), expected, dimensions=1)
    if how.get("trials") is not None:
        whole(f"trials of {field}", how["trials"], 1)


def protocol_text(given: Any, what: str) -> str:
    """Check the protocols of a table, and write them as JSON, which is how an attribute keeps them.

    Parameters
    ----------
    given : mapping of str to mapping
        By measure, with keys that may all be missing: ``estimator``, ``settings`` and ``per`` as
        `cortexsnn.timescales.estimate` takes them (an estimator needs both others; None if there is none that does
        what was done), ``trial_ms`` (list of lengths) and ``trials`` (number), None where not known, and in words
        ``statistic``, ``inclusion`` and ``difference``.
    what : str
        What the table is to the user, for messages.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If it is no such mapping, or a value cannot be used to measure a network.

    Examples
    --------
    >>> protocol_text({"timescale": {"estimator": "acf", "settings": {}, "per": "neuron"}}, "table")
    '{"timescale": {"estimator": "acf", "settings": {}, "per": "neuron"}}'
    >>> protocol_text({"timescale": {"estimator": "acf", "settings": {}, "per": "area"}}, "table")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: per of protocol 'timescale' in the metadata of table is 'area'; expected one of ...
    """
    if not isinstance(given, Mapping) or not all(isinstance(one, Mapping) for one in given.values()):
        raise InputError(f"protocol in the metadata of {what}", given, "a mapping from measure to its protocol")
    try:
        text = json.dumps(given)
    except (TypeError, ValueError):
        raise InputError(f"protocol in the metadata of {what}", given, "plain values, as JSON has them") from None
    for measure, how in given.items():
        field = f"protocol '{measure}' in the metadata of {what}"
        unknown = [key for key in map(str, how) if key not in _KEYS]
        if unknown:
            raise InputError(f"key of {field}", unknown[0], f"one of {', '.join(_KEYS)}")
        _require_trials(how, field)
        _require_estimator(how, field)
        wrong = [key for key in _WORDS if not isinstance(how.get(key, ""), str)]
        if wrong:
            raise InputError(f"{wrong[0]} of {field}", how[wrong[0]], "words")
    return text
