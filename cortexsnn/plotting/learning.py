"""What happens in training, and what came of many runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cortexsnn.errors import InputError
from cortexsnn.plotting.style import GREY, OKABE_ITO, colours, milliseconds, shades

__all__ = ["learned_slopes", "learned_time_constants", "sweep_accuracy", "training_curves"]


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
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_ylabel("validation accuracy (%)")
    ax.legend(loc="lower right")
    return ax


def learned_time_constants(ax: Axes, history: Sequence[Mapping[str, Any]]) -> Axes:
    """How a hierarchy emerges: learned time constants of every layer from epoch to epoch.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    history : sequence of mapping
        Of a run with learned time constants (`cortexsnn.training.Fit`, or the rows of ``metrics.jsonl``).

    Returns
    -------
    matplotlib.axes.Axes
        The median of each layer as a line, its quartiles as a band.

    Raises
    ------
    InputError
        If no time constants were learned.
    """
    _require_learned(history)
    epochs = [row["epoch"] for row in history]
    limits = [np.inf, 0.0]
    layers = len(history[0]["tau_ms"])
    for layer, colour in enumerate(shades(layers)):
        low, middle, high = (
            [float(np.quantile(row["tau_ms"][layer], q)) for row in history] for q in (0.25, 0.5, 0.75)
        )
        ax.fill_between(epochs, low, high, color=colour, alpha=0.1, linewidth=0)
        # Bands of several layers lie over each other: their edges tell which is which.
        for edge in (low, high):
            ax.plot(epochs, edge, color=colour, linewidth=0.6, alpha=0.6, label="_quartile")
        ax.plot(epochs, middle, color=colour, label=f"hidden{layer + 1}")
        limits = [min(limits[0], *low), max(limits[1], *high)]
    ax.set(xlabel="epoch", ylabel="membrane time constant (ms)", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.set_ylim(0.8 * limits[0], 2.5 * limits[1])  # room for the legend
    milliseconds(ax.yaxis, (0.8 * limits[0], 2.5 * limits[1]))
    ax.legend(
        title="median and quartiles",
        title_fontsize=8,
        ncols=2 if layers == 4 else min(layers, 3),
        loc="upper center",
        handlelength=1.2,
        columnspacing=1.0,
    )
    return ax


def _require_learned(history: Sequence[Mapping[str, Any]]) -> None:
    if not history or any(row.get("tau_ms") is None for row in history):
        raise InputError("history", "no tau_ms", "that of a run with learned time constants", "LearnedTau in a Layer")


def learned_slopes(ax: Axes, histories: Mapping[str, Sequence[Mapping[str, Any]]], of: Mapping[str, str]) -> Axes:
    """How a hierarchy emerges, in one number for each network: the slope of its time constants over depth.

    The slope is that of the natural logarithm of the median membrane time constant of each layer over relative depth,
    0 the first and 1 the last, by least squares: 0 is no hierarchy, and exp(slope) is the factor from bottom to top.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    histories : mapping from run to its rows of figures, one an epoch
        Runs with learned time constants, of two layers or more.
    of : mapping from run to condition
        May name more runs: all its conditions have a colour, so that figures of a set of runs agree.

    Returns
    -------
    matplotlib.axes.Axes
        One line for each run, in the colour of its condition.

    Raises
    ------
    InputError
        If no time constants were learned, or a network has one layer.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> history = [{"epoch": 1, "tau_ms": [[100.0], [100.0]]}, {"epoch": 2, "tau_ms": [[50.0], [150.0, 300.0, 400.0]]}]
    >>> ax = learned_slopes(Figure().subplots(), {"run": history}, {"run": "learned"})
    >>> ax.get_lines()[1].get_ydata().round(2).tolist()
    [0.0, 1.79]
    """
    palette, labelled = colours(list(of.values())), set()
    ax.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    for run, history in histories.items():
        _require_learned(history)
        if len(history[0]["tau_ms"]) < 2:
            raise InputError(f"layers of '{run}'", 1, "two or more: one layer has no hierarchy")
        medians = np.array([[float(np.median(layer)) for layer in row["tau_ms"]] for row in history])
        depth = np.linspace(-0.5, 0.5, medians.shape[1])
        condition = of[run]
        ax.plot(
            [row["epoch"] for row in history],
            np.log(medians) @ depth / (depth**2).sum(),
            color=palette[condition],
            alpha=0.8,
            linewidth=1.1,
            label=None if condition in labelled else condition,
        )
        labelled.add(condition)
    ax.set(xlabel="epoch", ylabel="slope of ln(membrane τ) over depth")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    ax.legend(loc="best")
    return ax


def sweep_accuracy(
    ax: Axes,
    table: xr.Dataset,
    varied: str,
    label: str,
    *,
    published: Mapping[float, float] | None = None,
    result: str = "test_accuracy",
) -> Axes:
    """Test accuracy of a sweep over one value: every seed, their median, and what others found.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    table : xarray.Dataset
        Of `cortexsnn.sweeps.run_sweep`.
    varied : str
        Dotted name of the value, such as ``"hierarchy.span_ms"``.
    label : str
        Of the horizontal axis, with its unit.
    published : mapping of float to float, optional
        Median accuracy, 0 to 1, at some of the values.
    result : str
        Which result of the runs, from 0 to 1.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the sweep does not vary that value.
    """
    if varied not in table:
        raise InputError("what a sweep varies", varied, f"one of {', '.join(map(str, table.coords))}")
    done = table.isel(run=np.flatnonzero(table["status"].to_numpy() == "done"))
    values = done[varied].to_numpy().astype(float)
    accuracy = 100 * done[result].to_numpy()
    places = np.unique(values)
    ax.plot(values, accuracy, "o", color=OKABE_ITO[0], alpha=0.4, markersize=4, markeredgewidth=0, label="one seed")
    medians = [float(np.median(accuracy[values == place])) for place in places]
    ax.plot(places, medians, "_", color=OKABE_ITO[0], markersize=18, markeredgewidth=2, label="median")
    if published:
        shares = [100 * share for share in published.values()]
        ax.plot(list(published), shares, "D", color=OKABE_ITO[1], markersize=5, fillstyle="none", label="published")
    ax.set(xlabel=label, ylabel="test accuracy (%)", xticks=places)
    ax.margins(x=0.12)
    ax.legend()
    return ax
