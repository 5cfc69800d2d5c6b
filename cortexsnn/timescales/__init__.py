"""Intrinsic timescales, measured as physiologists do; knows recordings and arrays, but no network."""

from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.autocorrelation import (
    TrialAutocorrelation,
    bootstrap_curves,
    shuffled_bin_curves,
    trial_autocorrelation,
)
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.calibration import calibrate, correct, noisy_rates, noisy_signals
from cortexsnn.timescales.counts import bin_counts
from cortexsnn.timescales.decay import DecayFit, fit_decay
from cortexsnn.timescales.estimate import estimate, estimate_counts
from cortexsnn.timescales.estimators import (
    ESTIMATORS,
    Autocorrelation,
    IntegralTimescale,
    MultistepRegression,
    PearsonTrials,
    SpectralKnee,
    Tiling,
    usual_bin_ms,
)
from cortexsnn.timescales.exponential import ExponentialFit, fit_exponential
from cortexsnn.timescales.neo_objects import from_neo
from cortexsnn.timescales.processes import *  # noqa: F403
from cortexsnn.timescales.processes import __all__ as _processes
from cortexsnn.timescales.protocol import Protocol, match, protocol_of
from cortexsnn.timescales.recordings import RecordedSpikes, from_recording, potential_of
from cortexsnn.timescales.sources import from_counts, from_nwb, from_pynapple
from cortexsnn.timescales.status import Status
from cortexsnn.timescales.table import load, save

__all__ = [
    "ESTIMATORS",
    "Autocorrelation",
    "BinnedSpikes",
    "DecayFit",
    "ExponentialFit",
    "IntegralTimescale",
    "MultistepRegression",
    "PearsonTrials",
    "Protocol",
    "RecordedSpikes",
    "Signals",
    "SpectralKnee",
    "SpikeTrains",
    "Status",
    "Tiling",
    "TrialAutocorrelation",
    "bin_counts",
    "bootstrap_curves",
    "calibrate",
    "correct",
    "estimate",
    "estimate_counts",
    "fit_decay",
    "fit_exponential",
    "from_counts",
    "from_neo",
    "from_nwb",
    "from_pynapple",
    "from_recording",
    "load",
    "match",
    "noisy_rates",
    "noisy_signals",
    "potential_of",
    "protocol_of",
    "save",
    "shuffled_bin_curves",
    "trial_autocorrelation",
    "usual_bin_ms",
    *_processes,
]
