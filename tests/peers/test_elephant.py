"""Elephant: its spike time tiling coefficient of a train cut at both ends is ours at that lag."""

import numpy as np
import pytest

neo = pytest.importorskip("neo")
pq = pytest.importorskip("quantities")
correlation = pytest.importorskip("elephant.spike_train_correlation")

from cortexsnn.timescales.activity import SpikeTrains  # noqa: E402
from cortexsnn.timescales.tiling import isttc  # noqa: E402

# Elephant 1.2 lets spikes at t coincide that are dt + 1e-5 t apart (its pull request 706). Spikes on a grid of 1 ms in
# 20 s have no interval between dt and dt + 0.2 ms; those of exactly dt count here and there.
GRID_S, DURATION_S = 0.001, 20.0


def elephants(times_s, lag_ms, window_ms):
    lag_s = lag_ms / 1000
    length_s = DURATION_S - lag_s
    sides = times_s[times_s <= length_s + 1e-9], times_s[times_s >= lag_s - 1e-9] - lag_s
    cut = [neo.SpikeTrain(np.clip(side, 0, length_s), units="s", t_stop=length_s) for side in sides]
    return correlation.spike_time_tiling_coefficient(*cut, dt=window_ms * pq.ms)


@pytest.mark.parametrize("window_ms", [2.5, 10.0, 25.0])
def test_every_lag_equals_elephant(window_ms):
    # Sparse, ordinary and dense trains, one that has no spike in A or B at some lags, and one that covers all time.
    rng = np.random.default_rng(1)
    places = [rng.choice(int(DURATION_S / GRID_S) + 1, number, replace=False) for number in (3, 40, 400, 1500)]
    places += [np.array([30]), np.array([19_990]), np.arange(0, 20_001, 20)]
    trains = [np.sort(place) * GRID_S for place in places]
    lags_ms = np.concatenate([5.0 * np.arange(1, 11), [250.0, 1000.0, 19_000.0]])
    ours = isttc(SpikeTrains.from_times(trains, DURATION_S), lags_ms=lags_ms, window_ms=window_ms)
    theirs = [[elephants(times, lag, window_ms) for lag in lags_ms] for times in trains]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    assert np.isnan(ours).any()
