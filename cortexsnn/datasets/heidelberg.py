"""The Spiking Heidelberg Digits, the Spiking Speech Commands, and any files in their HDF5 layout.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364. Files are read by `cortexsnn.datasets.layout` and not
through tonic: tonic 1.7 does not check files that are already there, opens the file again for every trial (about 1.5 ms
a trial), makes frames of another shape of a trial without spikes, and does not offer the speakers of SSC. For all
other data sets of tonic there is `cortexsnn.datasets.tonic_events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexsnn.datasets import download, layout
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.dataset import Dataset, Split
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.splits import held_out_speakers, held_out_trials
from cortexsnn.errors import InputError

__all__ = ["DELAYS", "MORO", "load", "load_shd", "load_ssc", "read_split"]

#: Preprocessing of Moro et al. 2024 (https://doi.org/10.48550/arXiv.2407.18838): all 700 channels, 1.4 s in 100 steps
#: by `numpy.digitize`, so that step 0 is always empty. ``load_shd(**MORO)``
MORO: Mapping[str, Any] = MappingProxyType({"steps": 100, "window_s": 1.4, "channels_per_group": 1, "rule": "digitize"})

#: Preprocessing of work on learned delays, such as Hammouamri et al. 2023 (https://doi.org/10.48550/arXiv.2306.17670):
#: 140 channels, each the sum of 5 neighbours, and steps of 10 ms. ``load_shd(**DELAYS)``
DELAYS: Mapping[str, Any] = MappingProxyType({"steps": 140, "window_s": 1.4, "channels_per_group": 5, "rule": "floor"})


def read_split(
    path: str | Path, *, steps: int = 100, window_s: float = 1.4, channels_per_group: int = 1, rule: str = "floor"
) -> tuple[Split, int]:
    """Read one spike file into counts.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    steps : int
        Number of time steps in a trial.
    window_s : float
        Duration of a trial in seconds. Spikes after it are dropped and counted.
    channels_per_group : int
        Neighbouring cochlear channels whose spikes are summed; 5 makes the 140 channels of work on delays.
    rule : {"floor", "digitize"}
        In which step a spike falls, see `cortexsnn.datasets.binning.Binning`.

    Returns
    -------
    split : Split
        Counts have shape (trial, time, channel): `steps` time steps, 700 / `channels_per_group` channels. All of them
        are in memory; `load` makes them when they are asked for.
    dropped : int
        Number of spikes after the window.

    Raises
    ------
    InputError
        If the file is not whole or a field has the wrong type, shape or range.
    """
    split, counts, _ = _lazy_split(path, Binning(steps, window_s, layout.CHANNELS, channels_per_group, rule))
    return Split(np.asarray(counts), split.labels, split.speaker), counts.dropped


def _lazy_split(path: str | Path, binning: Binning) -> tuple[Split, LazyCounts, tuple[str, ...]]:
    """A spike file as a split whose counts are made when they are asked for, these counts, and names of classes."""
    found = layout.read(path)
    counts = LazyCounts(found.trials, binning, source=str(path))
    return Split(counts, found.labels, found.speaker), counts, found.keys


def _files_named(folder: Path, split: str) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix in {".h5", ".hdf5"} and split in p.stem)


def _one_file(folder: Path, split: str) -> Path:
    found = _files_named(folder, split)
    if len(found) != 1:
        raise InputError(f"{split} file in {folder}", [p.name for p in found], f"one file named '*{split}*.h5'")
    return found[0]


def _require_same_classes(folder: Path, keys: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse files that give one number to different classes, as where one of two folders of sounds lacks a word."""
    named = {name: classes for name, classes in keys.items() if classes}
    for name, classes in named.items():
        reference = next(iter(named.values()))
        if any(a != b for a, b in zip(classes, reference, strict=False)):
            raise InputError(f"names of the classes of the {name} file in {folder}", list(classes),
                             str(list(reference)), "make both files with the same --classes")  # fmt: skip


def load(
    folder: str | Path,
    *,
    seed: int = 0,
    steps: int = 100,
    window_s: float = 1.4,
    channels_per_group: int = 1,
    rule: str = "floor",
    validation_fraction: float = 0.2,
    validation_speakers: int = 0,
) -> Dataset:
    """Load a folder of spike files: training, test and, where there is one, validation.

    Without a validation file, the validation split is drawn from the training file. Training sees no test trial: it is
    given ``dataset.training_data``, which has none.

    Parameters
    ----------
    folder : path-like
        Holds one file named ``*train*.h5``, one named ``*test*.h5`` and at most one named ``*valid*.h5``.
    seed : int
        Seed of the draw of the validation split.
    steps, window_s, channels_per_group, rule
        See `read_split`; `MORO` and `DELAYS` are sets of them that others have used.
    validation_fraction : float
        Part of the training trials that is held out for validation, above 0 and below 1. Without effect where there is
        a validation file.
    validation_speakers : int
        If above 0, all trials of so many training speakers are held out instead: the stricter choice where the test
        file has speakers of its own.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If a file is missing or cannot be used, or speakers are to be held out though there is a validation file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("data folder", str(folder), "a folder with a training and a test file in the layout of SHD")
    if not 0 < validation_fraction < 1:
        raise InputError("validation_fraction", validation_fraction, "a number between 0 and 1")
    options: dict[str, Any] = {
        "steps": steps,
        "window_s": window_s,
        "channels_per_group": channels_per_group,
        "rule": rule,
    }
    names = ["train", "valid", "test"] if _files_named(folder, "valid") else ["train", "test"]
    if "valid" in names and validation_speakers:
        raise InputError("validation_speakers", validation_speakers, f"0: {folder} has a validation file")
    binning = Binning(channels=layout.CHANNELS, **options)
    parts, dropped, keys = {}, {}, {}
    for name in names:
        parts[name], counts, keys[name] = _lazy_split(_one_file(folder, name), binning)
        dropped[name] = counts.dropped
    _require_same_classes(folder, keys)
    classes = int(max(split.labels.max() for split in parts.values())) + 1
    train, validation = parts["train"], parts.get("valid")
    if validation is None:
        rng = np.random.default_rng(seed)
        held_out = (
            held_out_speakers(train.speaker, validation_speakers, rng)
            if validation_speakers
            else held_out_trials(len(train), validation_fraction, rng)
        )
        train, validation = train.take(np.flatnonzero(~held_out)), train.take(np.flatnonzero(held_out))
    return Dataset(
        folder.name,
        window_s / steps,
        classes,
        "sum_of_softmax",
        train,
        validation,
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


def _official(name: str, folder: str | Path | None, options: Mapping[str, Any]) -> Dataset:
    """A published data set, from a given folder or downloaded."""
    if folder is not None:
        return load(folder, **options)
    loaded = load(download.fetch_dataset(name), **options)
    # Where downloads are kept is no part of what a network was trained on.
    kept = {key: value for key, value in loaded.description.items() if key != "folder"}
    return replace(loaded, name=name, description={**kept, "name": name})


def load_shd(folder: str | Path | None = None, **options: Any) -> Dataset:
    """Load the Spiking Heidelberg Digits: 8,156 training and 2,264 test trials of 20 classes, 12 speakers.

    Two of the speakers are in the test file only, so that ``validation_speakers=2`` is the validation split that is
    most like the test.

    Parameters
    ----------
    folder : path-like, optional
        Where ``shd_train.h5`` and ``shd_test.h5`` are. By default they are downloaded on first use, see
        `cortexsnn.datasets.download.fetch_dataset`.
    **options
        See `load`.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the files cannot be had or used.

    Examples
    --------
    >>> load_shd(validation_speakers=2, **DELAYS)  # doctest: +SKIP
    """
    return _official("shd", folder, options)


def load_ssc(folder: str | Path | None = None, **options: Any) -> Dataset:
    """Load the Spiking Speech Commands: 75,466 training, 9,981 validation and 20,382 test trials of 35 classes.

    Parameters
    ----------
    folder : path-like, optional
        Where ``ssc_train.h5``, ``ssc_valid.h5`` and ``ssc_test.h5`` are. By default they are downloaded on first use,
        see `cortexsnn.datasets.download.fetch_dataset`.
    **options
        See `load`. The validation split is the official one, so that those about validation have no effect.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the files cannot be had or used.

    Examples
    --------
    >>> load_ssc(steps=200)  # doctest: +SKIP
    """
    return _official("ssc", folder, options)
