"""How alike two recordings of the same trials are: spikes in the same step, and counts in wider bins."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, make_recording, steps_per_trial

__all__ = ["count_correlation", "on_input_steps", "shared_spikes", "wilson_interval"]


def on_input_steps(recorded: xr.DataTree, steps_per_bin: int) -> xr.DataTree:
    """A recording of a circuit in finer steps, on the time steps of its input.

    Spikes of the fine steps of a step of the input become spikes of that step, several of a neuron where it fired
    several times. Potentials are those of its first fine step, the moment that both have in common.

    Parameters
    ----------
    recorded : xarray.DataTree
        Of `cortexsnn.brian.simulate`.
    steps_per_bin : int
        Fine steps for each step of the input (`cortexsnn.brian.Circuit`).

    Returns
    -------
    xarray.DataTree

    Examples
    --------
    >>> layer = RecordedPopulation.from_counts("hidden1", "lif", np.ones((1, 4, 1), dtype=int))
    >>> fine = make_recording([layer], dt_s=0.001, trials=1, steps=4, source="example")
    >>> on_input_steps(fine, 2)["hidden1"]["spike_step"].values
    array([0, 0, 1, 1], dtype=int32)
    """
    if steps_per_bin == 1:
        return recorded
    steps = steps_per_trial(recorded)
    populations = []
    for name, node in recorded.children.items():
        trial, step, neuron = (node[f"spike_{axis}"].to_numpy() for axis in ("trial", "step", "neuron"))
        potential = node["potential"].to_numpy()[:, ::steps_per_bin] if "potential" in node else None
        populations.append(
            RecordedPopulation(
                name, node.attrs["kind"], node.sizes["neuron"], trial, step // steps_per_bin, neuron, potential
            )
        )
    return make_recording(
        populations,
        dt_s=recorded.attrs["dt_s"] * steps_per_bin,
        trials=steps.size,
        steps=int(steps[0]) // steps_per_bin,
        source=recorded.attrs["source"],
        network=recorded.attrs["network"],
        description=json.loads(recorded.attrs["description"]) | {"steps_per_bin": steps_per_bin},
    )


def shared_spikes(left: NDArray[np.integer], right: NDArray[np.integer]) -> float:
    """Share of spikes that two recordings have in the same place: 2 sum(min(a, b)) / sum(a + b).

    It is 1 for the same spikes and 0 if none is shared (the index of Dice 1945, https://doi.org/10.2307/1932409).

    Parameters
    ----------
    left, right : array of int, shape (trial, time, neuron)
        Spike counts.

    Returns
    -------
    float
        NaN if neither has a spike.

    Examples
    --------
    >>> shared_spikes(np.array([[[1], [0], [1]]]), np.array([[[1], [1], [1]]]))
    0.8
    """
    both = int(left.sum(dtype=np.int64)) + int(right.sum(dtype=np.int64))
    return 2 * int(np.minimum(left, right).sum(dtype=np.int64)) / both if both else float("nan")


def count_correlation(left: NDArray[np.integer], right: NDArray[np.integer], steps_of_bin: int) -> NDArray[np.float64]:
    """Correlation of the spike counts that a neuron has in two recordings, over all bins of all trials.

    Parameters
    ----------
    left, right : array of int, shape (trial, time, neuron)
        Spike counts in time steps.
    steps_of_bin : int
        Time steps of a bin; an incomplete one at the end of a trial is left out.

    Returns
    -------
    numpy.ndarray, shape (neuron,)
        Pearson correlation; NaN where the counts of a neuron do not vary in one of the two, as of a silent one.

    Raises
    ------
    InputError
        If a trial is shorter than a bin.

    Examples
    --------
    >>> counts = np.array([[[1], [0], [2], [0], [0], [0]]])
    >>> count_correlation(counts, counts[:, [1, 0, 3, 2, 5, 4]], 2).round(6)
    array([1.])
    """
    trials, steps, neurons = left.shape
    bins = steps // steps_of_bin
    if bins < 1:
        raise InputError("time steps of a bin", steps_of_bin, f"at most {steps}, those of a trial")
    first, second = (
        a[:, : bins * steps_of_bin]
        .reshape(trials, bins, steps_of_bin, neurons)
        .sum(axis=2, dtype=np.int64)
        .reshape(-1, neurons)
        for a in (left, right)
    )
    first_away, second_away = (a - a.mean(axis=0) for a in (first, second))
    spread = np.sqrt((first_away**2).sum(axis=0) * (second_away**2).sum(axis=0))
    known = spread > 0
    correlation = np.full(neurons, np.nan)
    correlation[known] = (first_away * second_away).sum(axis=0)[known] / spread[known]
    return correlation


def wilson_interval(fraction: float, observations: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a probability of which a fraction was observed.

    Wilson 1927 (https://doi.org/10.1080/01621459.1927.10502953): with z the normal quantile of the confidence and p the
    fraction of n observations, ``(p + z**2/(2 n) -+ z sqrt(p (1 - p)/n + z**2/(4 n**2))) / (1 + z**2/n)``.

    Parameters
    ----------
    fraction : float
    observations : int
    confidence : float

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(0.9, 100)]
    [0.826, 0.945]
    """
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2 / observations
    centre = fraction + z2 / 2
    half = np.sqrt(z2 * (fraction * (1 - fraction) + z2 / 4))
    return float((centre - half) / (1 + z2)), float((centre + half) / (1 + z2))
