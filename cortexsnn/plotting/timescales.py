"""Timescales of layers, and of the cortex beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cortexsnn.network import Network
from cortexsnn.plotting.style import GREY, MARKERS, OKABE_ITO, colours, milliseconds

__all__ = ["autocorrelation", "cortical_timescales", "layer_timescales", "tau_set_and_measured"]


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
            fmt=MARKERS[list(palette).index(condition) % len(MARKERS)],
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
    ax.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle=":", zorder=0, label="equal")
    ax.plot([], [], "x", color=GREY, markersize=4, linestyle="none", label="no timescale found")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    milliseconds(ax.xaxis, (low, high))
    milliseconds(ax.yaxis, (low, high))
    ax.set_xlabel("membrane time constant, set (ms)")
    ax.set_ylabel("timescale of spikes, measured (ms)")
    ax.legend(loc="upper left")
    return ax


def autocorrelation(ax: Axes, timescales: xr.Dataset, layer: str, colour: str = OKABE_ITO[0]) -> Axes:
    """Autocorrelation of one layer with its fit.

    Filled points are those that were fitted; a dotted line marks where the fit begins.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    timescales : xarray.Dataset
        Of `cortexsnn.timescales.estimate`, by any estimator over lags.
    layer : str
    colour : str

    Returns
    -------
    matplotlib.axes.Axes
    """
    one = timescales.sel(layer=layer)
    lag, values, fitted = (one[name].to_numpy() for name in ("lag_ms", "autocorrelation", "fitted"))
    in_fit = np.isfinite(fitted)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.plot(lag[in_fit], values[in_fit], "o", markersize=3, color=colour)
    ax.plot(lag[~in_fit], values[~in_fit], "o", markersize=3, color=colour, markerfacecolor="white")
    ax.plot(lag, fitted, color="#222222", linewidth=1.2)
    if in_fit.any():
        # Where the start rule let the fit begin.
        ax.axvline(lag[in_fit][0], color=GREY, linewidth=0.8, linestyle=":", zorder=0)
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
    across = "estimator" not in one.coords or one["estimator"].item() == "pearson_trials"
    ax.set_ylabel("correlation across trials" if across else "autocorrelation")
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
            fmt=f"{MARKERS[list(palette).index(condition) % len(MARKERS)]}-",
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
        marker = MARKERS[index % len(MARKERS)]
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
