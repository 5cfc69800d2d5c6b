"""What is in a data set: sizes, durations, spikes and rates of its splits, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.lazy_counts import LazyCounts, in_batches

if TYPE_CHECKING:
    from cortexsnn.datasets.dataset import Dataset, Split

__all__ = ["Description", "SplitDescription", "Tally", "describe", "tally"]


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums of counts.

    Parameters
    ----------
    spikes_of_channels : array of int64, shape (channel,)
    spikes_of_trials : array of int64, shape (trial,)
    steps_of_trials : array of int64, shape (trial,)
        From the start of a trial to its last spike, that step too; 0 where it has none.
    highest : int
        Highest count of all.
    """

    spikes_of_channels: NDArray[np.int64]
    spikes_of_trials: NDArray[np.int64]
    steps_of_trials: NDArray[np.int64]
    highest: int

    def mean_counts(self) -> NDArray[np.float64]:
        """Mean spikes per step of each channel, from the start of each trial to its last spike; 0 without spikes."""
        return self.spikes_of_channels.astype(np.float64) / max(int(self.steps_of_trials.sum()), 1)


def tally(counts: NDArray[np.uint8] | LazyCounts) -> Tally:
    """Sum counts, a batch at a time.

    Parameters
    ----------
    counts : array of uint8 or LazyCounts, shape (trial, time, channel)

    Returns
    -------
    Tally

    Examples
    --------
    >>> sums = tally(np.array([[[1, 0], [1, 2], [0, 0]]], dtype=np.uint8))
    >>> sums.spikes_of_channels, sums.steps_of_trials, sums.highest
    (array([2, 2]), array([2]), 2)
    """
    channels = np.zeros(counts.shape[2], dtype=np.int64)
    spikes, steps, highest = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], 0
    for batch in in_batches(counts):
        of_steps = batch.sum(axis=2, dtype=np.int64)
        active = of_steps > 0
        until_last = batch.shape[1] - active[:, ::-1].argmax(axis=1)
        steps.append(np.where(active.any(axis=1), until_last, 0))
        spikes.append(of_steps.sum(axis=1))
        channels += batch.sum(axis=(0, 1), dtype=np.int64)
        highest = max(highest, int(batch.max(initial=0)))
    return Tally(channels, np.concatenate(spikes), np.concatenate(steps), highest)


@dataclass(frozen=True, eq=False)
class SplitDescription:
    """What is in a split.

    Parameters
    ----------
    name : str
    trials : int
    labels : array of int64, shape (class,)
        Trials of each class, or steps where every step has a label.
    speakers : int or None
        How many produced the trials, if it is known.
    last_spike_s : array, shape (trial,)
        Time of the last spike of each trial in seconds, 0 where it has none. As recorded where recorded times are
        there, else the end of its step.
    spikes_per_trial : array of int64, shape (trial,)
        Those after the window too.
    rate_hz : array, shape (channel,)
        Mean spikes per second of each channel, from the start of each trial to its last spike within the window.
    highest_count : int
        Most spikes of a channel in a step.
    dropped : int
        Spikes after the window.
    """

    name: str
    trials: int
    labels: NDArray[np.int64]
    speakers: int | None
    last_spike_s: NDArray[np.float64]
    spikes_per_trial: NDArray[np.int64]
    rate_hz: NDArray[np.float64]
    highest_count: int
    dropped: int

    @property
    def classes(self) -> int:
        """Number of classes that occur."""
        return int(np.count_nonzero(self.labels))

    @property
    def silent_channels(self) -> int:
        """Number of channels that never fire."""
        return int(np.count_nonzero(self.rate_hz == 0))


@dataclass(frozen=True, eq=False)
class Description:
    """What is in a data set. ``print`` shows it as a table.

    Parameters
    ----------
    name : str
    steps : int
        Of a trial.
    dt_s : float
        Time step in seconds.
    channels, classes : int
    labelled : {"trial", "step"}
        What has a label of its own.
    splits : tuple of SplitDescription
    """

    name: str
    steps: int
    dt_s: float
    channels: int
    classes: int
    labelled: str
    splits: tuple[SplitDescription, ...]

    def __str__(self) -> str:
        head = (
            f"{self.name}: {self.steps} steps of {1000 * self.dt_s:g} ms, {self.channels} channels, "
            f"{self.classes} classes, a label for each {self.labelled}"
        )
        rows = {
            "": [s.name for s in self.splits],
            "trials": [f"{s.trials:,}" for s in self.splits],
            "classes": [str(s.classes) for s in self.splits],
            f"{self.labelled}s of a class, min / max": [_extremes(s.labels) for s in self.splits],
            "speakers": ["unknown" if s.speakers is None else str(s.speakers) for s in self.splits],
            "last spike (s), min / median / max": [_spread(s.last_spike_s, ".2f") for s in self.splits],
            "spikes per trial, min / median / max": [_spread(s.spikes_per_trial, ",.0f") for s in self.splits],
            "rate of a channel (Hz), min / median / max": [_spread(s.rate_hz, ".1f") for s in self.splits],
            "silent channels": [str(s.silent_channels) for s in self.splits],
            "most spikes of a channel in a step": [str(s.highest_count) for s in self.splits],
            "spikes after the window, dropped": [f"{s.dropped:,}" for s in self.splits],
        }
        left = max(map(len, rows))
        widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
        lines = [
            f"{name:<{left}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            for name, cells in rows.items()
        ]
        return "\n".join([head, *lines])


def _extremes(values: NDArray[np.int64]) -> str:
    return f"{values.min(initial=values.max(initial=0)):,} / {values.max(initial=0):,}"


def _spread(values: NDArray[np.int64] | NDArray[np.float64], form: str) -> str:
    if not values.size:
        return "none"
    return " / ".join(format(float(value), form) for value in (values.min(), np.median(values), values.max()))


def _describe_split(name: str, split: Split, classes: int, dt_s: float) -> SplitDescription:
    counts, sums = split.counts, tally(split.counts)
    last_spike_s, spikes, dropped = sums.steps_of_trials.astype(np.float64) * dt_s, sums.spikes_of_trials, 0
    if isinstance(counts, LazyCounts):
        last_spike_s, spikes = counts.spikes.last_spikes_s(counts.trials), counts.spikes_per_trial
        dropped = counts.dropped
    return SplitDescription(
        name,
        len(split),
        np.bincount(split.labels.ravel(), minlength=classes),
        None if split.speaker is None else len(np.unique(split.speaker)),
        last_spike_s,
        spikes,
        sums.mean_counts() / dt_s,
        sums.highest,
        dropped,
    )


def describe(dataset: Dataset, splits: Iterable[str] = ("train", "validation", "test")) -> Description:
    """Count what is in a data set, in bounded memory.

    Parameters
    ----------
    dataset : Dataset
    splits : iterable of str
        Those that are looked at.

    Returns
    -------
    Description

    Examples
    --------
    >>> from cortexsnn import datasets
    >>> description = describe(datasets.load("mts_xor", train=8, validation=4, test=4))
    >>> print(str(description).splitlines()[0])
    mts_xor: 100 steps of 10 ms, 40 channels, 2 classes, a label for each step
    >>> [split.trials for split in description.splits]
    [8, 4, 4]
    """
    described = [_describe_split(name, getattr(dataset, name), dataset.classes, dataset.dt_s) for name in splits]
    return Description(
        dataset.name,
        int(dataset.train.counts.shape[1]),
        dataset.dt_s,
        dataset.channels,
        dataset.classes,
        "trial" if dataset.train.labels.ndim == 1 else "step",
        tuple(described),
    )
