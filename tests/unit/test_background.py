"""Background input: its statistics are those promised, and it is the same however it is asked for."""

import json
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import poisson

from cortexsnn import datasets
from cortexsnn.datasets import Background, background
from cortexsnn.errors import InputError
from cortexsnn.network.inputs import SpikeInput

DT_S = 0.001
# Seeds are fixed, so nothing here is left to chance; five standard errors would fail once in 1.7 million seeds.
ERRORS = 5


def make(channels=4, seed=3, **options):
    options = {"rate_hz": 50.0, "dt_s": DT_S, "duration_s": 5.0} | options
    return background(channels, rng=np.random.default_rng(seed), **options)


def everything(noise):
    return noise.counts(range(noise.trials), range(noise.steps))


def long_counts(**options):
    """Counts of many steps, shape (time, channel)."""
    return everything(make(duration_s=200.0, **options))[0].astype(float)


CASES = [
    pytest.param({"rate_hz": 50.0}, id="independent"),
    pytest.param({"rate_hz": [0.0, 5.0, 50.0, 400.0]}, id="independent, rates differ"),
    pytest.param({"rate_hz": 50.0, "correlation": 0.2}, id="correlated"),
    pytest.param({"rate_hz": [0.0, 5.0, 50.0, 400.0], "correlation": 0.3}, id="correlated, rates differ"),
    pytest.param({"rate_hz": 3000.0, "correlation": 0.05}, id="several spikes in a step"),
    pytest.param({"rate_hz": 3000.0}, id="several independent spikes in a step"),
]


# --- statistics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", CASES)
def test_counts_of_a_step_are_poisson(options):
    # Protects the marginals: correlated or not, each channel alone is a Poisson process of its rate.
    counts = long_counts(**options)
    mean = np.broadcast_to(np.asarray(options["rate_hz"]) * DT_S, 4)
    assert np.all(np.abs(counts.mean(0) - mean) <= ERRORS * np.sqrt(mean / len(counts)))
    for channel in np.flatnonzero(mean):
        for count in range(6):
            probability = poisson.pmf(count, mean[channel])
            error = np.sqrt(probability * (1 - probability) / len(counts))
            found = np.mean(counts[:, channel] == count)
            assert abs(found - probability) <= ERRORS * error + 1 / len(counts)


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("window", [1, 100, 1000, 2500])
def test_fano_factors_are_one_in_every_window(options, window):
    # Protects from a number of spikes that is fixed for a block of 1000 steps.
    counts = long_counts(**options)
    counts = counts.reshape(-1, window, 4).sum(1)
    fired = counts.sum(0) > 0
    fano = counts.var(0, ddof=1)[fired] / counts.mean(0)[fired]
    # Variance of a Fano factor of Poisson counts: 2 / (n - 1).
    assert np.all(np.abs(fano - 1) <= ERRORS * np.sqrt(2 / (len(counts) - 1)))


@pytest.mark.parametrize("options", CASES)
def test_channels_are_correlated_in_a_step_as_promised(options):
    counts = long_counts(**options)
    mean = np.broadcast_to(np.asarray(options["rate_hz"]) * DT_S, 4)
    for i, j in combinations(np.flatnonzero(mean), 2):
        geometric = np.sqrt(mean[i] * mean[j])
        expected = options.get("correlation", 0.0) * geometric / mean.max()
        # The joint cumulants of two channels with common spikes are all equal to their covariance, so one product of
        # standardised counts has variance 1 + expected^2 + expected / geometric.
        error = np.sqrt((1 + expected**2 + expected / geometric) / len(counts))
        found = np.mean((counts[:, i] - mean[i]) * (counts[:, j] - mean[j])) / geometric
        assert abs(found - expected) <= ERRORS * error


def test_equal_rates_have_exactly_the_given_correlation():
    correlation = np.corrcoef(long_counts(rate_hz=200.0, correlation=0.4).T)[np.triu_indices(4, 1)]
    assert np.all(np.abs(correlation - 0.4) < ERRORS * np.sqrt((1 + 0.16 + 2) / 200_000))


def test_a_correlation_of_one_is_the_same_train_in_all_channels():
    counts = long_counts(correlation=1.0)
    assert counts.sum() > 0
    assert np.all(counts == counts[:, :1])


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("lag", [1, 2, 10, 1000])
def test_steps_are_independent(options, lag):
    # Protects the measurement: an intrinsic timescale may not come from the input.
    counts = long_counts(**options)
    mean = np.broadcast_to(np.asarray(options["rate_hz"]) * DT_S, 4)
    fired = mean > 0
    deviation = (counts - mean)[:, fired] / np.sqrt(mean[fired])
    covariance = deviation[:-lag].T @ deviation[lag:] / (len(counts) - lag)
    assert np.all(np.abs(covariance) <= ERRORS / np.sqrt(len(counts) - lag))


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_blocks_are_independent_of_each_other(correlation):
    # Protects the seams: what would repeat from block to block would be an oscillation.
    counts = long_counts(rate_hz=500.0, correlation=correlation).reshape(200, 1000 * 4)
    correlations = np.corrcoef(counts)[np.triu_indices(200, 1)]
    # With correlated channels the four of a step are no four independent numbers.
    independent = 1000 if correlation else 4000
    assert np.abs(correlations).max() <= ERRORS / np.sqrt(independent)


# --- trials and repeats ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("correlation", [0.0, 0.3])
def test_frozen_trials_follow_each_other(correlation):
    # Protects the variance from trial to trial: within the repeats of an input it is the network's.
    counts = everything(make(duration_s=0.5, trials=6, repeats=3, correlation=correlation))
    for trial in range(6):
        np.testing.assert_array_equal(counts[trial], counts[3 * (trial // 3)])
    assert not np.array_equal(counts[0], counts[3])


def test_trials_differ():
    counts = everything(make(trials=5))
    assert all(not np.array_equal(counts[i], counts[j]) for i, j in combinations(range(5), 2))
    correlations = np.corrcoef(counts.reshape(5, -1))[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() <= ERRORS / np.sqrt(counts[0].size)


def test_repeats_are_the_trials_of_a_run_without_them():
    once, thrice = everything(make(trials=2)), everything(make(trials=6, repeats=3))
    np.testing.assert_array_equal(np.repeat(once, 3, axis=0), thrice)


def test_the_generator_decides():
    # One number is drawn, so what is made next from the same generator does not depend on the duration.
    rng = np.random.default_rng(5)
    first = background(2, rate_hz=9.0, dt_s=DT_S, duration_s=1.0, rng=rng)
    second = background(2, rate_hz=9.0, dt_s=DT_S, duration_s=1.0, rng=rng)
    rng = np.random.default_rng(5)
    longer = background(2, rate_hz=9.0, dt_s=DT_S, duration_s=500.0, rng=rng)
    assert first.entropy == longer.entropy != second.entropy
    assert second == background(2, rate_hz=9.0, dt_s=DT_S, duration_s=1.0, rng=rng)
    np.testing.assert_array_equal(everything(first), longer.counts(range(1), range(1000)))
    assert not np.array_equal(everything(first), everything(second))


# --- as simulators use it -------------------------------------------------------------------------------------


def test_it_is_what_simulators_ask_for():
    noise = make(channels=7, trials=2, duration_s=0.25)
    assert isinstance(noise, SpikeInput)
    assert (noise.trials, noise.steps, noise.channels, noise.graded, noise.dt_s) == (2, 250, 7, True, DT_S)
    counts = noise.counts(range(1, 2), range(10, 30))
    assert (counts.shape, counts.dtype) == ((1, 20, 7), np.uint8)
    assert noise.counts(range(0), range(5, 5)).shape == (0, 0, 7)


def test_an_hour_is_never_held():
    # Protects long runs: this one would be 2.5 GB.
    noise = make(channels=700, rate_hz=10.0, duration_s=3600.0)
    tracemalloc.start()
    noise.counts(range(1), range(3_000_500, 3_002_500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@pytest.mark.parametrize(
    "options", [{}, {"rate_hz": [1.5, 20.0, 0.0, 3.25], "correlation": 0.25, "trials": 4, "repeats": 2}]
)
def test_a_description_makes_it_again(options):
    noise = make(**options)
    again = Background.described(json.loads(json.dumps(noise.describe())))
    assert again == noise
    np.testing.assert_array_equal(everything(again), everything(noise))
    assert noise.describe()["kind"] == "background"


def test_one_rate_is_one_number_in_a_description():
    assert make(rate_hz=7).describe()["rate_hz"] == 7
    assert make(rate_hz=[1, 2, 3, 4]).describe()["rate_hz"] == [1, 2, 3, 4]


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 0}, "channels is 0; expected a whole number of at least 1"),
        ({"rate_hz": -1.0}, "rate_hz is .*; expected numbers of at least 0, in spikes per second"),
        ({"rate_hz": float("nan")}, "rate_hz is .*nan"),
        ({"rate_hz": "fast"}, "rate_hz is .*'fast'"),
        ({"rate_hz": [1.0, 2.0]}, r"shape of rate_hz is \(2,\); expected one number, or 4, one for each channel"),
        ({"rate_hz": [[1.0], [2.0, 3.0]]}, "rate_hz is .*; expected one number, or 4"),
        ({"rate_hz": 1e6}, "rate_hz is 1000000.0; expected at most 100000 Hz. a count of a step of 0.001 s could"),
        ({"dt_s": 0.0}, "dt_s is 0.0; expected a positive number of seconds"),
        ({"dt_s": "1 ms"}, "dt_s is '1 ms'"),
        ({"duration_s": 0.0}, "duration_s is 0.0; expected a positive number of seconds"),
        (
            {"duration_s": 0.0025},
            r"duration_s is 0.0025; expected a multiple of dt_s = 0.001 s. 0.002 s or 0.003 s would",
        ),
        ({"duration_s": 0.0001}, r"duration_s is 0.0001; expected a multiple of dt_s = 0.001 s. 0.001 s would do"),
        ({"trials": 0}, "trials is 0; expected a whole number of at least 1"),
        ({"repeats": 0}, "repeats is 0; expected a whole number of at least 1"),
        ({"trials": 5, "repeats": 2}, "trials is 5; expected a multiple of repeats = 2"),
        ({"correlation": -0.1}, "correlation is -0.1; expected a number of at least 0"),
        ({"correlation": 1.5}, "correlation is 1.5; expected 0, or a number from 1e-09 to 1"),
        ({"correlation": 1e-12}, "correlation is 1e-12; expected 0, or a number"),
        ({"correlation": 0.1, "rate_hz": 0.0}, "correlation is 0.1; expected 0 where no channel has a rate"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


def test_a_seed_is_no_generator():
    with pytest.raises(InputError, match=r"rng is 0; expected a numpy.random.Generator"):
        background(1, rate_hz=1.0, dt_s=DT_S, duration_s=1.0, rng=0)


@pytest.mark.parametrize(
    ("trials", "steps", "message"),
    [
        (
            range(2),
            range(5),
            r"trials that are asked for is range\(0, 2\); expected a range without gaps within 0 to 1",
        ),
        (range(1), range(5001), r"steps that are asked for is range\(0, 5001\); expected .* within 0 to 5000"),
        (range(-1, 1), range(5), "trials that are asked for"),
        (range(1), range(0, 9, 2), "steps that are asked for"),
        (range(1), range(9, 0, -1), "steps that are asked for"),
    ],
)
def test_only_what_is_there_can_be_asked_for(trials, steps, message):
    with pytest.raises(InputError, match=message):
        make().counts(trials, steps)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "music"}, "kind of input is 'music'; expected 'background'"),
        ({"entropy": -1}, "entropy is -1"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"block_steps": 0}, "block_steps is 0"),
        ({"colour": "pink"}, "description of the background is .*colour"),
        ({"rate_hz": None}, "rate_hz"),
    ],
)
def test_descriptions_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        Background.described(make().describe() | change)


def test_what_a_description_lacks_is_named():
    for missing in ("entropy", "rate_hz", "channels"):
        description = make().describe()
        del description[missing]
        with pytest.raises(InputError, match=f"description of the background .*{missing}"):
            Background.described(description)


def test_it_is_a_public_name():
    assert datasets.background is background
    assert {"Background", "background"} <= set(datasets.__all__)
