"""What is known about a table besides its numbers, in words, and kept with it as attributes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cortexsnn.checks import choice
from cortexsnn.errors import InputError

__all__ = ["ABOUT", "MODALITIES", "attributes_of", "what_it_cannot_show"]

MODALITIES = ("spikes", "field", "fmri", "model", "anatomy", "unknown")
_WORDS = ("title", "doi", "measured", "species", "n", "unit", "obtained", "licence")
ABOUT = (*_WORDS, "modality", "traps", "protocol", "bibtex", "columns")
# A perfect order of 4 areas has p = 0.083.
_SMALLEST_SIGNIFICANT = 5


def what_it_cannot_show(areas: Sequence[str], ordered: bool) -> str:
    """What the order of so few areas cannot show, in words; empty if there is nothing to say.

    Parameters
    ----------
    areas : sequence of str
        Names, which may repeat.
    ordered : bool
        Whether areas have a place in a hierarchy.

    Returns
    -------
    str

    Examples
    --------
    >>> what_it_cannot_show(["V1", "V2", "V4", "MT"], ordered=True)
    '4 areas: the smallest two-sided p of their order is 0.083'
    """
    number = len(set(areas))
    notes = [] if ordered else ["areas have neither rank nor score"]
    if number == 1:
        notes.append("one area: there is no order to compare")
    elif number < _SMALLEST_SIGNIFICANT:
        notes.append(f"{number} areas: the smallest two-sided p of their order is {2 / math.factorial(number):.2g}")
    return "; ".join(notes)


def _bibtex(given: Any, what: str) -> str:
    """BibTeX entry of the fields in the metadata; empty if there are none."""
    if given is None:
        return ""
    if not isinstance(given, Mapping) or not {"type", "key"} < set(given):
        raise InputError(f"bibtex in the metadata of {what}", given, "a mapping with type, key and fields")
    lines = [f"  {field} = {{{value}}}," for field, value in given.items() if field not in ("type", "key")]
    return "\n".join([f"@{given['type']}{{{given['key']},", *lines, "}"])


def _json(protocol: Mapping[str, Any], what: str) -> str:
    try:
        return json.dumps(protocol)
    except (TypeError, ValueError):
        raise InputError(f"protocol in the metadata of {what}", protocol, "plain values, as JSON has them") from None


def attributes_of(about: Mapping[str, Any], name: str, what: str) -> dict[str, str]:
    """Metadata as attributes, all of them text, which netCDF can hold.

    Parameters
    ----------
    about : mapping
        With keys out of `ABOUT`, all of which may be missing: sentences, and ``modality`` (what kind of activity the
        times are of, one of `MODALITIES`), ``traps`` (a list of sentences), ``protocol`` (by measure, how it was
        measured), ``bibtex`` (``type``, ``key`` and the fields of an entry) and ``columns``.
    name : str
        Name of the table.
    what : str
        What the table is to the user, for messages.

    Returns
    -------
    dict of str to str
        ``protocol`` is JSON, ``bibtex`` an entry, ``traps`` has one sentence a line.

    Raises
    ------
    InputError
        If a key is unknown or its value is of another kind.

    Examples
    --------
    >>> attributes_of({"modality": "spikes", "doi": "10.1038/nn.3862"}, "mine", "table")["modality"]
    'spikes'
    >>> attributes_of({"modality": "spike"}, "mine", "table")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: modality in the metadata of table is 'spike'; expected one of spikes, field, fmri, ...
    """
    unknown = sorted(set(map(str, about)) - set(ABOUT))
    if unknown:
        raise InputError(f"metadata of {what}", unknown[0], f"one of {', '.join(ABOUT)}")
    modality = about.get("modality", "unknown")
    choice(f"modality in the metadata of {what}", modality, MODALITIES)
    traps = about.get("traps", [])
    if not isinstance(traps, list | tuple) or not all(isinstance(trap, str) for trap in traps):
        raise InputError(f"traps in the metadata of {what}", traps, "a list of sentences")
    protocol = about.get("protocol", {})
    if not isinstance(protocol, Mapping) or not all(isinstance(one, Mapping) for one in protocol.values()):
        raise InputError(f"protocol in the metadata of {what}", protocol, "a mapping from measure to its protocol")
    return {
        "table": name,
        **{key: str(about.get(key, "")) for key in _WORDS},
        "modality": modality,
        "traps": "\n".join(traps),
        "protocol": _json(protocol, what),
        "bibtex": _bibtex(about.get("bibtex"), what),
    }
