"""How spike times become counts: time steps, window, and channels that are summed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, positive, whole
from cortexsnn.errors import InputError

__all__ = ["Binning"]

_RULES = ("floor", "digitize")
_MOST_CELLS = 1 << 30  # so that a place fits into 32 bits


@dataclass(frozen=True)
class Binning:
    """Rule by which a spike of a channel at a time falls into a cell of an array (step, group of channels).

    With time step ``dt = window_s / steps``, the step of a spike at time t is, by rule

    - ``"floor"``: ``floor(t / dt)``, from 0; spikes at `window_s` or later are dropped.
    - ``"digitize"``: ``numpy.digitize(t, numpy.linspace(0, window_s, steps))``, as in the code of Moro et al. 2024
      (https://doi.org/10.48550/arXiv.2407.18838): from 1, so that step 0 is always empty, and steps are
      ``window_s / (steps - 1)`` wide, though the network takes them for `dt`. Here too, later spikes are dropped.

    Channel c falls into group ``c // channels_per_group``.

    Parameters
    ----------
    steps : int
        Number of time steps in a trial.
    window_s : float
        Duration of a trial in seconds.
    channels : int
        Of the spikes.
    channels_per_group : int
        Neighbouring channels whose spikes are summed, a divisor of `channels`.
    rule : {"floor", "digitize"}

    Raises
    ------
    InputError
        If a value cannot be used.

    Examples
    --------
    >>> binning = Binning(steps=100, window_s=1.0, channels=700, channels_per_group=5)
    >>> binning.shape, binning.dt_s
    ((100, 140), 0.01)
    >>> binning.step_of(np.array([0.0, 0.0101, 0.999, 1.0]))
    array([  0,   1,  99, 100])
    """

    steps: int = 100
    window_s: float = 1.4
    channels: int = 700
    channels_per_group: int = 1
    rule: str = "floor"

    #: What `places` says of a spike after the window, and of one that cannot be.
    LATE = -(1 << 30)
    INVALID = -(1 << 31)

    def __post_init__(self) -> None:
        try:
            whole("steps", self.steps, 1)
            positive("window_s", self.window_s, "a positive number of seconds")
        except InputError:
            raise InputError("steps and window_s", (self.steps, self.window_s),
                             "at least one step and a positive duration") from None  # fmt: skip
        whole("channels", self.channels, 1)
        if whole("channels_per_group", self.channels_per_group, 1) and self.channels % self.channels_per_group:
            raise InputError("channels_per_group", self.channels_per_group, f"a divisor of {self.channels}")
        choice("rule of the binning", self.rule, _RULES)
        if self.rule == "digitize" and self.steps < 2:
            raise InputError("steps", self.steps, "at least 2 by the rule 'digitize'", "step 0 is always empty")
        if self.steps * self.groups > _MOST_CELLS:
            raise InputError("steps times channels", (self.steps, self.groups), f"at most {_MOST_CELLS} in all",
                             "use fewer steps or sum channels")  # fmt: skip

    @property
    def groups(self) -> int:
        """Number of channels after summing."""
        return self.channels // self.channels_per_group

    @property
    def shape(self) -> tuple[int, int]:
        """Of the counts of a trial: (time, channel)."""
        return int(self.steps), int(self.groups)

    @property
    def dt_s(self) -> float:
        """Time step in seconds, as the network takes it."""
        return float(self.window_s / self.steps)

    def step_of(self, times_s: NDArray[np.floating]) -> NDArray[np.int64]:
        """Step of each time; `steps` for one after the window, -1 for one that is negative or not a number.

        Parameters
        ----------
        times_s : array of float, shape (spike,)

        Returns
        -------
        numpy.ndarray of int64, shape (spike,)
        """
        # SHD's float16 seconds lose digits and overflow when they are scaled; widen them first.
        times = np.asarray(times_s, dtype=np.float64)
        valid = times >= 0  # not for NaN
        # The division cannot overflow when what is far outside is brought near.
        near = np.minimum(np.where(valid, times, 0.0), 2 * self.window_s)
        if self.rule == "floor":
            found = np.minimum(np.floor(near / self.dt_s), self.steps).astype(np.int64)
        else:
            found = np.digitize(near, np.linspace(0, self.window_s, self.steps)).astype(np.int64)
        valid &= np.isfinite(times)
        return found if valid.all() else np.where(valid, found, -1)

    @cached_property
    def _rows_of_float16(self) -> NDArray[np.int32]:
        """First cell of the step of every float16 that there is, by its bits."""
        every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        return self._rows(every)

    def _rows(self, times_s: NDArray[np.floating]) -> NDArray[np.int32]:
        """First cell of the step of each time, or what it is instead."""
        step = self.step_of(times_s)
        rows = (step * self.groups).astype(np.int32)
        rows[step == self.steps] = self.LATE
        rows[step < 0] = self.INVALID
        return rows

    def places(self, times_s: NDArray[np.floating], units: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Cell of each spike in the flattened counts of a trial, ``step * groups + unit // channels_per_group``.

        Parameters
        ----------
        times_s : array of float, shape (spike,)
            Seconds from the start of the trial.
        units : array of int, shape (spike,)
            Channels.

        Returns
        -------
        numpy.ndarray of int32, shape (spike,)
            `LATE` where a spike comes after the window, `INVALID` where its time is negative or not finite, or there
            is no such channel.

        Examples
        --------
        >>> Binning(steps=10, window_s=1.0, channels=4).places(np.array([0.0, 0.25, 3.0]), np.array([3, 1, 0]))
        array([          3,           9, -1073741824], dtype=int32)
        """
        if times_s.dtype == np.float16:
            # Of 16 bits there are so few times that all steps are found beforehand.
            rows = self._rows_of_float16.take(np.ascontiguousarray(times_s).view(np.uint16))
        else:
            rows = self._rows(times_s)
        place = rows + self._group_of(units)
        # Most often there is nothing to correct, which the extremes tell at once.
        if rows.min(initial=0) < 0:
            place = np.where(rows < 0, rows, place)
        if units.max(initial=0) >= self.channels or units.min(initial=0) < 0:
            place[(units >= self.channels) | (units < 0)] = self.INVALID
        return place

    def _group_of(self, units: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        channel = units.astype(np.int32)
        return channel if self.channels_per_group == 1 else channel // np.int32(self.channels_per_group)
