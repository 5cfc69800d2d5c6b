"""Figures of networks: what they do, how they learned it, and the timescales of their layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from cortexsnn import plotting
from cortexsnn.figures.shared import examples, palette_of, per_layer
from cortexsnn.plotting.style import GREY
from cortexsnn.runs import Run

__all__ = ["autocorrelations", "learning", "rasters", "set_and_measured", "training"]

_INPUT_COLOUR = "#7d7d7d"  # seen on light and on dark paper, since dots of many channels are drawn as an image


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
    palette = palette_of(runs)
    shown = examples(runs)
    populations = [p.name for p in shown[0].network.inputs + shown[0].network.hidden]
    with plotting.style():
        figure = Figure(figsize=(max(4.6, 3.3 * len(shown)), 0.95 * len(populations) + 1.2))
        axes = figure.subplots(len(populations) + 1, len(shown), sharex="col", squeeze=False)
        for column, run in enumerate(shown):
            for row, name in enumerate(populations):
                colour = _INPUT_COLOUR if row == 0 else palette[run.condition]
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


def learning(runs: Sequence[Run]) -> Figure | None:
    """How the hierarchy of membrane time constants was learned, epoch by epoch.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    matplotlib.figure.Figure or None
        Time constants of the first network of each condition that learned them, and the slope over depth of all; None
        if none did.
    """
    learned = [run for run in runs if all(row.get("tau_ms") is not None for row in run.history)]
    if not learned:
        return None
    shown = examples(learned)
    with plotting.style():
        figure = Figure(figsize=(4.2 * (len(shown) + 1), 3.1))
        axes = figure.subplots(1, len(shown) + 1, squeeze=False)[0]
        for ax, run in zip(axes, shown, strict=False):
            plotting.learned_time_constants(ax, run.history)
            ax.set_title(run.name)
        deep = [run for run in learned if len(run.network.hidden) > 1]
        if not deep:
            axes[-1].remove()
            return figure
        plotting.learned_slopes(
            axes[-1], {run.name: run.history for run in deep}, {run.name: run.condition for run in runs}
        )
        axes[-1].set_title("all networks")
    return figure


def autocorrelations(runs: Sequence[Run]) -> Figure:
    """Autocorrelation (or power spectrum) and fit of every layer of the first network of each condition.

    Timescales of single neurons have no curve of a layer: their distribution is drawn instead.

    Parameters
    ----------
    runs : sequence of Run
        All with the same number of hidden layers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    palette = palette_of(runs)
    shown = examples(runs)
    if "layer" not in shown[0].timescales.dims:
        return _distributions(shown)
    layers = len(shown[0].network.hidden)
    spectra = "frequency" in shown[0].timescales.dims
    with plotting.style():
        figure = Figure(figsize=(max(3.4, 2.15 * layers), 2.1 * len(shown) + 0.3))
        axes = figure.subplots(len(shown), layers, sharex=True, sharey="row", squeeze=False)
        for index, (row, run) in enumerate(zip(axes, shown, strict=True)):
            for ax, population in zip(row, run.network.hidden, strict=True):
                draw = plotting.power_spectrum if spectra else plotting.autocorrelation
                draw(ax, run.timescales, population.name, palette[run.condition])
                tau = 1000 * float(population.tau_s.mean())
                ax.set_title(f"{population.name}, membrane {tau:.0f} ms")
                ax.set_ylabel(f"{run.name}\n{ax.get_ylabel()}" if ax is row[0] else "")
                ax.set_xlabel(ax.get_xlabel() if index == len(shown) - 1 else "")
            if not spectra:
                low, high = row[0].get_ylim()
                row[0].set_ylim(low, high + 0.35 * (high - low))  # room for the words
    return figure


def _distributions(shown: Sequence[Run]) -> Figure:
    """Timescales of the neurons of each layer, one panel a network; of those that have any."""
    with plotting.style():
        figure = Figure(figsize=(3.9 * len(shown), 3.2))
        for ax, run in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            if np.isfinite(run.timescales["tau_ms"]).any():
                plotting.tau_distribution(ax, run.timescales)
            else:
                ax.text(0.5, 0.5, "no neuron has a timescale", ha="center", transform=ax.transAxes, color=GREY)
            ax.set_title(run.name)
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
            {run.name: per_layer(run.timescales) for run in runs},
            {run.name: run.condition for run in runs},
        )
    return figure
