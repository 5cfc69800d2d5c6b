"""The tiling autocorrelation is what its definition says, over epochs, edges and replicates, and finds timescales."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn.errors import InputError
from cortexsnn.timescales import tiling
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.blocks import TimeBlocks, draws
from cortexsnn.timescales.exponential import fit_exponential
from cortexsnn.timescales.tiling import isttc, tiling_blocks, tiling_sums


def by_definition(epochs, durations, lag, window):
    """One neuron; all times are whole ticks, so that no rounding blurs what lies on an edge."""
    near_a = near_b = spikes_a = spikes_b = tiled_a = tiled_b = total = 0
    for times, duration in zip(epochs, durations, strict=True):
        if lag >= duration:
            continue
        a, b = times[times <= duration - lag], times[times >= lag] - lag
        near = np.abs(a[:, None] - b) <= window
        near_a, near_b = near_a + near.any(axis=1).sum(), near_b + near.any(axis=0).sum()
        spikes_a, spikes_b = spikes_a + a.size, spikes_b + b.size
        between = np.arange(duration - lag)[:, None] + 0.5
        tiled_a += (np.abs(between - a) < window).any(axis=1).sum()
        tiled_b += (np.abs(between - b) < window).any(axis=1).sum()
        total += duration - lag
    if not spikes_a or not spikes_b:
        return np.nan

    def half(p, t):
        return 1.0 if p * t == 1 else (p - t) / (1 - p * t)

    return (half(near_a / spikes_a, tiled_b / total) + half(near_b / spikes_b, tiled_a / total)) / 2


@st.composite
def recordings(draw):
    """Spikes on a grid (twice in the same tick, too), at rates from silence to every tick, in unequal epochs."""
    durations = np.array(draw(st.lists(st.integers(8, 60), min_size=1, max_size=3)))
    neurons = draw(st.integers(1, 3))
    spikes = [
        [np.sort(draw(st.lists(st.integers(0, int(end)), max_size=30))).astype(int) for _ in range(neurons)]
        for end in durations
    ]
    lags = np.array(sorted(draw(st.sets(st.integers(1, int(durations.max()) - 1), min_size=1, max_size=6))))
    tick_s = draw(st.sampled_from([0.0001, 0.001, 0.005, 1 / 3]))
    return spikes, durations, lags, draw(st.integers(1, 12)), tick_s


def asked(recording):
    spikes, durations, lags, window, tick_s = recording
    trains = SpikeTrains.from_times([[times * tick_s for times in epoch] for epoch in spikes], durations * tick_s)
    return trains, {"lags_ms": 1000 * lags * tick_s, "window_ms": 1000 * window * tick_s}


def poisson_trains(rng, *, rate_hz, duration_s, neurons):
    return [np.sort(rng.uniform(0, duration_s, rng.poisson(rate_hz * duration_s))) for _ in range(neurons)]


def hawkes_trains(rng, *, rate_hz, tau_ms, branching, duration_s, neurons):
    """Each spike has Poisson many children, exponentially later; clusters make the process timescale tau_ms."""
    kernel_s, lead_s = tau_ms * (1 - branching) / 1000, 20 * tau_ms / 1000
    trains = []
    for _ in range(neurons):
        span = duration_s + lead_s
        born = rng.uniform(0, span, rng.poisson(rate_hz * (1 - branching) * span))
        spikes = [born]
        while born.size:
            born = np.repeat(born, rng.poisson(branching, born.size))
            born = born + rng.exponential(kernel_s, born.size)
            spikes.append(born)
        times = np.sort(np.concatenate(spikes)) - lead_s
        trains.append(times[(times >= 0) & (times < duration_s)])
    return trains


@settings(max_examples=200, deadline=None)
@given(recordings())
def test_equals_the_definition_over_epochs_edges_and_repeated_times(recording):
    spikes, durations, lags, window, _ = recording
    trains, how = asked(recording)
    expected = [
        [by_definition([epoch[neuron] for epoch in spikes], durations, lag, window) for lag in lags]
        for neuron in range(trains.neurons.size)
    ]
    np.testing.assert_allclose(isttc(trains, **how), expected, rtol=0, atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(recordings(), st.integers(1, 7))
def test_blocks_drawn_once_each_add_up_to_the_estimate(recording, per_trial):
    # However the time is cut: several blocks in an epoch, or several epochs in a block.
    trains, how = asked(recording)
    bins = recording[1]
    for blocks in (
        TimeBlocks(bins, per_trial, 1),
        TimeBlocks(bins, 1, bins.size),
        tiling_blocks(trains.durations_s, **how),
    ):
        sums = tiling_sums(trains, blocks=blocks, **how)
        assert sums.blocks == blocks.number
        np.testing.assert_allclose(sums.curves(np.ones((1, sums.blocks)))[0], isttc(trains, **how), atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_time_has_no_direction(recording):
    # A and B change places when time runs backwards.
    spikes, durations, *_ = recording
    backwards = [[(end - times)[::-1] for times in epoch] for epoch, end in zip(spikes, durations, strict=True)]
    trains, how = asked(recording)
    mirrored, _ = asked((backwards, *recording[1:]))
    np.testing.assert_allclose(isttc(trains, **how), isttc(mirrored, **how), rtol=0, atol=1e-10)


def test_an_epoch_drawn_twice_is_an_epoch_recorded_twice():
    # Guards the replicates: weights must act as repeated and left-out data do.
    rng = np.random.default_rng(1)
    epochs = [poisson_trains(rng, rate_hz=15, duration_s=2.0, neurons=3) for _ in range(4)]
    how = {"lags_ms": [20.0, 50.0, 400.0], "window_ms": 10.0}
    trains = SpikeTrains.from_times(epochs, np.full(4, 2.0))
    sums = tiling_sums(trains, blocks=TimeBlocks(np.full(4, 100), 1, 1), **how)
    drawn = np.array([[2.0, 1.0, 0.0, 1.0], [0.0, 0.0, 3.0, 1.0]])
    for weights, replicate in zip(drawn, sums.curves(drawn), strict=True):
        again = [epoch for epoch, times in zip(epochs, weights, strict=True) for _ in range(int(times))]
        resampled = isttc(SpikeTrains.from_times(again, np.full(len(again), 2.0)), **how)
        np.testing.assert_allclose(replicate, resampled, rtol=0, atol=1e-12)


def test_blocks_within_a_recording_spread_as_recordings_do():
    # The spread of replicates is what intervals are made of; it must be that of fresh recordings.
    rng = np.random.default_rng(2)
    how = {"lags_ms": [30.0, 60.0, 120.0], "window_ms": 10.0}
    trains = SpikeTrains.from_times(
        hawkes_trains(rng, rate_hz=5, tau_ms=50, branching=0.6, duration_s=200.0, neurons=60), 200.0
    )
    blocks = tiling_blocks(trains.durations_s, **how)
    sums = tiling_sums(trains, blocks=blocks, **how)
    across_recordings = sums.curves(np.ones((1, sums.blocks)))[0].std(axis=0)
    across_replicates = sums.curves(draws(sums.blocks, 200, rng)).std(axis=0).mean(axis=0)
    assert blocks.number == 100
    np.testing.assert_allclose(across_replicates / across_recordings, 1.0, atol=0.25)


def test_spikes_of_different_epochs_do_not_meet():
    # Joined end to end, the two spikes would be 100 ms apart.
    apart = SpikeTrains.from_times([[[0.95]], [[0.05]]], [1.0, 1.0])
    joined = SpikeTrains.from_times([[0.95, 1.05]], 2.0)
    how = {"lags_ms": [100.0], "window_ms": 10.0}
    assert isttc(joined, **how) > 0.4
    assert isttc(apart, **how) < 0


def test_late_spikes_are_compared_as_finely_as_early_ones():
    # A tolerance that grows with the time itself would let spikes 12 ms off coincide a day into the recording.
    day_s = 86_400.0
    trains = SpikeTrains.from_times([[day_s, day_s + 0.112], [day_s, day_s + 0.105]], day_s + 1.0)
    by_12_ms, by_5_ms = isttc(trains, lags_ms=[100.0], window_ms=5.0)[:, 0]
    assert by_12_ms < 0.01
    assert by_5_ms > 0.4


def test_a_poisson_train_has_none():
    # Unbiased where there is nothing to find: within 4 standard errors of zero at every lag, in short epochs too.
    rng = np.random.default_rng(3)
    trains = SpikeTrains.from_times(poisson_trains(rng, rate_hz=5, duration_s=120.0, neurons=300), 120.0)
    for activity in (trains, trains.epochs(np.arange(60) * 2.0, 2.0)):
        curves = isttc(activity, lags_ms=25.0 * np.arange(1, 41), window_ms=12.4)
        error = curves.std(axis=0) / np.sqrt(len(curves))
        assert np.all(np.abs(curves.mean(axis=0)) < 4 * error)


def test_a_train_that_covers_all_time_correlates_fully():
    # P T = 1 is 0 / 0 in the formula.
    trains = SpikeTrains.from_times([np.arange(0.0, 1.0001, 0.01)], 1.0)
    np.testing.assert_array_equal(isttc(trains, lags_ms=[10.0, 15.0], window_ms=5.0), 1.0)


def test_neurons_without_spikes_on_one_side_have_no_curve_and_do_not_enter_the_mean():
    trains = SpikeTrains.from_times([[], [0.95], [0.1, 0.2, 0.5]], 1.0)
    sums = tiling_sums(trains, lags_ms=[40.0, 100.0], window_ms=10.0, blocks=TimeBlocks(np.array([10]), 1, 1))
    once = np.ones((1, 1))
    curves = sums.curves(once)[0]
    assert np.isnan(curves).tolist() == [[True, True], [False, True], [False, False]]
    np.testing.assert_allclose(sums.mean_curves(once), [[curves[1:, 0].mean(), curves[2, 1]]])
    assert np.isnan(sums.mean_curves(np.zeros((1, 1)))).all()


def test_neurons_do_not_depend_on_their_group(monkeypatch):
    # Neither on the chunk they are read in nor on the pieces that curves are made in.
    rng = np.random.default_rng(4)
    trains = SpikeTrains.from_times(poisson_trains(rng, rate_hz=20, duration_s=20.0, neurons=7), 20.0)
    how = {"lags_ms": 5.0 * np.arange(1, 60), "window_ms": 10.0}
    whole = isttc(trains, **how)
    monkeypatch.setattr(tiling, "_NUMBERS_AT_A_TIME", 130)
    np.testing.assert_array_equal(isttc(trains, **how), whole)
    parts = [isttc(trains.part(begin, begin + 3), **how) for begin in (0, 3, 6)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_finds_the_timescale_of_hawkes_trains():
    # The project's bar: 75 % of units within 25 %, at 2 Hz in 10 min.
    rng = np.random.default_rng(5)
    trains = hawkes_trains(rng, rate_hz=2, tau_ms=100, branching=0.7, duration_s=600.0, neurons=200)
    curves = isttc(SpikeTrains.from_times(trains, 600.0), lags_ms=25.0 * np.arange(1, 41), window_ms=12.5)
    tau_ms = fit_exponential(curves, bin_ms=25.0, bins=24_000).tau_ms
    assert np.mean(np.abs(tau_ms / 100 - 1) <= 0.25) >= 0.75
    assert abs(np.median(tau_ms) / 100 - 1) < 0.06


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"lags_ms": [0.0, 5.0]}, "lags_ms"),
        ({"lags_ms": [10.0, 5.0]}, "lags_ms"),
        ({"lags_ms": []}, "lags_ms"),
        ({"lags_ms": [5.0, np.nan]}, "lags_ms"),
        ({"lags_ms": [500.0, 1000.0]}, "longest lag in ms"),
        ({"window_ms": 0.0}, "window_ms"),
        ({"blocks": TimeBlocks(np.array([10, 10]), 1, 1)}, "number of epochs of the blocks"),
    ],
)
def test_says_what_is_wrong(changed, field):
    given = {"lags_ms": [5.0, 10.0], "window_ms": 2.5, "blocks": TimeBlocks(np.array([10]), 1, 1)}
    with pytest.raises(InputError, match=field):
        tiling_sums(SpikeTrains.from_times([[0.1, 0.2]], 1.0), **(given | changed))
