"""Spikes to learn from: generated tasks and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortexsnn.datasets import heidelberg, layout, tasks
from cortexsnn.datasets.augmentation import (
    AUGMENTATIONS,
    BackgroundNoise,
    ChannelShift,
    SpikeDropout,
    TimeJitter,
    augment,
)
from cortexsnn.datasets.background import Background, background
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.dataset import Dataset, Split, TrainingData, mean_counts, spontaneous
from cortexsnn.datasets.describing import Description, describe
from cortexsnn.datasets.lazy_counts import LazyCounts, in_batches
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.datasets.tasks import mts_xor
from cortexsnn.datasets.tonic_events import from_tonic
from cortexsnn.errors import InputError

__all__ = [
    "AUGMENTATIONS",
    "Background",
    "BackgroundNoise",
    "Binning",
    "ChannelShift",
    "Dataset",
    "Description",
    "LazyCounts",
    "SpikeDropout",
    "SpikeTrials",
    "Split",
    "TimeJitter",
    "TrainingData",
    "augment",
    "background",
    "describe",
    "from_tonic",
    "heidelberg",
    "in_batches",
    "layout",
    "load",
    "load_described",
    "mean_counts",
    "mts_xor",
    "spontaneous",
    "tasks",
]

# Data sets of files that are fetched on first use.
_FETCHED: Mapping[str, Callable[..., Dataset]] = {"shd": heidelberg.load_shd, "ssc": heidelberg.load_ssc}
_KNOWN = ", ".join((*tasks.LOADERS, *_FETCHED))

_FOLLOWS_FROM_THE_REST = {"name", "folder", "dropped_spikes", "timescales_ms"}


def load(name: str | Path, *, seed: int = 0, **options: Any) -> Dataset:
    """Load a data set by name, or by the folder that holds its files.

    Parameters
    ----------
    name : str or path-like
        ``"mts_xor"``, ``"delayed_match"``, ``"parity"``, ``"accumulation"`` or ``"digits"``
        (`cortexsnn.datasets.tasks`); ``"shd"`` or ``"ssc"``, which are downloaded on first use; or a folder with spike
        files in the layout of the Spiking Heidelberg Digits.
    seed : int
        Seed of the generated trials, or of the validation split.
    **options
        See ``load`` in the module of the task, and `cortexsnn.datasets.heidelberg.load`.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the name is neither a known task nor a folder.

    Examples
    --------
    >>> load("mts_xor", train=8, validation=4, test=4).name
    'mts_xor'
    """
    if str(name) in tasks.LOADERS:
        return tasks.LOADERS[str(name)](seed=seed, **options)
    if str(name) in _FETCHED:
        return _FETCHED[str(name)](seed=seed, **options)
    if Path(name).is_dir():
        return heidelberg.load(name, seed=seed, **options)
    raise InputError("data set", str(name), f"one of {_KNOWN}, or a folder with spike files in the layout of SHD")


def load_described(description: Mapping[str, Any], folder: str | Path | None = None) -> Dataset:
    """Load the data set that a network's metadata describe.

    Parameters
    ----------
    description : mapping
        ``network.metadata["dataset"]``.
    folder : path-like, optional
        Where the files are now, if they are not where they were.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        If the description is of no known data set.
    """
    options = {key: value for key, value in description.items() if key not in _FOLLOWS_FROM_THE_REST}
    try:
        if description.get("name") in tasks.LOADERS:
            return tasks.LOADERS[description["name"]](**options)
        if description.get("name") in _FETCHED:
            return _FETCHED[description["name"]](folder, **options)
        if description.get("name") == "heidelberg":
            return heidelberg.load(folder or description["folder"], **options)
    except (TypeError, KeyError) as error:
        raise InputError(
            "description of the data set", dict(description), "the options of its loader", str(error)
        ) from None
    raise InputError("data set in the network's metadata", description.get("name"), f"one of {_KNOWN}, heidelberg",
                     "networks from elsewhere are simulated from Python: cortexsnn.brian.simulate")  # fmt: skip
