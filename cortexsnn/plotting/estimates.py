"""Estimates of timescales: their distribution over neurons, their profile over layers, and how an estimator reads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, MARKERS, colours, milliseconds

__all__ = ["calibration_curve", "layer_profile", "tau_distribution"]

_BINS_PER_DECADE = 12


def _on_dimension(result: xr.Dataset, dimension: str) -> None:
    if "tau_ms" not in result.variables or result["tau_ms"].dims != (dimension,):
        raise InputError("result", dict(result.sizes), f"tau_ms on {dimension}",
                         f"timescales.estimate(..., per='{'neuron' if dimension == 'unit' else 'layer'}')")  # fmt: skip


def tau_distribution(ax: Axes, result: xr.Dataset) -> Axes:
    """Timescales of single neurons, one histogram outline for each layer, on a log axis of ms.

    The legend tells how many of the neurons have a timescale; a tick below marks the median.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    result : xarray.Dataset
        Of `cortexsnn.timescales.estimate` with ``per="neuron"``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the result is of layers, or no neuron has a timescale.
    """
    _on_dimension(result, "unit")
    tau, layer = result["tau_ms"].to_numpy(), result["layer"].to_numpy().astype(str)
    known = np.isfinite(tau)
    if not known.any():
        raise InputError("neurons with a timescale", 0, "at least 1", "the status of each neuron says why not")
    low, high = np.log10(tau[known].min()) - 0.05, np.log10(tau[known].max()) + 0.05
    edges = np.logspace(low, high, max(5, round(_BINS_PER_DECADE * (high - low))))
    for name, colour in colours(layer.tolist()).items():
        there = layer == name
        values = tau[there & known]
        label = f"{name} ({values.size} of {there.sum()})"
        if not values.size:
            ax.plot([], [], color=colour, label=label)
            continue
        weights = np.full(values.size, 1.0 / values.size)
        ax.hist(values, edges.tolist(), weights=weights, histtype="step", linewidth=1.4, color=colour, label=label)
        ax.plot([np.median(values)], [-0.03], "|", markersize=8, markeredgewidth=2, color=colour,
                transform=ax.get_xaxis_transform(), clip_on=False)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(edges[0], edges[-1])
    milliseconds(ax.xaxis, (edges[0], edges[-1]))
    ax.set_xlabel("timescale of single neurons (ms)")
    ax.set_ylabel("share of neurons with a timescale")
    ax.legend(loc="upper right")
    return ax


def layer_profile(ax: Axes, results: Mapping[str, xr.Dataset]) -> Axes:
    """Timescale of each layer with its interval, one line for each estimator or network, on a log axis of ms.

    Open ends of intervals reach the edge of the axes; layers without a timescale stand as crosses at the bottom.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    results : mapping from label to xarray.Dataset
        Of `cortexsnn.timescales.estimate`, on the same layers.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no result, one is not of layers, or they differ in their layers.
    """
    if not results:
        raise InputError("results", {}, "at least one")
    names: list[str] = []
    palette = colours(list(results))
    for place, (label, one) in enumerate(results.items()):
        _on_dimension(one, "layer")
        layers = one["layer"].to_numpy().astype(str).tolist()
        names = names or layers
        if layers != names:
            raise InputError(f"layers of '{label}'", layers, f"{names}, as of the first result")
        x = np.arange(1, len(names) + 1) + 0.08 * (place - (len(results) - 1) / 2)
        tau, low, high = (one[name].to_numpy() for name in ("tau_ms", "tau_low_ms", "tau_high_ms"))
        has = np.isfinite(tau)
        # An interval that is not there is no bar; one without an end is a bar that leaves the axes.
        below = np.where(np.isnan(low), 0.0, tau - np.where(np.isnan(low), tau, np.maximum(low, 1e-9)))
        above = np.where(np.isnan(high), 0.0, np.nan_to_num(high, posinf=1e9) - tau)
        ax.errorbar(
            x[has], tau[has], yerr=np.stack([below[has], above[has]]), fmt=f"{MARKERS[place % len(MARKERS)]}-",
            markersize=4.5, linewidth=0.9, elinewidth=0.8, color=palette[label], label=label,
        )  # fmt: skip
        ax.plot(x[~has], np.full((~has).sum(), 0.02), "x", markersize=4, color=palette[label],
                transform=ax.get_xaxis_transform(), clip_on=False)  # fmt: skip
    shown = np.concatenate([one["tau_ms"].to_numpy() for one in results.values()])
    shown = shown[np.isfinite(shown)]
    ax.set_yscale("log")
    if shown.size:
        limits = (float(shown.min()) / 2, float(shown.max()) * 2)
        ax.set_ylim(*limits)
        milliseconds(ax.yaxis, limits)
    ax.set_xlim(0.5, len(names) + 0.5)
    ax.set_xticks(range(1, len(names) + 1), names)
    ax.set_ylabel("timescale (ms)")
    ax.legend(loc="best")
    return ax


def calibration_curve(ax: Axes, calibrations: Mapping[str, xr.Dataset]) -> Axes:
    """What estimators make of known timescales, with the central 68 % of the repeats, on log axes of ms.

    Where fewer than half of the repeats have a timescale, the median stands as an open mark.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    calibrations : mapping from label to xarray.Dataset
        Of `cortexsnn.timescales.calibrate`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is none.
    """
    if not calibrations:
        raise InputError("calibrations", {}, "at least one")
    palette = colours(list(calibrations))
    true = np.concatenate([one["true_tau_ms"].to_numpy() for one in calibrations.values()])
    low, high = float(true.min()) / 1.5, float(true.max()) * 1.5
    ax.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle=":", label="truth")
    for place, (label, one) in enumerate(calibrations.items()):
        x, median = one["true_tau_ms"].to_numpy(), one["median_ms"].to_numpy()
        often = one["share_usable"].to_numpy() >= 0.5
        marker, colour = MARKERS[place % len(MARKERS)], palette[label]
        ax.fill_between(x, one["low_ms"], one["high_ms"], color=colour, alpha=0.15, linewidth=0)
        ax.plot(x, median, "-", color=colour, linewidth=1.2)
        ax.plot(x[often], median[often], marker, color=colour, markersize=4.5, label=label)
        ax.plot(x[~often], median[~often], marker, color=colour, markersize=4.5, markerfacecolor="white")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(low, high)
    ax.set_ylim(low, high)
    milliseconds(ax.xaxis, (low, high))
    milliseconds(ax.yaxis, (low, high))
    ax.set_xlabel("true timescale (ms)")
    ax.set_ylabel("estimate (ms)")
    ax.legend(loc="upper left")
    return ax
