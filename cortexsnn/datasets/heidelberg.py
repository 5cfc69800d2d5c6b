"""Spike files in the HDF5 layout of the Spiking Heidelberg Digits, given by path.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364. Per file: ``spikes/times`` (s) and ``spikes/units``,
one variable-length entry a trial, ``labels``, and ``extra/speaker``.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.dataset import Dataset, Split
from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5

__all__ = ["load", "read_split"]

CHANNELS = 700
_LARGEST_BYTES = 8 << 30


def _variable_length(file: h5py.File, name: str, kinds: str, path: Path) -> h5py.Dataset:
    """A dataset of one array a trial, checked before anything is read."""
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise InputError(f"spike file {path}", sorted(file), f"a dataset '{name}'", "see the layout of SHD")
    base = h5py.check_vlen_dtype(found.dtype)
    if found.ndim != 1 or base is None or np.dtype(base).kind not in kinds:
        raise InputError(f"type of '{name}' in {path}", f"{found.dtype}, {found.ndim} dimensions",
                         "one array of numbers of any length for each trial")  # fmt: skip
    return found


def _integers(file: h5py.File, name: str, trials: int, path: Path) -> NDArray[np.int64]:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iu" or found.shape != (trials,):
        shown = None if found is None else getattr(found, "shape", type(found).__name__)
        raise InputError(f"'{name}' in {path}", shown, f"{trials} whole numbers, one for each trial")
    return found[:].astype(np.int64)


def _bin_trial(
    times: NDArray[np.float64], units: NDArray[np.int64], steps: int, dt_s: float, channels: int, group: int
) -> tuple[NDArray[np.int64], int]:
    """Spike counts of one trial, and how many spikes came after its last step."""
    step = np.floor(times / dt_s)
    inside = step < steps
    counts = np.bincount(step[inside].astype(np.int64) * channels + units[inside] // group, minlength=steps * channels)
    return counts.reshape(steps, channels), int(np.count_nonzero(~inside))


def read_split(
    path: str | Path, *, steps: int = 100, window_s: float = 1.4, channels_per_group: int = 1
) -> tuple[Split, int]:
    """Read one spike file into counts.

    A spike at time t falls into step floor(t / dt), dt = window / steps. Spikes after the window are dropped and
    counted.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    steps : int
        Number of time steps in a trial.
    window_s : float
        Duration of a trial in seconds.
    channels_per_group : int
        Neighbouring cochlear channels whose spikes are summed; 5 makes the 140 channels of the delay literature.

    Returns
    -------
    split : Split
        Counts have shape (trial, time, channel): `steps` time steps, 700 / `channels_per_group` channels.
    dropped : int
        Number of spikes after the window.

    Raises
    ------
    InputError
        If the file is not whole or a field has the wrong type, shape or range.
    """
    if channels_per_group < 1 or CHANNELS % channels_per_group:
        raise InputError("channels_per_group", channels_per_group, f"a divisor of {CHANNELS}")
    if steps < 1 or not window_s > 0:
        raise InputError("steps and window_s", (steps, window_s), "at least one step and a positive duration")
    channels = CHANNELS // channels_per_group
    path = Path(path)
    with open_hdf5(path, "spike file") as file:
        times = _variable_length(file, "spikes/times", "f", path)
        units = _variable_length(file, "spikes/units", "iu", path)
        trials = times.shape[0]
        if trials == 0 or units.shape[0] != trials:
            raise InputError(
                f"trials of 'spikes/units' in {path}",
                units.shape[0],
                f"{trials or 'at least one'}, as in 'spikes/times'",
            )
        if trials * steps * channels > _LARGEST_BYTES:
            most = _LARGEST_BYTES // (steps * channels)
            raise InputError(f"trials of {path}", trials, f"at most {most}", "use fewer steps or sum channels")
        labels = _integers(file, "labels", trials, path)
        speaker = _integers(file, "extra/speaker", trials, path)
        if labels.min() < 0:
            raise InputError(f"'labels' in {path}", int(labels.min()), "classes from 0")
        counts = np.zeros((trials, steps, channels), dtype=np.uint8)
        dropped = 0
        for trial in range(trials):
            try:
                # float16 seconds overflow when they are scaled; widen them first.
                when, where = np.asarray(times[trial], dtype=np.float64), np.asarray(units[trial], dtype=np.int64)
            except (OSError, RuntimeError) as error:
                raise InputError(f"trial {trial} of {path}", "unreadable", "a complete HDF5 file", str(error)) from None
            if when.shape != where.shape:
                raise InputError(
                    f"spikes of trial {trial} in {path}", (when.size, where.size), "as many times as units"
                )
            if not np.all(np.isfinite(when)) or np.any(when < 0):
                raise InputError(f"'spikes/times' of trial {trial} in {path}", when[~(when >= 0)][:1].tolist(),
                                 "finite times of at least 0 s")  # fmt: skip
            if where.size and (where.min() < 0 or where.max() >= CHANNELS):
                raise InputError(f"'spikes/units' of trial {trial} in {path}", int(where.max()), f"0 to {CHANNELS - 1}")
            binned, late = _bin_trial(when, where, steps, window_s / steps, channels, channels_per_group)
            if binned.max(initial=0) > 255:
                raise InputError(f"spikes in one step of trial {trial} in {path}", int(binned.max()), "at most 255")
            counts[trial] = binned
            dropped += late
    return Split(counts, labels, speaker), dropped


def _one_file(folder: Path, split: str) -> Path:
    found = sorted(p for p in folder.iterdir() if p.suffix in {".h5", ".hdf5"} and split in p.stem)
    if len(found) != 1:
        raise InputError(f"{split} file in {folder}", [p.name for p in found], f"one file named '*{split}*.h5'")
    return found[0]


def _trials_of_speakers(split: Split, number: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether a trial is of one of so many speakers, drawn from all."""
    speaker = np.zeros(len(split), dtype=np.int64) if split.speaker is None else split.speaker
    known = np.unique(speaker)
    if not 0 < number < len(known):
        raise InputError("validation_speakers", number, f"fewer than the {len(known)} speakers of the training file")
    return np.isin(speaker, rng.choice(known, number, replace=False))


def load(
    folder: str | Path,
    *,
    seed: int = 0,
    steps: int = 100,
    window_s: float = 1.4,
    channels_per_group: int = 1,
    validation_fraction: float = 0.2,
    validation_speakers: int = 0,
) -> Dataset:
    """Read a folder with a training and a test file; the validation split is drawn from the training file.

    Parameters
    ----------
    folder : path-like
        Holds one file named ``*train*.h5`` and one named ``*test*.h5``.
    seed : int
        Seed of the draw of the validation split.
    steps : int
        Number of time steps in a trial.
    window_s : float
        Duration of a trial in seconds.
    channels_per_group : int
        See `read_split`.
    validation_fraction : float
        Part of the training trials that is held out for validation, above 0 and below 1.
    validation_speakers : int
        If above 0, all trials of so many training speakers are held out instead: the stricter choice where the
        test file has speakers of its own.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a file is missing or cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("data folder", str(folder), "a folder with a training and a test file in the layout of SHD")
    if not 0 < validation_fraction < 1:
        raise InputError("validation_fraction", validation_fraction, "a number between 0 and 1")
    options = {"steps": steps, "window_s": window_s, "channels_per_group": channels_per_group}
    parts, dropped = {}, {}
    for name in ("train", "test"):
        parts[name], dropped[name] = read_split(_one_file(folder, name), **options)  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    if validation_speakers:
        held_out = _trials_of_speakers(parts["train"], validation_speakers, rng)
    else:
        order = rng.permutation(len(parts["train"]))
        held_out = np.isin(np.arange(order.size), order[: max(1, round(validation_fraction * order.size))])
    classes = int(max(split.labels.max() for split in parts.values())) + 1
    return Dataset(
        folder.name,
        window_s / steps,
        classes,
        "sum_of_softmax",
        parts["train"].take(np.flatnonzero(~held_out)),
        parts["train"].take(np.flatnonzero(held_out)),
        parts["test"],
        description={
            "name": "heidelberg",
            "folder": str(folder.resolve()),
            "seed": seed,
            "validation_fraction": validation_fraction,
            "validation_speakers": validation_speakers,
            "dropped_spikes": dropped,
            **options,
        },
    )
