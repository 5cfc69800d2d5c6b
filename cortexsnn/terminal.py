"""Tables in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

__all__ = ["show_table"]

_LEFT = {"network", "layer", "what", "status", "area"}
_NOTE = "note"
_WHOLE = {"status", "interval (ms)"}  # short, and hard to read on several lines
_WIDTH_OF_A_LOG = 120


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None
) -> None:
    """Print a table; text to the left, numbers to the right, notes below.

    Parameters
    ----------
    title : str
    columns : sequence of str
        A column named ``"note"`` is printed below the table, one line for each row that has one.
    rows : sequence of sequence of str
    console : rich.console.Console, optional
    """
    if console is None:
        console = Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_A_LOG)
    table = Table(title=title, title_justify="left", box=SIMPLE)
    shown = [index for index, column in enumerate(columns) if column != _NOTE]
    for index in shown:
        justify: Literal["left", "right"] = "left" if columns[index] in _LEFT else "right"
        table.add_column(columns[index], justify=justify, no_wrap=index == 0 or columns[index] in _WHOLE)
    for row in rows:
        table.add_row(*(row[index] for index in shown))
    console.print(table)
    if _NOTE in columns:
        for row in rows:
            if note := row[columns.index(_NOTE)]:
                console.print(f"  {row[0]}: {note}", highlight=False, markup=False)
