"""Spikes of any data set of tonic (https://doi.org/10.5281/zenodo.5079802), which has events x, y, t, p.

tonic is not imported here: a data set of its is told by what it offers, ``sensor_size`` and pairs of events and label.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError

__all__ = ["from_tonic"]

_MOST_CHANNELS = 1 << 32


def from_tonic(dataset: Any, *, progress: bool = True) -> tuple[SpikeTrials, NDArray[np.int64]]:
    """Take the events of a data set of tonic.

    An event at pixel (x, y) of polarity p is a spike of channel ``(p * height + y) * width + x``: the order in which
    ``ToFrame`` lays out a frame. Times are truncated to microseconds, as they are in tonic.

    Parameters
    ----------
    dataset : tonic.Dataset
        With ``sensor_size`` (width, height, polarities). Without transforms that make frames of the events.
    progress : bool
        Show a bar if it takes longer than five seconds.

    Returns
    -------
    trials : SpikeTrials
        Times in seconds.
    labels : array of int64, shape (trial,)

    Raises
    ------
    InputError
        If it has no ``sensor_size``, or a trial has no events, an event outside of the sensor or a negative time, or a
        label that is no class.

    Examples
    --------
    >>> import tonic  # doctest: +SKIP
    >>> trials, labels = from_tonic(tonic.datasets.NMNIST("data", train=False))  # doctest: +SKIP
    """
    size = getattr(dataset, "sensor_size", None)
    if size is None or len(size) != 3 or not all(isinstance(n, int | np.integer) and n > 0 for n in size):
        raise InputError("sensor_size of the data set", size, "three numbers: width, height, polarities",
                         "with data sets of several sensor sizes, use ToFrame of tonic")  # fmt: skip
    width, height, polarities = (int(n) for n in size)
    if width * height * polarities > _MOST_CHANNELS:
        raise InputError("sensor_size of the data set", size, f"at most {_MOST_CHANNELS} channels")
    kind = np.uint16 if width * height * polarities <= 1 << 16 else np.uint32
    times, units, labels = [], [], []
    for trial in tqdm(range(len(dataset)), desc="reading events", unit="trial", delay=5, disable=not progress):
        events, label = dataset[trial]
        when, where = _spikes(events, trial, width, height, polarities)
        times.append(when)
        units.append(where.astype(kind))
        labels.append(_label(label, trial))
    if not labels:
        raise InputError("trials of the data set", 0, "at least one")
    offsets = np.concatenate([[0], np.cumsum([when.size for when in times])]).astype(np.int64)
    return SpikeTrials(np.concatenate(times), np.concatenate(units), offsets), np.array(labels, dtype=np.int64)


def _spikes(
    events: Any, trial: int, width: int, height: int, polarities: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times in seconds and channels of the events of a trial."""
    names = getattr(getattr(events, "dtype", None), "names", None)
    if not names or not {"t", "x"} <= set(names):
        raise InputError(f"events of trial {trial}", events, "an array of events with t and x",
                         "take the data set without transforms")  # fmt: skip
    time = np.asarray(events["t"], dtype=np.int64)
    x = np.asarray(events["x"], dtype=np.int64)
    y = np.asarray(events["y"], dtype=np.int64) if "y" in names else np.zeros_like(x)
    # Where there is one polarity, tonic says 1 for it, and its frames have it at 0.
    p = np.asarray(events["p"], dtype=np.int64) if "p" in names and polarities > 1 else np.zeros_like(x)
    for name, value, most in (("x", x, width), ("y", y, height), ("p", p, polarities)):
        if value.size and (value.min() < 0 or value.max() >= most):
            raise InputError(f"{name} of trial {trial}", int(value.max() if value.max() >= most else value.min()),
                             f"0 to {most - 1}")  # fmt: skip
    if time.size and time.min() < 0:
        raise InputError(f"t of trial {trial}", int(time.min()), "microseconds from 0")
    return time.astype(np.float64) * 1e-6, (p * height + y) * width + x


def _label(label: Any, trial: int) -> int:
    number = np.asarray(label)
    if number.ndim or number.dtype.kind not in "iu" or number < 0:
        raise InputError(f"label of trial {trial}", label, "a class, counted from 0",
                         "target_transform can make one")  # fmt: skip
    return int(number)
