"""What generated tasks share: rates of groups of channels, whole steps, balanced answers, three splits of one seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator, not_negative, number, positive, whole
from cortexsnn.datasets.dataset import Dataset, Split
from cortexsnn.errors import InputError

__all__ = [
    "HIGH",
    "LOW",
    "SILENT",
    "RateCodedTask",
    "balanced",
    "check_size",
    "load_task",
    "three_splits",
    "whole_steps",
]

SILENT, LOW, HIGH = 0, 1, 2
"""What a group of channels does in a step."""

_LARGEST_BYTES = 8 << 30
_SPIKES_AT_ONCE = 1 << 22
# Of a step, so that 0.3 ms is three steps of 0.1 ms.
_STEP_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class RateCodedTask(ABC):
    """A task of two classes whose channels fire at one of two rates, or only noise.

    Channels come in groups of the same drive. In a step in which the rate of its group is r (0, `low_hz` or `high_hz`),
    a channel has a spike with the probability ::

        1 - (1 - r dt) (1 - noise dt)

    and none otherwise, independently of all other channels and steps (Bernoulli).

    Parameters
    ----------
    channels_per_group : int
    low_hz, high_hz : float
        The two rates, in spikes per second.
    noise_hz : float
        Rate of the noise, in every step of every channel.
    dt_ms : float
        Time step. All durations are multiples of it.

    Raises
    ------
    InputError
        If a number is out of its range, or no duration is a whole number of steps.
    """

    channels_per_group: int = 10
    low_hz: float = 20.0
    high_hz: float = 60.0
    noise_hz: float = 1.0
    dt_ms: float = 10.0

    name: ClassVar[str]
    classes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        positive("dt_ms", self.dt_ms, "a positive number of milliseconds")
        whole("channels_per_group", self.channels_per_group, 1)
        if not not_negative("low_hz", self.low_hz) < number("high_hz", self.high_hz):
            raise InputError("low_hz and high_hz", (self.low_hz, self.high_hz), "a lower and a higher rate")
        most = 1000 / self.dt_ms
        for field in ("high_hz", "noise_hz"):
            if not_negative(field, getattr(self, field)) > most:
                raise InputError(field, getattr(self, field), f"at most {most:g} Hz",
                                 f"a channel has at most one spike in a step of {self.dt_ms:g} ms")  # fmt: skip

    @property
    @abstractmethod
    def groups(self) -> int:
        """Number of groups of channels."""

    @property
    @abstractmethod
    def steps(self) -> int:
        """Number of time steps of a trial."""

    @property
    @abstractmethod
    def timescales_ms(self) -> dict[str, float]:
        """What has to be remembered or integrated for how long, by name."""

    @property
    def decoder(self) -> str:
        """How answers are read out."""
        return "per_step"

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.groups * self.channels_per_group

    @abstractmethod
    def scored_steps(self) -> NDArray[np.bool_] | None:
        """Steps in which the answer can be known, shape (time,); None if a trial has one label."""

    @abstractmethod
    def draw(self, trials: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """What every group does in every step, shape (trial, time, group), and the labels."""

    def generate(self, trials: int, rng: np.random.Generator) -> Split:
        """Draw trials.

        Parameters
        ----------
        trials : int
        rng : numpy.random.Generator

        Returns
        -------
        Split
            Binary counts, shape (trial, time, channel); labels, shape (trial, time) or (trial,).

        Raises
        ------
        InputError
            If `trials` is not a positive whole number, or so large that the counts exceed 8 GiB.
        """
        check_size(whole("trials", trials, 1), self.steps, self.channels)
        levels, labels = self.draw(trials, generator(rng))
        return Split(self._spikes(levels, rng), labels)

    def _spikes(self, levels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Spikes of all channels, a few trials at a time: random numbers take eight times the room of spikes."""
        rates = np.array([0.0, self.low_hz, self.high_hz])
        probability = 1 - (1 - rates * self.dt_ms / 1000) * (1 - self.noise_hz * self.dt_ms / 1000)
        counts = np.empty((len(levels), self.steps, self.channels), dtype=np.uint8)
        at_once = max(1, _SPIKES_AT_ONCE // counts[0].size)
        for start in range(0, len(levels), at_once):
            chances = np.repeat(probability[levels[start : start + at_once]], self.channels_per_group, axis=2)
            counts[start : start + at_once] = rng.random(chances.shape) < chances
        return counts


def check_size(trials: int, steps: int, channels: int) -> None:
    """Refuse trials whose counts would take more than 8 GiB, before any is made.

    Parameters
    ----------
    trials, steps, channels : int

    Raises
    ------
    InputError
        If there are too many.
    """
    if trials * steps * channels > _LARGEST_BYTES:
        raise InputError("trials", trials, f"at most {_LARGEST_BYTES // (steps * channels)}",
                         f"each has {steps} steps of {channels} channels")  # fmt: skip


def whole_steps(field: str, duration_ms: Any, dt_ms: float, lowest: int = 1) -> int:
    """Number of time steps in a duration, which must be a whole one.

    Parameters
    ----------
    field : str
        Name of the duration in the message.
    duration_ms, dt_ms : float
    lowest : int
        Fewest steps.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the duration is no multiple of the time step, or too short.

    Examples
    --------
    >>> whole_steps("delay_ms", 0.3, 0.1)
    3
    >>> whole_steps("delay_ms", 25, 10.0)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: delay_ms is 25; expected a multiple of the time step of 10 ms, at least 10 ms
    """
    exact = number(field, duration_ms) / dt_ms
    steps = round(exact)
    if abs(exact - steps) > _STEP_TOLERANCE or steps < lowest:
        expected = f"a multiple of the time step of {dt_ms:g} ms, at least {lowest * dt_ms:g} ms"
        raise InputError(field, duration_ms, expected)
    return steps


def balanced(trials: int, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Classes in random order, each as often as the others.

    Parameters
    ----------
    trials, classes : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of int, shape (trial,)
        Where trials cannot be shared out evenly, some classes have one more, drawn at random.

    Examples
    --------
    >>> np.bincount(balanced(10, 2, np.random.default_rng(0)))
    array([5, 5])
    """
    return rng.permutation(classes)[rng.permutation(trials) % classes]


def three_splits(
    generate: Callable[[int, np.random.Generator], Split], seed: int, train: int, validation: int, test: int
) -> tuple[Split, Split, Split]:
    """Draw the splits from independent streams of one seed, so that the size of one changes no other.

    Parameters
    ----------
    generate : callable
        Makes a split of so many trials with a generator.
    seed : int
    train, validation, test : int
        Number of trials.

    Returns
    -------
    train, validation, test : Split
    """
    streams = np.random.default_rng(whole("seed", seed, 0)).spawn(3)
    first, second, third = (
        generate(trials, rng) for trials, rng in zip((train, validation, test), streams, strict=True)
    )
    return first, second, third


def load_task(task: RateCodedTask, *, seed: int, train: int, validation: int, test: int) -> Dataset:
    """Make a data set of a task.

    Parameters
    ----------
    task : RateCodedTask
    seed : int
    train, validation, test : int
        Number of trials.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]`` has the timescales of the task.
    """
    parameters: Mapping[str, Any] = asdict(task)
    return Dataset(
        task.name,
        task.dt_ms / 1000,
        task.classes,
        task.decoder,
        *three_splits(task.generate, seed, train, validation, test),
        task.scored_steps(),
        {
            "name": task.name,
            "seed": seed,
            "train": train,
            "validation": validation,
            "test": test,
            **{key: list(value) if isinstance(value, tuple) else value for key, value in parameters.items()},
            "timescales_ms": task.timescales_ms,
        },
    )
