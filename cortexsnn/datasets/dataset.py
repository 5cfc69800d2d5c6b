"""What every data set looks like to training and simulation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.describing import Description, describe, tally
from cortexsnn.datasets.lazy_counts import LazyCounts, in_batches
from cortexsnn.errors import InputError

__all__ = ["Dataset", "Split", "TrainingData", "mean_counts", "spontaneous"]


@dataclass(frozen=True, eq=False)
class Split:
    """Trials with labels.

    Parameters
    ----------
    counts : array of uint8 or LazyCounts, shape (trial, time, channel)
        Spikes of each channel in each time step. Counts that are lazy are made for the trials that an index names
        (``counts[trials]``), never for all at once.
    labels : array of int, shape (trial,) or (trial, time)
        The right class of each trial, or of each step.
    speaker : array of int, shape (trial,), optional
        Who or what produced the trial.
    """

    counts: NDArray[np.uint8] | LazyCounts
    labels: NDArray[np.int64]
    speaker: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def take(self, trials: NDArray[np.integer] | slice) -> Split:
        """A part of the trials; lazy counts stay lazy."""
        speaker = None if self.speaker is None else self.speaker[trials]
        counts = self.counts.take(trials) if isinstance(self.counts, LazyCounts) else self.counts[trials]
        return Split(counts, self.labels[trials], speaker)

    def batches(self, trials: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Dense counts of one batch of trials after another.

        Parameters
        ----------
        trials : int, optional
            In a batch; by default as many as make 32 MB.

        Yields
        ------
        numpy.ndarray of uint8, shape (trial, time, channel)
        """
        yield from in_batches(self.counts, trials)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """What a training loop may see of a `Dataset`: everything but the test split.

    Parameters
    ----------
    classes : int
    decoder : str
    dt_s : float
    train, validation : Split
    scored_steps : array of bool, shape (time,), optional
        As in `Dataset`.
    """

    classes: int
    decoder: str
    dt_s: float
    train: Split
    validation: Split
    scored_steps: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits of a task and what training needs to know of it.

    Parameters
    ----------
    name : str
    dt_s : float
        Time step in seconds.
    classes : int
        Number of classes.
    decoder : {"sum_of_softmax", "per_step"}
        How classes are read out (`cortexsnn.decoding`).
    train, validation, test : Split
        The test split is for one look at the end.
    scored_steps : array of bool, shape (time,), optional
        Steps that count for the accuracy; all of them if not given.
    description : mapping
        What `cortexsnn.datasets.load` needs to make the same data set again.
    """

    name: str
    dt_s: float
    classes: int
    decoder: str
    train: Split
    validation: Split
    test: Split
    scored_steps: NDArray[np.bool_] | None = None
    description: Mapping[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return int(self.train.counts.shape[2])

    @property
    def training_data(self) -> TrainingData:
        """All but the test split, so that nothing that is chosen in training can depend on it."""
        return TrainingData(self.classes, self.decoder, self.dt_s, self.train, self.validation, self.scored_steps)

    def describe(self) -> Description:
        """Sizes of the splits, durations, spikes and rates; it prints as a table.

        Returns
        -------
        Description
        """
        return describe(self)


def mean_counts(split: Split) -> NDArray[np.float64]:
    """Mean spikes per step of each channel, from the start of each trial to its last spike.

    The silence after a short trial is not part of its input.

    Parameters
    ----------
    split : Split

    Returns
    -------
    numpy.ndarray, shape (channel,)

    Examples
    --------
    >>> counts = np.array([[[1, 0], [1, 2], [0, 0]]], dtype=np.uint8)
    >>> mean_counts(Split(counts, np.array([0])))
    array([1., 1.])
    """
    sums = tally(split.counts)
    if not sums.highest:
        raise InputError("spikes of the split", 0, "at least one spike")
    return sums.mean_counts()


def spontaneous(split: Split, trials: int, steps: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Input at the mean rate of each channel of a split, without any structure in time.

    Every step of every channel is drawn on its own: Bernoulli where the split never has two spikes in a step, else
    Poisson.

    Parameters
    ----------
    split : Split
        Its rates are taken from the start of each trial to its last spike (`mean_counts`).
    trials, steps : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of uint8, shape (trial, time, channel)

    Raises
    ------
    InputError
        If there is not at least one trial of one step, or the split has no spikes.

    Examples
    --------
    >>> split = Split(np.ones((1, 4, 2), dtype=np.uint8), np.array([0]))
    >>> spontaneous(split, 2, 100, np.random.default_rng(0)).shape
    (2, 100, 2)
    """
    if trials < 1 or steps < 1:
        raise InputError("trials and steps", (trials, steps), "at least one of each")
    sums = tally(split.counts)
    if not sums.highest:
        raise InputError("spikes of the split", 0, "at least one spike")
    mean = sums.mean_counts()
    shape = (trials, steps, mean.size)
    if sums.highest <= 1:
        return (rng.random(shape) < mean).astype(np.uint8)
    return np.minimum(rng.poisson(mean, shape), 255).astype(np.uint8)
