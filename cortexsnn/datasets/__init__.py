"""Spikes to learn from: generated tasks and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cortexsnn.datasets import heidelberg, mts_xor
from cortexsnn.datasets.background import Background, background
from cortexsnn.datasets.dataset import Dataset, Split, TrainingData, mean_counts, spontaneous
from cortexsnn.errors import InputError

__all__ = [
    "Background",
    "Dataset",
    "Split",
    "TrainingData",
    "background",
    "heidelberg",
    "load",
    "load_described",
    "mean_counts",
    "mts_xor",
    "spontaneous",
]


def load(name: str | Path, *, seed: int = 0, **options: Any) -> Dataset:
    """Load a data set by name, or by the folder that holds its files.

    Parameters
    ----------
    name : str or path-like
        ``"mts_xor"``, or a folder with spike files in the layout of the Spiking Heidelberg Digits.
    seed : int
        Seed of the generated trials, or of the validation split.
    **options
        See `cortexsnn.datasets.mts_xor.load` and `cortexsnn.datasets.heidelberg.load`.

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
    if str(name) == "mts_xor":
        return mts_xor.load(seed=seed, **options)
    if Path(name).is_dir():
        return heidelberg.load(name, seed=seed, **options)
    raise InputError("data set", str(name), "'mts_xor' or a folder with spike files in the layout of SHD")


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
    options = {key: value for key, value in description.items() if key not in {"name", "folder", "dropped_spikes"}}
    try:
        if description.get("name") == "mts_xor":
            return mts_xor.load(**options)
        if description.get("name") == "heidelberg":
            return heidelberg.load(folder or description["folder"], **options)
    except (TypeError, KeyError) as error:
        raise InputError(
            "description of the data set", dict(description), "the options of its loader", str(error)
        ) from None
    raise InputError("data set in the network's metadata", description.get("name"), "'mts_xor' or 'heidelberg'",
                     "networks from elsewhere are simulated from Python: cortexsnn.brian.simulate")  # fmt: skip
