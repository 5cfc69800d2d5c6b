"""Background spikes for spontaneous activity of any duration: made block by block, never held whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import generator, not_negative, positive, whole
from cortexsnn.errors import InputError

__all__ = ["Background", "background"]

# At 100 expected spikes a step, more than the 255 that a count can say have a probability below 1e-36.
_HIGHEST_MEAN_COUNT = 100.0
# Lower ones could not be told from none, and the mother process would have too many spikes.
_LOWEST_CORRELATION = 1e-9
_BLOCK_STEPS = 1000
# So that every reader of JSON can keep the number.
_ENTROPY_BITS = 53


@dataclass(frozen=True)
class Background:
    """Poisson spikes of all channels, independent or correlated, that can be asked for in any order and any pieces.

    `background` makes one; this is what it is described by.

    The count of a channel in a step is Poisson with mean ``rate_hz * dt_s``, and counts of different steps are
    independent: whatever timescale the activity of a network has, it is not that of this input. Counts of two
    channels in the same step are correlated if ``correlation`` c is above 0. They are then copies of the spikes of one
    mother process (multiple interaction process: Kuhn, Aertsen & Rotter 2003,
    https://doi.org/10.1162/089976603321043702) with the rate max(rate) / c, each of which channel i keeps with
    probability c * rate_i / max(rate). What is kept of a Poisson process is Poisson, and the correlation of channels i
    and j is ::

        c * sqrt(rate_i * rate_j) / max(rate)

    which is c for channels of the highest rate, so for all if their rates are the same. Each mother spike is kept by
    any number of channels, so correlations of higher order are there too.

    Parameters
    ----------
    rate_hz : tuple of float
        Rate of each channel.
    dt_s : float
        Time step in seconds.
    steps, trials : int
        Time steps of each trial, and trials.
    correlation : float
        Correlation c, 0 to 1, of the counts of two channels of the highest rate in a step.
    repeats : int
        Frozen noise: the same input is shown in so many trials one after another; trial k has input k // repeats.
    entropy : int
        Seed. Every (input, block of steps) has random numbers of its own, so the counts of a step do not depend on what
        else is asked for, nor on the number of steps and trials. They are the same for the same release of NumPy.
    block_steps : int
        Length of the blocks. Asking for whole blocks is fastest.

    Raises
    ------
    InputError
        If a number is out of its range, or a rate is so high that a count could exceed 255.
    """

    rate_hz: tuple[float, ...]
    dt_s: float
    steps: int
    trials: int
    correlation: float
    repeats: int
    entropy: int
    block_steps: int = _BLOCK_STEPS

    def __post_init__(self) -> None:
        positive("dt_s", self.dt_s, "a positive number of seconds")
        for name in ("steps", "trials", "repeats", "block_steps"):
            whole(name, getattr(self, name), 1)
        whole("entropy", self.entropy, 0)
        rates = np.asarray(self.rate_hz)
        if not rates.size or rates.dtype.kind not in "iuf" or not np.all((rates >= 0) & np.isfinite(rates)):
            raise InputError("rate_hz", self.rate_hz, "numbers of at least 0, in spikes per second")
        highest = float(rates.max()) * self.dt_s
        if highest > _HIGHEST_MEAN_COUNT:
            raise InputError("rate_hz", float(rates.max()), f"at most {_HIGHEST_MEAN_COUNT / self.dt_s:g} Hz",
                             f"a count of a step of {self.dt_s:g} s could exceed 255")  # fmt: skip
        if not_negative("correlation", self.correlation) and not _LOWEST_CORRELATION <= self.correlation <= 1:
            raise InputError("correlation", self.correlation, f"0, or a number from {_LOWEST_CORRELATION:g} to 1")
        if self.correlation and not highest:
            raise InputError("correlation", self.correlation, "0 where no channel has a rate")
        if self.trials % self.repeats:
            raise InputError("trials", self.trials, f"a multiple of repeats = {self.repeats}",
                             "trials counts every showing of a frozen input")  # fmt: skip

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.rate_hz)

    @property
    def graded(self) -> bool:
        """Whether a channel may have several spikes in a step: always."""
        return True

    def counts(self, trials: range, steps: range) -> NDArray[np.uint8]:
        """Spikes of some steps of some trials.

        Parameters
        ----------
        trials, steps : range
            Without gaps.

        Returns
        -------
        numpy.ndarray of uint8, shape (trial, time, channel)
            The same as if the whole had been made and cut.

        Raises
        ------
        InputError
            If a range has gaps or reaches beyond the trials or steps that there are.

        Examples
        --------
        >>> noise = background(3, rate_hz=40.0, dt_s=0.001, duration_s=3600.0, rng=np.random.default_rng(0))
        >>> piece = noise.counts(range(1), range(2_000_000, 2_010_000))
        >>> again = noise.counts(range(1), range(2_005_000, 2_006_000))
        >>> piece.shape, np.array_equal(piece[:, 5000:6000], again)
        ((1, 10000, 3), True)
        """
        for name, asked, there in (("trials", trials, self.trials), ("steps", steps, self.steps)):
            if asked.step != 1 or asked.start < 0 or asked.stop > there:
                raise InputError(f"{name} that are asked for", asked, f"a range without gaps within 0 to {there}")
        found = np.empty((len(trials), len(steps), self.channels), dtype=np.uint8)
        for row, trial in enumerate(trials):
            if row and trial % self.repeats:
                found[row] = found[row - 1]
                continue
            for start in range(steps.start - steps.start % self.block_steps, steps.stop, self.block_steps):
                first, last = max(start, steps.start), min(start + self.block_steps, steps.stop)
                block = self._block(trial // self.repeats, start // self.block_steps)
                found[row, first - steps.start : last - steps.start] = block[first - start : last - start]
        return found

    def _block(self, frozen: int, block: int) -> NDArray[np.uint8]:
        """Counts of one block of one frozen input, shape (time, channel); whole even where the trial ends before."""
        rng = np.random.default_rng([self.entropy, frozen, block])
        mean = np.asarray(self.rate_hz) * self.dt_s
        shape = (self.block_steps, self.channels)
        if self.correlation:
            mother = rng.poisson(mean.max() / self.correlation, self.block_steps)
            fired = np.flatnonzero(mother)
            counts = np.zeros(shape, dtype=np.uint8)
            counts[fired] = rng.binomial(mother[fired, np.newaxis], self.correlation * mean / mean.max())
            return counts
        # Once their number is known, spikes of a Poisson process fall anywhere: faster than a draw for every step.
        channel = np.repeat(np.arange(self.channels), rng.poisson(mean * self.block_steps))
        step = rng.integers(self.block_steps, size=channel.size)
        place = step * self.channels + channel
        return np.bincount(place, minlength=self.block_steps * self.channels).astype(np.uint8).reshape(shape)

    def describe(self) -> dict[str, Any]:
        """What JSON can say to make it again with `described`.

        Returns
        -------
        dict
            ``rate_hz`` is one number if all channels have the same.

        Examples
        --------
        >>> noise = background(700, rate_hz=5.0, dt_s=0.001, duration_s=60.0, rng=np.random.default_rng(0))
        >>> noise.describe()["rate_hz"], Background.described(noise.describe()) == noise
        (5.0, True)
        """
        return {
            "kind": "background",
            "channels": self.channels,
            "rate_hz": self.rate_hz[0] if len(set(self.rate_hz)) == 1 else list(self.rate_hz),
            "dt_s": self.dt_s,
            "steps": self.steps,
            "trials": self.trials,
            "correlation": self.correlation,
            "repeats": self.repeats,
            "entropy": self.entropy,
            "block_steps": self.block_steps,
        }

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> Background:
        """Make again what `describe` described.

        Parameters
        ----------
        description : mapping

        Returns
        -------
        Background
            With the same counts.

        Raises
        ------
        InputError
            If the description is of something else, lacks something, or has numbers that cannot be.
        """
        if description.get("kind") != "background":
            raise InputError("kind of input", description.get("kind"), "'background'")
        given = {key: value for key, value in description.items() if key not in {"kind", "channels", "rate_hz"}}
        try:
            return cls(_rates(description["channels"], description["rate_hz"]), **given)
        except (KeyError, TypeError) as error:
            raise InputError("description of the background", dict(description), "what Background.describe returns",
                             str(error)) from None  # fmt: skip


def _rates(channels: Any, rate_hz: Any) -> tuple[float, ...]:
    """One rate for every channel: a single number is repeated."""
    count = whole("channels", channels, 1)
    try:
        rates = np.asarray(rate_hz)
    except ValueError:  # lists of different lengths
        raise InputError("rate_hz", rate_hz, f"one number, or {count}, one for each channel") from None
    if rates.shape not in {(), (count,)}:
        raise InputError("shape of rate_hz", rates.shape, f"one number, or {count}, one for each channel")
    return tuple(np.broadcast_to(rates, count).tolist())


def _whole_steps(duration_s: Any, dt_s: Any) -> int:
    duration, step = float(positive("duration_s", duration_s, "a positive number of seconds")), dt_s
    positive("dt_s", step, "a positive number of seconds")
    steps = duration / step
    if abs(steps - round(steps)) > 1e-6 or steps < 0.5:
        below, above = int(steps) * step, (int(steps) + 1) * step
        raise InputError("duration_s", duration_s, f"a multiple of dt_s = {step:g} s",
                         f"{below:g} s or {above:g} s would do" if below else f"{above:g} s would do")  # fmt: skip
    return round(steps)


def background(
    channels: int,
    *,
    rate_hz: ArrayLike,
    dt_s: float,
    duration_s: float,
    rng: np.random.Generator,
    trials: int = 1,
    correlation: float = 0.0,
    repeats: int = 1,
) -> Background:
    """Background input without any structure in time, for spontaneous activity of any duration.

    Parameters
    ----------
    channels : int
    rate_hz : float, or array of float, shape (channel,)
        Spikes per second of every channel, or of each.
    dt_s : float
        Time step in seconds.
    duration_s : float
        Duration of a trial in seconds, a multiple of `dt_s`.
    rng : numpy.random.Generator
        One number is drawn from it, which seeds everything.
    trials : int
        Trials in all, a multiple of `repeats`.
    correlation : float
        0 for independent channels; else the correlation of the counts of two channels in a step (`Background` has the
        formula where rates differ).
    repeats : int
        Trials one after another that have the same input (frozen noise). What then differs between them is not due to
        the input.

    Returns
    -------
    Background

    Raises
    ------
    InputError
        If a number is out of its range, or the time step does not divide the duration.

    Examples
    --------
    >>> noise = background(
    ...     4, rate_hz=[5, 5, 10, 20], dt_s=0.001, duration_s=60.0, rng=np.random.default_rng(1), trials=6, repeats=3
    ... )
    >>> noise.trials, noise.steps, noise.channels
    (6, 60000, 4)
    >>> first = noise.counts(range(6), range(1000))
    >>> np.array_equal(first[0], first[2]), np.array_equal(first[2], first[3])
    (True, False)
    """
    entropy = int(generator(rng).integers(2**_ENTROPY_BITS))
    steps = _whole_steps(duration_s, dt_s)
    return Background(_rates(channels, rate_hz), float(dt_s), steps, trials, correlation, repeats, entropy)
