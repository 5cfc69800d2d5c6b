"""Recordings on disk: netCDF with one group per population, checked before it is believed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5, replacing
from cortexsnn.recording.blocks import block_shape
from cortexsnn.recording.tree import KINDS, SCHEMA, places, steps_per_trial

__all__ = ["CHUNK", "check_spikes", "load", "opened", "reading", "save"]

# Values in a chunk of a file: 128 kB of float64, so that HDF5 keeps several of them in its cache.
CHUNK = 2**14
_MOST_STEPS = 10**9
_SPIKE_VARIABLES = ("spike_trial", "spike_step", "spike_time", "spike_neuron")


def save(recording: xr.DataTree, path: str | Path, *, compression: int = 1) -> None:
    """Write a recording to netCDF, one group per population.

    Parameters
    ----------
    recording : xarray.DataTree
    path : path-like
    compression : int
        Level of zlib, 0 to 9; 0 is fastest and largest.
    """
    # Bytes of equal significance side by side: 15 % smaller, and faster both ways.
    filters = {"zlib": compression > 0, "complevel": compression, "shuffle": compression > 0}
    compressed = {
        f"/{name}": {
            str(key): filters | ({"chunksizes": block_shape(variable.shape, CHUNK)} if variable.size else {})
            for key, variable in node.to_dataset(inherit=False).data_vars.items()
        }
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
    with opened(path) as recording:
        with reading(path):
            recording.load()
        steps = steps_per_trial(recording)
        for name, node in recording.children.items():
            trial, step, neuron = (node[v].to_numpy() for v in ("spike_trial", "spike_step", "spike_neuron"))
            check_spikes(trial, step, neuron, steps, node.sizes["neuron"], f"'{name}' in {path}")
    return recording


@contextmanager
def opened(path: str | Path) -> Iterator[xr.DataTree]:
    """Open a recording whose values are read from the file when they are asked for; everything but spikes is checked.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    xarray.DataTree
        Read its values within `reading`.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not a recording.
    """
    with open_hdf5(path, "recording file") as file:
        schema = file.attrs.get("schema")
    if schema != SCHEMA:
        raise InputError(f"schema of {path}", schema, f"'{SCHEMA}'", "is this a recording?")
    with reading(path):
        recording = xr.open_datatree(path, engine="h5netcdf")
    try:
        _check(recording, Path(path))
        yield recording
    finally:
        recording.close()


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn what goes wrong while values are read from a file into an `InputError` that names the file.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        If the block raises an error of reading.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise InputError("recording file", str(path), "a netCDF file that cortexsnn wrote", str(error)) from None


def _check(recording: xr.DataTree, path: Path) -> None:
    dt_s = recording.attrs.get("dt_s")
    if not isinstance(dt_s, float | np.floating) or not np.isfinite(dt_s) or dt_s <= 0:
        raise InputError(f"attribute dt_s of {path}", dt_s, "a positive number of seconds")
    if "trial_duration_s" not in recording.data_vars or not recording.children:
        found = [*recording.data_vars, *recording.children]
        raise InputError(f"contents of {path}", found, "trial_duration_s and at least one population")
    with reading(path):
        durations = recording["trial_duration_s"].to_numpy()
    if durations.ndim != 1 or not np.all(np.isfinite(durations) & (durations >= 0)):
        raise InputError(f"trial_duration_s of {path}", durations, "seconds of at least 0, one for each trial")
    if durations.size and durations.max() > _MOST_STEPS * dt_s:
        raise InputError(f"trial_duration_s of {path}", float(durations.max()), f"at most {_MOST_STEPS} time steps")
    for name in ("burn_in_ms", "label"):
        noted = recording.attrs.get(name, recording.data_vars.get(name))
        if noted is not None and np.asarray(noted).dtype.kind not in "fiu":
            raise InputError(f"{name} of {path}", noted, "numbers")
    for name, node in recording.children.items():
        _check_population(node.to_dataset(), name, path)


def _check_population(node: xr.Dataset, name: str, path: Path) -> None:
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


def check_spikes(
    trial: NDArray[np.integer],
    step: NDArray[np.integer],
    neuron: NDArray[np.integer],
    steps: NDArray[np.int64],
    neurons: int,
    where: str,
) -> None:
    """Check that spikes lie in their trials and neurons and are sorted.

    Parameters
    ----------
    trial, step, neuron : array of int, shape (spike,)
    steps : array of int, shape (trial,)
        Number of time steps of every trial.
    neurons : int
    where : str
        Population and file, for messages.

    Raises
    ------
    InputError
        If a spike lies elsewhere, or they are not sorted by trial, step, neuron.
    """
    if trial.size and not (trial.min() >= 0 and trial.max() < steps.size):
        raise InputError(f"spike_trial of {where}", int(trial.max()), f"0 to {steps.size - 1}")
    if step.size and not (step.min() >= 0 and np.all(step < steps[trial])):
        raise InputError(f"spike_step of {where}", int(step.max()), "steps inside the trial")
    if neuron.size and not (neuron.min() >= 0 and neuron.max() < neurons):
        raise InputError(f"spike_neuron of {where}", int(neuron.max()), f"0 to {neurons - 1}")
    place = places(trial, step, neuron, int(steps.max(initial=0)), neurons)
    if np.any(place[1:] < place[:-1]):
        raise InputError(f"spikes of {where}", "another order", "sorted by trial, step, neuron")
