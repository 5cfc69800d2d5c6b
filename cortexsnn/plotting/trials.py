"""What a trial of a data set looks like."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cortexsnn.datasets import Split
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.errors import InputError
from cortexsnn.plotting.style import OKABE_ITO

__all__ = ["trial_raster"]


def trial_raster(ax: Axes, split: Split, dt_s: float, trial: int = 0, colour: str = OKABE_ITO[0]) -> Axes:
    """Spikes of one trial of a data set, with its label.

    Spikes are where they were recorded if the split knows their times; else at the start of their step, and a channel
    with several spikes in a step is drawn larger.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    split : Split
    dt_s : float
        Time step in seconds.
    trial : int
        Negative ones count from the end.
    colour : str

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If there is no such trial.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> split = Split(np.eye(5, dtype=np.uint8)[np.newaxis], np.array([3]))
    >>> ax = trial_raster(Figure().subplots(), split, dt_s=0.01)
    >>> ax.get_xlabel(), ax.get_ylabel(), ax.get_title("left")
    ('time (ms)', 'channel', 'trial 0, class 3')
    """
    if not -len(split) <= trial < len(split):
        raise InputError("trial", trial, f"a number from 0 to {len(split) - 1}")
    trial %= len(split)
    steps = split.counts.shape[1]
    time_ms, channel, number = _spikes(split, trial, dt_s)
    channels = split.counts.binning.channels if isinstance(split.counts, LazyCounts) else split.counts.shape[2]
    few = channels <= 100
    ax.scatter(
        time_ms,
        channel,
        s=max(1.5, min(6.0, 220 / channels)) * number,
        marker="|" if few else ".",
        linewidths=0.8 if few else 0,
        color=colour,
        rasterized=not few,
    )
    ax.set_xlim(0, 1000 * dt_s * steps)
    ax.set_ylim(-1, channels)
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("channel")
    ax.set_title(", ".join(_words(split, trial)), loc="left")
    return ax


def _spikes(split: Split, trial: int, dt_s: float) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Times in ms, channels, and how many spikes each entry stands for."""
    if isinstance(split.counts, LazyCounts):
        times_s, units = split.counts.spikes.trial(int(split.counts.trials[trial]))
        return 1000 * times_s, units, np.ones(units.size, dtype=np.int64)
    counts = split.counts[trial]
    step, channel = (axis.astype(np.int64) for axis in np.nonzero(counts))
    return step.astype(np.float64) * (1000 * dt_s), channel, counts[step, channel].astype(np.int64)


def _words(split: Split, trial: int) -> list[str]:
    """Which trial it is, of what class if it has one, and by whom."""
    words = [f"trial {trial}"]
    if split.labels.ndim == 1:
        words.append(f"class {int(split.labels[trial])}")
    if split.speaker is not None:
        words.append(f"speaker {int(split.speaker[trial])}")
    return words
