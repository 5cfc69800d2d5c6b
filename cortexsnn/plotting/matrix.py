"""How far every layer is from every cortical area, as a matrix of cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, PAPER

__all__ = ["distance_matrix", "probability_matrix"]

# Cells keep their colours on any background, and so do their numbers.
_DARK, _LIGHT = "#101010", "#fafafa"
_EDGE = "#d55e00"
_FARTHEST = 8.0


def _checked(values: ArrayLike, rows: Sequence[str], columns: Sequence[str], what: str) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise InputError(f"shape of {what}", table.shape, f"({len(rows)}, {len(columns)}), layers by areas, not empty")
    return table


def _cells(
    ax: Axes,
    table: NDArray[np.float64],
    words: Sequence[Sequence[str]],
    best: NDArray[np.int64],
    scale: tuple[Colormap, Normalize],
    rows: Sequence[str],
    columns: Sequence[str],
) -> Axes:
    """Coloured cells with words in them, the best of each row framed; rows with no number are hatched."""
    colours, norm = scale
    ax.pcolormesh(np.ma.masked_invalid(table), cmap=colours, norm=norm).set_gid("fixed-cells")
    ax.vlines(range(1, len(columns)), 0, len(rows), color=PAPER, linewidth=0.8)
    ax.hlines(range(1, len(rows)), 0, len(columns), color=PAPER, linewidth=0.8)
    for y, row in enumerate(words):
        if not np.isfinite(table[y]).any():
            ax.add_patch(Rectangle((0, y), len(columns), 1, fill=False, hatch="////", edgecolor=GREY, linewidth=0))
            continue
        for x, word in enumerate(row):
            if not np.isfinite(table[y, x]):
                continue
            red, green, blue, _ = colours(norm(table[y, x]))
            light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
            text = ax.text(x + 0.5, y + 0.5, word, ha="center", va="center", fontsize=7.5,
                           color=_DARK if light else _LIGHT)  # fmt: skip
            text.set_gid(f"fixed-{y}-{x}")
        ax.add_patch(Rectangle((int(best[y]) + 0.03, y + 0.03), 0.94, 0.94, fill=False, edgecolor=_EDGE, linewidth=1.8))
    ax.set_xlim(0, len(columns))
    ax.set_ylim(len(rows), 0)
    crowded = max(map(len, columns)) > 5 or len(columns) > 10
    ax.set_xticks(np.arange(len(columns)) + 0.5, columns, rotation=90 if crowded else 0)
    ax.set_yticks(np.arange(len(rows)) + 0.5, rows)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xlabel("cortical area, from the bottom of the hierarchy to its top")
    ax.set_ylabel("layer")
    return ax


def distance_matrix(
    ax: Axes, layer_tau_ms: ArrayLike, area_tau_ms: ArrayLike, layers: Sequence[str], areas: Sequence[str]
) -> Axes:
    """By what factor the timescale of every layer is longer or shorter than that of every area.

    Cells say the factor, at least 1; the darker, the nearer, and the nearest area of each layer is framed. Layers
    without a timescale are hatched. Milliseconds depend on the protocol: to be read for spikes beside spikes only.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    layer_tau_ms : array, shape (layer,)
        NaN for layers without a timescale.
    area_tau_ms : array, shape (area,)
    layers, areas : sequence of str
        Their names.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If numbers and names differ in length, or there are none.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = distance_matrix(Figure().subplots(), [60.0, 300.0], [77.0, 303.0], ["1", "2"], ["MT", "ACC"])
    >>> [text.get_text() for text in ax.texts]
    ['1.3', '5.0', '3.9', '1.0']
    """
    layer, area = np.asarray(layer_tau_ms, dtype=np.float64), np.asarray(area_tau_ms, dtype=np.float64)
    distance = _checked(np.abs(np.log(layer[:, np.newaxis] / area)), layers, areas, "timescales")
    factor = np.exp(distance)
    words = [[f"{one:.1f}" if one < 9.95 else f"{one:.0f}" for one in np.nan_to_num(row)] for row in factor]
    scale = colormaps["Blues_r"], Normalize(-0.1, np.log(_FARTHEST))
    best = np.argmin(np.where(np.isfinite(distance), distance, np.inf), axis=1)
    return _cells(ax, distance, words, best, scale, layers, areas)


def probability_matrix(ax: Axes, probability: ArrayLike, layers: Sequence[str], areas: Sequence[str]) -> Axes:
    """How probable it is of every area that it is the nearest to a layer in log timescale.

    Cells say per cent; the darker, the more probable, and the most probable area of each layer is framed. Layers
    without a timescale are hatched.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    probability : array, shape (layer, area)
        From 0 to 1; NaN for layers without a timescale.
    layers, areas : sequence of str
        Their names.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If numbers and names differ in length, or there are none.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = probability_matrix(Figure().subplots(), [[0.9, 0.1]], ["1"], ["MT", "ACC"])
    >>> [text.get_text() for text in ax.texts]
    ['90', '10']
    """
    table = _checked(probability, layers, areas, "probabilities")
    words = [[f"{100 * one:.0f}" for one in np.nan_to_num(row)] for row in table]
    best = np.argmax(np.where(np.isfinite(table), table, -np.inf), axis=1)
    return _cells(ax, table, words, best, (colormaps["Blues"], Normalize(0, 1.1)), layers, areas)
