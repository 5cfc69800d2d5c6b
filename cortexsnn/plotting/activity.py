"""What populations do in a trial."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from cortexsnn.plotting.style import OKABE_ITO

__all__ = ["raster", "readout"]

_FEW_NEURONS = 100


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
    time_ms = node["spike_time"].to_numpy()[here] * 1000
    neuron = node["spike_neuron"].to_numpy()[here]
    if neurons <= _FEW_NEURONS:
        # One line with gaps, which is a third of the file that a mark for each spike makes.
        ends = neuron[:, np.newaxis] + np.array([-0.4, 0.4, np.nan])
        ax.plot(np.repeat(time_ms, 3), ends.ravel(), color=colour, linewidth=0.8, solid_capstyle="butt")
    else:
        size = max(0.8, 220 / neurons)
        ax.scatter(time_ms, neuron, s=size, marker=".", linewidths=0, color=colour, rasterized=True)
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
        colour = OKABE_ITO[index] if potential.shape[1] <= len(OKABE_ITO) else "#9a9a9a"
        ax.plot(time_ms, potential[:, index], color=colour, linewidth=0.7)
        right = np.where(label == index, potential[:, index], np.nan)
        ax.plot(time_ms, right, color=colour if potential.shape[1] <= len(OKABE_ITO) else OKABE_ITO[1], linewidth=2.2)
    ax.set_xlim(0, 1000 * float(recording["trial_duration_s"].to_numpy()[trial]))
    ax.set_ylabel(population)
    ax.set_xlabel("time (ms)")
    return ax
