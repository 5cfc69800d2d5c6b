"""What is known about a table besides its numbers, in words, and kept with it as attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import choice
from cortexsnn.cortex.statistics import smallest_p_of_places
from cortexsnn.cortex.statistics.inputs import SIGNIFICANT, several
from cortexsnn.cortex.table_protocol import protocol_text
from cortexsnn.errors import InputError

__all__ = ["ABOUT", "MODALITIES", "attributes_of", "note_of", "what_an_order_cannot_show", "what_it_cannot_show"]

MODALITIES = ("spikes", "field", "fmri", "model", "anatomy", "unknown")
_WORDS = ("title", "doi", "measured", "species", "n", "unit", "obtained", "licence")
ABOUT = (*_WORDS, "modality", "traps", "protocol", "bibtex", "columns")
# Of more, p is small even where all but one are in one place.
_MOST_TO_COUNT = 2 / SIGNIFICANT


def what_an_order_cannot_show(places: Sequence[float], others: Sequence[float] | None = None) -> str:
    """What so few areas that are in one order cannot show, in words; empty if there is nothing to say.

    Parameters
    ----------
    places : sequence of float, shape (area,)
    others : sequence of float, shape (area,), optional
        With what they are correlated, whose ties count too; all different by default.

    Returns
    -------
    str

    Examples
    --------
    >>> what_an_order_cannot_show([60, 80, 120, 130], [1, 1, 2, 2])
    '4 areas in 2 places: the smallest two-sided p of their order is 0.33'
    """
    number = len(places)
    against = list(range(number)) if others is None else others
    if not (np.all(np.isfinite(places)) and np.all(np.isfinite(against))):
        return "not all areas have a place"
    if number == 1:
        return "one area: there is no order to compare"
    different = min(len(set(places)), len(set(against)))
    if different == 1:
        return f"{several(number, 'area')} in one place: there is no order to compare"
    smallest = smallest_p_of_places(places, against) if number < _MOST_TO_COUNT else 0.0
    if smallest <= SIGNIFICANT:
        return ""
    tied = "" if different == number else f" in {different} places"
    return f"{several(number, 'area')}{tied}: the smallest two-sided p of their order is {smallest:.2g}"


def what_it_cannot_show(
    areas: Sequence[str], places: ArrayLike | None, *, within: Mapping[str, Sequence[str]] | None = None
) -> str:
    """What the order of so few areas cannot show, in words; empty if there is nothing to say.

    Parameters
    ----------
    areas : sequence of str, shape (observation,)
        Names, which may repeat.
    places : array, shape (observation,), optional
        Rank or score of each in the hierarchy; None where areas have neither.
    within : mapping of str to sequence of str, shape (observation,), optional
        Labels within which places are comparable, such as the stream. What they cannot show is said of each.

    Returns
    -------
    str

    Examples
    --------
    >>> what_it_cannot_show(["V1", "V2", "V4", "MT"], [1, 2, 3, 4])
    '4 areas: the smallest two-sided p of their order is 0.083'
    >>> what_it_cannot_show(["V1", "V2", "V4", "MT"], [1, 2, 3, 3])
    '4 areas in 3 places: the smallest two-sided p of their order is 0.17'
    """
    several_labels = {name: labels for name, labels in (within or {}).items() if len(set(labels)) > 1}
    given = np.zeros(len(areas)) if places is None else np.asarray(places, dtype=np.float64)
    orders: dict[str, dict[str, float]] = {}
    for index, area in enumerate(areas):
        order = ", ".join(f"{name} {labels[index]}" for name, labels in several_labels.items())
        # Without places the best that is possible is that all of them differ.
        orders.setdefault(order, {}).setdefault(area, float(index if places is None else given[index]))
    found = {order: what_an_order_cannot_show(list(places_of.values())) for order, places_of in orders.items()}
    notes = [f"{order}, {words}" if order else words for order, words in found.items() if words]
    return "; ".join(notes if places is not None else ["areas have neither rank nor score", *notes])


def note_of(columns: Mapping[str, Sequence[Any]]) -> str:
    """What the areas of a table cannot show, in each stream and measure; empty if there is nothing to say.

    Parameters
    ----------
    columns : mapping of str to sequence, shape (observation,)
        The columns of the table, of which area, rank or score, stream and measure count.

    Returns
    -------
    str

    Examples
    --------
    >>> note_of({"area": ["V1", "V2", "S1"], "rank": [1, 2, 1], "stream": ["visual", "visual", "touch"]})
    'stream visual, 2 areas: the smallest two-sided p of their order is 1; stream touch, one area: there is no orde...
    """
    places = next((columns[name] for name in ("rank", "score") if name in columns), None)
    within = {name: columns[name] for name in ("measure", "stream") if name in columns}
    return what_it_cannot_show(columns["area"], places, within=within)


def _bibtex(given: Any, what: str) -> str:
    """BibTeX entry of the fields in the metadata; empty if there are none."""
    if given is None:
        return ""
    if not isinstance(given, Mapping) or not {"type", "key"} < set(given):
        raise InputError(f"bibtex in the metadata of {what}", given, "a mapping with type, key and fields")
    lines = [f"  {field} = {{{value}}}," for field, value in given.items() if field not in ("type", "key")]
    return "\n".join([f"@{given['type']}{{{given['key']},", *lines, "}"])


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
    return {
        "table": name,
        **{key: str(about.get(key, "")) for key in _WORDS},
        "modality": modality,
        "traps": "\n".join(traps),
        "protocol": protocol_text(about.get("protocol", {}), what),
        "bibtex": _bibtex(about.get("bibtex"), what),
    }
