"""Layers of networks and areas of cortices on one logarithmic axis of timescales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, INK, MARKERS, PAPER, colours, milliseconds

__all__ = ["LONGEST_LEVEL_LABEL", "hierarchy_order", "layers_and_areas"]

_GAP, _NARROWEST = 1.2, 3.0
# If the name of any area is longer, all names stand upright.
LONGEST_LEVEL_LABEL = 5
_STANDARD_ERRORS_OF_95_PERCENT = 1.96
# An interval without an end runs out of the axes.
_FAR_MS = 1e9


@dataclass(frozen=True)
class _Series:
    """Marks that belong together: one network, or one data set."""

    place: NDArray[np.float64]
    tau_ms: NDArray[np.float64]
    low_ms: NDArray[np.float64]
    high_ms: NDArray[np.float64]
    marker: str
    label: str = ""

    def inside(self) -> _Series:
        """Only marks that have a timescale, and ends of intervals that can be drawn."""
        has = np.isfinite(self.tau_ms)
        tau = self.tau_ms[has]
        low, high = self.low_ms[has], self.high_ms[has]
        return _Series(
            self.place[has],
            tau,
            np.minimum(np.where(np.isnan(low), tau, np.maximum(low, 1 / _FAR_MS)), tau),
            np.maximum(np.where(np.isnan(high), tau, np.minimum(high, _FAR_MS)), tau),
            self.marker,
            self.label,
        )


@dataclass(frozen=True)
class _Block:
    """A stretch of the axis: one condition, or one hierarchy of areas."""

    title: str
    ticks: list[str]
    series: list[_Series]
    colour: str
    filled: bool = True


def hierarchy_order(table: xr.Dataset) -> list[str]:
    """Areas of a table from the bottom of the hierarchy to its top.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`, with coordinates rank or score as far as they are known.

    Returns
    -------
    list of str
        Areas of equal place stand in the order of their mean timescales; without places, all of them.

    Examples
    --------
    >>> from cortexsnn import cortex
    >>> hierarchy_order(cortex.load("murray2014"))[:3]
    ['MT', 'LIP', 'LPFC']
    """
    area = table["area"].to_numpy().astype(str)
    stream = table["stream"].to_numpy().astype(str)
    streams = list(dict.fromkeys(stream.tolist()))
    place = next((table[name].to_numpy() for name in ("rank", "score") if name in table.coords), np.zeros(area.size))
    tau_ms = table["tau_ms"].to_numpy()
    keys = {
        name: (
            streams.index(stream[area == name][0]),
            float(place[area == name][0]),
            float(tau_ms[area == name].mean()),
        )
        for name in dict.fromkeys(area.tolist())
    }
    return sorted(keys, key=lambda name: keys[name])


def _of_networks(timescales: Mapping[str, xr.Dataset], of: Mapping[str, str]) -> list[_Block]:
    """One block for each condition, with a series for each of its networks."""
    palette, blocks = colours([of[run] for run in timescales]), []
    for index, (condition, colour) in enumerate(palette.items()):
        members = [run for run in timescales if of[run] == condition]
        deepest = max(timescales[run].sizes["layer"] for run in members)
        series, marker = [], MARKERS[index % len(MARKERS)]
        for seat, run in enumerate(members):
            one = timescales[run].sortby("depth")
            nudge = 0.5 * ((seat + 0.5) / len(members) - 0.5)
            tau, low, high = (one[name].to_numpy() for name in ("tau_ms", "tau_low_ms", "tau_high_ms"))
            series.append(_Series(np.arange(one.sizes["layer"], dtype=np.float64) + nudge, tau, low, high, marker))
        ticks = [str(layer + 1) for layer in range(deepest)]
        number = f"{len(members)} network" + ("s" if len(members) > 1 else "")
        blocks.append(_Block(f"{condition}\n{number}", ticks, series, colour))
    return blocks


def _intervals_of(table: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the published intervals; of 1.96 standard errors where only these were published."""
    if {"low_ms", "high_ms"} <= set(table.data_vars):
        return table["low_ms"].to_numpy(), table["high_ms"].to_numpy()
    tau = table["tau_ms"].to_numpy()
    error = table["sem_ms"].to_numpy() if "sem_ms" in table else np.full(tau.size, np.nan)
    return tau - _STANDARD_ERRORS_OF_95_PERCENT * error, tau + _STANDARD_ERRORS_OF_95_PERCENT * error


def _of_table(label: str, table: xr.Dataset) -> list[_Block]:
    """One block for each stream of a table, with a series for each of its data sets."""
    if "tau_ms" not in table.data_vars:
        raise InputError(f"table of '{label}'", list(map(str, table.data_vars)), "timescales (tau_ms)",
                         "a table of anatomy alone has none")  # fmt: skip
    measures = list(dict.fromkeys(table["measure"].to_numpy().astype(str).tolist()))
    if len(measures) > 1:
        raise InputError(f"measures of '{label}'", measures, "one of them", "cortex.load(name, measure)")
    streams = list(dict.fromkeys(table["stream"].to_numpy().astype(str).tolist()))
    modality = str(table.attrs.get("modality", "unknown"))
    # A data set has the same mark in all streams.
    sources = list(dict.fromkeys(table["dataset"].to_numpy().astype(str).tolist()))
    marker = {name: MARKERS[index % len(MARKERS)] for index, name in enumerate(sources)}
    blocks: list[_Block] = []
    for stream in streams:
        inside = table.isel(observation=np.flatnonzero(table["stream"].to_numpy() == stream))
        area = inside["area"].to_numpy().astype(str)
        order = hierarchy_order(inside)
        named = inside["label"].to_numpy().astype(str) if "label" in inside.coords else area
        ticks = [str(named[area == name][0]) or name for name in order]
        place = np.array([order.index(name) for name in area], dtype=float)
        dataset = inside["dataset"].to_numpy().astype(str)
        low, high = _intervals_of(inside)
        series = []
        for name in dict.fromkeys(dataset.tolist()):
            chosen = np.flatnonzero(dataset == name)
            chosen = chosen[np.argsort(place[chosen], kind="stable")]
            tau = inside["tau_ms"].to_numpy()[chosen]
            series.append(
                _Series(place[chosen], tau, low[chosen], high[chosen], marker[name], name if len(sources) > 1 else "")
            )
        words = [label] if not blocks else []
        words += ([stream] if len(streams) > 1 else []) + ([] if modality == "spikes" else [f"({modality})"])
        blocks.append(_Block("\n".join(words), ticks, series, INK, modality == "spikes"))
    return blocks


def _draw(ax: Axes, block: _Block, left: float, labelled: set[str]) -> None:
    for series in [piece for one in block.series for piece in _pieces(one)]:
        ax.errorbar(
            left + series.place,
            series.tau_ms,
            yerr=np.stack([series.tau_ms - series.low_ms, series.high_ms - series.tau_ms]),
            fmt=f"{series.marker}-",
            markersize=4.5,
            markerfacecolor=block.colour if block.filled else PAPER,
            linewidth=0.7,
            elinewidth=0.8,
            color=block.colour,
            alpha=0.85,
            label=None if series.label in labelled | {""} else series.label,
        )
        labelled.add(series.label)
    for one in block.series:
        absent = one.place[~np.isfinite(one.tau_ms)]
        ax.scatter(left + absent, np.full(absent.size, 0.02), s=14, marker="x", linewidths=0.9, color=block.colour,
                   transform=ax.get_xaxis_transform())  # fmt: skip


def _pieces(series: _Series) -> list[_Series]:
    """A series cut where a timescale is missing, so that no line goes over the gap."""
    gaps = np.flatnonzero(~np.isfinite(series.tau_ms))
    columns = (series.place, series.tau_ms, series.low_ms, series.high_ms)
    cut = [
        _Series(place, tau, low, high, series.marker, series.label).inside()
        for place, tau, low, high in zip(*(np.split(column, gaps) for column in columns), strict=True)
    ]
    return [piece for piece in cut if piece.tau_ms.size]


def layers_and_areas(
    ax: Axes,
    timescales: Mapping[str, xr.Dataset],
    of: Mapping[str, str],
    tables: Mapping[str, xr.Dataset],
) -> Axes:
    """Timescales of the layers of networks and of cortical areas, block by block on one log axis of ms.

    A block is a condition, whose networks stand side by side at each layer, or the hierarchy of a table, from its
    lowest to its highest area. Bars are the intervals of the estimates, and of a table those that were published
    (1.96 standard errors where only these were). Timescales of another signal than spikes have open marks, since
    their milliseconds cannot be compared with those of spikes. Layers without a timescale are crosses at the bottom.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    timescales : mapping from run to xarray.Dataset
        Of `cortexsnn.timescales.estimate`, per layer. May be empty.
    of : mapping from run to condition
    tables : mapping from label to xarray.Dataset
        Any tables of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`, of one measure each. May be empty.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is nothing to show, or a table has no timescales or several measures.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cortexsnn import cortex
    >>> tables = {"macaque": cortex.load("murray2014"), "mouse": cortex.load("siegle2021", "response_decay")}
    >>> ax = layers_and_areas(Figure().subplots(), {}, {}, tables)
    >>> ax.get_yscale(), [text.get_text() for text in ax.get_xticklabels()][:4]
    ('log', ['MT', 'LIP', 'LPFC', 'OFC'])
    """
    blocks = _of_networks(timescales, of) if timescales else []
    for label, table in tables.items():
        blocks += _of_table(label, table)
    if not blocks:
        raise InputError("networks and tables", 0, "at least one")
    left, places, ticks = 0.0, [], []
    labelled: set[str] = set()
    for index, block in enumerate(blocks):
        width = len(block.ticks)
        left += max(0.0, _NARROWEST - width) / 2
        _draw(ax, block, left, labelled)
        places += [left + place for place in range(width)]
        ticks += block.ticks
        ax.annotate(
            block.title,
            (left + (width - 1) / 2, 1.0),
            xycoords=ax.get_xaxis_transform(),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8,
            color=block.colour,
        )
        left += width - 1 + max(0.0, _NARROWEST - width) / 2 + _GAP
        if index < len(blocks) - 1:
            ax.axvline(left - _GAP / 2, color=GREY, linewidth=0.6, alpha=0.5)
    shown = np.concatenate([series.inside().tau_ms for block in blocks for series in block.series])
    limits = (float(shown.min()) / 1.8, float(shown.max()) * 1.8) if shown.size else (10.0, 1000.0)
    ax.set_yscale("log")
    ax.set_ylim(*limits)
    milliseconds(ax.yaxis, limits)
    ax.set_xlim(-0.6, left - _GAP + 0.6)
    crowded = max(map(len, ticks)) > LONGEST_LEVEL_LABEL
    ax.set_xticks(places, ticks, rotation=90 if crowded else 0)
    ax.set_xlabel("hidden layer, and cortical area from the bottom of the hierarchy to its top" if timescales and tables
                  else "hidden layer" if timescales else "cortical area, from the bottom of the hierarchy to its top"
                  )  # fmt: skip
    ax.set_ylabel("timescale (ms)")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="data set", title_fontsize=8, alignment="left")
    return ax
