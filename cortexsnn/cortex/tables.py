"""Timescales and hierarchies of cortical areas from the literature: small tables of facts, each with its citation.

A table is a pair of files in the folder ``tables``: NAME.csv has the numbers, NAME.json says what they are.
`cortexsnn.cortex.register` reads tables of users, which have the same layout.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.cortex.table_columns import read_rows
from cortexsnn.cortex.table_layout import dataset_of
from cortexsnn.cortex.table_metadata import note_of, what_an_order_cannot_show
from cortexsnn.errors import InputError

__all__ = ["area_means", "citation", "joined", "load", "names", "protocol", "rows"]

_TABLES = files("cortexsnn.cortex") / "tables"


def names() -> list[str]:
    """Names of the tables.

    Returns
    -------
    list of str

    Examples
    --------
    >>> names()
    ['chaudhuri2015', 'froudistwalsh2021', 'gao2020_human', 'gao2020_macaque', 'harris2019', 'ito2020', 'murray2014',
     'pochinok2026', 'rudelt2024', 'siegle2021']
    """
    return sorted(entry.name.removesuffix(".csv") for entry in _TABLES.iterdir() if entry.name.endswith(".csv"))


def load(name: str, measure: str | None = None) -> xr.Dataset:
    """Load a table.

    Parameters
    ----------
    name : str
        One of `names`.
    measure : str, optional
        Which quantity, of a table that has several; all by default.

    Returns
    -------
    xarray.Dataset
        On dimension ``observation``, which is one area in one data set. Coordinates: dataset, area, stream (pathway
        within which places in the hierarchy are comparable), measure, and as far as they are known rank (from 1, ties
        are equal) and score (a number that rises along the hierarchy), and labels. Variables: ``tau_ms``, which
        tables of anatomy do not have, ``sem_ms``, or ``low_ms`` and ``high_ms``, and ``n``, as far as they are known,
        and others that say in ``long_name`` what they are.

        The attributes say what was measured, in whom, and how the numbers were obtained; the DOI; ``modality``
        (spikes, field, fmri, model or anatomy: compare milliseconds of spikes with those of spikes only); ``traps``,
        what to beware of; and ``note``, what so few areas cannot show.

    Raises
    ------
    InputError
        If there is no such table or measure.

    Examples
    --------
    >>> table = load("murray2014")
    >>> table["tau_ms"].to_numpy()[table["area"] == "ACC"]
    array([257., 313., 340.])
    >>> load("siegle2021", "intrinsic").sizes["observation"], table.attrs["modality"]
    (8, 'spikes')
    """
    if name not in names():
        raise InputError("cortical table", name, f"one of {', '.join(names())}", "register reads a table of your own")
    about = json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))
    what = f"table '{name}'"
    table = dataset_of(read_rows((_TABLES / f"{name}.csv").read_text(encoding="utf-8"), what), about, name, what)
    return table if measure is None else rows(table, measure=measure)


def citation(table: str | xr.Dataset) -> str:
    """BibTeX entry of a table.

    Parameters
    ----------
    table : str or xarray.Dataset
        One of `names`, or a table.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If there is no such table, or a table of a user has no citation.

    Examples
    --------
    >>> print(citation("murray2014").splitlines()[0])
    @article{murray2014,
    """
    dataset = load(table) if isinstance(table, str) else table
    entry = str(dataset.attrs.get("bibtex", ""))
    if not entry:
        raise InputError(f"bibtex of table '{dataset.attrs.get('table', '')}'", entry, "type, key and fields",
                         "they stand under 'bibtex' in its metadata")  # fmt: skip
    return entry


def _column(table: xr.Dataset, name: str, what: str) -> NDArray[Any]:
    if name not in table.variables or table[name].dims != ("observation",):
        raise InputError(f"columns of {what}", list(map(str, table.variables)), f"one named {name}")
    return table[name].to_numpy()


def _of_one_measure(table: xr.Dataset, what: str) -> str:
    measures = list(dict.fromkeys(_column(table, "measure", what).tolist()))
    if len(measures) > 1:
        raise InputError(
            f"measures of {what}",
            measures,
            "one of them",
            "choose with rows(table, measure=...), or with --measure in the shell",
        )
    return str(measures[0])


def protocol(table: xr.Dataset) -> dict[str, Any]:
    """How the timescales of a table were measured, for measuring a network in the same way.

    Parameters
    ----------
    table : xarray.Dataset
        Of one measure.

    Returns
    -------
    dict
        ``estimator`` and ``settings``, as `cortexsnn.timescales.estimate` takes them (None if no estimator of this
        package does what was done); ``per`` (``"layer"``, one fit to the mean curve, or ``"neuron"``); ``trial_ms``,
        the lengths of trials, and ``trials``, None where not known; and in words ``statistic`` of an area,
        ``inclusion`` of neurons and ``difference`` to what the estimator does. Empty where nothing is known.

    Raises
    ------
    InputError
        If the table has several measures.

    Examples
    --------
    >>> how = protocol(load("murray2014"))
    >>> how["estimator"], how["settings"], how["trial_ms"]
    ('pearson_trials', {'bin_ms': 50.0}, [500.0, 1000.0])
    """
    measure = _of_one_measure(table, "the table")
    known: dict[str, dict[str, Any]] = json.loads(table.attrs.get("protocol") or "{}")
    return known.get(measure, {})


def rows(table: xr.Dataset, **wanted: str | Sequence[str]) -> xr.Dataset:
    """Part of a table: the observations with certain labels.

    Parameters
    ----------
    table : xarray.Dataset
        Of `load`.
    **wanted : str or sequence of str
        By the name of a coordinate (measure, dataset, stream, structure, ...), the values to keep.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If there is no such coordinate or value.

    Examples
    --------
    >>> rows(load("siegle2021"), measure="response_decay", structure="cortex").sizes["observation"]
    6
    """
    keep = np.ones(table.sizes["observation"], dtype=bool)
    for name, values in wanted.items():
        given = _column(table, name, "the table").astype(str)
        chosen = [values] if isinstance(values, str) else [str(value) for value in values]
        unknown = [value for value in chosen if value not in given.tolist()]
        if unknown:
            raise InputError(f"{name} of the table", unknown[0], f"one of {', '.join(dict.fromkeys(given.tolist()))}")
        keep &= np.isin(given, chosen)
    if not keep.any():
        raise InputError("labels of the table", wanted, "those of at least one observation")
    part = table.isel(observation=np.flatnonzero(keep))
    return part.assign_attrs(note=note_of({str(name): part[name].to_numpy().tolist() for name in part.coords}))


def area_means(table: xr.Dataset) -> xr.Dataset:
    """Mean timescale of each area over the datasets in which it was recorded.

    Parameters
    ----------
    table : xarray.Dataset
        Of one measure.

    Returns
    -------
    xarray.Dataset
        On dimension ``area``, in order of stream and rank or score: ``tau_ms`` (arithmetic mean), ``datasets`` (how
        many); coordinates stream, and rank and score as far as the table has them.

    Raises
    ------
    InputError
        If the table has several measures or no timescales.

    Examples
    --------
    >>> means = area_means(load("murray2014"))
    >>> float(means["tau_ms"].sel(area="ACC").round(1)), int(means["datasets"].sel(area="LPFC"))
    (303.3, 5)
    """
    _of_one_measure(table, "the table")
    area, stream, tau_ms = (_column(table, name, "the table") for name in ("area", "stream", "tau_ms"))
    first = {name: int(np.flatnonzero(area == name)[0]) for name in area.tolist()}
    # Streams keep the order of the table; areas of equal place keep theirs too.
    streams = list(dict.fromkeys(stream.tolist()))
    place = next((table[name].to_numpy() for name in ("rank", "score") if name in table.coords), np.zeros(area.size))
    order = sorted(first, key=lambda name: (streams.index(stream[first[name]]), place[first[name]]))
    taken = [first[name] for name in order]
    kept = [name for name in ("stream", "rank", "score") if name in table.coords]
    return xr.Dataset(
        {
            "tau_ms": (
                "area",
                np.array([tau_ms[area == name].mean() for name in order]),
                {"long_name": "mean intrinsic timescale over datasets", "units": "ms"},
            ),
            "datasets": ("area", np.array([int((area == name).sum()) for name in order]), {"long_name": "datasets"}),
        },
        {"area": order} | {name: ("area", table[name].to_numpy()[taken]) for name in kept},
        dict(table.attrs),
    )


def _means(table: xr.Dataset, column: str, by: str, what: str) -> dict[str, float]:
    """Mean of a column by the name of an area, in order of appearance; an empty name is no area."""
    _of_one_measure(table, what)
    name, values = _column(table, by, what), _column(table, column, what)
    return {area: float(values[name == area].mean()) for area in dict.fromkeys(name.tolist()) if area}


def joined(
    first: xr.Dataset,
    second: xr.Dataset,
    columns: tuple[str, str] = ("tau_ms", "tau_ms"),
    by: tuple[str, str] = ("area", "area"),
) -> xr.Dataset:
    """Two tables side by side, for the areas that both have.

    Parameters
    ----------
    first, second : xarray.Dataset
        Of one measure each.
    columns : (str, str)
        Which column of each; the mean of an area over its rows.
    by : (str, str)
        In which column of each the name of the area stands.

    Returns
    -------
    xarray.Dataset
        On dimension ``area``, in the order of the first: ``first`` and ``second``. The attributes ``only_in_first``
        and ``only_in_second`` name the areas that were left out.

    Raises
    ------
    InputError
        If a table has several measures or lacks a column, or the two share no area.

    Examples
    --------
    >>> both = joined(load("murray2014"), load("froudistwalsh2021"), ("tau_ms", "score"), by=("area", "group"))
    >>> both.sizes["area"], both["second"].sel(area="OFC").round(3).item()
    (7, 0.742)
    >>> joined(load("murray2014"), load("chaudhuri2015", "noise_to_all")).attrs["only_in_first"]
    'LPFC, LIP, ACC, OFC, S1, S2'
    """
    left, right = (
        _means(table, column, name, f"the {which} table")
        for table, column, name, which in zip((first, second), columns, by, ("first", "second"), strict=True)
    )
    shared = [area for area in left if area in right]
    if not shared:
        raise InputError("areas of the first table", list(left), f"at least one of the second: {', '.join(right)}")
    return xr.Dataset(
        {
            name: ("area", np.array([means[area] for area in shared]), {"long_name": f"{column} of table '{title}'"})
            for name, means, column, title in (
                ("first", left, columns[0], first.attrs.get("table", "")),
                ("second", right, columns[1], second.attrs.get("table", "")),
            )
        },
        {"area": shared},
        {
            "only_in_first": ", ".join(area for area in left if area not in right),
            "only_in_second": ", ".join(area for area in right if area not in left),
            "note": what_an_order_cannot_show([left[area] for area in shared], [right[area] for area in shared]),
        },
    )
