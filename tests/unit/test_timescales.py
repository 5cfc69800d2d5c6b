"""Counts, autocorrelation, fit and estimate: known timescales are recovered, and noise has none."""

import math

import h5py
import numpy as np
import pytest
import xarray as xr

from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.timescales import (
    Status,
    bin_counts,
    bootstrap_curves,
    estimate,
    estimate_counts,
    fit_exponential,
    load,
    ornstein_uhlenbeck,
    ou_poisson_counts,
    save,
    shuffled_bin_curves,
    trial_autocorrelation,
    white_poisson_counts,
)
from cortexsnn.timescales.autocorrelation import ResampledTrials


def recorded(counts, dt_s=0.001, **other):
    """A recording of one input and the given LIF populations, from counts per time step."""
    layers = {"hidden1": counts, **other}
    made = [RecordedPopulation.from_counts("input", "input", np.zeros_like(counts))]
    made += [RecordedPopulation.from_counts(name, "lif", spikes) for name, spikes in layers.items()]
    return make_recording(made, dt_s=dt_s, trials=counts.shape[0], steps=counts.shape[1], source="test")


def slow_counts(tau_ms=100.0, seed=1, **shape):
    sizes = {"trials": 200, "bins": 20, "neurons": 40} | shape
    return ou_poisson_counts(tau_ms=tau_ms, bin_ms=50.0, dt_ms=5.0, rng=np.random.default_rng(seed), **sizes)


# Counts


def test_bins_begin_at_start_and_only_whole_ones_count():
    # Protects floor binning: a spike on an edge belongs to the bin it opens, burn-in and remainder are dropped.
    spikes = np.zeros((1, 47, 1), dtype=int)
    spikes[0, [0, 4, 5, 14, 15, 34, 35, 44, 45, 46], 0] = 1
    counts = bin_counts(recorded(spikes), "hidden1", bin_ms=10.0, start_ms=5.0)
    assert counts[0, :, 0].tolist() == [2, 1, 1, 2]


def test_shortest_trial_sets_the_number_of_bins():
    recording = recorded(np.ones((2, 50, 1), dtype=int))
    recording["trial_duration_s"][1] = 0.035
    assert bin_counts(recording, "hidden1", bin_ms=10.0).shape == (2, 3, 1)


def test_bins_survive_steps_that_floats_cannot_hold():
    # 0.3 / 0.1 is 2.9999999999999996.
    assert bin_counts(recorded(np.ones((1, 9, 1), dtype=int), dt_s=1e-4), "hidden1", 0.3)[0, :, 0].tolist() == [3, 3, 3]


def test_counts_keep_every_spike_in_its_place():
    spikes = np.random.default_rng(3).poisson(0.3, (4, 60, 5))
    expected = spikes.reshape(4, 6, 10, 5).sum(axis=2)
    assert np.array_equal(bin_counts(recorded(spikes), "hidden1", 10.0), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hidden9", 10.0), "population is 'hidden9'; expected one of input, hidden1"),
        (("hidden1", 2.5), "bin_ms is 2.5; expected a whole multiple of the time step of 1 ms"),
        (("hidden1", 0.0), "bin_ms is 0.0; expected a positive"),
        (("hidden1", math.nan), "bin_ms is nan"),
        (("hidden1", 1e-9), "bin_ms is 1e-09; expected at least 1 time step of 1 ms"),
        (("hidden1", 10.0, -1.0), "start_ms is -1.0; expected .* at least 0"),
        (("hidden1", 10.0, 0.5), "start_ms is 0.5; expected a whole multiple"),
        (("hidden1", 200.0), "bin_ms is 200.0; expected bins of which at least 3 fit .* 50 ms"),
        (("hidden1", 10.0, 30.0), "bin_ms is 10.0; expected bins of which at least 3 fit between start_ms = 30"),
    ],
)
def test_bin_counts_names_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        bin_counts(recorded(np.ones((1, 50, 1), dtype=int)), *arguments)


@pytest.mark.parametrize("dt_s", [0.001, 0.0001, 0.000244140625, 0.0007])
@pytest.mark.parametrize(
    ("field", "value", "least"),
    [("start_ms", 0.33, 0), ("start_ms", 8.88, 0), ("bin_ms", 7.77, 1), ("bin_ms", 0.03, 1)],
)
def test_hint_names_the_two_nearest_whole_steps(dt_s, field, value, least):
    # Protects the hint: what it offers is accepted, also where a step has many digits.
    recording = recorded(np.ones((1, 400, 1), dtype=int), dt_s=dt_s)
    asked = {"bin_ms": 10 * 1000 * dt_s, "start_ms": 0.0}
    with pytest.raises(InputError) as refused:
        bin_counts(recording, "hidden1", **(asked | {field: value}))
    below, above = (float(word) for word in refused.value.hint.removesuffix(" would do").split(" or "))
    steps = max(least, math.floor(value / (1000 * dt_s)))
    assert [below / (1000 * dt_s), above / (1000 * dt_s)] == pytest.approx([steps, steps + 1])
    for offered in (below, above):
        bin_counts(recording, "hidden1", **(asked | {field: offered}))


@pytest.mark.parametrize(
    ("trials", "steps", "message"),
    [(0, 50, "number of trials in the recording is 0"), (2, 0, "number of time steps in the shortest trial is 0")],
)
def test_empty_recording_is_refused(trials, steps, message):
    with pytest.raises(InputError, match=message):
        bin_counts(recorded(np.zeros((trials, steps, 1), dtype=int)), "hidden1", 10.0)


# Autocorrelation


def by_definition(counts, max_lag):
    """Murray et al. 2014 in plain loops."""
    _, bins, neurons = counts.shape
    curves = np.full((neurons, max_lag), np.nan)
    for n in range(neurons):
        for lag in range(1, max_lag + 1):
            pairs = [(counts[:, i, n], counts[:, i + lag, n]) for i in range(bins - lag)]
            pairs = [(a, b) for a, b in pairs if a.std() > 0 and b.std() > 0]
            if pairs:
                curves[n, lag - 1] = np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])
    known = ~np.isnan(curves)
    return np.where(known, curves, 0).sum(axis=0) / known.sum(axis=0), known.any(axis=1)


def sparse_counts():
    """Some bins never vary, one neuron is silent, one always fires once."""
    counts = np.random.default_rng(5).poisson(0.15, (12, 7, 5))
    counts[:, :, 1], counts[:, :, 2], counts[:, 3, :] = 0, 1, 2
    return counts


def test_autocorrelation_is_its_definition():
    # Protects vectorisation, and the handling of bins and neurons without variance.
    curve, valid = by_definition(sparse_counts(), 4)
    found = trial_autocorrelation(sparse_counts(), 4)
    assert found.curve == pytest.approx(curve)
    assert found.valid.tolist() == valid.tolist() == [True, False, False, True, True]


def test_autocorrelation_does_not_see_what_is_locked_to_the_stimulus():
    # Protects the meaning of "across trials": a mean that changes over time is no correlation.
    counts = slow_counts()
    locked = counts + np.arange(20)[None, :, None] ** 2
    assert trial_autocorrelation(locked, 19).curve == pytest.approx(trial_autocorrelation(counts, 19).curve)


def test_weights_are_resampled_trials(monkeypatch):
    # Protects the bootstrap: a weight of two is a trial drawn twice, also when lags come in several chunks.
    counts = sparse_counts()
    drawn = np.random.default_rng(6).integers(0, 12, (5, 12))
    weights = np.array([np.bincount(row, minlength=12) for row in drawn])
    expected = [by_definition(counts[row], 6)[0] for row in drawn]
    assert bootstrap_curves(counts, 6, weights) == pytest.approx(np.array(expected))
    monkeypatch.setattr("cortexsnn.timescales.autocorrelation._NUMBERS_AT_A_TIME", 1)
    assert bootstrap_curves(counts, 6, weights) == pytest.approx(np.array(expected))


def test_shuffled_bins_keep_the_mean_correlation():
    correlation = trial_autocorrelation(slow_counts(neurons=5), 19).correlation
    curves = shuffled_bin_curves(correlation, 19, 50, np.random.default_rng(1))
    pairs = 20 - np.arange(1, 20)
    assert curves[0] == pytest.approx([np.diagonal(correlation, lag).mean() for lag in range(1, 20)])
    assert curves @ pairs == pytest.approx(np.full(51, curves[0] @ pairs))
    assert np.all(curves[1:, 0] < curves[0, 0])


# Fit


@pytest.mark.parametrize("tau_ms", [12.0, 50.0, 180.0, 900.0, 6000.0])
@pytest.mark.parametrize("offset", [-0.2, 0.0, 0.4])
def test_fit_is_exact_without_noise(tau_ms, offset):
    lag_ms = 50.0 * np.arange(1, 20)
    curve = 0.3 * (np.exp(-lag_ms / tau_ms) + offset)
    fit = fit_exponential(curve[None], bin_ms=50.0, bins=20)
    assert fit.tau_ms[0] == pytest.approx(tau_ms, rel=1e-4)
    assert fit.amplitude[0] == pytest.approx(0.3, rel=1e-3)
    assert fit.curve(19)[0] == pytest.approx(curve, abs=1e-6)
    assert fit.status[0] == ("ok" if tau_ms <= 200 else "too_short")


def test_fit_is_the_global_optimum():
    # Protects the search: no tau on a grid three times as fine explains more.
    rng = np.random.default_rng(8)
    lag = np.arange(1, 20)
    curves = 0.2 * np.exp(-lag * 50.0 / 150.0) + rng.normal(0, 0.01, (6, 19))
    fit = fit_exponential(curves, bin_ms=50.0, bins=20)
    for curve, first, explained in zip(curves, fit.first_lag, fit.explained, strict=True):
        used = lag >= first
        root = np.sqrt((20 - lag)[used])
        design = [
            np.stack([np.exp(-lag[used] * 50.0 / tau), np.ones(used.sum())], 1) for tau in np.geomspace(5, 1e4, 800)
        ]
        flat = (root**2 * (curve[used] - np.average(curve[used], weights=root**2)) ** 2).sum()
        best = min(np.linalg.lstsq(d * root[:, None], root * curve[used], rcond=None)[1][0] for d in design)
        assert explained >= flat - best - 1e-9


def test_fit_starts_at_the_largest_drop_and_leaves_lags_to_fit():
    lag = np.arange(1, 12)
    curve = 0.2 * np.exp(-lag / 4)
    curve[:2] = 0.05, 0.10
    fit = fit_exponential(curve[None], bin_ms=50.0, bins=12)
    assert fit.first_lag[0] == 3
    assert fit.tau_ms[0] == pytest.approx(200.0, rel=1e-3)
    curve[-1] = -5.0
    assert fit_exponential(curve[None], bin_ms=50.0, bins=12).first_lag[0] <= 8


def test_fit_says_why_not():
    lag = np.arange(1, 20)
    curves = np.stack([0.01 * lag, np.zeros(19), 0.3 - 0.01 * lag, 0.1 * (lag == 1), 0.2 * np.exp(-lag / 8.0)])
    fit = fit_exponential(curves, bin_ms=50.0, bins=20)
    assert fit.status.tolist() == ["no_decay", "no_decay", "at_bound", "at_bound", "too_short"]
    assert np.isnan(fit.tau_ms[:2]).all()
    assert fit.explained[:2].tolist() == [0.0, 0.0]


def test_fit_leaves_out_missing_lags():
    curve = 0.2 * np.exp(-np.arange(1, 20) / 2.0)
    curve[[2, 7]] = np.nan
    assert fit_exponential(curve[None], bin_ms=50.0, bins=20).tau_ms[0] == pytest.approx(100.0, rel=1e-4)
    assert fit_exponential(np.full((1, 19), np.nan), bin_ms=50.0, bins=20).status[0] == "no_decay"


@pytest.mark.parametrize(
    ("shape", "bin_ms", "bins", "message"),
    [
        ((1, 3), 50.0, 20, r"shape of curves is \(1, 3\); expected \(curve, lag\) with at least 4"),
        ((5,), 50.0, 20, r"shape of curves is \(5,\)"),
        ((1, 5), 50.0, 5, "bins is 5; expected at least 6"),
        ((1, 5), 0.0, 6, "bin_ms is 0.0; expected a positive"),
    ],
)
def test_fit_names_bad_input(shape, bin_ms, bins, message):
    with pytest.raises(InputError, match=message):
        fit_exponential(np.zeros(shape), bin_ms=bin_ms, bins=bins)


# Processes


def test_ornstein_uhlenbeck_is_exact():
    # Protects against the Euler step, whose timescale at dt = tau / 4 would be 3.48 steps instead of 4.
    x = ornstein_uhlenbeck(tau_ms=20.0, trials=400, steps=200, neurons=2, dt_ms=5.0, rng=np.random.default_rng(2))
    assert x.var() == pytest.approx(1.0, abs=0.03)
    assert x[:, 0].var() == pytest.approx(1.0, abs=0.15)
    assert (x[:, 1:] * x[:, :-1]).mean() == pytest.approx(math.exp(-1 / 4), abs=0.02)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tau_ms": 0.0}, "tau_ms is 0.0; expected a positive number"),
        ({"trials": 0}, "trials is 0; expected a whole number"),
        ({"bins": 2.5}, "bins is 2.5; expected a whole number"),
        ({"bin_ms": 0.5}, "bin_ms is 0.5; expected a whole multiple of dt_ms = 1"),
        ({"rate_hz": math.inf}, "rate_hz is inf; expected a positive"),
    ],
)
def test_processes_name_bad_input(changed, message):
    good = {"tau_ms": 10.0, "trials": 2, "bins": 3, "neurons": 1, "bin_ms": 10.0}
    with pytest.raises(InputError, match=message):
        ou_poisson_counts(**(good | changed), rng=np.random.default_rng(1))


# Estimate


@pytest.mark.parametrize(("tau_ms", "lowest", "highest"), [(50, 44, 55), (100, 93, 106), (200, 190, 206)])
def test_known_timescales_are_recovered(tau_ms, lowest, highest):
    # The ranges are those of an independent simulation: T = 1 s, 40 units, 200 trials. The mean of six is tested,
    # so that it is bias that fails, not one draw.
    found = []
    for seed in range(6):
        result = estimate_counts(slow_counts(tau_ms, seed), bin_ms=50.0, bootstrap=0, rng=np.random.default_rng(seed))
        assert Status(result["status"].item()).usable
        found.append(result["tau_ms"].item())
    assert lowest < np.mean(found) < highest


def test_interval_brackets_the_estimate_and_grows_with_confidence():
    wide, narrow = (
        estimate_counts(slow_counts(), bin_ms=50.0, bootstrap=100, confidence=c, rng=np.random.default_rng(1))
        for c in (0.95, 0.5)
    )
    assert wide["replicates_fitted"].item() == 100
    ends = [wide["tau_low_ms"], narrow["tau_low_ms"], wide["tau_ms"], narrow["tau_high_ms"], wide["tau_high_ms"]]
    assert [float(end.item()) for end in ends] == sorted(float(end.item()) for end in ends)
    assert wide["tau_high_ms"].item() - wide["tau_low_ms"].item() < 60


def with_replicates(monkeypatch, curves, confidence=0.95):
    """An estimate whose bootstrap gave these curves."""
    real = ResampledTrials.curves

    def staged(self, drawn):
        return np.concatenate([real(self, drawn[:1]), np.repeat(np.array(curves)[:, None], 20, axis=1)])

    monkeypatch.setattr(ResampledTrials, "curves", staged)
    return estimate_counts(
        slow_counts(neurons=20), bin_ms=50.0, bootstrap=len(curves), confidence=confidence, rng=np.random.default_rng(1)
    ).isel(layer=0)


LAG = np.arange(1, 20)
FALLING, RISING, STRAIGHT, STEP = 0.2 * np.exp(-LAG / 2.0), 0.01 * LAG, 0.3 - 0.01 * LAG, 0.1 * (LAG == 1)


@pytest.mark.parametrize(
    ("others", "low", "high"),
    [
        ([], 100.0, 100.0),
        ([RISING] * 2, 100.0, 100.0),
        ([RISING] * 3, 0.0, math.inf),
        ([STRAIGHT] * 3, 100.0, math.inf),
        ([STEP] * 3, 0.0, 100.0),
        ([STEP] * 101, 0.0, 5.0),
        ([RISING, RISING, STEP], 0.0, 100.0),
        ([STRAIGHT] * 101, 10_000.0, math.inf),
    ],
)
def test_replicates_without_a_timescale_widen_the_interval(monkeypatch, others, low, high):
    # Protects against intervals that look narrow because what did not decay was dropped. Of 101 replicates, two may
    # lie outside at either end.
    result = with_replicates(monkeypatch, [FALLING] * (101 - len(others)) + others)
    assert [result["tau_low_ms"].item(), result["tau_high_ms"].item()] == pytest.approx([low, high], rel=1e-3)
    assert result["replicates_fitted"].item() == 101 - sum(other is RISING for other in others)


def test_no_replicates_no_interval():
    result = estimate_counts(slow_counts(), bin_ms=50.0, bootstrap=0, rng=np.random.default_rng(1))
    assert np.isnan([result["tau_low_ms"].item(), result["tau_high_ms"].item()]).all()


def test_weak_decay_leaves_the_interval_open():
    # The same without staging: 40 trials of 5 neurons whose decay is just there.
    counts = slow_counts(200.0, seed=1, trials=40, neurons=5)
    result = estimate_counts(counts, bin_ms=50.0, bootstrap=100, rng=np.random.default_rng(1)).isel(layer=0)
    assert Status(result["status"].item()).usable
    assert [result["tau_low_ms"].item(), result["tau_high_ms"].item()] == [0.0, math.inf]


def test_white_noise_has_no_timescale():
    # Protects the reader from timescales of noise: at most 5 of 100.
    rng = np.random.default_rng(9)
    found = 0
    for _ in range(100):
        noise = white_poisson_counts(trials=30, bins=10, neurons=5, bin_ms=50.0, rng=rng)
        found += Status(estimate_counts(noise, bin_ms=50.0, bootstrap=0, rng=rng)["status"].item()).usable
    assert found <= 5


def test_gain_that_changes_from_trial_to_trial_is_no_timescale():
    # A rate that is high or low for whole trials lifts all lags alike: an offset, not a decay.
    rng = np.random.default_rng(10)
    gain = rng.gamma(4.0, 0.5, (100, 1, 1))
    result = estimate_counts(rng.poisson(gain * np.ones((100, 20, 20))), bin_ms=50.0, bootstrap=0, rng=rng).isel(
        layer=0
    )
    assert result["autocorrelation"].min() > 0.1
    assert result["status"].item() == "not_better_than_noise"
    assert result["noise_p_value"].item() > 0.01


def test_no_value_without_a_reason():
    # Protects against bare NaN: silence, too few trials and quiet neurons are told apart and counted.
    rng = np.random.default_rng(11)
    silent = estimate_counts(np.zeros((50, 10, 3)), bin_ms=50.0, rng=rng).isel(layer=0)
    assert silent["status"].item() == "too_few_spikes"
    assert silent["reason"].item() == Status.TOO_FEW_SPIKES.reason
    assert (silent["neurons_used"].item(), silent["neurons_excluded"].item()) == (0, 3)
    constant = estimate_counts(np.ones((50, 10, 3)), bin_ms=50.0, rng=rng).isel(layer=0)
    assert (constant["status"].item(), constant["rate_hz"].item()) == ("no_variance", 20.0)
    few = estimate_counts(slow_counts()[:10], bin_ms=50.0, rng=rng).isel(layer=0)
    assert few["status"].item() == "too_few_trials"
    for result in (silent, constant, few):
        assert math.isnan(result["tau_ms"].item())
        assert math.isnan(result["tau_low_ms"].item())


def test_quiet_neurons_are_left_out_and_counted():
    counts = slow_counts(neurons=12)
    with_quiet = np.concatenate([counts, np.zeros((200, 20, 3), dtype=int)], axis=2)
    alone, together = (
        estimate_counts(c, bin_ms=50.0, bootstrap=20, rng=np.random.default_rng(1)) for c in (counts, with_quiet)
    )
    assert together["neurons_excluded"].item() == 3
    assert together["tau_ms"].item() == alone["tau_ms"].item()
    assert together["rate_hz"].item() == pytest.approx(alone["rate_hz"].item() * 12 / 15)


def test_estimate_of_a_recording():
    # Protects the contract of the result: layers in order, protocol in the attributes, reproducible.
    spikes = ou_poisson_counts(
        tau_ms=80.0, trials=80, bins=260, neurons=15, bin_ms=5.0, dt_ms=5.0, rng=np.random.default_rng(4)
    )
    silent = np.zeros_like(spikes)
    recording = recorded(spikes, dt_s=0.005, hidden2=silent)
    first, again = (
        estimate(
            recording, start_ms=100.0, max_lag_ms=600.0, bootstrap=30, rng=np.random.default_rng(1), progress=False
        )
        for _ in range(2)
    )
    xr.testing.assert_identical(first, again)
    assert first["layer"].to_numpy().tolist() == ["hidden1", "hidden2"]
    assert first["depth"].to_numpy().tolist() == [1, 2]
    assert first["status"].to_numpy().tolist() == ["ok", "too_few_spikes"]
    assert first["lag_ms"].to_numpy().tolist() == [50.0 * k for k in range(1, 13)]
    assert (
        first.attrs
        | {
            "estimator": "pearson_trials",
            "trials": 80,
            "window_ms": 1200.0,
            "start_ms": 100.0,
            "max_lag_ms": 600.0,
            "bootstrap": 30,
            "resampled": "trials",
            "source": "test",
            "doi": "10.1038/nn.3862",
        }
        == first.attrs
    )
    assert first.attrs["network"] == ""
    assert "input" not in first.attrs
    direct = estimate_counts(
        bin_counts(recording, "hidden1", 50.0, 100.0), bin_ms=50.0, max_lag_ms=600.0, rng=np.random.default_rng(1)
    )
    assert direct["tau_ms"].item() == first["tau_ms"].to_numpy()[0]
    fitted = first["fitted"].sel(layer="hidden1")
    assert np.isnan(fitted.where(first["lag_ms"] < first["first_fitted_lag_ms"].sel(layer="hidden1"), drop=True)).all()
    assert abs(fitted - first["autocorrelation"].sel(layer="hidden1")).max() < 0.05


def test_result_says_which_network_and_input_it_is_of(tmp_path):
    # Protects provenance: a timescale of spontaneous activity must not pass for one of the task.
    recording = recorded(np.zeros((2, 600, 1), dtype=int))
    recording.attrs |= {"network": "abc123", "input": "spontaneous", "burn_in_ms": 100.0}
    result = estimate(recording, start_ms=100.0, rng=np.random.default_rng(1), progress=False)
    save(result, tmp_path / "timescales.nc")
    expected = {"network": "abc123", "input": "spontaneous", "burn_in_ms": 100.0, "source": "test", "start_ms": 100.0}
    assert load(tmp_path / "timescales.nc").attrs | expected == result.attrs


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"counts": np.zeros((5, 5))}, r"shape of counts is \(5, 5\); expected \(trial, bin, neuron\)"),
        ({"counts": np.zeros((20, 8, 0))}, r"shape of counts is \(20, 8, 0\)"),
        ({"counts": np.full((20, 8, 1), "a")}, "type of counts is '<U1'"),
        ({"counts": np.full((20, 8, 1), np.nan)}, r"counts\[0, 0, 0\] is nan; expected a whole number of spikes"),
        (
            {"counts": np.full((20, 8, 1), -1)},
            r"counts\[0, 0, 0\] is -1; expected a whole number of spikes, at least 0",
        ),
        ({"counts": np.zeros((20, 5, 1))}, "number of bins in a trial is 5; expected at least 6"),
        ({"bin_ms": -5.0}, "bin_ms is -5.0; expected a positive"),
        ({"max_lag_ms": 100.0}, "max_lag_ms is 100.0; expected at least 200"),
        ({"bootstrap": 2.5}, "bootstrap is 2.5; expected a whole number"),
        ({"confidence": 95}, "confidence is 95; expected a number between 0 and 1"),
        ({"minimum_rate_hz": -1}, "minimum_rate_hz is -1; expected a rate"),
        ({"bin_ms": "50"}, "bin_ms is '50'; expected a positive"),
    ],
)
def test_estimate_names_bad_input(changed, message):
    arguments = {"counts": np.zeros((20, 8, 1)), "bin_ms": 50.0} | changed
    with pytest.raises(InputError, match=message):
        estimate_counts(arguments.pop("counts"), **arguments, rng=np.random.default_rng(1))


def test_estimate_needs_a_spiking_layer():
    only_input = make_recording(
        [RecordedPopulation.from_counts("input", "input", np.zeros((1, 9, 1), dtype=int))],
        dt_s=0.1, trials=1, steps=9, source="test",
    )  # fmt: skip
    with pytest.raises(
        InputError, match=r"populations of the recording is \['input'\]; expected at least one of kind lif"
    ):
        estimate(only_input, rng=np.random.default_rng(1))


# Files


@pytest.fixture
def result():
    return estimate_counts(slow_counts(neurons=5, trials=50), bin_ms=50.0, bootstrap=10, rng=np.random.default_rng(1))


def test_result_survives_a_file(result, tmp_path):
    save(result, tmp_path / "timescales.nc")
    back = load(tmp_path / "timescales.nc")
    xr.testing.assert_identical(back, result)
    assert all(variable.dtype != object for variable in back.variables.values())


def test_open_interval_survives_a_file(result, tmp_path):
    opened = result.assign(tau_low_ms=("layer", [0.0]), tau_high_ms=("layer", [np.inf]))
    save(opened, tmp_path / "timescales.nc")
    xr.testing.assert_identical(load(tmp_path / "timescales.nc"), opened)


def test_broken_and_foreign_files_are_refused(result, tmp_path):
    path = tmp_path / "timescales.nc"
    with pytest.raises(InputError, match=r"timescales file is .* expected an existing file"):
        load(path)
    save(result, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="complete HDF5 file"):
        load(path)
    save(result.assign(status=("layer", ["wonderful"])), path)
    with pytest.raises(InputError, match=r"status in timescales file .* is 'wonderful'; expected one of ok"):
        load(path)
    save(result.drop_vars("reason"), path)
    with pytest.raises(InputError, match="expected one named 'reason'"):
        load(path)
    save(result.assign(tau_ms=("lag", np.zeros(19))), path)
    with pytest.raises(InputError, match=r"dimensions of 'tau_ms' .* is \('lag',\); expected \('layer',\)"):
        load(path)
    with pytest.raises(InputError, match="schema of the result is None"):
        save(xr.Dataset({"x": 1}), path)


def test_flipped_bytes_never_give_anything_but_a_refusal(result, tmp_path):
    # Protects the command line from tracebacks: damage can surface anywhere in HDF5, xarray or our own checks.
    save(result, tmp_path / "timescales.nc")
    whole = (tmp_path / "timescales.nc").read_bytes()
    rng = np.random.default_rng(13)
    refused = 0
    for _ in range(30):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 8):
            damaged[place] ^= 0xFF
        (tmp_path / "timescales.nc").write_bytes(damaged)
        try:
            load(tmp_path / "timescales.nc")
        except InputError:
            refused += 1
    assert refused > 0


def test_files_that_unpack_to_too_much_or_point_elsewhere_are_refused(tmp_path):
    # Protects memory and other files from a hostile result.
    with h5py.File(tmp_path / "bomb.nc", "w") as file:
        file.create_dataset("tau_ms", shape=(2**40,), chunks=(2**20,), dtype="f8")
    with pytest.raises(InputError, match="unpacked size of timescales file"):
        load(tmp_path / "bomb.nc")
    with h5py.File(tmp_path / "link.nc", "w") as file:
        file["tau_ms"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(InputError, match="links to other files are refused"):
        load(tmp_path / "link.nc")


# What takes longer


@pytest.mark.slow
def test_interval_covers_the_truth():
    # Protects the meaning of the 95 % interval. Measured over 150 recordings of 1 s x 200 trials each: 94 % (tau
    # 50 ms), 95 % (100 ms) and 97 % (200 ms) with 40 neurons, 97 % (100 ms) with 10.
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(60):
        counts = ou_poisson_counts(tau_ms=100.0, trials=200, bins=20, neurons=20, bin_ms=50.0, dt_ms=5.0, rng=rng)
        result = estimate_counts(counts, bin_ms=50.0, rng=rng).isel(layer=0)
        covered += result["tau_low_ms"].item() <= 100.0 <= result["tau_high_ms"].item()
    assert covered >= 51
