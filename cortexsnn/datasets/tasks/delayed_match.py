"""Delayed match to sample: is what is shown now the same as what was shown before the delay?

A classic of working memory (Miyashita & Chang 1988, https://doi.org/10.1038/331068a0), and of spiking networks that
have to keep a sample in mind (Kim & Sejnowski 2021, https://doi.org/10.1038/s41593-020-00753-w). The delay is the
timescale of the task, and a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import whole
from cortexsnn.datasets.dataset import Dataset
from cortexsnn.datasets.tasks.trials import HIGH, LOW, SILENT, RateCodedTask, balanced, load_task, whole_steps
from cortexsnn.errors import InputError

__all__ = ["DelayedMatch", "load"]


@dataclass(frozen=True, kw_only=True)
class DelayedMatch(RateCodedTask):
    """Sample, delay, test stimulus; the answer is whether they are the same.

    There is a group of channels for each stimulus. While stimulus k is shown, group k fires at `high_hz` and the others
    at `low_hz`; in the delay there is only noise. The sample is drawn from all stimuli alike. In half of the trials the
    test stimulus is the same (label 1), in the others one of the rest, drawn alike (label 0). So neither the sample
    nor the test stimulus alone says anything about the answer, and an observer who remembers less than the delay has an
    accuracy of exactly 1/2.

    The test stimulus fills the last steps of the trial, and these are scored. Where delays differ, it is the onset of
    the sample that differs. Steps before the test stimulus have label 0: no match so far.

    Parameters
    ----------
    delay_ms : float or (float, float)
        From the end of the sample to the test stimulus. Two numbers are a shortest and a longest delay, between which
        each trial draws a whole number of steps, all alike.
    stimulus_ms : float
        Duration of the sample, and of the test stimulus.
    stimuli : int
        Number of stimuli, at least 2.
    channels_per_group, low_hz, high_hz, noise_hz, dt_ms
        See `cortexsnn.datasets.tasks.trials.RateCodedTask`.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> task = DelayedMatch(delay_ms=(200, 800))
    >>> task.timescales_ms
    {'stimulus': 100.0, 'shortest_delay': 200.0, 'longest_delay': 800.0}
    >>> split = task.generate(6, np.random.default_rng(0))
    >>> split.counts.shape, split.labels[:, -1].sum()
    ((6, 100, 40), np.int64(3))
    """

    delay_ms: float | tuple[float, float] = 500.0
    stimulus_ms: float = 100.0
    stimuli: int = 4

    name: ClassVar[str] = "delayed_match"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("stimuli", self.stimuli, 2)
        whole_steps("stimulus_ms", self.stimulus_ms, self.dt_ms)
        if isinstance(self.delay_ms, tuple | list):
            if len(self.delay_ms) != 2:
                raise InputError("delay_ms", self.delay_ms, "one delay, or a shortest and a longest")
            object.__setattr__(self, "delay_ms", tuple(self.delay_ms))
        shortest, longest = self._delay_steps
        if shortest > longest:
            raise InputError("delay_ms", self.delay_ms, "a shortest and a longest delay, in this order")

    @property
    def _delay_steps(self) -> tuple[int, int]:
        both = self.delay_ms if isinstance(self.delay_ms, tuple) else (self.delay_ms, self.delay_ms)
        shortest, longest = (whole_steps("delay_ms", delay, self.dt_ms, lowest=0) for delay in both)
        return shortest, longest

    @property
    def _stimulus_steps(self) -> int:
        return whole_steps("stimulus_ms", self.stimulus_ms, self.dt_ms)

    @property
    def groups(self) -> int:
        """One for each stimulus."""
        return self.stimuli

    @property
    def steps(self) -> int:
        """Sample, longest delay and test stimulus."""
        return 2 * self._stimulus_steps + self._delay_steps[1]

    @property
    def timescales_ms(self) -> dict[str, float]:
        """The delays that memory has to bridge, and the duration of a stimulus."""
        shortest, longest = self._delay_steps
        return {
            "stimulus": float(self.stimulus_ms),
            "shortest_delay": shortest * float(self.dt_ms),
            "longest_delay": longest * float(self.dt_ms),
        }

    def scored_steps(self) -> NDArray[np.bool_]:
        """Steps of the test stimulus, shape (time,)."""
        return np.arange(self.steps) >= self.steps - self._stimulus_steps

    def draw(self, trials: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What every group does in every step, shape (trial, time, group), and the label of every step."""
        match = balanced(trials, 2, rng)
        sample = rng.integers(self.stimuli, size=trials)
        probe = np.where(match, sample, (sample + rng.integers(1, self.stimuli, size=trials)) % self.stimuli)
        shortest, longest = self._delay_steps
        onset = longest - rng.integers(shortest, longest + 1, size=trials)

        in_probe = self.scored_steps()
        since_onset = np.arange(self.steps) - onset[:, None]
        in_sample = (since_onset >= 0) & (since_onset < self._stimulus_steps)
        shown = np.where(in_sample, sample[:, None], np.where(in_probe, probe[:, None], -1))[..., None]
        levels = np.where(shown == np.arange(self.stimuli), HIGH, np.where(shown >= 0, LOW, SILENT))
        return levels.astype(np.uint8), match[:, None] * in_probe


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
        Those of `DelayedMatch`: ``delay_ms``, ``stimulus_ms``, ``stimuli``, ``channels_per_group``, ``low_hz``,
        ``high_hz``, ``noise_hz``, ``dt_ms``.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]`` has the delays.

    Raises
    ------
    InputError
        If a number is out of its range.

    Examples
    --------
    >>> dataset = load(seed=1, train=8, validation=4, test=4, delay_ms=300)
    >>> dataset.train.counts.shape, dataset.description["timescales_ms"]["longest_delay"]
    ((8, 50, 40), 300.0)
    """
    return load_task(DelayedMatch(**parameters), seed=seed, train=train, validation=validation, test=test)
