"""Drawings of a macaque and a mouse brain with areas coloured by their timescale.

Outlines and places are drawn by hand after no picture in particular: where areas lie to each other is about right,
sizes and borders are not. They show a pattern at a glance, and no anatomy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.patches import Ellipse, PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY

__all__ = ["BRAINS", "Area", "Brain", "brain"]

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Area:
    """Where an area lies.

    Parameters
    ----------
    centre : (float, float)
    size : (float, float)
        Width and height.
    angle : float
        In degrees, counter-clockwise.
    hidden : bool
        Whether it does not lie on the surface that is seen.
    """

    centre: tuple[float, float]
    size: tuple[float, float]
    angle: float = 0.0
    hidden: bool = False


@dataclass(frozen=True)
class Brain:
    """Outline of a brain, lines in it, and its areas.

    Parameters
    ----------
    view : str
        From where it is seen.
    outline : tuple of points
        A closed curve goes through them.
    lines : tuple of tuples of points
        Such as sulci.
    areas : mapping from name to Area
    """

    view: str
    outline: Points
    lines: tuple[Points, ...] = ()
    areas: Mapping[str, Area] = field(default_factory=dict)


BRAINS: Mapping[str, Brain] = {
    "macaque": Brain(
        "left hemisphere from the side, front on the left",
        (
            (0.35, 3.55), (0.75, 4.75), (1.9, 5.85), (3.7, 6.5), (5.7, 6.55), (7.6, 5.95), (9.1, 4.75), (9.75, 3.35),
            (9.35, 2.25), (8.3, 1.95), (7.2, 1.55), (5.7, 0.95), (4.2, 0.65), (3.05, 0.95), (2.75, 1.65), (2.75, 2.2),
            (1.9, 2.15), (0.9, 2.55),
        ),
        (
            ((2.75, 2.2), (3.7, 2.75), (5.0, 3.25), (6.3, 4.05)),
            ((3.6, 1.35), (5.1, 1.95), (6.4, 2.75), (7.0, 4.05)),
            ((4.35, 6.2), (4.75, 5.2), (4.55, 3.8)),
            ((5.7, 4.35), (6.6, 5.1), (7.7, 5.35)),
            ((8.1, 5.25), (7.85, 4.1), (8.2, 2.6)),
            ((3.15, 5.5), (2.75, 4.6), (3.15, 3.6)),
        ),
        {
            "MT": Area((7.15, 3.45), (1.15, 0.75), 60),
            "LIP": Area((6.55, 5.45), (1.5, 0.62), 25),
            "LPFC": Area((1.75, 4.3), (1.75, 0.9), 10),
            "OFC": Area((1.45, 2.75), (1.5, 0.62), -18),
            "ACC": Area((3.15, 5.6), (1.4, 0.55), 22, hidden=True),
            "S1": Area((5.35, 5.0), (0.68, 1.6), 8),
            "S2": Area((5.1, 3.62), (1.15, 0.5), 22),
        },
    ),
    "mouse": Brain(
        "right hemisphere from above, front at the top; thalamus drawn beside it",
        (
            (0.0, 5.1), (0.6, 5.15), (1.4, 4.75), (2.4, 3.95), (3.15, 2.9), (3.35, 1.7), (2.8, 0.6), (1.7, 0.05),
            (0.6, 0.35), (0.0, 0.8), (-0.02, 2.2), (-0.02, 4.0),
        ),
        (),
        {
            "V1": Area((1.75, 1.4), (1.2, 1.45), -12),
            "LM": Area((2.68, 1.3), (0.5, 0.95), -8),
            "AL": Area((2.72, 2.2), (0.56, 0.62), 0),
            "RL": Area((2.12, 2.6), (0.58, 0.62), 0),
            "AM": Area((1.42, 2.62), (0.64, 0.56), 0),
            "PM": Area((0.78, 1.7), (0.5, 1.1), 12),
            "LGN": Area((4.3, 1.35), (0.85, 0.62), 0, hidden=True),
            "LP": Area((4.3, 2.4), (0.85, 0.62), 0, hidden=True),
        },
    ),
}  # fmt: skip


def _curve(points: Sequence[tuple[float, float]], closed: bool) -> Path:
    """Smooth curve through points, of cubic pieces (Catmull-Rom)."""
    given = np.asarray(points, dtype=np.float64)
    if closed:
        around: NDArray[np.float64] = np.vstack([given[-1], given, given[0], given[1]])
    else:
        around = np.vstack([2 * given[0] - given[1], given, 2 * given[-1] - given[-2]])
    vertices, codes = [around[1]], [Path.MOVETO]
    for before, start, end, after in zip(around, around[1:], around[2:], around[3:], strict=False):
        vertices += [start + (end - before) / 6, end - (after - start) / 6, end]
        codes += [Path.CURVE4] * 3
    return Path(np.array(vertices), codes)


def _ticks(low: float, high: float) -> list[float]:
    """Two to five round values within limits, of whole ms unless these are too close."""
    for step in (100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1):
        inside = np.arange(np.ceil(low / step), np.floor(high / step) + 0.5) * step
        if inside.size >= 3:
            return [float(value) for value in inside[:: -(-inside.size // 5)]]
    return [float(f"{low:.3g}"), float(f"{high:.3g}")]


def brain(ax: Axes, tau_ms: Mapping[str, float], species: str) -> Axes:
    """A schematic brain with areas coloured by timescale, on a logarithmic scale with a bar.

    Areas that do not lie on the surface that is seen have a dashed border. Areas of the drawing without a timescale
    are left out.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    tau_ms : mapping from area to float
        Timescales in ms.
    species : {"macaque", "mouse"}

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such drawing, an area is not in it, or a timescale is not positive.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = brain(Figure().subplots(), {"MT": 77.0, "ACC": 303.0}, "macaque")
    >>> [text.get_text() for text in ax.texts]
    ['MT', 'ACC', 'schematic: left hemisphere from the side, front on the left']
    """
    if species not in BRAINS:
        raise InputError("species", species, f"one of {', '.join(BRAINS)}")
    drawing = BRAINS[species]
    unknown = [area for area in tau_ms if area not in drawing.areas]
    if unknown:
        raise InputError(f"area of the {species}", unknown[0], f"one of {', '.join(drawing.areas)}")
    values = np.array(list(tau_ms.values()), dtype=np.float64)
    if not values.size or not np.all(np.isfinite(values) & (values > 0)):
        raise InputError("tau_ms", dict(tau_ms), "a positive timescale in ms for each area, of one area at least")
    ax.add_patch(PathPatch(_curve(drawing.outline, closed=True), facecolor="none", edgecolor=GREY, linewidth=1.2))
    for line in drawing.lines:
        ax.add_patch(PathPatch(_curve(line, closed=False), facecolor="none", edgecolor=GREY, linewidth=0.7, alpha=0.6))
    spread = 1.15 if values.max() / values.min() < 1.3 else 1.0
    norm, scale = LogNorm(values.min() / spread, values.max() * spread), colormaps["cividis"]
    for name, tau in tau_ms.items():
        area = drawing.areas[name]
        colour = scale(norm(tau))
        width, height = area.size
        patch = Ellipse(area.centre, width, height, angle=area.angle, facecolor=colour, edgecolor=GREY, linewidth=0.8,
                        linestyle="--" if area.hidden else "-")  # fmt: skip
        patch.set_gid(f"fixed-{name}")
        ax.add_patch(patch)
        light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 0.5
        text = ax.text(
            *area.centre, name, ha="center", va="center", fontsize=7, color="#101010" if light else "#fafafa"
        )
        text.set_gid(f"fixed-name-{name}")
    ax.text(0.5, -0.02, f"schematic: {drawing.view}", transform=ax.transAxes, ha="center", va="top", fontsize=7,
            color=GREY)  # fmt: skip
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.set_axis_off()
    bar = ax.inset_axes((1.04, 0.15, 0.035, 0.7))
    figure = ax.figure
    shown = figure.colorbar(ScalarMappable(norm, scale), cax=bar, label="timescale (ms)")
    if shown.solids is not None:
        shown.solids.set_gid("fixed-bar")
    bar.yaxis.set_major_locator(FixedLocator(_ticks(values.min(), values.max())))
    bar.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.yaxis.set_minor_locator(NullLocator())
    return ax
