"""Processes whose timescale is known: what an estimator must recover, and noise in which it must find nothing.

Signals and counts are arrays (trial, time, neuron), point processes are `SpikeTrains`.
"""

from cortexsnn.timescales.processes.branching import branching_counts
from cortexsnn.timescales.processes.counts import (
    ou_poisson_counts,
    rectified_rates_hz,
    two_timescale_poisson_counts,
    white_poisson_counts,
)
from cortexsnn.timescales.processes.point_processes import (
    gamma_timescale_ms,
    gamma_trains,
    hawkes_timescale_ms,
    hawkes_trains,
)
from cortexsnn.timescales.processes.poisson_trains import (
    ou_poisson_trains,
    poisson_trains,
    silent_trains,
    two_timescale_poisson_trains,
    white_poisson_trains,
)
from cortexsnn.timescales.processes.signals import (
    autoregressive,
    geometric_timescale_ms,
    ornstein_uhlenbeck,
    oscillating,
    oscillating_autocorrelation,
    silence,
    sinusoid,
    two_timescale,
    two_timescale_autocorrelation,
    white_noise,
)

__all__ = [
    "autoregressive",
    "branching_counts",
    "gamma_timescale_ms",
    "gamma_trains",
    "geometric_timescale_ms",
    "hawkes_timescale_ms",
    "hawkes_trains",
    "ornstein_uhlenbeck",
    "oscillating",
    "oscillating_autocorrelation",
    "ou_poisson_counts",
    "ou_poisson_trains",
    "poisson_trains",
    "rectified_rates_hz",
    "silence",
    "silent_trains",
    "sinusoid",
    "two_timescale",
    "two_timescale_autocorrelation",
    "two_timescale_poisson_counts",
    "two_timescale_poisson_trains",
    "white_noise",
    "white_poisson_counts",
    "white_poisson_trains",
]
