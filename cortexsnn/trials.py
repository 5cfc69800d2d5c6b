"""Trials that a network is run on: those of its task, and spontaneous ones that are long enough for a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn import datasets, timescales
from cortexsnn.cortex.matching import repeatable_protocol
from cortexsnn.datasets import Dataset
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.errors import InputError
from cortexsnn.network import Network

__all__ = ["USUAL_TRIALS", "Trials", "spontaneous_trials", "task_trials"]

#: Spontaneous trials where a study does not tell how many it had.
USUAL_TRIALS = 200
_BURN_IN_IN_TAU, _WINDOW_IN_TAU = 2.0, 5.0
# Random numbers of the input are drawn at once, in float64.
_MOST_BYTES = 4e9
_FEWEST_BINS = 12


@dataclass(frozen=True, eq=False)
class Trials:
    """Input for a network, with the right answers if there are any.

    Parameters
    ----------
    counts : array of uint8 or LazyCounts, shape (trial, time, channel)
    labels : array of int, optional
        As in `cortexsnn.datasets.Split`.
    scored_steps : array of bool, shape (time,), optional
        Steps that count for the accuracy.
    burn_in_steps : int
        Start of each trial that is not to be measured.
    reason : str
        Why so many trials of that length.
    """

    counts: NDArray[np.uint8] | LazyCounts
    labels: NDArray[np.int64] | None = None
    scored_steps: NDArray[np.bool_] | None = None
    burn_in_steps: int = 0
    reason: str = ""


def task_trials(dataset: Dataset, trials: int | None = None) -> Trials:
    """The first `trials` trials of the test split, or all of them.

    Parameters
    ----------
    dataset : Dataset
    trials : int, optional
        All of them by default.

    Returns
    -------
    Trials
        With labels, and the scored steps if the task has them.

    Examples
    --------
    >>> dataset = datasets.load("mts_xor", train=8, validation=4, test=4)
    >>> task_trials(dataset, 2).counts.shape
    (2, 100, 40)
    """
    split = dataset.test.take(slice(0, trials))
    return Trials(split.counts, split.labels, dataset.scored_steps)


def _needed_steps(how: Mapping[str, Any], dt_ms: float) -> int:
    """Time steps that the estimator of a study needs of a trial."""
    settings = how["settings"]
    bin_ms = float(settings.get("bin_ms", timescales.usual_bin_ms(how["estimator"], dt_ms)))
    bin_steps = max(1, round(bin_ms / dt_ms))
    lags = settings.get("max_lag_ms")
    bins = _FEWEST_BINS if lags is None else int(np.ceil(lags / (bin_steps * dt_ms) - 1e-9)) + 2
    segment = int(np.ceil(1000.0 * settings.get("segment_s", 0.0) / dt_ms - 1e-9))
    return max(bins * bin_steps, segment)


def spontaneous_trials(
    network: Network,
    dataset: Dataset,
    trials: int | None,
    rng: np.random.Generator,
    *,
    study: xr.Dataset | None = None,
) -> Trials:
    """Input at the mean rate of every training channel, without structure, long enough for layers and study.

    Each trial has a burn-in of twice the slowest membrane time constant, then a window of five times it, or, with a
    study, of as many of its longest trials as that takes, so that each holds one or several of them. Of a study of
    unknown trials it is long enough for its lags or segments, at least 12 bins.

    Parameters
    ----------
    network : Network
    dataset : Dataset
        Its training split gives the rates.
    trials : int, optional
        Number of trials of the study, or simply of trials without one. By default as many as the study had; where
        that is not known `USUAL_TRIALS`: more of them make the interval of a timescale narrower and leave its value
        as it is.
    rng : numpy.random.Generator
    study : xarray.Dataset, optional
        Table of one measure whose protocol the recording is for (`cortexsnn.cortex.open_table`).

    Returns
    -------
    Trials
        Their `reason` says in words what was chosen and why.

    Raises
    ------
    InputError
        If the network has no spiking layer, there is not at least one trial, the training split has no spikes, the
        table has several measures or one that no estimator repeats, or the input is too large to be drawn.

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> dataset = datasets.load("mts_xor", train=8, validation=4, test=4)
    >>> network = Network(0.01, (Population.input("input", 40), Population.lif("hidden1", 5, tau_s=0.02)), ())
    >>> trials = spontaneous_trials(network, dataset, 3, np.random.default_rng(0))
    >>> trials.counts.shape, trials.burn_in_steps
    ((3, 14, 40), 4)
    >>> from cortexsnn import cortex
    >>> study = cortex.open_table("murray2014")
    >>> trials = spontaneous_trials(network, dataset, 3, np.random.default_rng(0), study=study)
    >>> trials.counts.shape, trials.reason
    ((3, 104, 40), 'each holds 1 of 1000 ms as in murray2014')
    """
    if not network.hidden:
        raise InputError("spiking populations of the network", [], "at least one, whose activity can be measured")
    dt_ms, slowest_ms = 1000.0 * network.dt_s, 1000.0 * max(float(p.tau_s.max()) for p in network.hidden)
    burn_in, window = (int(np.ceil(n * slowest_ms / dt_ms - 1e-9)) for n in (_BURN_IN_IN_TAU, _WINDOW_IN_TAU))
    how = {} if study is None else repeatable_protocol(study)
    name = "" if study is None else str(study.attrs.get("table", ""))
    pieces, reason = 1, []
    if how.get("trial_ms"):
        longest_ms = max(how["trial_ms"])
        piece = int(np.ceil(longest_ms / dt_ms - 1e-9))
        pieces = max(1, -(-window // piece))
        window = pieces * piece
        reason.append(f"each holds {pieces} of {longest_ms:g} ms as in {name}")
        if _WINDOW_IN_TAU * slowest_ms > longest_ms:
            reason.append(f"which is short for membrane time constants of up to {slowest_ms:.0f} ms")
    elif how and _needed_steps(how, dt_ms) > window:
        window = _needed_steps(how, dt_ms)
        reason.append(f"each has {window * dt_ms:.10g} ms, which {how['estimator']} of {name} needs")
    if trials is None:
        known = how.get("trials")
        trials = int(known) if known is not None and how.get("trial_ms") else USUAL_TRIALS
        if name:
            length = "" if how.get("trial_ms") else ", of unknown length"
            reason.append(f"how many {name} had is not known" if known is None else f"{name} had {known}{length}")
    number, steps = -(-trials // pieces), burn_in + window
    size = 8.0 * number * steps * dataset.channels
    if size > _MOST_BYTES:
        raise InputError("size of the input", f"{size / 1e9:.3g} GB",
                         f"at most {_MOST_BYTES / 1e9:g} GB: it is {number} trials of {steps * dt_ms / 1000:g} s on "
                         f"{dataset.channels} channels",
                         "take fewer with --trials, or a study of shorter ones")  # fmt: skip
    counts = datasets.spontaneous(dataset.train, number, steps, rng)
    return Trials(counts, burn_in_steps=burn_in, reason="; ".join(reason))
