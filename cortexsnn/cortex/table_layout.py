"""From the cells and the metadata of a table to an `xarray.Dataset`, through checks that let nothing wrong pass.

Tables of the package and those of users go the same way: a value that cannot be right is refused with its line, and
nothing is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.cortex.table_columns import COORDINATES, Column, Rows, declared_columns
from cortexsnn.cortex.table_metadata import attributes_of, note_of
from cortexsnn.errors import InputError

__all__ = ["dataset_of"]

# No activity is known to forget within less, nor was any observed for long enough to remember for longer.
SHORTEST_MS, LONGEST_MS = 1.0, 60_000.0
# Areas measured in the same way differ by a factor of up to 20; by this much, units were mixed.
LARGEST_RATIO = 100.0
_TIMES = ("tau", "sem", "low", "high")


def _in_milliseconds(header: Sequence[str], what: str) -> tuple[list[str], list[float]]:
    """Names of the columns in ms, and by what to multiply their values."""
    seconds = [f"{name}_s" for name in _TIMES if f"{name}_s" in header]
    milliseconds = [f"{name}_ms" for name in _TIMES if f"{name}_ms" in header]
    if seconds and milliseconds:
        raise InputError(f"units of the columns of {what}", [*milliseconds, *seconds], "all times in ms, or all in s")
    names = [f"{name.removesuffix('_s')}_ms" if name in seconds else name for name in header]
    return names, [1000.0 if name in seconds else 1.0 for name in header]


def _require_known(names: Sequence[str], columns: Mapping[str, Column], what: str) -> None:
    unknown = [name for name in names if name not in columns]
    if unknown:
        raise InputError(f"column of {what}", unknown[0], f"one of {', '.join(columns)}",
                         "describe columns of your own under 'columns' of the metadata")  # fmt: skip
    if "area" not in names:
        raise InputError(f"columns of {what}", list(names), "one named area")
    if not {"tau_ms", "rank", "score"} & set(names):
        raise InputError(f"columns of {what}", list(names), "tau_ms (or tau_s), rank or score")


def _values(rows: Rows, columns: Mapping[str, Column], what: str) -> dict[str, list[Any]]:
    """Values of each column, times in ms."""
    names, factors = _in_milliseconds(rows.header, what)
    _require_known(names, columns, what)
    values: dict[str, list[Any]] = {}
    for index, (name, factor) in enumerate(zip(names, factors, strict=True)):
        read: list[Any] = [
            columns[name].read(cells[index], f"{rows.header[index]} in line {line} of {what}")
            for cells, line in zip(rows.cells, rows.lines, strict=True)
        ]
        values[name] = [factor * value for value in read] if factor != 1 else read
    return values


def _require_once(values: Mapping[str, Sequence[Any]], lines: Sequence[int], what: str) -> None:
    """Every area is once in a data set, and in one place of the hierarchy."""
    seen: dict[tuple[str, str, str], int] = {}
    places: dict[tuple[str, str], tuple[dict[str, Any], int]] = {}
    for index, line in enumerate(lines):
        area, measure, dataset = (values[name][index] for name in ("area", "measure", "dataset"))
        first = seen.setdefault((dataset, measure, area), line)
        if first != line:
            raise InputError(f"area in line {line} of {what}", area, f"each area once in data set '{dataset}'",
                             f"it is in line {first} too; several data sets need a column dataset, several "
                             "quantities a column measure")  # fmt: skip
        place = {name: values[name][index] for name in ("stream", "rank", "score") if name in values}
        before, line_before = places.setdefault((area, measure), (place, line))
        for name, value in place.items():
            if value != before[name]:
                raise InputError(f"{name} of area '{area}' in line {line} of {what}", value,
                                 f"{before[name]!r}, as in line {line_before}")  # fmt: skip


def _require_plausible(values: Mapping[str, Sequence[Any]], lines: Sequence[int], what: str) -> None:
    """Times are in one unit and lie inside of their intervals."""
    tau_ms = values["tau_ms"]
    for tau, line in zip(tau_ms, lines, strict=True):
        if not SHORTEST_MS <= tau <= LONGEST_MS:
            raise InputError(f"tau in line {line} of {what}", f"{tau:g} ms",
                             f"a timescale from {SHORTEST_MS:g} ms to {LONGEST_MS / 1000:g} s",
                             "is it in another unit? a column in seconds is named tau_s")  # fmt: skip
    for measure in dict.fromkeys(values["measure"]):
        inside = [index for index, other in enumerate(values["measure"]) if other == measure]
        least, most = (choose(inside, key=lambda index: float(tau_ms[index])) for choose in (min, max))
        if tau_ms[most] > LARGEST_RATIO * tau_ms[least]:
            raise InputError(f"tau in lines {lines[least]} and {lines[most]} of {what}",
                             f"{tau_ms[least]:g} ms and {tau_ms[most]:g} ms",
                             f"timescales of one measure within a factor of {LARGEST_RATIO:g}",
                             "is one in another unit? what was measured otherwise needs a column measure"
                             )  # fmt: skip
    unknown = [math.nan] * len(lines)
    for line, low, tau, high in zip(
        lines, values.get("low_ms", unknown), tau_ms, values.get("high_ms", unknown), strict=True
    ):
        if low > tau or high < tau:
            raise InputError(f"interval in line {line} of {what}", (low, high), f"one that holds tau, {tau:g} ms")


def dataset_of(rows: Rows, about: Mapping[str, Any], name: str, what: str) -> xr.Dataset:
    r"""Make a table of its cells and metadata, or say what is wrong with them.

    Parameters
    ----------
    rows : Rows
    about : mapping
        See `cortexsnn.cortex.table_metadata.attributes_of`.
    name : str
        Name of the table; its data set where no column says.
    what : str
        What the file is to the user, for messages.

    Returns
    -------
    xarray.Dataset
        On dimension ``observation``. Coordinates: all columns of text, among them always dataset, area, stream
        (``"all"`` if there is no such column) and measure (that of the protocol, ``"timescale"`` or
        ``"hierarchy"``); and rank and score where they are given. Variables: ``tau_ms`` and the other columns of
        numbers. Attributes are text; ``note`` says what so few areas cannot show.

    Raises
    ------
    InputError
        If a column is unknown or required ones are missing, a value is missing, not finite or out of bounds, an area
        is twice in a data set or has two places, or units are mixed.

    Examples
    --------
    >>> from cortexsnn.cortex.table_columns import read_rows
    >>> table = dataset_of(read_rows("area,rank,tau_s\nMT,1,0.077\nLIP,2,0.138\n", "table"), {}, "mine", "table")
    >>> table["tau_ms"].to_numpy(), table.attrs["note"]
    (array([ 77., 138.]), '2 areas: the smallest two-sided p of their order is 1')
    """
    attributes = attributes_of(about, name, what)
    columns = declared_columns(about.get("columns", {}), what)
    values = _values(rows, columns, what)
    protocol = about.get("protocol", {})
    only = "timescale" if "tau_ms" in values else "hierarchy"
    defaults = {"dataset": name, "stream": "all", "measure": next(iter(protocol)) if len(protocol) == 1 else only}
    for column, value in defaults.items():
        values.setdefault(column, [value] * len(rows.lines))
    absent = [measure for measure in protocol if measure not in values["measure"]]
    if absent:
        raise InputError(f"protocol in the metadata of {what}", absent[0],
                         f"a measure of the table: {', '.join(dict.fromkeys(values['measure']))}")  # fmt: skip
    _require_once(values, rows.lines, what)
    if "tau_ms" in values:
        _require_plausible(values, rows.lines, what)
    texts = [column for column in values if columns[column].kind == "str"]
    labels = dict.fromkeys([column for column in (*COORDINATES, *texts) if column in values])
    variables = {}
    for column, of_column in values.items():
        units = {"units": columns[column].units} if columns[column].units else {}
        long_name = {"long_name": columns[column].long_name}
        variables[column] = ("observation", np.array(of_column), long_name | units)
    return xr.Dataset(
        {column: variables[column] for column in values if column not in labels},
        {column: variables[column] for column in labels},
        attributes | {"note": note_of(values)},
    )
