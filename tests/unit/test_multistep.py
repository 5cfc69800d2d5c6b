"""Multistep regression is the regression it says it is, trial by trial, block by block, and sees past subsampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn.errors import InputError
from cortexsnn.timescales import multistep
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import TimeBlocks, draws, time_blocks
from cortexsnn.timescales.decay import fit_decay
from cortexsnn.timescales.multistep import METHODS, branching_parameter, population_counts, step_coefficients
from cortexsnn.timescales.processes import branching_counts

TRIALSEPARATED, STATIONARYMEAN = METHODS


def whole_trials(bins):
    return TimeBlocks(np.asarray(bins), per_trial=1, trials_in_block=1)


def estimate(counts, steps, blocks, method):
    sums = step_coefficients(counts, steps, blocks, method=method)
    return sums.curves(np.ones((1, sums.blocks)))[0]


def line(x, y, weights):
    """Slope by least squares of numpy, and whether there is one."""
    weights = np.asarray(weights, dtype=np.float64)
    x, y, weights = x[weights > 0], y[weights > 0], np.sqrt(weights[weights > 0])
    if x.size < 2 or np.ptp(x) == 0:
        return np.nan
    design = np.stack([np.ones_like(x), x - x.mean()], axis=1)
    return np.linalg.lstsq(design * weights[:, None], (y - y.mean()) * weights, rcond=None)[0][1]


def by_regression(trials, steps, method, weights=None, shares=None):
    """r_k of one unit in a list of trials.

    `weights` say how often the pair that begins in a bin counts, `shares` how often a trial counts in the mean.
    """
    weights = [np.ones(trial.size) for trial in trials] if weights is None else weights
    shares = np.ones(len(trials)) if shares is None else np.asarray(shares)
    found = []
    for k in steps:
        pairs = [(x[:-k], x[k:], w[:-k]) for x, w in zip(trials, weights, strict=True)]
        if method == STATIONARYMEAN:
            found.append(line(*(np.concatenate(part) for part in zip(*pairs, strict=True))))
            continue
        slopes = np.array([line(*pair) for pair in pairs])
        known = np.isfinite(slopes)
        found.append(np.average(slopes[known], weights=shares[known]) if shares[known].any() else np.nan)
    return np.array(found)


@st.composite
def recordings(draw):
    """Counts of some units in trials of unequal length, silent ones among them, and steps."""
    bins = np.array(draw(st.lists(st.integers(3, 30), min_size=1, max_size=4)))
    units = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    counts = rng.poisson(draw(st.sampled_from([0.05, 1.0, 30.0])), (bins.size, bins.max(), units))
    # What lies after the end of a trial must not matter.
    counts[np.arange(bins.max()) >= bins[:, None]] = 99
    steps = sorted(draw(st.sets(st.integers(1, int(bins.max()) - 2), min_size=1, max_size=6)))
    return counts, bins, np.array(steps)


@settings(deadline=None, max_examples=60)
@given(recordings(), st.sampled_from(METHODS))
def test_coefficients_are_slopes_of_lines(recording, method):
    counts, bins, steps = recording
    found = estimate(counts, steps, whole_trials(bins), method)
    for unit in range(counts.shape[2]):
        trials = [counts[trial, :end, unit].astype(np.float64) for trial, end in enumerate(bins)]
        np.testing.assert_allclose(found[unit], by_regression(trials, steps, method), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=40)
@given(recordings(), st.sampled_from(METHODS), st.integers(1, 3), st.integers(0, 1000))
def test_a_drawn_block_counts_as_if_its_trials_were_there_so_often(recording, method, together, seed):
    counts, bins, steps = recording
    blocks = TimeBlocks(bins, per_trial=1, trials_in_block=together)
    drawn = draws(blocks.number, 3, np.random.default_rng(seed))
    found = step_coefficients(counts, steps, blocks, method=method).curves(drawn)
    for replicate, often in zip(found, drawn.astype(int), strict=True):
        chosen = np.repeat(np.arange(bins.size), often[np.arange(bins.size) // together])
        trials = [counts[trial, : bins[trial], 0].astype(np.float64) for trial in chosen]
        if max(map(len, trials)) > steps.max() + 1:
            np.testing.assert_allclose(replicate[0], by_regression(trials, steps, method), rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_blocks_inside_trials_are_weights_of_the_pairs_that_begin_there(method):
    # Two trials in three unequal blocks each: pairs reach into the next block, which may not have been drawn.
    rng = np.random.default_rng(1)
    counts = rng.poisson(np.exp(rng.standard_normal((2, 1, 2)) / 2) + np.sin(np.arange(50) / 5)[:, None] + 1)
    bins, steps = np.array([50, 47]), np.array([1, 2, 7, 15])
    blocks = TimeBlocks(bins, per_trial=3, trials_in_block=1)
    drawn = np.concatenate([np.ones((1, 6)), draws(6, 20, rng), [[0, 0, 0, 1, 2, 3]]])
    found = step_coefficients(counts, steps, blocks, method=method).curves(drawn)
    for replicate, often in zip(found, drawn, strict=True):
        for unit in (0, 1):
            trials = [counts[trial, :end, unit].astype(np.float64) for trial, end in enumerate(bins)]
            weights = [often[blocks.of(np.full(end, trial), np.arange(end))] for trial, end in enumerate(bins)]
            expected = by_regression(trials, steps, method, weights, often.reshape(2, 3).sum(axis=1))
            np.testing.assert_allclose(replicate[unit], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("blocks", [time_blocks(np.full(25, 60), 20), TimeBlocks(np.full(25, 60), 1, 4)])
def test_nothing_depends_on_how_much_is_done_at_a_time(method, blocks, monkeypatch):
    counts = np.random.default_rng(2).poisson(2.0, (25, 60, 5)).astype(np.uint8)
    steps = np.arange(1, 21)
    drawn = draws(blocks.number, 4, np.random.default_rng(3))
    at_once = step_coefficients(counts, steps, blocks, method=method).curves(drawn)
    for numbers in (1, 100, 200, 7 * 300):
        monkeypatch.setattr(multistep, "_NUMBERS_AT_A_TIME", numbers)
        again = step_coefficients(counts, steps, blocks, method=method).curves(drawn)
        np.testing.assert_allclose(again, at_once, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_scale_and_level_do_not_matter(method):
    # Slopes have no units; a level a million times the variation may cost digits, not the result.
    x = np.random.default_rng(4).standard_normal((12, 300, 1)).cumsum(axis=1)
    steps, blocks = np.arange(1, 50), whole_trials(np.full(12, 300))
    expected = estimate(x, steps, blocks, method)
    np.testing.assert_allclose(estimate(1e-9 * x, steps, blocks, method), expected, rtol=0, atol=1e-11)
    np.testing.assert_allclose(estimate(x + 1e7, steps, blocks, method), expected, rtol=0, atol=1e-6)


def test_trials_with_levels_of_their_own_change_only_the_stationary_mean():
    counts = branching_counts(reproduction=0.9, activity=50.0, trials=20, bins=500, rng=np.random.default_rng(5))
    lifted = counts + 200 * np.arange(20)[:, None, None]
    steps, blocks = np.arange(1, 60), whole_trials(np.full(20, 500))
    separate = estimate(counts, steps, blocks, TRIALSEPARATED)
    np.testing.assert_allclose(estimate(lifted, steps, blocks, TRIALSEPARATED), separate, rtol=0, atol=1e-9)
    assert estimate(counts, steps, blocks, STATIONARYMEAN)[0, -1] < 0.1
    assert estimate(lifted, steps, blocks, STATIONARYMEAN)[0, -1] > 0.9


def test_short_trials_bias_only_separate_trials():
    # 80 bins are 4 tau: the trial's own mean takes away much of what is slow.
    counts = branching_counts(reproduction=0.95, activity=100.0, trials=2000, bins=80, rng=np.random.default_rng(6))
    steps, blocks = np.array([1, 10, 20]), time_blocks(np.full(2000, 80), 20)
    np.testing.assert_allclose(estimate(counts, steps, blocks, STATIONARYMEAN)[0], 0.95**steps, rtol=0, atol=0.03)
    assert np.all(estimate(counts, steps, blocks, TRIALSEPARATED)[0] < 0.95**steps - [0.03, 0.2, 0.3])


@pytest.mark.parametrize("method", METHODS)
def test_activity_that_does_not_vary_has_no_coefficients(method):
    counts = np.zeros((12, 40, 4))
    counts[:, :, 1] = 0.1
    # Spikes only in the last bin: from step 1 on, all bins that predict are empty.
    counts[:, -1, 2] = 5
    # One trial of twelve varies.
    counts[7, :, 3] = np.arange(40)
    found = estimate(counts, np.arange(1, 10), whole_trials(np.full(12, 40)), method)
    assert np.isnan(found[:3]).all()
    assert np.isfinite(found[3]).all()
    if method == TRIALSEPARATED:
        np.testing.assert_allclose(found[3], 1.0, rtol=0, atol=1e-12)


def test_one_spike_in_a_long_recording_predicts_nothing():
    # All but 1 of 1e5 bins are empty, and past the spike there is no variance left, only rounding.
    counts = np.zeros((1, 100_000, 1), dtype=np.uint8)
    counts[0, -20] = 1
    steps = np.array([1, 19, 20, 30])
    found = estimate(counts, steps, TimeBlocks(np.array([100_000]), 10, 1), STATIONARYMEAN)[0]
    np.testing.assert_allclose(found[:2], -1 / (100_000 - steps[:2] - 1), rtol=1e-6)
    assert np.isnan(found[2:]).all()


@pytest.fixture(scope="module")
def subsampled():
    """The same activity, m = .98, of which 100, 10 and 5 % are seen."""
    return {
        seen: branching_counts(
            reproduction=0.98, activity=1000.0, trials=20, bins=10_000, subsampling=seen, rng=np.random.default_rng(7)
        )
        for seen in (1.0, 0.1, 0.05)
    }


@pytest.mark.parametrize("method", METHODS)
def test_subsampling_lowers_coefficients_and_keeps_the_timescale(subsampled, method):
    # r_k = b m^k with b = p / (p + (1 - p)(1 - m^2)). At 5 %, r_1 alone would give m = .57, a timescale of 2 bins.
    m, steps = 0.98, np.arange(1, 301)
    for seen, counts in subsampled.items():
        found = estimate(counts, steps, whole_trials(np.full(20, 10_000)), method)
        fit = fit_decay(
            found, bin_ms=4.0, lags=steps, weights=np.ones(300), window_ms=40_000.0, model="exponential", start="first"
        )
        height = seen / (seen + (1 - seen) * (1 - m**2))
        assert fit.tau_ms[0] == pytest.approx(-4.0 / np.log(m), rel=0.05)
        assert branching_parameter(fit.tau_ms, 4.0)[0] == pytest.approx(m, abs=0.001)
        assert fit.amplitude[0] == pytest.approx(height, abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_the_timescale_of_two_is_never_one_that_is_over_before_the_first_step(subsampled, method):
    # A second component that explains next to nothing may have any amplitude at step 0.
    steps = np.arange(1, 501)
    found = estimate(subsampled[0.05], steps, whole_trials(np.full(20, 10_000)), method)
    fit = fit_decay(found, bin_ms=1.0, lags=steps, weights=np.ones(500), window_ms=10_000.0, model="two_exponentials")
    assert fit.tau_ms[0] == pytest.approx(-1 / np.log(0.98), rel=0.15)


def test_population_is_the_sum_over_neurons():
    rng = np.random.default_rng(9)
    counts = rng.poisson(0.1, (4, 30, 50))
    binned = BinnedSpikes.from_counts(counts, bin_ms=5.0)
    np.testing.assert_array_equal(population_counts(binned)[:, :, 0], counts.sum(axis=2))


def test_population_of_unequal_trials_keeps_all_of_them():
    trains = SpikeTrains.from_times([[[0.1, 0.9]], [[0.2, 1.2, 1.7]]], durations_s=[1.0, 2.0])
    counts = population_counts(trains.binned(500.0))
    np.testing.assert_array_equal(counts[:, :, 0], [[1, 1, 0, 0], [1, 0, 1, 1]])
    silent = SpikeTrains.from_times([[], []], durations_s=1.0).binned(100.0)
    np.testing.assert_array_equal(population_counts(silent), np.zeros((1, 10, 1)))


def test_a_trial_shorter_than_a_bin_is_no_trial():
    counts = np.random.default_rng(10).poisson(3.0, (3, 40, 1))
    steps = np.arange(1, 6)
    for method in METHODS:
        with_empty = estimate(counts, steps, whole_trials([40, 0, 40]), method)
        np.testing.assert_allclose(with_empty, estimate(counts[[0, 2]], steps, whole_trials([40, 40]), method))


GOOD = np.random.default_rng(11).poisson(3.0, (3, 40, 2))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"counts": GOOD[0]}, "counts"),
        ({"counts": GOOD[:, :, :0]}, "counts"),
        ({"counts": GOOD.astype(str)}, "counts"),
        ({"counts": np.where(np.arange(40)[:, None] == 3, np.nan, GOOD)}, "activity in trial 0 of unit 0"),
        ({"counts": np.where(GOOD < 5, GOOD, np.inf)}, "activity"),
        ({"blocks": whole_trials([40, 40])}, "blocks"),
        ({"blocks": whole_trials([40, 41, 40])}, "blocks"),
        ({"blocks": TimeBlocks(np.full(3, 40), 10, 1)}, "number of bins in the shortest block"),
        ({"steps": []}, "steps"),
        ({"steps": [0, 1]}, "steps"),
        ({"steps": [1.0, 2.0]}, "steps"),
        ({"steps": [1, 39]}, "steps"),
        ({"steps": 3}, "steps"),
        ({"method": "both"}, "method"),
    ],
)
def test_bad_input_is_named(changes, field):
    given = {"counts": GOOD, "steps": [1, 5], "blocks": whole_trials([40, 40, 40]), "method": TRIALSEPARATED} | changes
    with pytest.raises(InputError, match=field):
        step_coefficients(given["counts"], given["steps"], given["blocks"], method=given["method"])


def test_branching_parameter_wants_a_width():
    assert np.isnan(branching_parameter(np.nan, 1.0))
    with pytest.raises(InputError, match="bin_ms"):
        branching_parameter(20.0, 0.0)
