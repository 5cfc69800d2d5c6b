"""Parity: were there an odd or an even number of high pulses among the last n?

The task in which recurrent networks grow longer timescales as n grows (Khajehabdollahi et al. 2024,
https://doi.org/10.48550/arXiv.2309.12927). Any n - 1 of the pulses say nothing about the answer, so that the
oldest has to be remembered as well as the newest; those before it have to be forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, whole
from cortexsnn.datasets.dataset import Dataset
from cortexsnn.datasets.tasks.trials import HIGH, LOW, SILENT, RateCodedTask, balanced, load_task, whole_steps
from cortexsnn.errors import InputError

__all__ = ["Parity", "load"]


@dataclass(frozen=True, kw_only=True)
class Parity(RateCodedTask):
    """A sequence of low and high pulses; the answer is the parity of the last few.

    A trial is a sequence of `pulses` periods: first `gap_ms` of noise, then a pulse of `pulse_ms` in which all
    channels fire at `high_hz` (a 1) or at `low_hz` (a 0). Pulses are 0 or 1 with equal probability, independently, but
    for the last, which makes the parity of the last `last` pulses of the trial 1 in half of the trials of a split and
    0 in the others. An observer who misses one of these pulses has an accuracy of exactly 1/2.

    With ``answer="per_step"`` the label of all steps of a period is the parity of the last `last` pulses, its own
    among them (of all so far, while there are fewer). Scored are the pulses from the first that completes `last`. With
    ``answer="end"`` a trial has one label, that of its last period. With ``pulses=last`` all pulses count.

    Parameters
    ----------
    last : int
        Number of pulses n whose parity is asked for, at least 1. The timescale of the task is (n - 1) periods.
    pulses : int
        Number of pulses of a trial, at least `last`.
    pulse_ms, gap_ms : float
        Duration of a pulse and of the noise before it; the gap may be 0.
    answer : {"per_step", "end"}
    channels_per_group, low_hz, high_hz, noise_hz, dt_ms
        See `cortexsnn.datasets.tasks.trials.RateCodedTask`. There is one group, of 20 channels.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> task = Parity(last=3, pulses=5)
    >>> task.timescales_ms
    {'pulse': 60.0, 'memory': 200.0}
    >>> split = task.generate(4, np.random.default_rng(0))
    >>> split.counts.shape, split.labels[:, -1].sum()
    ((4, 50, 20), np.int64(2))
    """

    last: int = 3
    pulses: int = 6
    pulse_ms: float = 60.0
    gap_ms: float = 40.0
    answer: str = "per_step"
    channels_per_group: int = 20

    name: ClassVar[str] = "parity"

    def __post_init__(self) -> None:
        super().__post_init__()
        choice("answer", self.answer, ("per_step", "end"))
        whole("last", self.last, 1)
        if whole("pulses", self.pulses, 1) < self.last:
            raise InputError("pulses", self.pulses, f"at least last = {self.last}")
        whole_steps("pulse_ms", self.pulse_ms, self.dt_ms)
        whole_steps("gap_ms", self.gap_ms, self.dt_ms, lowest=0)

    @property
    def _gap_steps(self) -> int:
        return whole_steps("gap_ms", self.gap_ms, self.dt_ms, lowest=0)

    @property
    def _period_steps(self) -> int:
        return self._gap_steps + whole_steps("pulse_ms", self.pulse_ms, self.dt_ms)

    @property
    def groups(self) -> int:
        """All channels do the same."""
        return 1

    @property
    def steps(self) -> int:
        """All periods."""
        return self.pulses * self._period_steps

    @property
    def decoder(self) -> str:
        """Follows from what has a label: a step, or a trial."""
        return "per_step" if self.answer == "per_step" else "sum_of_softmax"

    @property
    def timescales_ms(self) -> dict[str, float]:
        """Duration of a pulse, and memory: from the onset of the oldest pulse that counts to that of the newest."""
        memory = (self.last - 1) * self._period_steps * float(self.dt_ms)
        return {"pulse": float(self.pulse_ms), "memory": memory}

    def _in_pulse(self) -> NDArray[np.bool_]:
        return np.arange(self.steps) % self._period_steps >= self._gap_steps

    def scored_steps(self) -> NDArray[np.bool_] | None:
        """Steps of the pulses that complete `last`, shape (time,); None if a trial has one label."""
        if self.answer == "end":
            return None
        return self._in_pulse() & (np.arange(self.steps) >= (self.last - 1) * self._period_steps)

    def draw(self, trials: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What the group does in every step, shape (trial, time, 1), and the label of every step or trial."""
        final = balanced(trials, 2, rng)
        high = rng.integers(2, size=(trials, self.pulses))
        high[:, -1] = (final + high[:, -self.last : -1].sum(axis=1)) % 2
        so_far = np.cumsum(high, axis=1)
        before = np.zeros_like(so_far)
        before[:, self.last :] = so_far[:, : -self.last]
        parity = (so_far - before) % 2

        pulse = np.repeat(np.where(high, HIGH, LOW), self._period_steps, axis=1)
        levels = np.where(self._in_pulse(), pulse, SILENT).astype(np.uint8)[..., None]
        return levels, final if self.answer == "end" else np.repeat(parity, self._period_steps, axis=1)


def load(
    *, seed: int = 0, train: int = 10_240, validation: int = 1_024, test: int = 1_024, **parameters: Any
) -> Dataset:
    """Draw the three splits from independent streams of one seed.

    Parameters
    ----------
    seed : int
    train, validation, test : int
        Number of trials.
    **parameters
        Those of `Parity`: ``last``, ``pulses``, ``pulse_ms``, ``gap_ms``, ``answer``, ``channels_per_group``,
        ``low_hz``, ``high_hz``, ``noise_hz``, ``dt_ms``.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]`` has the memory that is needed.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> dataset = load(seed=1, train=8, validation=4, test=4, last=4, pulses=4, answer="end")
    >>> dataset.train.labels.shape, dataset.decoder, dataset.description["timescales_ms"]["memory"]
    ((8,), 'sum_of_softmax', 300.0)
    """
    return load_task(Parity(**parameters), seed=seed, train=train, validation=validation, test=test)
