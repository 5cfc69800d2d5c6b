"""Figures: functions that draw on an Axes and return it, in one house style.

Colours are those of Okabe and Ito, which people with any kind of colour vision can tell apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.network import Network

__all__ = [
    "STYLE",
    "autocorrelation",
    "colours",
    "cortical_timescales",
    "layer_timescales",
    "milliseconds",
    "raster",
    "readout",
    "style",
    "tau_set_and_measured",
    "training_curves",
]

_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_GREY = "#5a5a5a"

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _GREY,
    "axes.grid": False,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.prop_cycle": cycler(color=_OKABE_ITO),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "cortexsnn",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
_TICKS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_MARKERS = ("o", "s", "^", "D", "v", "P")


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
    if len(distinct) > len(_OKABE_ITO):
        raise InputError("conditions in one figure", distinct, f"at most {len(_OKABE_ITO)}")
    return dict(zip(distinct, _OKABE_ITO, strict=False))


def milliseconds(axis: Axis, limits: tuple[float, float]) -> None:
    """Ticks at 10, 20, 50, 100 ms and so on, in plain numbers, on a logarithmic axis.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
    limits : tuple of float
        Lowest and highest tick to show, in ms.
    """
    low, high = limits
    axis.set_ticks([tick for tick in _TICKS_MS if low <= tick <= high])
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(NullFormatter())


def raster(ax: Axes, recording: xr.DataTree, population: str, trial: int = 0, colour: str = "#222222") -> Axes:
    """Spikes of one population in one trial.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    recording : xarray.DataTree
    population : str
    trial : int
    colour : str

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cortexsnn.recording import RecordedPopulation, make_recording
    >>> layer = RecordedPopulation.from_counts("hidden1", "lif", np.eye(5, dtype=int)[np.newaxis])
    >>> recording = make_recording([layer], dt_s=0.01, trials=1, steps=5, source="example")
    >>> raster(Figure().subplots(), recording, "hidden1").get_xlabel()
    'time (ms)'
    """
    node = recording[population]
    here = node["spike_trial"].to_numpy() == trial
    neurons = node.sizes["neuron"]
    ax.scatter(
        node["spike_time"].to_numpy()[here] * 1000,
        node["spike_neuron"].to_numpy()[here],
        s=max(0.8, min(6.0, 220 / neurons)),
        marker="|" if neurons <= 100 else ".",
        linewidths=0.8 if neurons <= 100 else 0,
        color=colour,
        rasterized=neurons > 100,
    )
    ax.set_xlim(0, 1000 * float(recording["trial_duration_s"].to_numpy()[trial]))
    ax.set_ylim(-1, neurons)
    ax.set_yticks([0, neurons - 1], ["1", str(neurons)])
    ax.set_ylabel(population)
    ax.set_xlabel("time (ms)")
    return ax


def readout(ax: Axes, recording: xr.DataTree, population: str, trial: int = 0) -> Axes:
    """Potentials of the readout in one trial, one line for each class, heavy where the class is the right one.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    recording : xarray.DataTree
        With the potentials of `population`, and the variable ``label`` if the right classes are known.
    population : str
    trial : int

    Returns
    -------
    matplotlib.axes.Axes
    """
    potential = recording[population]["potential"].isel(trial=trial).to_numpy()
    time_ms = 1000 * recording.attrs["dt_s"] * np.arange(len(potential))
    label = np.full(len(potential), -1)
    if "label" in recording.data_vars:
        label = np.broadcast_to(recording["label"].isel(trial=trial).to_numpy(), len(potential))
    for index in range(potential.shape[1]):
        colour = _OKABE_ITO[index] if potential.shape[1] <= len(_OKABE_ITO) else "#9a9a9a"
        ax.plot(time_ms, potential[:, index], color=colour, linewidth=0.7)
        right = np.where(label == index, potential[:, index], np.nan)
        ax.plot(time_ms, right, color=colour if potential.shape[1] <= len(_OKABE_ITO) else _OKABE_ITO[1], linewidth=2.2)
    ax.set_xlim(0, 1000 * float(recording["trial_duration_s"].to_numpy()[trial]))
    ax.set_ylabel(population)
    ax.set_xlabel("time (ms)")
    return ax


def training_curves(ax: Axes, histories: Mapping[str, Sequence[Mapping[str, Any]]], of: Mapping[str, str]) -> Axes:
    """Validation accuracy over epochs, one thin line per run in the colour of its condition.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    histories : mapping from run to its rows of figures, one an epoch
    of : mapping from run to condition

    Returns
    -------
    matplotlib.axes.Axes
    """
    palette, labelled = colours(list(of.values())), set()
    for run, rows in histories.items():
        condition = of[run]
        ax.plot(
            [row["epoch"] for row in rows],
            [100 * row["validation_accuracy"] for row in rows],
            color=palette[condition],
            alpha=0.8,
            linewidth=1.1,
            label=None if condition in labelled else condition,
        )
        labelled.add(condition)
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation accuracy (%)")
    ax.legend(loc="lower right")
    return ax


def _interval(timescales: xr.Dataset) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Depth, tau and the lengths of the error bars below and above, of the layers that have a timescale."""
    tau = timescales["tau_ms"].to_numpy()
    has = np.isfinite(tau)
    low, high = timescales["tau_low_ms"].to_numpy()[has], timescales["tau_high_ms"].to_numpy()[has]
    below, above = np.maximum(tau[has] - low, 0), np.maximum(high - tau[has], 0)
    return timescales["depth"].to_numpy()[has], tau[has], np.nan_to_num(below), np.nan_to_num(above, posinf=1e9)


def tau_set_and_measured(
    ax: Axes, networks: Mapping[str, Network], timescales: Mapping[str, xr.Dataset], of: Mapping[str, str]
) -> Axes:
    """Membrane time constant of each layer against the timescale of its spikes, both in ms, on log axes.

    Layers without a measurable timescale stand as crosses below the axis of tau.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    networks : mapping from run to Network
    timescales : mapping from run to xarray.Dataset
        Of `cortexsnn.timescales.estimate`.
    of : mapping from run to condition

    Returns
    -------
    matplotlib.axes.Axes
    """
    palette, labelled = colours(list(of.values())), set()
    shown: list[float] = []
    for place, (run, network) in enumerate(networks.items()):
        membrane = np.array([1000 * float(p.tau_s.mean()) for p in network.hidden])
        depth, tau, below, above = _interval(timescales[run])
        shown += [*membrane, *tau]
        condition = of[run]
        nudge = 1 + 0.025 * (place % 3 - 1)  # seeds of a condition share their membrane time constants
        ax.errorbar(
            membrane[depth - 1] * nudge,
            tau,
            yerr=[below, above],
            fmt=_MARKERS[list(palette).index(condition) % len(_MARKERS)],
            markersize=4.5,
            elinewidth=0.8,
            color=palette[condition],
            label=None if condition in labelled else condition,
        )
        labelled.add(condition)
        absent = np.setdiff1d(np.arange(1, membrane.size + 1), depth)
        ax.plot(
            membrane[absent - 1] * nudge,
            np.full(absent.size, 0.04),
            "x",
            markersize=4,
            color=palette[condition],
            transform=ax.get_xaxis_transform(),
            clip_on=False,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    low, high = min(shown) / 1.6, max(shown) * 1.6
    ax.plot([low, high], [low, high], color=_GREY, linewidth=0.8, linestyle=":", zorder=0, label="equal")
    ax.plot([], [], "x", color=_GREY, markersize=4, linestyle="none", label="no timescale found")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    milliseconds(ax.xaxis, (low, high))
    milliseconds(ax.yaxis, (low, high))
    ax.set_xlabel("membrane time constant, set (ms)")
    ax.set_ylabel("timescale of spikes, measured (ms)")
    ax.legend(loc="upper left")
    return ax


def autocorrelation(ax: Axes, timescales: xr.Dataset, layer: str, colour: str = _OKABE_ITO[0]) -> Axes:
    """Autocorrelation of one layer with its fit; filled points are those that were fitted.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    timescales : xarray.Dataset
        Of `cortexsnn.timescales.estimate`.
    layer : str
    colour : str

    Returns
    -------
    matplotlib.axes.Axes
    """
    one = timescales.sel(layer=layer)
    lag, values, fitted = (one[name].to_numpy() for name in ("lag_ms", "autocorrelation", "fitted"))
    in_fit = np.isfinite(fitted)
    ax.axhline(0, color=_GREY, linewidth=0.6)
    ax.plot(lag[in_fit], values[in_fit], "o", markersize=3, color=colour)
    ax.plot(lag[~in_fit], values[~in_fit], "o", markersize=3, color=colour, markerfacecolor="white")
    ax.plot(lag, fitted, color="#222222", linewidth=1.2)
    if np.isfinite(one["tau_ms"]):
        high = float(one["tau_high_ms"])
        interval = f"{float(one['tau_low_ms']):.0f}, {f'{high:.0f}' if np.isfinite(high) else '∞'}"
        words = f"τ = {float(one['tau_ms']):.0f} ms\n[{interval}]"
    else:
        words = str(one["status"].item()).replace("_", " ")
    ax.text(0.97, 0.95, words, transform=ax.transAxes, ha="right", va="top", fontsize=8)
    ax.set_title(layer)
    ax.set_xlim(0, float(lag[-1]) * 1.02)
    ax.set_xlabel("lag (ms)")
    ax.set_ylabel("correlation across trials")
    return ax


def layer_timescales(ax: Axes, timescales: Mapping[str, xr.Dataset], of: Mapping[str, str]) -> Axes:
    """Timescale of every layer over depth, one line per network, with intervals, on a log axis of ms.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    timescales : mapping from run to xarray.Dataset
        Of `cortexsnn.timescales.estimate`.
    of : mapping from run to condition

    Returns
    -------
    matplotlib.axes.Axes
    """
    palette, labelled = colours(list(of.values())), set()
    deepest = max(int(one.sizes["layer"]) for one in timescales.values())
    for place, (run, one) in enumerate(timescales.items()):
        depth, tau, below, above = _interval(one)
        condition = of[run]
        ax.errorbar(
            depth + 0.06 * (place - (len(timescales) - 1) / 2),
            tau,
            yerr=[below, above],
            fmt=f"{_MARKERS[list(palette).index(condition) % len(_MARKERS)]}-",
            markersize=4.5,
            linewidth=0.9,
            elinewidth=0.8,
            color=palette[condition],
            label=None if condition in labelled else condition,
        )
        labelled.add(condition)
    ax.set_yscale("log")
    ax.set_xlim(0.5, deepest + 0.5)
    ax.set_xticks(range(1, deepest + 1))
    ax.set_xlabel("hidden layer")
    ax.set_ylabel("timescale of spikes (ms)")
    ax.legend(loc="upper left")
    return ax


def cortical_timescales(ax: Axes, table: xr.Dataset, stream: str) -> Axes:
    """Timescales of cortical areas in the order of their hierarchy, one mark per data set, on a log axis of ms.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`.
    stream : str
        Which areas to show.

    Returns
    -------
    matplotlib.axes.Axes
    """
    inside = table.isel(observation=np.flatnonzero(table["stream"].to_numpy() == stream))
    rank, area = inside["rank"].to_numpy(), inside["area"].to_numpy().astype(str)
    # Areas of equal rank stand in the order of their timescales.
    height = {name: (rank[area == name][0], inside["tau_ms"].to_numpy()[area == name].mean()) for name in set(area)}
    place = {name: index + 1 for index, name in enumerate(sorted(height, key=lambda name: height[name]))}
    datasets = list(dict.fromkeys(inside["dataset"].to_numpy().astype(str).tolist()))
    for index, dataset in enumerate(datasets):
        of_dataset = inside["dataset"].to_numpy().astype(str) == dataset
        x = np.array([place[name] for name in area[of_dataset]], dtype=float)
        tau = inside["tau_ms"].to_numpy()[of_dataset]
        order = np.argsort(x)
        marker = _MARKERS[index % len(_MARKERS)]
        ax.plot(
            x[order],
            tau[order],
            f"{marker}-",
            color="#222222",
            alpha=0.75,
            markersize=4.5,
            linewidth=0.7,
            label=dataset,
        )
    ax.set_yscale("log")
    ax.set_xlim(0.5, len(place) + 0.5)
    ax.set_xticks(range(1, len(place) + 1), list(place))
    ax.set_xlabel("cortical area, by hierarchy")
    ax.legend(loc="upper left", title=None)
    return ax
