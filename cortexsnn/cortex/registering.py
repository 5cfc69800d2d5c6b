"""Tables of users, in the layout of those of the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import xarray as xr

from cortexsnn.cortex.table_columns import Rows, read_rows
from cortexsnn.cortex.table_layout import dataset_of
from cortexsnn.cortex.tables import load, names
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file

__all__ = ["open_table", "register"]

_LARGEST_BYTES = 2**24


def _text(path: Path, what: str) -> str:
    file = existing_file(path, what)
    if file.stat().st_size > _LARGEST_BYTES:
        raise InputError(f"size of {what} {path}", file.stat().st_size, f"at most {_LARGEST_BYTES} bytes",
                         "a table has one line for each area, not for each neuron")  # fmt: skip
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(what, str(path), "text in UTF-8", f"byte {error.start} is none; save it as UTF-8") from None


def _metadata(path: Path) -> dict[str, Any]:
    """What the file says that stands beside a table; nothing if there is none."""
    if not path.exists():
        return {}
    try:
        about = json.loads(_text(path, "metadata file"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError("metadata file", str(path), "a JSON file", str(error)) from None
    if not isinstance(about, dict):
        raise InputError(f"content of metadata file {path}", type(about).__name__, "a JSON object")
    return about


def _renamed(rows: Rows, columns: Mapping[str, str | None], what: str) -> Rows:
    """Columns with the names of this package, without those whose new name is None."""
    absent = [name for name in columns if name not in rows.header]
    if absent:
        raise InputError("columns", absent[0], f"names that {what} has: {', '.join(map(repr, rows.header))}")
    given = [columns.get(name, name) for name in rows.header]
    kept = [index for index, name in enumerate(given) if name is not None]
    header = tuple(str(given[index]) for index in kept)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError("columns", repeated[0], "each new name once")
    return replace(rows, header=header, cells=tuple(tuple(cells[index] for index in kept) for cells in rows.cells))


def register(
    path: str | Path,
    name: str | None = None,
    *,
    about: Mapping[str, Any] | None = None,
    columns: Mapping[str, str | None] | None = None,
) -> xr.Dataset:
    r"""Read a table of your own, as `cortexsnn.cortex.load` reads those of the package.

    The file is a CSV in UTF-8 with one observation a line, which is one area in one data set:

    - ``area`` and ``tau_ms`` (or ``tau_s``); a table of anatomy has rank or score instead of tau;
    - ``rank`` (whole numbers from 1, ties are equal) or ``score`` (a number that rises along the hierarchy);
    - where there are several: ``dataset``, ``stream`` (pathway within which places are comparable), ``measure``
      (quantity);
    - if known: ``sem_ms``, or ``low_ms`` and ``high_ms``, whose cells may be empty, and ``n`` (or all of them in s).

    Other columns are described in the metadata: a JSON file of the same name beside the CSV, or `about`. Nothing is
    kept between calls: hand the table on as it is returned.

    Parameters
    ----------
    path : path-like
    name : str, optional
        Name of the table; that of the file by default.
    about : mapping, optional
        Metadata, which go before those beside the file: title, doi, measured, species, n, unit, obtained, licence,
        traps, protocol, bibtex; ``modality`` (spikes, field, fmri, model, anatomy; ``"unknown"`` by default, whose
        milliseconds are compared with nothing); ``columns`` (by name ``type`` (str, float, int), ``long_name``,
        ``units``, ``optional``).
    columns : mapping of str to (str or None), optional
        New names of columns; None leaves a column out.

    Returns
    -------
    xarray.Dataset
        As of `cortexsnn.cortex.load`.

    Raises
    ------
    InputError
        If the file is no such table; the message says in which line. Nothing is repaired or dropped.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.csv"
    >>> _ = path.write_text("region,rank,tau_s\nV1,1,0.06\nMT,2,0.08\n")
    >>> table = register(path, about={"modality": "spikes"}, columns={"region": "area"})
    >>> table["tau_ms"].to_numpy(), table.attrs["table"]
    (array([60., 80.]), 'mine')
    >>> register(path)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: column of table 'mine' is 'region'; expected one of dataset, area, stream, measure...
    """
    file = Path(path)
    called = file.stem if name is None else name
    if called in names():
        raise InputError("name of the table", called, "one that no table of the package has", "pass name=")
    what = f"table '{called}'"
    rows = _renamed(read_rows(_text(file, "table"), what), columns or {}, what)
    return dataset_of(rows, _metadata(file.with_suffix(".json")) | dict(about or {}), called, what)


def open_table(source: str | Path) -> xr.Dataset:
    """A table of the package by its name, or one of your own by its file.

    Parameters
    ----------
    source : str or path-like
        One of `cortexsnn.cortex.names`, or a CSV file (see `register`).

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If there is no such table.

    Examples
    --------
    >>> open_table("murray2014").attrs["modality"]
    'spikes'
    """
    path = Path(source)
    return register(path) if path.suffix.lower() == ".csv" else load(str(source))
