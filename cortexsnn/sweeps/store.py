"""All runs of a sweep in one table: an xarray Dataset with one row for each run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.results import load_dataset
from cortexsnn.sweeps.description import canonical, leaves, varied_keys
from cortexsnn.sweeps.record import Record

__all__ = ["SCHEMA", "load_sweep", "tabulate"]

SCHEMA = "cortexsnn-sweep-1"

_OWN = ("hash", "status", "traceback", "seconds", "description", "versions")
_LARGEST_INTEGER = 2**63 - 1


def _storable(text: str) -> str:
    """Replace what HDF5 cannot keep in a text: zero characters, and what is not Unicode."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array([_storable(value) for value in values], dtype=np.str_)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _column(values: Sequence[Any]) -> NDArray[Any]:
    """Values of one key in the narrowest type that holds them all; None is NaN among numbers, else empty."""
    if values and all(isinstance(value, bool) for value in values):
        return np.array(values)
    if values and all(_is_number(value) or value is None for value in values):
        if all(isinstance(value, int) and abs(value) <= _LARGEST_INTEGER for value in values):
            return np.array(values, dtype=np.int64)
        return np.array([math.nan if value is None else float(value) for value in values])
    return _texts(
        [
            "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            for value in values
        ]
    )


def _padded(values: Sequence[Any]) -> NDArray[np.float64]:
    """Lists of numbers as rows of one array (run, index), filled up with NaN."""
    lists = [value if isinstance(value, list) else [] if value is None else [value] for value in values]
    array = np.full((len(lists), max(map(len, lists))), math.nan)
    for row, numbers in zip(array, lists, strict=True):
        row[: len(numbers)] = numbers
    return array


def _result(values: Sequence[Any]) -> NDArray[Any]:
    """One result of all runs; texts win over lists, and lists over numbers."""
    if any(isinstance(value, str) for value in values):
        return _column([value if isinstance(value, str) or value is None else json.dumps(value) for value in values])
    if any(isinstance(value, list) for value in values):
        return _padded(values)
    return np.array([math.nan if value is None else value for value in values], dtype=float)


def _namer() -> Callable[[str, str], str]:
    """Make a function that gives a name, or the name after a prefix if that is taken."""
    taken = {*_OWN, "run"}

    def name(wanted: str, prefix: str) -> str:
        while wanted in taken or f"{wanted}_index" in taken:
            wanted = f"{prefix}.{wanted}"
        taken.update((wanted, f"{wanted}_index"))
        return wanted

    return name


def tabulate(records: Sequence[Record], function: str) -> xr.Dataset:
    """Put runs into one table.

    Parameters
    ----------
    records : sequence of Record
    function : str
        What was run, as ``"module:function"``.

    Returns
    -------
    xarray.Dataset
        Dimension ``run``. Coordinates: ``hash``, and each value of the descriptions that differs between runs,
        under its dotted path. Variables: ``status`` ("done" or "failed"), ``traceback``, ``seconds`` (of the last
        try), ``description`` and ``versions`` (JSON), and the results. Results that are lists have a dimension
        ``NAME_index`` and are filled up with NaN; failed runs have NaN, or an empty text. A key of the
        descriptions or a result whose name is taken is called ``description.NAME`` or ``result.NAME``.
    """
    name = _namer()
    table = xr.Dataset(attrs={"schema": SCHEMA, "function": function})
    table = table.assign_coords(hash=("run", _texts([record.hash for record in records])))
    flat = [dict(leaves(record.description)) for record in records]
    for key in varied_keys([record.description for record in records]):
        values = _column([description.get(key) for description in flat])
        table = table.assign_coords({name(key, "description"): ("run", values)})
    table["status"] = ("run", _texts([record.status for record in records]))
    table["traceback"] = ("run", _texts([record.traceback for record in records]))
    table["seconds"] = ("run", np.array([record.seconds for record in records], dtype=float))
    table["description"] = ("run", _texts([canonical(record.description) for record in records]))
    table["versions"] = ("run", _texts([json.dumps(record.versions, sort_keys=True) for record in records]))
    for key in dict.fromkeys(key for record in records for key in record.row):
        values = _result([record.row.get(key) for record in records])
        free = name(key, "result")
        table[free] = (("run", f"{free}_index")[: values.ndim], values)
    return table


def load_sweep(path: str | Path) -> xr.Dataset:
    """Read the table of a sweep.

    Parameters
    ----------
    path : path-like
        ``FOLDER/sweep.nc``.

    Returns
    -------
    xarray.Dataset
        As `cortexsnn.sweeps.run_sweep` returned it.

    Raises
    ------
    InputError
        If the file is missing, damaged, or is not the table of a sweep.
    """
    return load_dataset(path, what="sweep file", schema=SCHEMA, required=dict.fromkeys(_OWN, ("run",)))
