"""Timescales of single layers: the curve that they were read from, and the time constants that were set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cortexsnn.network import Network
from cortexsnn.plotting.style import GREY, INK, MARKERS, OKABE_ITO, PAPER, colours, milliseconds

__all__ = ["autocorrelation", "power_spectrum", "tau_set_and_measured"]


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
            yerr=np.stack([below, above]),
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


def _tau_in_words(one: xr.Dataset) -> str:
    """Timescale of one layer with its interval, or why there is none."""
    if not np.isfinite(one["tau_ms"]):
        return str(one["status"].item()).replace("_", " ")
    low, high = float(one["tau_low_ms"]), float(one["tau_high_ms"])
    words = f"τ = {float(one['tau_ms']):.0f} ms"
    return words if np.isnan(low) else f"{words}\n[{low:.0f}, {f'{high:.0f}' if np.isfinite(high) else '∞'}]"


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
    ax.plot(lag[~in_fit], values[~in_fit], "o", markersize=3, color=colour, markerfacecolor=PAPER)
    ax.plot(lag, fitted, color=INK, linewidth=1.2)
    if in_fit.any():
        # Where the start rule let the fit begin.
        ax.axvline(lag[in_fit][0], color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    ax.text(0.97, 0.95, _tau_in_words(one), transform=ax.transAxes, ha="right", va="top", fontsize=8)
    ax.set_title(layer)
    ax.set_xlim(0, float(lag[-1]) * 1.02)
    ax.set_xlabel("lag (ms)")
    across = "estimator" not in one.coords or one["estimator"].item() == "pearson_trials"
    ax.set_ylabel("correlation across trials" if across else "autocorrelation")
    return ax


def power_spectrum(ax: Axes, timescales: xr.Dataset, layer: str, colour: str = OKABE_ITO[0]) -> Axes:
    """Power spectrum of one layer with its fit, and the knee that is its timescale.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    timescales : xarray.Dataset
        Of `cortexsnn.timescales.estimate` by the estimator ``knee``.
    layer : str
    colour : str

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cortexsnn.timescales import estimate, ou_poisson_trains
    >>> rng = np.random.default_rng(1)
    >>> trains = ou_poisson_trains(tau_ms=30.0, trials=1, duration_s=60.0, neurons=10, rate_hz=20.0, rng=rng)
    >>> result = estimate({"V4": trains}, "knee", bootstrap=0, rng=rng, progress=False)
    >>> power_spectrum(Figure().subplots(), result, "V4").get_xlabel()
    'frequency (Hz)'
    """
    one = timescales.sel(layer=layer)
    frequency, power, fitted = (one[name].to_numpy() for name in ("frequency", "power", "fitted"))
    seen = frequency > 0
    ax.plot(frequency[seen], power[seen], color=colour, linewidth=0.9)
    ax.plot(frequency[seen], fitted[seen], color=INK, linewidth=1.2)
    if np.isfinite(one["tau_ms"]):
        ax.axvline(1000 / (2 * np.pi * float(one["tau_ms"])), color=GREY, linewidth=0.8, linestyle=":", zorder=0)
    ax.text(0.97, 0.95, _tau_in_words(one), transform=ax.transAxes, ha="right", va="top", fontsize=8)
    ax.set(xscale="log", yscale="log", xlabel="frequency (Hz)", ylabel="power spectral density")
    ax.set_title(layer)
    return ax
