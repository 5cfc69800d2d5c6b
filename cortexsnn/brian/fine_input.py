"""Input on the time step of training for a circuit that runs in finer steps: each spike at the start of its bin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.network import SpikeInput

__all__ = ["FineInput", "on_fine_steps"]


def on_fine_steps(counts: NDArray[np.uint8], steps_per_bin: int) -> NDArray[np.uint8]:
    """Put the spikes of every bin into the first of its steps.

    Parameters
    ----------
    counts : array, shape (trial, bin, channel)
    steps_per_bin : int

    Returns
    -------
    numpy.ndarray, shape (trial, bin * steps_per_bin, channel)

    Examples
    --------
    >>> on_fine_steps(np.array([[[1], [2]]], dtype=np.uint8), 3).ravel()
    array([1, 0, 0, 2, 0, 0], dtype=uint8)
    """
    if steps_per_bin == 1:
        return counts
    trials, bins, channels = counts.shape
    fine = np.zeros((trials, bins * steps_per_bin, channels), dtype=np.uint8)
    fine[:, ::steps_per_bin] = counts
    return fine


@dataclass(frozen=True, eq=False)
class FineInput:
    """Input spikes (`cortexsnn.network.SpikeInput`) in steps finer than those in which they are given.

    Parameters
    ----------
    given : SpikeInput
    steps_per_bin : int
    """

    given: SpikeInput
    steps_per_bin: int

    @property
    def trials(self) -> int:
        """Number of trials."""
        return self.given.trials

    @property
    def steps(self) -> int:
        """Time steps of each trial."""
        return self.given.steps * self.steps_per_bin

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.given.channels

    @property
    def graded(self) -> bool:
        """Whether a channel may have several spikes in a step."""
        return self.given.graded

    def counts(self, trials: range, steps: range) -> NDArray[np.uint8]:
        """Spikes of some steps of some trials, shape (trial, time, channel)."""
        first, beyond = steps.start // self.steps_per_bin, -(-steps.stop // self.steps_per_bin)
        fine = on_fine_steps(self.given.counts(trials, range(first, beyond)), self.steps_per_bin)
        start = steps.start - first * self.steps_per_bin
        return fine[:, start : start + len(steps)]

    def describe(self) -> dict[str, Any]:
        """The given input, and how much finer it is."""
        return {"kind": "on finer steps", "steps_per_bin": self.steps_per_bin, "given": self.given.describe()}
