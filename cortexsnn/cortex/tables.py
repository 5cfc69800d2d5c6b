"""Cortical timescales from the literature: small tables of facts, each with its citation.

A table is a pair of files in the folder ``tables``: NAME.csv has the numbers, NAME.json says what they are.
"""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.errors import InputError

__all__ = ["area_means", "citation", "load", "names"]

_TABLES = files("cortexsnn.cortex") / "tables"
_COORDINATES = ("dataset", "area", "stream", "rank")
_TYPES: dict[str, type] = {"int": int, "float": float, "str": str}


def names() -> list[str]:
    """Names of the tables.

    Examples
    --------
    >>> names()
    ['murray2014']
    """
    return sorted(entry.name.removesuffix(".csv") for entry in _TABLES.iterdir() if entry.name.endswith(".csv"))


def _description(name: str) -> dict[str, Any]:
    if name not in names():
        raise InputError("cortical table", name, f"one of {', '.join(names())}")
    described: dict[str, Any] = json.loads((_TABLES / f"{name}.json").read_text(encoding="utf-8"))
    return described


def load(name: str) -> xr.Dataset:
    """Load a table.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    xarray.Dataset
        On dimension ``observation`` with coordinates dataset, area, stream and rank, and variables such as
        ``tau_ms``. The attributes say what was measured, in whom, how the numbers were obtained, and the DOI.

    Raises
    ------
    InputError
        If there is no such table.

    Examples
    --------
    >>> table = load("murray2014")
    >>> table["tau_ms"].to_numpy()[table["area"] == "ACC"]
    array([257., 313., 340.])
    """
    described = _description(name)
    rows = list(csv.DictReader((_TABLES / f"{name}.csv").read_text(encoding="utf-8").splitlines()))
    columns: dict[str, Any] = {}
    for column, attributes in described["columns"].items():
        read = _TYPES[attributes.get("type", "str")]
        kept = {key: value for key, value in attributes.items() if key != "type"}
        columns[column] = ("observation", np.array([read(row[column]) for row in rows]), kept)
    about = {key: described[key] for key in ("title", "doi", "measured", "species", "n", "unit", "obtained", "licence")}
    return xr.Dataset(
        {column: values for column, values in columns.items() if column not in _COORDINATES},
        {column: columns[column] for column in _COORDINATES},
        {"table": name, **about},
    )


def citation(name: str) -> str:
    """BibTeX entry of a table.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    str

    Raises
    ------
    InputError
        If there is no such table.

    Examples
    --------
    >>> print(citation("murray2014").splitlines()[0])
    @article{murray2014,
    """
    fields = dict(_description(name)["bibtex"])
    kind, key = fields.pop("type"), fields.pop("key")
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


def area_means(table: xr.Dataset) -> xr.Dataset:
    """Mean timescale of each area over the datasets in which it was recorded.

    Parameters
    ----------
    table : xarray.Dataset
        Of `load`.

    Returns
    -------
    xarray.Dataset
        On dimension ``area``, in order of stream and rank: ``tau_ms`` (arithmetic mean), ``datasets`` (how many);
        coordinates stream and rank.

    Examples
    --------
    >>> means = area_means(load("murray2014"))
    >>> float(means["tau_ms"].sel(area="ACC").round(1)), int(means["datasets"].sel(area="LPFC"))
    (303.3, 5)
    """
    area, stream, rank = (table[name].to_numpy() for name in ("area", "stream", "rank"))
    place = {name: (str(stream[area == name][0]), int(rank[area == name][0])) for name in area.tolist()}
    # Streams keep the order of the table; areas of equal rank keep theirs too.
    streams = list(dict.fromkeys(stream.tolist()))
    order = sorted(place, key=lambda name: (streams.index(place[name][0]), place[name][1]))
    tau_ms = table["tau_ms"].to_numpy()
    return xr.Dataset(
        {
            "tau_ms": (
                "area",
                np.array([tau_ms[area == name].mean() for name in order]),
                {"long_name": "mean intrinsic timescale over datasets", "units": "ms"},
            ),
            "datasets": ("area", np.array([int((area == name).sum()) for name in order]), {"long_name": "datasets"}),
        },
        {
            "area": order,
            "stream": ("area", np.array([place[name][0] for name in order])),
            "rank": ("area", np.array([place[name][1] for name in order])),
        },
        dict(table.attrs),
    )
