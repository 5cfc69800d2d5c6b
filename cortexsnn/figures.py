"""The figures of the report: Axes of `cortexsnn.plotting` put together for a set of runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from cortexsnn import plotting
from cortexsnn.cortex.compare import STREAM
from cortexsnn.runs import Run

__all__ = ["autocorrelations", "beside_cortex", "examples", "rasters", "set_and_measured", "training"]


def _palette(runs: Sequence[Run]) -> dict[str, str]:
    return plotting.colours([run.condition for run in runs])


def examples(runs: Sequence[Run]) -> list[Run]:
    """The first run of each condition.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    list of Run
        In the order in which the conditions come.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.condition, run)
    return list(first.values())


def rasters(runs: Sequence[Run]) -> Figure:
    """One test trial of the first network of each condition: input, every hidden layer, readout.

    Parameters
    ----------
    runs : sequence of Run
        All with the same populations.

    Returns
    -------
    matplotlib.figure.Figure
    """
    palette = _palette(runs)
    shown = examples(runs)
    populations = [p.name for p in shown[0].network.inputs + shown[0].network.hidden]
    with plotting.style():
        figure = Figure(figsize=(8.2, 1.15 * len(populations) + 1.2))
        axes = figure.subplots(len(populations) + 1, len(shown), sharex="col", squeeze=False)
        for column, run in enumerate(shown):
            for row, name in enumerate(populations):
                colour = "#222222" if row == 0 else palette[run.condition]
                plotting.raster(axes[row, column], run.test, name, colour=colour)
                axes[row, column].set_xlabel("")
            plotting.readout(axes[-1, column], run.test, run.network.readouts[0].name)
            axes[0, column].set_title(run.name)
        for ax in axes[:, 1:].ravel():
            ax.set_ylabel("")
    return figure


def training(runs: Sequence[Run]) -> Figure:
    """Validation accuracy of all networks over epochs.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    matplotlib.figure.Figure
    """
    with plotting.style():
        figure = Figure(figsize=(5.6, 3.0))
        histories = {run.name: run.history for run in runs}
        plotting.training_curves(figure.subplots(), histories, {run.name: run.condition for run in runs})
    return figure


def autocorrelations(runs: Sequence[Run]) -> Figure:
    """Autocorrelation and fit of every layer of the first network of each condition.

    Parameters
    ----------
    runs : sequence of Run
        All with the same number of hidden layers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    palette = _palette(runs)
    shown = examples(runs)
    layers = len(shown[0].network.hidden)
    with plotting.style():
        figure = Figure(figsize=(8.6, 2.1 * len(shown) + 0.3))
        axes = figure.subplots(len(shown), layers, sharex=True, sharey="row", squeeze=False)
        for row, run in zip(axes, shown, strict=True):
            for ax, population in zip(row, run.network.hidden, strict=True):
                plotting.autocorrelation(ax, run.timescales, population.name, palette[run.condition])
                tau = 1000 * float(population.tau_s.mean())
                ax.set_title(f"{population.name}, membrane {tau:.0f} ms")
                ax.set_ylabel("")
                ax.set_xlabel("lag (ms)" if row is axes[-1] else "")
            low, high = row[0].get_ylim()
            row[0].set_ylim(low, high + 0.35 * (high - low))  # room for the words
            row[0].set_ylabel(f"{run.name}\ncorrelation across trials")
    return figure


def set_and_measured(runs: Sequence[Run]) -> Figure:
    """Membrane time constants against measured timescales of all networks.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    matplotlib.figure.Figure
    """
    with plotting.style():
        figure = Figure(figsize=(4.8, 4.2))
        plotting.tau_set_and_measured(
            figure.subplots(),
            {run.name: run.network for run in runs},
            {run.name: run.timescales for run in runs},
            {run.name: run.condition for run in runs},
        )
    return figure


def beside_cortex(runs: Sequence[Run], table: xr.Dataset) -> Figure:
    """Timescales of layers beside those of the areas of a table of `cortexsnn.cortex`, on one axis.

    Parameters
    ----------
    runs : sequence of Run
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with plotting.style():
        figure = Figure(figsize=(8.6, 3.8))
        left, right = figure.subplots(1, 2, sharey=True)
        plotting.layer_timescales(
            left, {run.name: run.timescales for run in runs}, {run.name: run.condition for run in runs}
        )
        left.set_title("spiking networks")
        plotting.cortical_timescales(right, table, STREAM)
        right.set_title("macaque cortex (Murray et al. 2014)")
        tau_ms = np.concatenate([table["tau_ms"], *(run.timescales["tau_ms"] for run in runs)])
        left.set_ylim(np.nanmin(tau_ms) / 2, np.nanmax(tau_ms) * 2)  # intervals may have no end
        plotting.milliseconds(left.yaxis, left.get_ylim())
    return figure
