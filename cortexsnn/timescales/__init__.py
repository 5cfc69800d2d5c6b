"""Intrinsic timescales, measured as physiologists do; knows recordings and arrays, but no network."""

from cortexsnn.timescales.activity import BinnedSpikes, Signals, SpikeTrains
from cortexsnn.timescales.autocorrelation import (
    TrialAutocorrelation,
    bootstrap_curves,
    shuffled_bin_curves,
    trial_autocorrelation,
)
from cortexsnn.timescales.counts import bin_counts
from cortexsnn.timescales.estimate import estimate, estimate_counts
from cortexsnn.timescales.estimators import ESTIMATORS, PearsonTrials
from cortexsnn.timescales.exponential import ExponentialFit, fit_exponential
from cortexsnn.timescales.processes import *  # noqa: F403
from cortexsnn.timescales.processes import __all__ as _processes
from cortexsnn.timescales.recordings import RecordedSpikes, from_recording, potential_of
from cortexsnn.timescales.sources import from_counts, from_nwb, from_pynapple
from cortexsnn.timescales.status import Status
from cortexsnn.timescales.table import load, save

__all__ = [
    "ESTIMATORS",
    "BinnedSpikes",
    "ExponentialFit",
    "PearsonTrials",
    "RecordedSpikes",
    "Signals",
    "SpikeTrains",
    "Status",
    "TrialAutocorrelation",
    "bin_counts",
    "bootstrap_curves",
    "estimate",
    "estimate_counts",
    "fit_exponential",
    "from_counts",
    "from_nwb",
    "from_pynapple",
    "from_recording",
    "load",
    "potential_of",
    "save",
    "shuffled_bin_curves",
    "trial_autocorrelation",
    *_processes,
]
