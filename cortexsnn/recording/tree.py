"""The recording as a tree: made of what a simulator hands over, and read by population."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = [
    "KINDS",
    "SCHEMA",
    "RecordedPopulation",
    "dense_spikes",
    "make_recording",
    "places",
    "populations",
    "steps_per_trial",
    "without_potentials",
]

SCHEMA = "cortexsnn-recording-1"
KINDS = ("input", "lif", "readout")


@dataclass(frozen=True, eq=False)
class RecordedPopulation:
    """Spikes and potentials of one population, as a simulator hands them over.

    Parameters
    ----------
    name : str
    kind : {"input", "lif", "readout"}
    size : int
        Number of neurons, silent ones included.
    trial, step, neuron : array of int, shape (spike,)
        Where each spike belongs, in any order. Several spikes of one input channel in a step appear several
        times.
    potential : array of float64 or float32, shape (trial, time, neuron), optional
        V[t] before the reset, in the precision of the simulator.
    potential_unit : str
        Of the potential, ``"1"`` if it has none.
    """

    name: str
    kind: str
    size: int
    trial: NDArray[np.integer]
    step: NDArray[np.integer]
    neuron: NDArray[np.integer]
    potential: NDArray[np.floating] | None = None
    potential_unit: str = "1"

    @classmethod
    def from_counts(
        cls, name: str, kind: str, counts: NDArray[Any], potential: NDArray[np.floating] | None = None
    ) -> RecordedPopulation:
        """Turn an array of spike counts, shape (trial, time, neuron), into ragged spikes."""
        # NumPy finds the true values of a flat mask several times faster than the nonzero ones of an array.
        where = np.unravel_index(np.flatnonzero(counts != 0), counts.shape)
        repeats = np.asarray(counts[where], dtype=np.int64)
        trial, step, neuron = (np.repeat(axis, repeats) for axis in where)
        return cls(name, kind, counts.shape[2], trial, step, neuron, potential)


def places(
    trial: NDArray[np.integer], step: NDArray[np.integer], neuron: NDArray[np.integer], steps: int, neurons: int
) -> NDArray[np.int64]:
    """One number for each spike, in the order of trial, step, neuron.

    Parameters
    ----------
    trial, step, neuron : array of int, shape (spike,)
    steps, neurons : int
        Steps of the longest trial, and neurons of the population.

    Returns
    -------
    numpy.ndarray of int, shape (spike,)
        Index of each spike in a (trial, time, neuron) array that is written out in a row.

    Examples
    --------
    >>> places(np.array([0, 1]), np.array([4, 0]), np.array([2, 1]), steps=5, neurons=3)
    array([14, 16])
    """
    return (trial.astype(np.int64) * steps + step) * neurons + neuron


def _sorted(population: RecordedPopulation) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Trial, step and neuron of the spikes, in this order of precedence."""
    trial, step, neuron = (np.asarray(axis) for axis in (population.trial, population.step, population.neuron))
    place = places(trial, step, neuron, int(step.max(initial=0)) + 1, population.size)
    if np.any(place[1:] < place[:-1]):
        order = np.argsort(place, kind="stable")
        trial, step, neuron = trial[order], step[order], neuron[order]
    return trial.astype(np.int32), step.astype(np.int32), neuron.astype(np.int32)


def _node(population: RecordedPopulation, layer: int, dt_s: float, trials: int) -> xr.Dataset:
    trial, step, neuron = _sorted(population)
    variables: dict[str, Any] = {
        "spike_trial": ("spike", trial, {"long_name": "trial of the spike"}),
        "spike_step": ("spike", step, {"long_name": "time step of the spike from the start of its trial"}),
        "spike_time": ("spike", step * dt_s, {"long_name": "time from the start of the trial", "units": "s"}),
        "spike_neuron": ("spike", neuron, {"long_name": "neuron that fired"}),
    }
    coordinates: dict[str, Any] = {"neuron": np.arange(population.size)}
    if population.potential is not None:
        if population.potential.shape[0] != trials or population.potential.shape[2] != population.size:
            raise InputError(f"shape of the potential of '{population.name}'", population.potential.shape,
                             f"({trials}, time, {population.size})")  # fmt: skip
        variables["potential"] = (
            ("trial", "time", "neuron"),
            population.potential,
            {"long_name": "membrane potential before the reset", "units": population.potential_unit},
        )
        coordinates["time"] = ("time", np.arange(population.potential.shape[1]) * dt_s, {"units": "s"})
    return xr.Dataset(variables, coordinates, {"kind": population.kind, "layer": layer})


def make_recording(
    recorded: Sequence[RecordedPopulation],
    *,
    dt_s: float,
    trials: int,
    steps: int,
    source: str,
    network: str = "",
    description: Mapping[str, Any] | None = None,
) -> xr.DataTree:
    """Put the populations of one run together.

    Parameters
    ----------
    recorded : sequence of RecordedPopulation
        From the input to the readout; LIF populations are numbered as layers 1, 2, ... in this order.
    dt_s : float
        Time step in seconds.
    trials, steps : int
        Number of trials and time steps in each.
    source : str
        What made it (``"reference"``, ``"brian2 cpp_standalone"``, ``"torch"``).
    network : str
        Fingerprint of the network.
    description : mapping, optional
        Anything else that JSON can say.

    Returns
    -------
    xarray.DataTree

    Examples
    --------
    >>> import numpy as np
    >>> counts = np.zeros((2, 5, 3), dtype=int)
    >>> counts[1, 4, 2] = 1
    >>> recording = make_recording(
    ...     [RecordedPopulation.from_counts("hidden1", "lif", counts)], dt_s=0.01, trials=2, steps=5, source="example"
    ... )
    >>> float(recording["hidden1"]["spike_time"][0])
    0.04
    """
    root = xr.Dataset(
        {
            "trial_duration_s": (
                "trial",
                np.full(trials, steps * dt_s),
                {"long_name": "duration of the trial", "units": "s"},
            )
        },
        {"trial": np.arange(trials)},
        {
            "schema": SCHEMA,
            "dt_s": float(dt_s),
            "source": source,
            "network": network,
            "description": json.dumps(dict(description or {}), sort_keys=True),
        },
    )
    nodes: dict[str, xr.Dataset] = {"/": root}
    layer = 0
    for population in recorded:
        if population.kind != "input":
            layer += 1
        nodes[f"/{population.name}"] = _node(population, layer, dt_s, trials)
    return xr.DataTree.from_dict(nodes)


def populations(recording: xr.DataTree, kind: str | None = None) -> list[str]:
    """Names of the populations in order of depth, all or those of one kind.

    Parameters
    ----------
    recording : xarray.DataTree
    kind : {"input", "lif", "readout"}, optional

    Returns
    -------
    list of str
    """
    return [name for name, node in recording.children.items() if kind is None or node.attrs.get("kind") == kind]


def steps_per_trial(recording: xr.DataTree) -> NDArray[np.int64]:
    """Number of time steps of every trial.

    Parameters
    ----------
    recording : xarray.DataTree

    Returns
    -------
    numpy.ndarray of int, shape (trial,)
    """
    return np.rint(recording["trial_duration_s"].to_numpy() / recording.attrs["dt_s"]).astype(np.int64)


def dense_spikes(recording: xr.DataTree, population: str) -> NDArray[np.uint8]:
    """Spike counts of one population on the grid of time steps.

    Parameters
    ----------
    recording : xarray.DataTree
    population : str

    Returns
    -------
    numpy.ndarray of uint8, shape (trial, time, neuron)
        Time runs to the longest trial.

    Raises
    ------
    InputError
        If there is no such population.
    """
    if population not in recording.children:
        raise InputError("population", population, f"one of {', '.join(recording.children)}")
    node = recording[population]
    steps = steps_per_trial(recording)
    shape = (steps.size, int(steps.max(initial=0)), node.sizes["neuron"])
    trial, step, neuron = (node[v].to_numpy() for v in ("spike_trial", "spike_step", "spike_neuron"))
    place = places(trial, step, neuron, shape[1], shape[2])
    # Spikes are sorted: those of one neuron in one step are neighbours.
    first = np.flatnonzero(np.diff(place, prepend=-1))
    dense = np.zeros(int(np.prod(shape)), dtype=np.uint8)
    dense[place[first]] = np.diff(first, append=place.size)
    return dense.reshape(shape)


def without_potentials(recording: xr.DataTree, names: Collection[str]) -> xr.DataTree:
    """A recording without the potentials of the named populations, which take most of the space of a file.

    Parameters
    ----------
    recording : xarray.DataTree
    names : collection of str

    Returns
    -------
    xarray.DataTree
    """
    nodes = {"/": recording.to_dataset()}
    for name, node in recording.children.items():
        dataset = node.to_dataset(inherit=False)
        nodes[f"/{name}"] = dataset.drop_vars(["potential", "time"], errors="ignore") if name in names else dataset
    return xr.DataTree.from_dict(nodes)
