"""statsmodels: its autocorrelation of all bins is that from pairs of filled bins, to rounding."""

import numpy as np
import pytest

stattools = pytest.importorskip("statsmodels.tsa.stattools")

from cortexsnn.timescales.binned import BinnedSpikes  # noqa: E402
from cortexsnn.timescales.blocks import time_blocks  # noqa: E402
from cortexsnn.timescales.correlogram import signal_correlogram, spike_correlogram  # noqa: E402

BINS, LAGS = 20_000, 100


def expected(values, weighting):
    """Lags 1 to `LAGS` of each neuron, shape (neuron, lag)."""
    adjusted = weighting == "pairs"
    return np.stack([stattools.acf(row, nlags=LAGS, fft=True, adjusted=adjusted)[1:] for row in values[0].T])


@pytest.mark.parametrize("weighting", ["pairs", "all"])
def test_spike_trains(weighting):
    counts = np.random.default_rng(1).poisson([0.01, 0.1, 2.0], (1, BINS, 3))
    binned = BinnedSpikes.from_counts(counts, bin_ms=5.0)
    blocks = time_blocks(binned.bins, LAGS)
    assert blocks.number == 100
    curves = spike_correlogram(binned, LAGS, blocks, weighting=weighting).curves(np.ones((1, 100)))[0]
    np.testing.assert_allclose(curves, expected(counts.astype(float), weighting), rtol=0, atol=1e-11)


@pytest.mark.parametrize("weighting", ["pairs", "all"])
def test_signals(weighting):
    walk = np.cumsum(np.random.default_rng(2).standard_normal((1, BINS, 2)), axis=1) - 65.0
    blocks = time_blocks(np.array([BINS]), LAGS)
    curves = signal_correlogram(walk, LAGS, blocks, weighting=weighting).curves(np.ones((1, 100)))[0]
    np.testing.assert_allclose(curves, expected(walk, weighting), rtol=0, atol=1e-9)
