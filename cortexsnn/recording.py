"""What a run leaves behind: an `xarray.DataTree` with one node per population, whatever simulator made it.

Layout
------
Root: coordinate ``trial``, variable ``trial_duration_s(trial)``, attributes ``dt_s``, ``source``, ``network``.
One node per population: ``spike_trial``, ``spike_step``, ``spike_time`` (s from trial start), ``spike_neuron`` on
dimension ``spike``, sorted by trial, step, neuron; coordinate ``neuron``; optionally ``potential(trial, time,
neuron)``; attributes ``kind`` and ``layer`` (0 for inputs, then 1, 2, ... in order of depth).

Examples
--------
>>> import tempfile
>>> layer = RecordedPopulation.from_counts("hidden1", "lif", np.ones((2, 5, 3), dtype=int))
>>> recording = make_recording([layer], dt_s=0.01, trials=2, steps=5, source="example")
>>> populations(recording), steps_per_trial(recording), dense_spikes(recording, "hidden1").shape
(['hidden1'], array([5, 5]), (2, 5, 3))
>>> path = Path(tempfile.mkdtemp()) / "recording.nc"
>>> save(without_potentials(recording, ["hidden1"]), path)
>>> int(compare(recording, load(path))["differing"].sum())
0
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5, replacing

__all__ = [
    "RecordedPopulation",
    "compare",
    "dense_spikes",
    "load",
    "make_recording",
    "populations",
    "save",
    "steps_per_trial",
    "without_potentials",
]

SCHEMA = "cortexsnn-recording-1"
KINDS = ("input", "lif", "readout")
_MOST_STEPS = 10**9
_SPIKE_VARIABLES = ("spike_trial", "spike_step", "spike_time", "spike_neuron")


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
    potential : array, shape (trial, time, neuron), optional
        V[t] before the reset.
    """

    name: str
    kind: str
    size: int
    trial: NDArray[np.integer]
    step: NDArray[np.integer]
    neuron: NDArray[np.integer]
    potential: NDArray[np.float64] | None = None

    @classmethod
    def from_counts(
        cls, name: str, kind: str, counts: NDArray[Any], potential: NDArray[np.float64] | None = None
    ) -> RecordedPopulation:
        """Turn an array of spike counts, shape (trial, time, neuron), into ragged spikes."""
        where = np.nonzero(counts)
        repeats = np.asarray(counts[where], dtype=np.int64)
        trial, step, neuron = (np.repeat(axis, repeats) for axis in where)
        return cls(name, kind, counts.shape[2], trial, step, neuron, potential)


def _place(
    trial: NDArray[np.integer], step: NDArray[np.integer], neuron: NDArray[np.integer], neurons: int
) -> NDArray[np.int64]:
    """One number for each spike, in the order of trial, step, neuron."""
    steps = int(step.max(initial=0)) + 1
    return (trial.astype(np.int64) * steps + step) * neurons + neuron


def _sorted(population: RecordedPopulation) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Trial, step and neuron of the spikes, in this order of precedence."""
    trial, step, neuron = (np.asarray(axis) for axis in (population.trial, population.step, population.neuron))
    place = _place(trial, step, neuron, population.size)
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
            {"long_name": "membrane potential before the reset", "units": "1"},
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
    trial, step, neuron = (node[v].to_numpy().astype(np.int64) for v in ("spike_trial", "spike_step", "spike_neuron"))
    place = (trial * shape[1] + step) * shape[2] + neuron
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


def save(recording: xr.DataTree, path: str | Path, *, compression: int = 1) -> None:
    """Write a recording to netCDF, one group per population.

    Parameters
    ----------
    recording : xarray.DataTree
    path : path-like
    compression : int
        Level of zlib, 0 to 9; 0 is fastest and largest.
    """
    filters = {"zlib": compression > 0, "complevel": compression}
    compressed = {
        f"/{name}": {str(variable): filters for variable in node.to_dataset(inherit=False).data_vars}
        for name, node in recording.children.items()
    }
    with replacing(path) as temporary:
        recording.to_netcdf(temporary, engine="h5netcdf", encoding=compressed)


def load(path: str | Path) -> xr.DataTree:
    """Read a recording into memory and check that it is whole.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    xarray.DataTree

    Raises
    ------
    InputError
        If the file is missing, truncated, not a recording, or has spikes outside of its trials or neurons.
    """
    with open_hdf5(path, "recording file") as file:
        schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise InputError(f"schema of {path}", schema, f"'{SCHEMA}'", "is this a recording?")
    try:
        recording = xr.open_datatree(path, engine="h5netcdf").load()
        recording.close()
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError("recording file", str(path), "a netCDF file that cortexsnn wrote", str(error)) from None
    _check(recording, Path(path))
    return recording


def _check(recording: xr.DataTree, path: Path) -> None:
    dt_s = recording.attrs.get("dt_s")
    if not isinstance(dt_s, float | np.floating) or not np.isfinite(dt_s) or dt_s <= 0:
        raise InputError(f"attribute dt_s of {path}", dt_s, "a positive number of seconds")
    if "trial_duration_s" not in recording.data_vars or not recording.children:
        found = [*recording.data_vars, *recording.children]
        raise InputError(f"contents of {path}", found, "trial_duration_s and at least one population")
    durations = recording["trial_duration_s"].to_numpy()
    if durations.ndim != 1 or not np.all(np.isfinite(durations) & (durations >= 0)):
        raise InputError(f"trial_duration_s of {path}", durations, "seconds of at least 0, one for each trial")
    if durations.size and durations.max() > _MOST_STEPS * dt_s:
        raise InputError(f"trial_duration_s of {path}", float(durations.max()), f"at most {_MOST_STEPS} time steps")
    for name in ("burn_in_ms", "label"):
        noted = recording.attrs.get(name, recording.data_vars.get(name))
        if noted is not None and np.asarray(noted).dtype.kind not in "fiu":
            raise InputError(f"{name} of {path}", noted, "numbers")
    steps = steps_per_trial(recording)
    for name, node in recording.children.items():
        _check_population(node.to_dataset(), name, steps, path)


def _check_population(node: xr.Dataset, name: str, steps: NDArray[np.int64], path: Path) -> None:
    if node.attrs.get("kind") not in KINDS:
        raise InputError(f"kind of '{name}' in {path}", node.attrs.get("kind"), f"one of {', '.join(KINDS)}")
    if "potential" in node and node["potential"].dims != ("trial", "time", "neuron"):
        raise InputError(f"dimensions of the potential of '{name}' in {path}", node["potential"].dims,
                         "(trial, time, neuron)")  # fmt: skip
    missing = [v for v in (*_SPIKE_VARIABLES, "neuron") if v not in node.variables]
    if missing:
        found = list(map(str, node.variables))
        raise InputError(f"population '{name}' of {path}", found, f"a variable '{missing[0]}'")
    for variable in _SPIKE_VARIABLES:
        kinds = "f" if variable == "spike_time" else "iu"
        if node[variable].dims != ("spike",) or node[variable].dtype.kind not in kinds:
            shown = f"{node[variable].dtype} on {node[variable].dims}"
            raise InputError(f"{variable} of '{name}' in {path}", shown, "one number for each spike")
    trial, step, neuron = (node[v].to_numpy() for v in ("spike_trial", "spike_step", "spike_neuron"))
    neurons = node.sizes["neuron"]
    if trial.size and not (trial.min() >= 0 and trial.max() < steps.size):
        raise InputError(f"spike_trial of '{name}' in {path}", int(trial.max()), f"0 to {steps.size - 1}")
    if step.size and not (step.min() >= 0 and np.all(step < steps[trial])):
        raise InputError(f"spike_step of '{name}' in {path}", int(step.max()), "steps inside the trial")
    if neuron.size and not (neuron.min() >= 0 and neuron.max() < neurons):
        raise InputError(f"spike_neuron of '{name}' in {path}", int(neuron.max()), f"0 to {neurons - 1}")
    place = _place(trial, step, neuron, neurons)
    if np.any(place[1:] < place[:-1]):
        raise InputError(f"spikes of '{name}' in {path}", "another order", "sorted by trial, step, neuron")


def compare(expected: xr.DataTree, observed: xr.DataTree) -> xr.Dataset:
    """Compare two recordings of the same trials spike for spike.

    Parameters
    ----------
    expected, observed : xarray.DataTree
        Two recordings of the same network on the same input.

    Returns
    -------
    xarray.Dataset
        On dimension ``population`` (those of kind lif and readout): ``spikes`` in `expected`, ``differing`` (size
        of the symmetric difference of (trial, step, neuron)), ``active_percent`` of all bins, ``rate_hz``,
        ``potential_difference`` (largest) and ``potential_scale`` (largest absolute value; NaN where not recorded).

    Raises
    ------
    InputError
        If populations, neurons or durations of trials differ.
    """
    names = [n for n in populations(expected) if expected[n].attrs["kind"] != "input"]
    if names != [n for n in populations(observed) if observed[n].attrs["kind"] != "input"]:
        raise InputError("populations of the second recording", populations(observed), f"{populations(expected)}")
    if not np.array_equal(expected["trial_duration_s"], observed["trial_duration_s"]):
        raise InputError("trials of the second recording", observed.sizes["trial"], "the same trials as in the first")
    columns: dict[str, list[float]] = {
        key: []
        for key in ("spikes", "differing", "active_percent", "rate_hz", "potential_difference", "potential_scale")
    }
    seconds = float(expected["trial_duration_s"].sum())
    for name in names:
        if expected[name].sizes["neuron"] != observed[name].sizes["neuron"]:
            raise InputError(f"neurons of '{name}' in the second recording", observed[name].sizes["neuron"],
                             f"{expected[name].sizes['neuron']}")  # fmt: skip
        left, right = dense_spikes(expected, name), dense_spikes(observed, name)
        columns["spikes"].append(int(left.sum()))
        columns["differing"].append(int((left != right).sum()))
        columns["active_percent"].append(100 * float(left.mean()))
        columns["rate_hz"].append(float(left.sum()) / (seconds * left.shape[2]))
        difference, scale = float("nan"), float("nan")
        if "potential" in expected[name] and "potential" in observed[name]:
            reference = expected[name]["potential"].to_numpy()
            difference = float(np.abs(reference - observed[name]["potential"].to_numpy()).max())
            scale = float(np.abs(reference).max())
        columns["potential_difference"].append(difference)
        columns["potential_scale"].append(scale)
    return xr.Dataset(
        {key: ("population", np.asarray(values)) for key, values in columns.items()},
        {"population": names, "kind": ("population", [expected[n].attrs["kind"] for n in names])},
        {"expected": expected.attrs["source"], "observed": observed.attrs["source"]},
    )
