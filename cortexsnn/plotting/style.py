"""The house style of all figures.

Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.ticker import NullFormatter, ScalarFormatter

from cortexsnn.errors import InputError

__all__ = ["GREY", "INK", "MARKERS", "OKABE_ITO", "PAPER", "STYLE", "colours", "milliseconds", "shades", "style"]

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, GREY, PAPER = "#222222", "#5a5a5a", "#ffffff"

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": GREY,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=OKABE_ITO),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "cortexsnn",
    "text.color": INK,
    "xtick.color": GREY,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": GREY,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}
TICKS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
MARKERS = ("o", "s", "^", "D", "v", "P")


def style() -> AbstractContextManager[None]:
    """Context in which figures are made in the house style.

    Returns
    -------
    context manager

    Examples
    --------
    >>> with style():
    ...     plt.rcParams["axes.spines.top"]
    False
    """
    return plt.rc_context(STYLE)  # type: ignore[arg-type]


def colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each name, in order.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    dict of str to str
        Colour of each distinct name, as ``#rrggbb``.

    Raises
    ------
    InputError
        If there are more than 6 distinct names.

    Examples
    --------
    >>> colours(["homogeneous", "hierarchical"])
    {'homogeneous': '#0072B2', 'hierarchical': '#D55E00'}
    """
    distinct = list(dict.fromkeys(names))
    if len(distinct) > len(OKABE_ITO):
        raise InputError("conditions in one figure", distinct, f"at most {len(OKABE_ITO)}")
    return dict(zip(distinct, OKABE_ITO, strict=False))


def shades(number: int) -> list[str]:
    """Colours of an order, such as that of layers: from dark blue over purple to orange (the lower part of plasma).

    Lightness rises with the order, so that it is seen with any kind of colour vision, and in grey.

    Parameters
    ----------
    number : int

    Returns
    -------
    list of str
        As ``#rrggbb``, the first is the lowest.

    Examples
    --------
    >>> shades(3)
    ['#0d0887', '#9a169f', '#eb7655']
    """
    return [to_hex(plt.get_cmap("plasma")(place)) for place in np.linspace(0.0, 0.66, number)]


def milliseconds(axis: Axis, limits: tuple[float, float]) -> None:
    """Ticks at 10, 20, 50, 100 ms and so on, in plain numbers, on a logarithmic axis.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    limits : tuple of float
        Lowest and highest tick to show, in ms.
    """
    low, high = limits
    axis.set_ticks([tick for tick in TICKS_MS if low <= tick <= high])
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())
