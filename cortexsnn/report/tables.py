"""What a section of the page holds besides drawings: its words, and tables that can be taken away as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from cortexsnn.report.drawings import Drawing

__all__ = ["Section", "Table", "data_uri"]

_WIDE = 36
_NO_VALUE = {"", "-"}


def data_uri(text: str, media_type: str) -> str:
    """A file as an address, which a page can offer without any network.

    Parameters
    ----------
    text : str
    media_type : str

    Returns
    -------
    str

    Examples
    --------
    >>> data_uri("a,b", "text/csv")
    'data:text/csv;charset=utf-8,a%2Cb'
    """
    return f"data:{media_type};charset=utf-8,{quote(text, safe='')}"


@dataclass(frozen=True)
class Table:
    """Columns and rows of text.

    Parameters
    ----------
    name : str
        Of the file that it can be taken away as, without its ending.
    caption : str
    columns : sequence of str
    rows : sequence of sequence of str
        An empty first cell means the same as in the row before.
    """

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def kinds(self) -> list[str]:
        """Of each column "number", "text", or "wide" for sentences, which stand below their row.

        Examples
        --------
        >>> rows = [("hidden1", "50", "-"), ("", "-", "n too small: the smallest possible p is 0.083")]
        >>> Table("t", "", ("layer", "τ", "note"), rows).kinds
        ['text', 'number', 'wide']
        """
        kinds = []
        for cells in zip(*self.rows, strict=True):
            said = [cell for cell in cells if cell.strip() not in _NO_VALUE]
            words = sum(cell[0].isalpha() or len(cell) > _WIDE for cell in said)
            if max(map(len, said), default=0) > _WIDE:
                kinds.append("wide")
            else:
                kinds.append("text" if 2 * words > len(said) else "number")
        return kinds or ["text"] * len(self.columns)

    @property
    def csv(self) -> str:
        """The table as comma-separated values, with every cell filled in.

        Examples
        --------
        >>> print(Table("t", "", ("network", "layer"), [("a", "1"), ("", "2")]).csv.strip())
        network,layer
        a,1
        a,2
        """
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([column.strip() for column in self.columns])
        above = ""
        for row in self.rows:
            above = row[0] or above
            writer.writerow([above, *row[1:]])
        return buffer.getvalue()

    @property
    def href(self) -> str:
        """Address of the table as CSV."""
        return data_uri(self.csv, "text/csv")


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page.

    Parameters
    ----------
    heading : str
    paragraphs : sequence of str
    points : sequence of str
        Sentences of a list.
    drawings : sequence of Drawing
    tables : sequence of Table
    notes : sequence of str
        Words of caution.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """What the section is called in links.

        Examples
        --------
        >>> Section(heading="Beside the cortex").anchor
        'beside-the-cortex'
        """
        return "-".join("".join(c if c.isalnum() else " " for c in self.heading.lower()).split())
