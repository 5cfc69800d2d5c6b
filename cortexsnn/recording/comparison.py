"""Two recordings of the same trials, compared spike for spike."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.recording.blocks import blocks
from cortexsnn.recording.tree import places, populations, steps_per_trial

__all__ = ["compare"]

# Spikes, and values of a potential, that are compared at a time: about 30 megabytes.
_BLOCK = 2**18

_FIGURES = (
    *("spikes", "differing", "first_trial", "first_step", "first_neuron"),
    *("active_percent", "rate_hz", "potential_difference", "potential_scale"),
)

Places = NDArray[np.int64]


class _SortedSpikes:
    """Places of the spikes of one population, worked out for those that are asked for."""

    def __init__(self, node: xr.Dataset, steps: int) -> None:
        self._axes = [node[v].to_numpy() for v in ("spike_trial", "spike_step", "spike_neuron")]
        self._steps, self._neurons = steps, node.sizes["neuron"]

    def __len__(self) -> int:
        return len(self._axes[0])

    def __getitem__(self, index: int | slice) -> Places:
        trial, step, neuron = (axis[index] for axis in self._axes)
        return places(trial, step, neuron, self._steps, self._neurons)

    def before(self, place: int) -> int:
        """Number of spikes before a place."""
        return bisect_left(range(len(self)), place, key=lambda index: int(self[index]))


def _together(left: _SortedSpikes, right: _SortedSpikes) -> Iterator[tuple[Places, Places]]:
    """Both trains cut at the same places, into pieces of bounded size."""
    cuts = np.union1d(left[::_BLOCK], right[::_BLOCK])
    ends = [(left.before(cut), right.before(cut)) for cut in cuts] + [(len(left), len(right))]
    for (left_start, right_start), (left_end, right_end) in pairwise(ends):
        yield left[left_start:left_end], right[right_start:right_end]


def _differing(left: Places, right: Places) -> Places:
    """Places that do not have equally many spikes in both, sorted."""
    if np.array_equal(left, right):
        return left[:0]
    cells, cell = np.unique(np.concatenate([left, right]), return_inverse=True)
    in_left, in_right = (np.bincount(side, minlength=cells.size) for side in np.split(cell, [left.size]))
    return cells[in_left != in_right]


def _spike_figures(expected: xr.Dataset, observed: xr.Dataset, steps: int) -> dict[str, int]:
    left, right = _SortedSpikes(expected, steps), _SortedSpikes(observed, steps)
    differing, first = 0, -1
    for pair in _together(left, right):
        found = _differing(*pair)
        if found.size and first < 0:
            first = int(found[0])
        differing += found.size
    trial, step, neuron = -1, -1, -1
    if first >= 0:
        row, neuron = divmod(first, expected.sizes["neuron"])
        trial, step = divmod(row, steps)
    return {
        "spikes": len(left),
        "differing": differing,
        "first_trial": trial,
        "first_step": step,
        "first_neuron": neuron,
    }


def _potential_figures(expected: xr.Dataset, observed: xr.Dataset, name: str) -> dict[str, float]:
    if "potential" not in expected or "potential" not in observed:
        return {"potential_difference": float("nan"), "potential_scale": float("nan")}
    left, right = expected["potential"], observed["potential"]
    if left.shape != right.shape:
        raise InputError(f"shape of the potential of '{name}' in the second recording", right.shape,
                         f"{left.shape}")  # fmt: skip
    difference, scale = np.float64(0), np.float64(0)
    for block in blocks(left.shape, _BLOCK):
        values = left[block].to_numpy()
        # np.maximum, unlike max, does not lose a NaN.
        difference = np.maximum(difference, np.abs(values - right[block].to_numpy()).max())
        scale = np.maximum(scale, np.abs(values).max())
    return {"potential_difference": float(difference), "potential_scale": float(scale)}


def compare(expected: xr.DataTree, observed: xr.DataTree) -> xr.Dataset:
    """Compare two recordings of the same trials spike for spike.

    Memory beyond the recordings themselves is bounded, however long they are.

    Parameters
    ----------
    expected, observed : xarray.DataTree
        Two recordings of the same network on the same input.

    Returns
    -------
    xarray.Dataset
        On dimension ``population`` (those of kind lif and readout): ``spikes`` in `expected`, ``differing`` (size
        of the symmetric difference of (trial, step, neuron)), ``first_trial``, ``first_step`` and ``first_neuron`` of
        the earliest differing spike in this order of precedence (-1 where nothing differs), ``active_percent`` of all
        bins, ``rate_hz``, ``potential_difference`` (largest) and ``potential_scale`` (largest absolute value; NaN
        where not recorded).

    Raises
    ------
    InputError
        If populations, neurons, time steps or durations of trials differ.

    Examples
    --------
    >>> from cortexsnn.recording import RecordedPopulation, make_recording
    >>> def one_spike(step):
    ...     layer = RecordedPopulation("hidden1", "lif", 3, np.array([1]), np.array([step]), np.array([2]))
    ...     return make_recording([layer], dt_s=0.001, trials=2, steps=100, source="example")
    >>> table = compare(one_spike(50), one_spike(60)).sel(population="hidden1")
    >>> int(table["differing"]), int(table["first_trial"]), int(table["first_step"]), int(table["first_neuron"])
    (2, 1, 50, 2)
    """
    names = [n for n in populations(expected) if expected[n].attrs["kind"] != "input"]
    if names != [n for n in populations(observed) if observed[n].attrs["kind"] != "input"]:
        raise InputError("populations of the second recording", populations(observed), f"{populations(expected)}")
    if not np.array_equal(expected["trial_duration_s"], observed["trial_duration_s"]):
        raise InputError("trials of the second recording", observed.sizes["trial"], "the same trials as in the first")
    if expected.attrs["dt_s"] != observed.attrs["dt_s"]:
        raise InputError("dt_s of the second recording", observed.attrs["dt_s"], f"{expected.attrs['dt_s']}")
    seconds = float(expected["trial_duration_s"].sum())
    steps = int(steps_per_trial(expected).max(initial=0))
    rows: list[dict[str, Any]] = []
    for name in names:
        left, right = expected[name].to_dataset(), observed[name].to_dataset()
        neurons = left.sizes["neuron"]
        if neurons != right.sizes["neuron"]:
            raise InputError(f"neurons of '{name}' in the second recording", right.sizes["neuron"], f"{neurons}")
        figures: dict[str, Any] = _spike_figures(left, right, steps)
        figures["active_percent"] = 100 * (figures["spikes"] / (expected.sizes["trial"] * steps * neurons))
        figures["rate_hz"] = figures["spikes"] / (seconds * neurons)
        rows.append(figures | _potential_figures(left, right, name))
    return xr.Dataset(
        {key: ("population", np.asarray([row[key] for row in rows])) for key in _FIGURES},
        {"population": names, "kind": ("population", [expected[n].attrs["kind"] for n in names])},
        {"expected": expected.attrs["source"], "observed": observed.attrs["source"]},
    )
