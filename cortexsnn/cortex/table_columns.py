"""Columns of tables of timescales and hierarchies: which there are, what their values must be, how a file has them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cortexsnn.checks import choice
from cortexsnn.errors import InputError

__all__ = ["COORDINATES", "STANDARD", "Column", "Rows", "declared_columns", "read_rows"]

KINDS = {"str": str, "float": float, "int": int}
# Beyond, whole numbers are not exact everywhere.
LARGEST_WHOLE = 2**53


@dataclass(frozen=True)
class Column:
    """What the values of a column are.

    Parameters
    ----------
    kind : {"str", "float", "int"}
    long_name : str
    units : str
    optional : bool
        Whether cells may be empty: text stays empty, numbers are NaN. Whole numbers are never optional.
    lowest : float
        Smallest value of a number.
    above : bool
        Whether `lowest` itself is too small.
    """

    kind: str
    long_name: str
    units: str = ""
    optional: bool = False
    lowest: float = -math.inf
    above: bool = False

    def read(self, cell: str, where: str) -> str | float | int:
        """Value of a cell.

        Parameters
        ----------
        cell : str
        where : str
            What the cell is to the user, for messages.

        Returns
        -------
        str, float or int

        Raises
        ------
        InputError
            If it is no such value.

        Examples
        --------
        >>> Column("int", "place").read(" 3 ", "rank in line 2"), Column("float", "half", optional=True).read("", "x")
        (3, nan)
        """
        text = cell.strip()
        if not text:
            if self.optional:
                return "" if self.kind == "str" else math.nan
            raise InputError(where, cell, "a value", "a line without it is no observation: leave it out")
        if self.kind == "str":
            return text
        expected = "a whole number" if self.kind == "int" else "a finite number"
        if self.lowest > -math.inf:
            expected += f" {'above' if self.above else 'of at least'} {self.lowest:g}"
        try:
            # Python reads 1_000 too, which is more likely a slip.
            value = KINDS[self.kind](text.replace("_", "?"))
        except ValueError:
            raise InputError(where, text, expected, "decimals have a point" if "," in text else "") from None
        too_large = self.kind == "int" and abs(value) > LARGEST_WHOLE
        if too_large or not math.isfinite(value) or value < self.lowest or (self.above and value == self.lowest):
            hint = "the cell may be empty" if self.optional else "leave out lines without it"
            raise InputError(where, text, expected, hint)
        return value


STANDARD = {
    "dataset": Column("str", "recording, laboratory or condition"),
    "area": Column("str", "area"),
    "stream": Column("str", "pathway within which places in the hierarchy are comparable"),
    "measure": Column("str", "what was measured, where a table has several quantities"),
    "rank": Column("int", "place in the hierarchy of the stream, 1 is the lowest; ties are equal", lowest=1),
    "score": Column("float", "place in the hierarchy as a number that rises along it"),
    "tau_ms": Column("float", "timescale", "ms", lowest=0, above=True),
    "sem_ms": Column("float", "standard error of the timescale", "ms", optional=True, lowest=0),
    "low_ms": Column("float", "lower end of the interval of the timescale", "ms", optional=True, lowest=0),
    "high_ms": Column("float", "upper end of the interval of the timescale", "ms", optional=True, lowest=0),
    "n": Column("int", "how many neurons, electrodes or parcels the timescale is of", lowest=1),
    "x_mm": Column("float", "position of the area, first coordinate", "mm", optional=True),
    "y_mm": Column("float", "position of the area, second coordinate", "mm", optional=True),
    "z_mm": Column("float", "position of the area, third coordinate", "mm", optional=True),
}
COORDINATES = ("dataset", "area", "stream", "measure", "rank", "score")


def declared_columns(given: Any, what: str) -> dict[str, Column]:
    """Standard columns, with the words of the metadata, and columns that only the metadata know.

    Parameters
    ----------
    given : mapping of str to mapping
        By the name of a column its ``long_name`` and ``units``, and if it is no standard column its ``type`` and
        whether it is ``optional``.
    what : str
        What the table is to the user, for messages.

    Returns
    -------
    dict of str to Column

    Raises
    ------
    InputError
        If there are other attributes, or a type is unknown.

    Examples
    --------
    >>> columns = declared_columns({"bin_ms": {"type": "float", "units": "ms"}}, "table")
    >>> columns["bin_ms"].units, columns["tau_ms"].units
    ('ms', 'ms')
    """
    columns = dict(STANDARD)
    if not isinstance(given, Mapping):
        raise InputError(f"columns in the metadata of {what}", given, "a mapping from column to its attributes")
    known = ("type", "long_name", "units", "optional")
    for name, attributes in given.items():
        field = f"column '{name}' in the metadata of {what}"
        if not isinstance(attributes, Mapping) or not set(attributes) <= set(known):
            raise InputError(field, attributes, f"attributes out of {', '.join(known)}")
        before = STANDARD.get(str(name), Column("", str(name)))
        long_name, units = (str(attributes.get(key, getattr(before, key))) for key in ("long_name", "units"))
        kind, optional = attributes.get("type", before.kind or "str"), attributes.get("optional", before.optional)
        choice(f"type of {field}", kind, [before.kind] if before.kind else KINDS)
        if optional is not before.optional and (before.kind or optional is not True or kind == "int"):
            raise InputError(f"optional of {field}", optional, "true for text and type float of columns of your own")
        columns[str(name)] = replace(before, kind=kind, long_name=long_name, units=units, optional=optional)
    return columns


@dataclass(frozen=True)
class Rows:
    """Cells of a CSV file.

    Parameters
    ----------
    header : tuple of str
    cells : tuple of tuple of str
        One tuple for each line below the header, as long as the header.
    lines : tuple of int
        Where in the file they are; the header is line 1.
    """

    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


def read_rows(text: str, what: str) -> Rows:
    r"""Cells of a CSV file: a header, then lines of as many cells. Empty lines are passed over.

    Parameters
    ----------
    text : str
        Content of the file.
    what : str
        What the file is to the user, for messages.

    Returns
    -------
    Rows

    Raises
    ------
    InputError
        If there is no header or no other line, a column is there twice, or lines differ in length.

    Examples
    --------
    >>> read_rows("area,tau_ms\nV1,60\n\nMT,77\n", "table").lines
    (2, 4)
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    kept: list[tuple[int, tuple[str, ...]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                kept.append((reader.line_num, tuple(cell.strip() for cell in cells)))
    except csv.Error as error:
        raise InputError(what, f"line {reader.line_num}", "a CSV file", f"it cannot be read: {error}") from None
    if len(kept) < 2:
        raise InputError(f"number of lines of {what}", len(kept), "a header and at least one observation")
    header = kept[0][1]
    if len(header) == 1:
        raise InputError(f"header of {what}", header[0], "names of several columns", "columns are separated by commas")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"header of {what}", repeated[0], "each column once")
    for line, row in kept[1:]:
        if len(row) != len(header):
            raise InputError(f"number of cells in line {line} of {what}", len(row), f"{len(header)}, as in the header",
                             "text with commas stands in double quotes")  # fmt: skip
    return Rows(header, tuple(row for _, row in kept[1:]), tuple(line for line, _ in kept[1:]))
