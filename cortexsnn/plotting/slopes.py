"""How steeply timescales rise: slopes of networks beside those of cortices, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, INK, PAPER

__all__ = ["SlopeRow", "slopes"]

_FACTORS = (1, 2, 5)
_TOO_MANY = 8


@dataclass(frozen=True)
class SlopeRow:
    """One row of the figure of slopes.

    Parameters
    ----------
    label : str
        What it is the slope of.
    slope : float
        Of ln(tau) over relative depth or place in the hierarchy, 0 to 1; NaN if there is none.
    low, high : float
        Ends of its interval; NaN if there is none.
    points : tuple of float
        Slopes that it is the mean of, such as those of seeds.
    colour : str
    filled : bool
        Whether the mark is filled.
    note : str
        A few words on the right, such as how many seeds.
    """

    label: str
    slope: float
    low: float = float("nan")
    high: float = float("nan")
    points: tuple[float, ...] = ()
    colour: str = INK
    filled: bool = True
    note: str = ""


def _limits(rows: Sequence[SlopeRow]) -> tuple[float, float]:
    """Room for all slopes, and for intervals unless they would dwarf everything else."""
    centres = np.array([value for row in rows for value in (row.slope, *row.points)] + [0.0])
    ends = np.array([value for row in rows for value in (row.low, row.high)])
    centres = centres[np.isfinite(centres)]
    low, high = float(centres.min()), float(centres.max())
    room = max(high - low, 0.5)
    ends = ends[np.isfinite(ends)]
    if ends.size:
        low, high = min(low, max(float(ends.min()), low - room)), max(high, min(float(ends.max()), high + room))
    return low - 0.08 * room, high + 0.08 * room


def _factors(low: float, high: float) -> list[float]:
    """Round factors whose logarithms are within limits, so many as there is room for."""
    decades = range(int(np.floor(low / np.log(10))) - 1, int(np.ceil(high / np.log(10))) + 1)
    for steps in (_FACTORS, (1,)):
        shown = [
            step * 10.0**decade for decade in decades for step in steps if low <= np.log(step * 10.0**decade) <= high
        ]
        if len(shown) <= _TOO_MANY:
            return shown
    return shown[:: -(-len(shown) // _TOO_MANY)]


def _safe_log(factor: ArrayLike) -> NDArray[np.float64]:
    """ln; an axis that is not placed yet asks for that of 0 too."""
    return np.log(np.maximum(np.asarray(factor, dtype=np.float64), 1e-12))


def slopes(ax: Axes, rows: Sequence[SlopeRow]) -> Axes:
    """Slopes of ln(tau) over relative depth, one row for each network, condition or cortex.

    The lower axis has the slope, the upper one the factor from bottom to top, exp(slope). Small marks are what a row
    is the mean of. An interval that leaves the axes is drawn to their edge.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    rows : sequence of SlopeRow
        From top to bottom.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no row.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> rows = [SlopeRow("hierarchical", 1.3, 0.9, 1.7, (1.1, 1.5)), SlopeRow("macaque", 1.36, 0.8, 1.9)]
    >>> ax = slopes(Figure().subplots(), rows)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['hierarchical', 'macaque']
    """
    if not rows:
        raise InputError("rows", 0, "at least one slope")
    low, high = _limits(rows)
    ax.axvline(0, color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    for height, row in enumerate(rows):
        ends = [np.nan_to_num(value, nan=row.slope, posinf=2 * high, neginf=2 * low) for value in (row.low, row.high)]
        ax.plot(ends, [height] * 2, color=row.colour, linewidth=1.2, solid_capstyle="butt")
        ax.plot(row.points, np.full(len(row.points), height + 0.22), "o", color=row.colour, markersize=3, alpha=0.6,
                markeredgewidth=0)  # fmt: skip
        ax.plot([row.slope], [height], "o", color=row.colour, markersize=6,
                markerfacecolor=row.colour if row.filled else PAPER)  # fmt: skip
        words = row.note if np.isfinite(row.slope) else row.note or "no slope"
        ax.annotate(words, (1, height), xycoords=ax.get_yaxis_transform(), xytext=(4, 0), textcoords="offset points",
                    va="center", fontsize=7.5, color=GREY, annotation_clip=False)  # fmt: skip
    ax.set_xlim(low, high)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel("slope of ln τ from bottom (0) to top (1)")
    above = ax.secondary_xaxis("top", functions=(np.exp, _safe_log))
    shown = _factors(low, high)
    above.xaxis.set_major_locator(FixedLocator(shown))
    above.xaxis.set_minor_locator(NullLocator())
    above.xaxis.set_minor_formatter(NullFormatter())
    above.set_xticks(shown, [f"{factor:g}x" for factor in shown])
    above.set_xlabel("factor from bottom to top")
    return ax
