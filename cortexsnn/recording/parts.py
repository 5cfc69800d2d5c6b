"""A long run in parts: each an ordinary recording that says where it stands, all of them joined into one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.checks import whole
from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5, replacing
from cortexsnn.recording.blocks import block_shape, blocks
from cortexsnn.recording.files import CHUNK, check_spikes, opened, reading
from cortexsnn.recording.tree import steps_per_trial

__all__ = ["join", "mark"]

# Values of a variable that are held at a time.
_BLOCK = 8 * CHUNK
# Dimensions along which a joined recording is longer than its parts.
_GROWING = {"spike", "trial", "time"}
# Variables that follow from the number of trials and steps.
_REGULAR = {"trial", "time", "trial_duration_s"}
_PLACE = ("first_trial", "first_step")


@dataclass(frozen=True)
class _Part:
    """Where a part stands in the whole, and how many spikes it has of each population."""

    path: Path
    first_trial: int
    first_step: int
    trials: int
    steps: int
    dt_s: float
    spikes: dict[str, int]

    @classmethod
    def of(cls, recording: xr.DataTree, path: Path) -> _Part:
        first_trial, first_step = (whole(f"{name} of {path}", recording.attrs.get(name, 0), 0) for name in _PLACE)
        lengths = np.unique(steps_per_trial(recording))
        if lengths.size != 1 or lengths[0] == 0:
            raise InputError(f"steps of the trials of {path}", lengths, "at least one trial, and one length of all")
        steps = int(lengths[0])
        for name, node in recording.children.items():
            if node.sizes.get("time", steps) != steps:
                raise InputError(f"steps of the potential of '{name}' in {path}", node.sizes["time"], f"{steps}")
        spikes = {name: node.sizes["spike"] for name, node in recording.children.items()}
        trials, dt_s = recording.sizes["trial"], float(recording.attrs["dt_s"])
        return cls(path, first_trial, first_step, trials, steps, dt_s, spikes)

    def end(self, steps: int) -> tuple[int, int]:
        """Trial and step that come next, if a trial has so many steps."""
        if self.first_step == 0 and self.steps == steps:
            return self.first_trial + self.trials, 0
        last = self.first_step + self.steps
        if self.trials > 1 or last > steps:
            held = f"steps {self.first_step} to {last - 1} of {self.trials} trials"
            raise InputError(f"content of {self.path}", held, f"whole trials of {steps} steps, or steps of one trial")
        return (self.first_trial + 1, 0) if last == steps else (self.first_trial, last)


def mark(recording: xr.DataTree, *, first_trial: int = 0, first_step: int = 0) -> xr.DataTree:
    """A recording that says where it stands in a longer run, for `join`.

    Parameters
    ----------
    recording : xarray.DataTree
        Of some trials, or of some steps of one trial; its own trials and steps are counted from 0.
    first_trial, first_step : int
        Trial and step of the longer run at which it starts.

    Returns
    -------
    xarray.DataTree
        With root attributes ``first_trial`` and ``first_step``.

    Raises
    ------
    InputError
        If they are not whole numbers of at least 0.

    Examples
    --------
    >>> part = mark(xr.DataTree(), first_trial=2)
    >>> part.attrs
    {'first_trial': 2, 'first_step': 0}
    """
    marked = recording.copy()
    place = {"first_trial": whole("first_trial", first_trial, 0), "first_step": whole("first_step", first_step, 0)}
    marked.attrs = recording.attrs | place
    return marked


def join(parts: Sequence[str | Path], path: str | Path, *, trials: int, steps: int, compression: int = 1) -> None:
    """Make one file of the parts of a run: what `save` would have written had it been made in one go.

    A part holds some whole trials, or some steps of one trial. Spikes and potentials are copied block by block, so
    memory does not grow with the run.

    Parameters
    ----------
    parts : sequence of path-like
        Recording files in the order of trials and steps, which say where they stand (`mark`).
    path : path-like
        The file to write.
    trials, steps : int
        Number of trials in all, and of time steps in each.
    compression : int
        Level of zlib, 0 to 9, as in `save`.

    Raises
    ------
    InputError
        If a part is missing, given twice or out of order, is of another run, or is not a whole recording.

    Examples
    --------
    >>> import tempfile
    >>> from cortexsnn.recording import RecordedPopulation, load, make_recording, save
    >>> folder, counts = Path(tempfile.mkdtemp()), np.ones((1, 6, 2), dtype=int)
    >>> for first_step in (0, 3):
    ...     layer = RecordedPopulation.from_counts("hidden1", "lif", counts[:, first_step : first_step + 3])
    ...     part = make_recording([layer], dt_s=0.01, trials=1, steps=3, source="example")
    ...     save(mark(part, first_step=first_step), folder / f"from{first_step}.nc")
    >>> join([folder / "from0.nc", folder / "from3.nc"], folder / "whole.nc", trials=1, steps=6)
    >>> load(folder / "whole.nc")["hidden1"]["spike_step"].to_numpy()
    array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5], dtype=int32)
    """
    whole("trials", trials, 1)
    whole("steps", steps, 1)
    plan = _plan([Path(part) for part in parts], trials, steps)
    with replacing(path) as temporary:
        with opened(plan[0].path) as first:
            _create(temporary, first, plan, trials, steps, compression)
            variables = _put_together(first)
        spikes_before = dict.fromkeys(plan[0].spikes, 0)
        with h5py.File(temporary, "r+") as target:
            for part in plan:
                _copy(target, part, variables, spikes_before)
                spikes_before = {name: before + part.spikes[name] for name, before in spikes_before.items()}


def _plan(paths: Sequence[Path], trials: int, steps: int) -> list[_Part]:
    """Check that the parts are whole, of one run, and follow each other from its start to its end."""
    plan: list[_Part] = []
    expected: dict[str, Any] = {}
    next_start = (0, 0)
    for path in paths:
        with opened(path) as recording:
            part, facts = _Part.of(recording, path), _facts(recording, path)
            _check_spikes(recording, path)
        expected = expected or facts
        for name in expected | facts:
            if facts.get(name) != expected.get(name):
                raise InputError(f"{name} of {path}", facts.get(name), f"{expected.get(name)!r}, as in {paths[0]}",
                                 "all parts are of one run")  # fmt: skip
        start, end = (part.first_trial, part.first_step), part.end(steps)
        if start != next_start:
            hint = "a part is missing before it" if start > next_start else "this was there before; parts are in order"
            raise InputError(f"start of {path}", _shown(start), _shown(next_start), hint)
        if end > (trials, 0):
            raise InputError(f"trials of {path}", f"{part.trials} from trial {part.first_trial}", f"{trials} in all")
        plan.append(part)
        next_start = end
    if next_start != (trials, 0):
        raise InputError("end of the parts", _shown(next_start), f"{_shown((trials, 0))}, where the run ends",
                         "a part is missing")  # fmt: skip
    return plan


def _shown(place: tuple[int, int]) -> str:
    return f"trial {place[0]}, step {place[1]}"


def _nodes(recording: xr.DataTree) -> Iterator[tuple[str, xr.Dataset]]:
    """The root, without a name, and the populations, each with only what is its own."""
    yield "", recording.to_dataset()
    for name, node in recording.children.items():
        yield name, node.to_dataset(inherit=False)


def _facts(recording: xr.DataTree, path: Path) -> dict[str, Any]:
    """Everything in which the parts of one run are the same, by name."""
    facts: dict[str, Any] = {"populations": list(recording.children)}
    for name, node in _nodes(recording):
        of = f" of '{name}'" if name else ""
        facts |= {f"{key}{of}": np.asarray(value).tolist() for key, value in node.attrs.items() if key not in _PLACE}
        facts |= {f"number of {size}s{of}": length for size, length in node.sizes.items() if size not in _GROWING}
        for key, variable in node.variables.items():
            facts[f"type of {key}{of}"] = f"{variable.dtype} on {', '.join(map(str, variable.dims))}"
            if not _GROWING & set(variable.dims):
                with reading(path):
                    facts[f"{key}{of}"] = variable.to_numpy().tolist()
    return facts


def _check_spikes(recording: xr.DataTree, path: Path) -> None:
    steps = steps_per_trial(recording)
    for name, node in recording.children.items():
        spikes = node.to_dataset()
        for (block,) in blocks((node.sizes["spike"],), _BLOCK):
            # From the last spike of the block before, because the order holds across blocks too.
            some = slice(max(0, block.start - 1), block.stop)
            with reading(path):
                trial, step, neuron = (spikes[f"spike_{v}"][some].to_numpy() for v in ("trial", "step", "neuron"))
            check_spikes(trial, step, neuron, steps, node.sizes["neuron"], f"'{name}' in {path}")


def _create(path: Path, first: xr.DataTree, plan: Sequence[_Part], trials: int, steps: int, compression: int) -> None:
    """Make every variable of the whole, with the values of those that are not put together from the parts."""
    regular: dict[Any, Callable[[NDArray[np.int64]], NDArray[Any]]] = {
        "trial": lambda numbers: numbers,
        "time": lambda numbers: numbers * plan[0].dt_s,
        "trial_duration_s": lambda numbers: np.full(numbers.size, steps * plan[0].dt_s),
    }
    with h5netcdf.File(path, "w") as file:
        for name, node in _nodes(first):
            group = file.create_group(name) if name else file
            group.attrs.update({key: value for key, value in node.attrs.items() if key not in _PLACE})
            spikes = sum(part.spikes.get(name, 0) for part in plan)
            lengths = dict(node.sizes) | {"trial": trials, "time": steps, "spike": spikes}
            # Trials are a dimension of the root, which populations inherit.
            group.dimensions = {size: lengths[size] for size in node.sizes if size not in file.dimensions}
            for key, variable in node.variables.items():
                shape = [lengths[dimension] for dimension in variable.dims]
                storage: dict[str, Any] = {"fillvalue": variable.encoding.get("_FillValue")}
                if name and key in node.data_vars:
                    if compression:
                        storage |= {"compression": "gzip", "compression_opts": compression, "shuffle": True}
                    if all(shape):
                        storage["chunks"] = block_shape(shape, CHUNK)
                made = group.create_variable(key, variable.dims, variable.dtype, **storage)
                made.attrs.update(variable.attrs)
                if key in _REGULAR:
                    for (block,) in blocks(shape, _BLOCK):
                        made[block] = regular[key](np.arange(block.start, block.stop))
                elif not _GROWING & set(variable.dims):
                    made[...] = variable.to_numpy()


def _put_together(first: xr.DataTree) -> dict[str, tuple[Any, ...]]:
    """Dimensions of the variables whose values come from all parts, by path in the file."""
    return {
        f"{name}/{key}": variable.dims
        for name, node in _nodes(first)
        for key, variable in node.variables.items()
        if key not in _REGULAR and _GROWING & set(variable.dims)
    }


def _copy(
    target: h5py.File, part: _Part, variables: Mapping[str, tuple[Any, ...]], spikes_before: Mapping[str, int]
) -> None:
    """Put the values of one part in their place."""
    with open_hdf5(part.path, "recording file") as source:
        for key, dimensions in variables.items():
            if source[key].dtype != target[key].dtype:
                raise InputError(f"stored type of {key} in {part.path}", str(source[key].dtype),
                                 f"{target[key].dtype}, as in memory", "packed numbers are refused")  # fmt: skip
            first = {"trial": part.first_trial, "time": part.first_step, "spike": spikes_before.get(key.split("/")[0])}
            offsets = [first.get(dimension, 0) for dimension in dimensions]
            for block in blocks(source[key].shape, _BLOCK):
                place = tuple(slice(s.start + o, s.stop + o) for s, o in zip(block, offsets, strict=True))
                with reading(part.path):
                    values = _in_the_whole(source, key, block, part)
                if part.first_step and dimensions == ("trial",) and not np.array_equal(target[key][place], values):
                    raise InputError(f"{key.lstrip('/')} of {part.path}", values.tolist(),
                                     f"{target[key][place].tolist()}, as in the steps before")  # fmt: skip
                target[key][place] = values


def _in_the_whole(source: h5py.File, key: str, block: tuple[slice, ...], part: _Part) -> NDArray[Any]:
    """Values of a block of a variable, counted from the first trial and step of the whole."""
    name = key.split("/")[-1]
    if name == "spike_trial":
        return source[key][block] + part.first_trial
    if name == "spike_step":
        return source[key][block] + part.first_step
    if name == "spike_time":
        # From the step: the sum of two rounded times would differ in the last digit.
        return (source[key.replace(name, "spike_step")][block] + part.first_step) * part.dt_s
    return np.asarray(source[key][block])
