"""Intrinsic timescales from spikes, measured as physiologists do; knows recordings and arrays, but no network."""

from cortexsnn.timescales.autocorrelation import (
    TrialAutocorrelation,
    bootstrap_curves,
    shuffled_bin_curves,
    trial_autocorrelation,
)
from cortexsnn.timescales.counts import bin_counts
from cortexsnn.timescales.estimate import estimate, estimate_counts, load, save
from cortexsnn.timescales.exponential import ExponentialFit, fit_exponential
from cortexsnn.timescales.processes import ornstein_uhlenbeck, ou_poisson_counts, white_poisson_counts
from cortexsnn.timescales.status import Status

__all__ = [
    "ExponentialFit",
    "Status",
    "TrialAutocorrelation",
    "bin_counts",
    "bootstrap_curves",
    "estimate",
    "estimate_counts",
    "fit_exponential",
    "load",
    "ornstein_uhlenbeck",
    "ou_poisson_counts",
    "save",
    "shuffled_bin_curves",
    "trial_autocorrelation",
    "white_poisson_counts",
]
