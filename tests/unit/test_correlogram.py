"""Autocorrelation from pairs of events: equal to its definition on all bins, for any trials, blocks and resamples."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cortexsnn.timescales.correlogram as module
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import TimeBlocks, draws, time_blocks
from cortexsnn.timescales.correlogram import neurons_at_a_time, signal_correlogram, spike_correlogram

MODES = list(itertools.product(("all", "trial"), ("pairs", "all")))


def once(blocks):
    return np.ones((1, blocks.number))


def binned_of(trials):
    """Filled bins of a list of counts, (bin, neuron) each."""
    neuron, bin_ = zip(*[np.nonzero(counts.T) for counts in trials], strict=True)
    trial = np.repeat(np.arange(len(trials)), [found.size for found in neuron])
    count = np.concatenate(
        [counts.T[found] for counts, found in zip(trials, zip(neuron, bin_, strict=True), strict=True)]
    )
    neuron, bin_ = np.concatenate(neuron), np.concatenate(bin_)
    order = np.lexsort((bin_, trial, neuron))
    bins = np.array([len(counts) for counts in trials])
    return BinnedSpikes(neuron[order], trial[order], bin_[order], count[order], trials[0].shape[1], bins, 5.0)


def definition(trials, max_lag, blocks, drawn, centre, weighting):
    """Curves from all bins; each bin t, and each pair that begins with it, counts as often as its block is drawn."""
    curves = np.full((len(drawn), trials[0].shape[1], max_lag), np.nan)
    for replicate, of_blocks in enumerate(drawn):
        times = [
            of_blocks[blocks.of(np.full(len(x), trial), np.arange(len(x)))][:, None] for trial, x in enumerate(trials)
        ]
        bins = sum(time.sum() for time in times)
        mean = sum((time * x).sum(axis=0) for time, x in zip(times, trials, strict=True)) / bins
        centred = [x - (mean if centre == "all" else x.mean(axis=0)) for x in trials]
        variance = sum((time * y**2).sum(axis=0) for time, y in zip(times, centred, strict=True)) / bins
        for lag in range(1, max_lag + 1):
            long = [(time[: len(y) - lag], y) for time, y in zip(times, centred, strict=True) if len(y) > lag]
            pairs = sum(time.sum() for time, _ in long)
            if pairs:
                total = sum((time * y[:-lag] * y[lag:]).sum(axis=0) for time, y in long)
                curves[replicate, :, lag - 1] = total / (pairs if weighting == "pairs" else bins) / variance
    return curves


def assert_equal(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("centre", "weighting"), MODES)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_equals_the_definition_for_any_trials_blocks_and_resamples(centre, weighting, data):
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    max_lag = data.draw(st.integers(1, 12))
    per_trial = data.draw(st.integers(1, 3))
    in_block = 1 if per_trial > 1 else data.draw(st.integers(1, 3))
    shortest = per_trial * max_lag if per_trial > 1 else 1
    bins = data.draw(st.lists(st.integers(shortest, 50), min_size=1, max_size=6))
    bins[0] = max(bins[0], max_lag + 2)
    trials = [rng.poisson(rng.choice([0.05, 0.5, 5.0]), (number, 2)) for number in bins]
    for neuron in range(2):
        trials[0][:2, neuron] = 0, 1  # each varies
    blocks = TimeBlocks(np.array(bins), per_trial, in_block)
    drawn = np.concatenate([once(blocks), once(blocks) + draws(blocks.number, 2, rng)])
    found = spike_correlogram(binned_of(trials), max_lag, blocks, centre=centre, weighting=weighting).curves(drawn)
    assert_equal(found, definition(trials, max_lag, blocks, drawn, centre, weighting))


@pytest.mark.parametrize("transform", [0.0, np.inf], ids=["FFT", "products"])
@pytest.mark.parametrize(("centre", "weighting"), MODES)
@pytest.mark.parametrize(
    ("trials", "bins", "per_trial", "in_block"), [(1, 200, 4, 1), (2, 61, 3, 1), (7, 30, 1, 3), (1, 22, 1, 1)]
)
def test_signals_equal_the_definition_by_either_way(
    monkeypatch, trials, bins, per_trial, in_block, centre, weighting, transform
):
    monkeypatch.setattr(module, "_TRANSFORM", transform)
    monkeypatch.setattr(module, "_NUMBERS_AT_A_TIME", 2 * trials * bins)  # two neurons at a time
    rng = np.random.default_rng(2)
    # Far from zero, as a potential in mV is, and of different size.
    x = rng.standard_normal((trials, bins, 3)) * [1.0, 1e-3, 10.0] - 65.0
    blocks = TimeBlocks(np.full(trials, bins), per_trial, in_block)
    drawn = np.concatenate([once(blocks), once(blocks) + draws(blocks.number, 3, rng)])
    found = signal_correlogram(x, 20, blocks, centre=centre, weighting=weighting).curves(drawn)
    np.testing.assert_allclose(found, definition(list(x), 20, blocks, drawn, centre, weighting), rtol=0, atol=1e-8)


def test_counts_as_signals_give_the_same_curves():
    counts = np.random.default_rng(3).poisson(0.3, (4, 300, 5))
    binned = BinnedSpikes.from_counts(counts, 5.0)
    blocks = TimeBlocks(binned.bins, 3, 1)
    for centre, weighting in MODES:
        spikes = spike_correlogram(binned, 40, blocks, centre=centre, weighting=weighting)
        signals = signal_correlogram(counts, 40, blocks, centre=centre, weighting=weighting)
        drawn = draws(blocks.number, 4, np.random.default_rng(4))
        assert_equal(spikes.curves(drawn), signals.curves(drawn))


def test_a_trial_drawn_twice_is_a_trial_recorded_twice():
    trials = list(np.random.default_rng(5).poisson(0.4, (3, 40, 2)))
    blocks = TimeBlocks(np.full(3, 40), 1, 1)
    for centre, weighting in MODES:
        found = spike_correlogram(binned_of(trials), 10, blocks, centre=centre, weighting=weighting)
        again = [trials[0], trials[0], trials[2]]
        expected = spike_correlogram(binned_of(again), 10, blocks, centre=centre, weighting=weighting)
        assert_equal(found.curves(np.array([[2.0, 0.0, 1.0]])), expected.curves(once(blocks)))


def test_small_batches_change_nothing(monkeypatch):
    """Events are taken in slices, and pairs are summed whenever many are found."""
    counts = np.random.default_rng(6).poisson(0.5, (2, 200, 3))
    binned = BinnedSpikes.from_counts(counts, 5.0)
    blocks = TimeBlocks(binned.bins, 2, 1)
    expected = spike_correlogram(binned, 30, blocks).products
    monkeypatch.setattr(module, "_EVENTS_AT_A_TIME", 7)
    monkeypatch.setattr(module, "_NUMBERS_AT_A_TIME", 20)
    np.testing.assert_array_equal(spike_correlogram(binned, 30, blocks).products, expected)


def test_pairs_never_span_trials_or_neurons():
    # A spike in the last bin of a trial or neuron, and one in the first bin of the next.
    counts = np.zeros((2, 20, 2), dtype=int)
    counts[0, -1, 0] = counts[1, 0, 0] = counts[1, -1, 0] = counts[0, 0, 1] = 1
    blocks = TimeBlocks(np.full(2, 20), 1, 1)
    correlogram = spike_correlogram(BinnedSpikes.from_counts(counts, 5.0), 18, blocks)
    assert correlogram.products[:, :, 1:].sum() == 0


def test_nothing_is_as_long_as_the_recording():
    """A year in bins of 1 ms: dense arrays would not fit."""
    year = 365 * 24 * 3600
    trains = SpikeTrains.from_times([[1.0, 1.003, year - 0.5], [0.5]], durations_s=float(year))
    binned = trains.binned(1.0)
    correlogram = spike_correlogram(binned, 100, time_blocks(binned.bins, 100))
    curve = correlogram.curves(np.ones((1, 100)))[0, 0]
    assert np.argmax(curve) + 1 == 3
    assert curve[2] == pytest.approx(1 / 3)


def test_neurons_that_do_not_vary_have_no_curve():
    counts = np.random.default_rng(7).poisson(0.5, (2, 50, 4))
    counts[:, :, 0] = 0
    counts[:, :, 1] = 3
    counts[0, :, 2], counts[1, :, 2] = 1, 3  # varies between trials only
    blocks = TimeBlocks(np.full(2, 50), 1, 1)
    for of in (
        lambda centre: spike_correlogram(BinnedSpikes.from_counts(counts, 5.0), 5, blocks, centre=centre),
        lambda centre: signal_correlogram(counts * 0.1, 5, blocks, centre=centre),
    ):
        for centre, expected in (("all", [False, False, True, True]), ("trial", [False, False, False, True])):
            curves = of(centre).curves(once(blocks))[0]
            np.testing.assert_array_equal(np.isfinite(curves).all(axis=1), expected)
            assert np.isnan(curves[~np.array(expected)]).all()


def test_a_group_without_any_spike_has_no_curve():
    silent = SpikeTrains.from_times([[], []], durations_s=1.0).binned(5.0)
    for centre in ("all", "trial"):
        correlogram = spike_correlogram(silent, 10, TimeBlocks(silent.bins, 1, 1), centre=centre)
        assert np.isnan(correlogram.curves(np.ones((1, 1)))).all()
        assert np.isnan(correlogram.mean().curves(np.ones((1, 1)))).all()


def test_mean_leaves_out_who_has_no_curve_or_is_not_included(monkeypatch):
    counts = np.random.default_rng(8).poisson(0.2, (3, 60, 5))
    counts[:, :, 1] = 0
    counts[1:, :, 2] = 0  # does not vary in a replicate without the first trial
    binned = BinnedSpikes.from_counts(counts, 5.0)
    blocks = TimeBlocks(binned.bins, 1, 1)
    correlogram = spike_correlogram(binned, 8, blocks)
    drawn = np.array([[1.0, 1, 1], [0, 2, 1]])
    included = np.array([True, True, True, True, False])
    mean = correlogram.mean(included)
    curves = correlogram.curves(drawn)
    expected = [[curves[0, [0, 2, 3]].mean(axis=0)], [curves[1, [0, 3]].mean(axis=0)]]
    monkeypatch.setattr(module, "_NUMBERS_AT_A_TIME", 2 * 2 * 9)  # two neurons at a time
    assert mean.blocks == correlogram.blocks == 3
    assert_equal(mean.curves(drawn), expected)
    total, number = correlogram.total(drawn)
    first, second = correlogram.part(0, 2).total(drawn), correlogram.part(2, 5).total(drawn)
    assert_equal(first[0] + second[0], total)
    np.testing.assert_array_equal(first[1] + second[1], number)


def test_parts_of_a_group_have_the_curves_of_the_whole():
    counts = np.random.default_rng(9).poisson(0.2, (2, 100, 5))
    blocks = TimeBlocks(np.full(2, 100), 1, 1)
    whole = spike_correlogram(BinnedSpikes.from_counts(counts, 5.0), 8, blocks)
    part = spike_correlogram(BinnedSpikes.from_counts(counts[:, :, 2:4], 5.0), 8, blocks)
    np.testing.assert_array_equal(whole.part(2, 4).products, part.products)
    np.testing.assert_array_equal(whole.curves(once(blocks))[:, 2:4], part.curves(once(blocks)))


def test_the_mean_of_each_trial_biases_white_activity_and_that_of_all_does_not():
    """-1 / (bins - 1) at every lag with the mean of each trial of 20 bins."""
    counts = np.random.default_rng(10).poisson(1.0, (20_000, 20, 1))
    binned = BinnedSpikes.from_counts(counts, 50.0)
    blocks = time_blocks(binned.bins, 18)
    biased, unbiased = (
        spike_correlogram(binned, 18, blocks, centre=centre).curves(once(blocks))[0, 0] for centre in ("trial", "all")
    )
    np.testing.assert_allclose(biased[:12], -1 / 19, atol=0.015)
    np.testing.assert_allclose(unbiased[:12], 0.0, atol=0.015)


def test_neurons_at_a_time_bounds_every_array():
    blocks = TimeBlocks(np.full(3, 10_000), 30, 1)
    assert neurons_at_a_time(99, blocks, 1e6) * blocks.number * 100 <= 1e6
    assert neurons_at_a_time(9, TimeBlocks(np.full(10_000, 20), 1, 100), 1e6) == 100  # a mean for each trial
    assert neurons_at_a_time(10**6, blocks) == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_lag": 0}, "max_lag"),
        ({"max_lag": 2.0}, "max_lag"),
        ({"max_lag": 99}, "longest trial"),
        ({"max_lag": 40}, "shortest block"),
        ({"centre": "mean"}, "centre"),
        ({"weighting": "unbiased"}, "weighting"),
        ({"blocks": TimeBlocks(np.array([90, 90]), 1, 1)}, "blocks"),
    ],
)
def test_bad_input_is_named(change, field):
    counts = np.random.default_rng(11).poisson(0.2, (2, 100, 2))
    given_ = {"max_lag": 10, "blocks": TimeBlocks(np.full(2, 100), 3, 1)} | change
    with pytest.raises(InputError, match=field):
        spike_correlogram(BinnedSpikes.from_counts(counts, 5.0), **given_)
    with pytest.raises(InputError, match=field):
        signal_correlogram(counts, **given_)


def test_short_trials_beside_long_ones_need_no_pairs():
    """Lags that only some trials reach are averaged over those; a replicate without them has NaN there."""
    rng = np.random.default_rng(12)
    binned = binned_of([rng.poisson(0.5, (30, 1)), rng.poisson(0.5, (6, 1))])
    correlogram = spike_correlogram(binned, 10, TimeBlocks(binned.bins, 1, 1))
    of_long, of_short = correlogram.curves(np.eye(2))[:, 0]
    assert np.isfinite(of_long).all()
    assert np.isfinite(of_short[:5]).all()
    assert np.isnan(of_short[5:]).all()
    assert np.isnan(replace(correlogram, weighting="all").curves(np.eye(2))[1, 0, 5:]).all()
