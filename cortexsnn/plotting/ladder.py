"""The ladder from the exact twin to biophysics: what is left of function, spikes and timescales at every rung."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, INK, MARKERS, PAPER, milliseconds, shades, style

__all__ = ["ladder"]

_PANELS = 4
_NUDGE = 0.06
_NEEDED = ("accuracy", "agreement", "count_correlation", "rate_hz", "tau_ms", "tau_low_ms", "tau_high_ms")


def _bars(value: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lengths of error bars; an open end leaves the axes, a missing one is no bar."""
    below = np.where(np.isnan(low), 0.0, value - low)
    above = np.where(np.isnan(high), 0.0, np.nan_to_num(high, posinf=1e9) - value)
    return np.maximum(np.stack([below, above]), 0.0)


def _accuracy(ax: Axes, table: xr.Dataset) -> None:
    rung, share = table["rung"].to_numpy(), 100 * table["accuracy"].to_numpy()
    low, high = (100 * table[name].to_numpy() for name in ("accuracy_low", "accuracy_high"))
    ax.errorbar(
        rung, share, yerr=_bars(share, low, high), fmt="o-", markersize=4, linewidth=1, elinewidth=0.8, color=INK
    )
    usual = 100 * float(table.attrs.get("usual_answer", np.nan))
    if np.isfinite(usual):
        ax.axhline(usual, color=GREY, linewidth=0.8, linestyle=":")
        ax.annotate("always the same answer", (rung[0], usual), xytext=(0, 2), textcoords="offset points", fontsize=7,
                    color=GREY)  # fmt: skip
    ax.set_ylim(0, 105)
    ax.set_ylabel("accuracy (%)")


def _agreement(ax: Axes, table: xr.Dataset) -> None:
    for place, (layer, colour) in enumerate(_colours(table)):
        one, x = table.sel(layer=layer), _beside(table, place)
        marker = MARKERS[place % len(MARKERS)]
        ax.plot(x, one["agreement"], f"{marker}-", markersize=3.5, linewidth=1, color=colour)
        ax.plot(x, one["count_correlation"], f"{marker}--", markersize=3.5, linewidth=0.8, color=colour,
                markerfacecolor=PAPER)  # fmt: skip
    ax.plot([], [], "-", color=GREY, label="share of spikes in the same step")
    ax.plot([], [], "--", color=GREY, label=f"correlation of counts in {table.attrs['bin_ms']:g} ms")
    lowest = min(0.0, float(table["count_correlation"].min(skipna=True)))
    ax.set_ylim(lowest - 0.3, 1.05)  # room for the legend
    ax.set_yticks(np.linspace(0.0, 1.0, 6))
    ax.set_ylabel("agreement with rung 0")
    ax.legend(loc="lower left", fontsize=7)


def _rate(ax: Axes, table: xr.Dataset) -> None:
    for place, (layer, colour) in enumerate(_colours(table)):
        ax.plot(_beside(table, place), table["rate_hz"].sel(layer=layer), f"{MARKERS[place % len(MARKERS)]}-",
                markersize=3.5, linewidth=1, color=colour, label=layer)  # fmt: skip
    ax.set_ylim(0, 1.35 * max(1.0, float(table["rate_hz"].max())))  # room for the legend
    ax.set_ylabel("mean rate (Hz)")
    ax.legend(loc="upper left", ncols=2, fontsize=7)


def _tau(ax: Axes, table: xr.Dataset) -> None:
    for place, (layer, colour) in enumerate(_colours(table)):
        one, x = table.sel(layer=layer), _beside(table, place)
        tau, low, high = (one[name].to_numpy() for name in ("tau_ms", "tau_low_ms", "tau_high_ms"))
        # NaN cuts the line where a rung has no timescale.
        ax.errorbar(x, tau, yerr=_bars(tau, np.maximum(low, 1e-9), high), fmt=f"{MARKERS[place % len(MARKERS)]}-",
                    markersize=3.5, linewidth=1, elinewidth=0.8, color=colour)  # fmt: skip
        missing = ~np.isfinite(tau)
        ax.plot(x[missing], np.full(missing.sum(), 0.02 + 0.025 * place), "x", markersize=3.5, color=colour,
                transform=ax.get_xaxis_transform(), clip_on=False)  # fmt: skip
    shown = table["tau_ms"].to_numpy()
    shown = shown[np.isfinite(shown)]
    ax.set_yscale("log")
    limits = (float(shown.min()) / 2.5, float(shown.max()) * 2) if shown.size else (10.0, 1000.0)
    ax.set_ylim(*limits)
    milliseconds(ax.yaxis, limits)
    ax.set_ylabel("timescale (ms)")
    if not np.isfinite(table["tau_ms"]).all():
        ax.plot([], [], "x", markersize=3.5, color=GREY, label="none found")
        ax.legend(loc="upper right", fontsize=7)


def _beside(table: xr.Dataset, place: int) -> NDArray[np.float64]:
    """The rungs, so that the marks of layers stand side by side."""
    return table["rung"].to_numpy() + _NUDGE * (place - (table.sizes["layer"] - 1) / 2)


def _colours(table: xr.Dataset) -> list[tuple[str, str]]:
    layers = table["layer"].to_numpy().astype(str).tolist()
    return list(zip(layers, shades(len(layers)), strict=True))


def ladder(table: xr.Dataset, axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Accuracy, agreement with the exact twin, rate and timescale of each layer, rung by rung.

    Bars are the intervals of the table. In the panel of timescales, a layer without one has a cross at the bottom.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.brian.ladder`.
    axes : sequence of four matplotlib.axes.Axes, optional
        In a new figure of its own if not given.

    Returns
    -------
    sequence of matplotlib.axes.Axes
        The four panels.

    Raises
    ------
    InputError
        If the table is of something else, or there are not four axes.

    Examples
    --------
    >>> layers, rungs = ["hidden1"], [0, 1]
    >>> both = (("rung", "layer"), [[1.0], [1.0]])
    >>> names = ("agreement", "count_correlation", "rate_hz", "tau_ms", "tau_low_ms", "tau_high_ms")
    >>> shares = {name: ("rung", [0.9, 0.9]) for name in ("accuracy", "accuracy_low", "accuracy_high")}
    >>> table = xr.Dataset(shares | dict.fromkeys(names, both), {"rung": rungs, "layer": layers}, {"bin_ms": 50.0})
    >>> [ax.get_ylabel() for ax in ladder(table)]
    ['accuracy (%)', 'agreement with rung 0', 'mean rate (Hz)', 'timescale (ms)']
    >>> plt.close()
    """
    missing = [name for name in ("rung", "layer", *_NEEDED) if name not in table.variables]
    if missing:
        raise InputError("table", sorted(map(str, table.variables)), f"one with {missing[0]}", "see brian.ladder")
    if axes is None:
        with style():
            _, grid = plt.subplots(1, _PANELS, figsize=(10.5, 2.7))
            return ladder(table, list(grid))
    panels = list(axes)
    if len(panels) != _PANELS:
        raise InputError("axes", len(panels), f"{_PANELS} of them: accuracy, agreement, rate and timescale")
    for draw, ax in zip((_accuracy, _agreement, _rate, _tau), panels, strict=True):
        draw(ax, table)
        ax.set_xticks(table["rung"].to_numpy())
        ax.set_xlabel("rung")
    return panels
