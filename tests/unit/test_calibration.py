"""Protocols, calibration curves and intervals: what an estimate under a protocol is worth."""

import numpy as np
import pytest
import xarray as xr

from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.timescales import (
    Autocorrelation,
    Protocol,
    Signals,
    SpikeTrains,
    Status,
    autoregressive,
    calibrate,
    correct,
    estimate,
    from_counts,
    match,
    noisy_signals,
    ornstein_uhlenbeck,
    ou_poisson_trains,
    protocol_of,
)


def generator(seed=1):
    return np.random.default_rng(seed)


def long_trains(duration_s=100.0, neurons=8, rate_hz=20.0):
    return ou_poisson_trains(
        tau_ms=100.0, trials=2, duration_s=duration_s, neurons=neurons, rate_hz=rate_hz, dt_ms=5.0, rng=generator()
    )


# Matching


def test_match_gives_what_the_protocol_says():
    wanted = Protocol(trials=60, duration_s=1.0, neurons=5, rate_hz=6.0)
    matched = match(long_trains(), wanted, rng=generator())["population"]
    found = protocol_of(matched)
    assert (found.trials, found.duration_s, found.neurons) == (60, 1.0, 5)
    assert found.rate_hz == pytest.approx(6.0, rel=0.1)
    assert matched.time_s.min() >= 0
    assert matched.time_s.max() < 1.0


def test_match_takes_spikes_from_where_they_were():
    # Protects the pieces: each matched spike is a spike of the recording, and none outside the pieces is used.
    times = [[np.arange(0.05, 10.0, 0.1)], [np.arange(0.05, 7.0, 0.1)]]
    trains = SpikeTrains.from_times(times, [10.0, 7.0])
    # After half a second the first trial holds 9 pieces of a second, the second one 6.
    matched = match(trains, Protocol(15, 1.0, 1), start_ms=500.0, rng=generator())["population"]
    expected = np.tile(np.arange(0.05, 1.0, 0.1), 15)
    assert matched.time_s == pytest.approx(expected)
    assert matched.trial.tolist() == np.repeat(np.arange(15), 10).tolist()
    with pytest.raises(InputError, match="trials of the protocol is 16; expected at most 15"):
        match(trains, Protocol(16, 1.0, 1), start_ms=500.0, rng=generator())


def test_layers_of_a_recording_are_cut_alike():
    # What is correlated between layers stays so.
    rng = generator()
    spikes = (rng.random((3, 4000, 6)) < 0.05).astype(int)
    layers = [RecordedPopulation.from_counts(name, "lif", spikes) for name in ("hidden1", "hidden2")]
    recording = make_recording(layers, dt_s=0.001, trials=3, steps=4000, source="test")
    matched = match(recording, Protocol(10, 1.0, 6), rng=rng)
    assert list(matched) == ["hidden1", "hidden2"]
    for axis in ("time_s", "trial", "neuron"):
        assert np.array_equal(getattr(matched["hidden1"], axis), getattr(matched["hidden2"], axis))


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        (Protocol(500, 1.0, 5), "trials of the protocol is 500; expected at most 200"),
        (Protocol(20, 1.0, 9), "neurons of the protocol is 9; expected at most 8"),
        (Protocol(20, 1.0, 5, 60.0), "rate_hz of the protocol is 60.0; expected at most"),
    ],
)
def test_match_says_what_there_is(protocol, message):
    with pytest.raises(InputError, match=message):
        match(long_trains(), protocol, rng=generator())


def test_protocol_of_all_kinds():
    signals = Signals.from_array(np.zeros((4, 100, 3)), 5.0)
    assert protocol_of(signals) == Protocol(4, 0.5, 3)
    assert protocol_of(from_counts(np.ones((4, 10, 3), dtype=int), 50.0)) == Protocol(4, 0.5, 3, 20.0)


@pytest.mark.parametrize("field", ["trials", "neurons", "duration_s", "rate_hz"])
def test_protocol_names_bad_numbers(field):
    with pytest.raises(InputError, match=field):
        Protocol(**({"trials": 5, "duration_s": 1.0, "neurons": 3, "rate_hz": 5.0} | {field: -1}))


# Calibration


def test_calibration_makes_a_known_bias_good():
    # abcTau's example (Zeraati et al. 2022): the mean of each trial taken off, 20 ms in 1 s reads 17.3 ms.
    estimator = Autocorrelation(bin_ms=1.0, max_lag_ms=100.0, model="exponential", centre="trial")
    protocol, process = Protocol(trials=500, duration_s=1.0, neurons=1), noisy_signals(1.0)
    curve = calibrate(
        protocol, estimator, tau_ms=[12.0, 20.0, 32.0], repeats=4, process=process, rng=generator(), progress=False
    )
    direct, corrected = [], []
    for seed in range(20):
        rng = generator(100 + seed)
        result = estimate(process(20.0, protocol, rng), estimator, bootstrap=0, rng=rng, progress=False)
        direct.append(result["tau_ms"].item())
        corrected.append(correct(result, curve)["corrected_tau_ms"].item())
    assert np.mean(direct) == pytest.approx(17.26, abs=0.3)
    assert np.mean(corrected) == pytest.approx(20.0, rel=0.03)
    assert correct(result, curve)["calibration_note"].item().endswith("% low here")


def test_calibration_is_told_by_its_protocol():
    protocol = Protocol(trials=30, duration_s=1.0, neurons=5, rate_hz=20.0)
    curve = calibrate(protocol, tau_ms=[50.0, 150.0], repeats=3, bootstrap=20, rng=generator(), progress=False)
    assert curve.attrs["trials"] == 30
    assert curve.attrs["estimator"] == "pearson_trials"
    assert {Status(str(one)) for one in curve["status"].to_numpy().ravel()}
    known = np.isfinite(curve["estimate_ms"])
    xr.testing.assert_equal(known.mean("repeat").drop_attrs(), curve["share_usable"].drop_attrs())
    assert curve["coverage"].dims == ("true_tau_ms",)


def test_correction_knows_its_limits():
    curve = xr.Dataset(
        {"median_ms": ("true_tau_ms", [8.0, 16.0, 30.0])}, {"true_tau_ms": [10.0, 20.0, 40.0]}, {"estimator": "acf"}
    )
    tau = np.array([16.0, 5.0, np.nan])
    result = xr.Dataset(
        {
            "tau_ms": ("layer", tau),
            "tau_low_ms": ("layer", [8.0, 1.0, np.nan]),
            "tau_high_ms": ("layer", [30.0, 8.0, np.nan]),
        },
        {"estimator": "acf"},
    )
    corrected = correct(result, curve)
    assert corrected["corrected_tau_ms"].to_numpy() == pytest.approx([20.0, np.nan, np.nan], nan_ok=True)
    assert corrected["corrected_low_ms"].to_numpy() == pytest.approx([10.0, 0.0, np.nan], nan_ok=True)
    assert corrected["corrected_high_ms"].to_numpy() == pytest.approx([40.0, 10.0, np.nan], nan_ok=True)
    assert corrected["calibration_note"].to_numpy().tolist() == [
        "reads 20 % low here", "outside of the calibrated range", "",
    ]  # fmt: skip
    flat = curve.assign(median_ms=("true_tau_ms", [8.0, 8.0, 30.0]))
    with pytest.raises(InputError, match="expected estimates that rise with the true timescale"):
        correct(result, flat)
    with pytest.raises(InputError, match="estimator of the calibration is 'acf'; expected 'isttc'"):
        correct(result.assign_coords(estimator="isttc"), curve)


@pytest.mark.parametrize("tau_ms", [[50.0, 50.0], [], [-1.0, 5.0], 50.0])
def test_calibration_names_bad_timescales(tau_ms):
    with pytest.raises(InputError, match="tau_ms"):
        calibrate(Protocol(20, 1.0, 2, 10.0), tau_ms=tau_ms, rng=generator(), progress=False)


def test_neurons_are_calibrated_one_by_one():
    # Protects correction of single neurons by a curve of single neurons, and of nothing else.
    protocol = Protocol(trials=1, duration_s=60.0, neurons=4)
    curve = calibrate(
        protocol, "acf", tau_ms=[20.0, 80.0], repeats=2, per="neuron", process=noisy_signals(5.0), rng=generator(),
        progress=False,
    )  # fmt: skip
    assert curve["estimate_ms"].shape == (2, 8)
    assert curve.attrs["settings"].startswith("Autocorrelation(bin_ms=10.0")
    values = ornstein_uhlenbeck(tau_ms=40.0, trials=1, steps=12_000, neurons=4, dt_ms=5.0, rng=generator(4))
    data = Signals.from_array(values, 5.0)
    of_neurons, of_layer = (
        estimate(data, "acf", per=per, bootstrap=0, rng=generator(), progress=False) for per in ("neuron", "layer")
    )
    assert correct(of_neurons, curve)["corrected_tau_ms"].median().item() == pytest.approx(40.0, rel=0.25)
    with pytest.raises(InputError, match="'layer', as of the result"):
        correct(of_layer, curve)


# Intervals


def covered(data, estimator, true_ms, **settings):
    result = estimate(
        data, estimator, per="neuron", bootstrap=200, minimum_rate_hz=0.0, rng=generator(3), progress=False, **settings
    )
    held = (result["tau_low_ms"] <= true_ms) & (true_ms <= result["tau_high_ms"])
    usable = np.isfinite(result["tau_ms"])
    return float(held.sum() / usable.sum()), float(usable.mean())


@pytest.mark.slow
def test_intervals_cover_ar1():
    # 500 repeats: a signal of 60,000 steps with a timescale of 10 steps.
    signals = Signals.from_array(
        autoregressive(coefficient=np.exp(-0.1), trials=1, steps=60_000, neurons=500, rng=generator(7)), 10.0
    )
    coverage, usable = covered(signals, "acf", 100.0, bin_ms=10.0)
    assert 0.90 <= coverage <= 0.98
    assert usable > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["acf", "isttc"])
def test_intervals_cover_noisy_rates(estimator):
    # 500 repeats: ten minutes of a neuron of 5 Hz whose rate has a timescale of 100 ms.
    trains = ou_poisson_trains(
        tau_ms=100.0, trials=1, duration_s=600.0, neurons=500, rate_hz=5.0, dt_ms=5.0, rng=generator(8)
    )
    coverage, usable = covered(trains, estimator, 100.0, bin_ms=25.0)
    assert 0.90 <= coverage <= 0.98
    assert usable > 0.95


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["signals", "spikes"])
def test_intervals_of_the_integral_cover(kind):
    # 500 repeats. Squared noise adds up over the lags, in the estimate and again in each replicate: both are taken off.
    if kind == "signals":
        values = autoregressive(coefficient=np.exp(-0.1), trials=1, steps=60_000, neurons=500, rng=generator(7))
        data, settings = Signals.from_array(values, 10.0), {"bin_ms": 10.0}
    else:
        data = ou_poisson_trains(
            tau_ms=100.0, trials=1, duration_s=600.0, neurons=500, rate_hz=20.0, dt_ms=5.0, rng=generator(8)
        )
        settings = {"bin_ms": 25.0}
    coverage, usable = covered(data, "integral", 100.0, **settings)
    assert 0.90 <= coverage <= 0.98
    assert usable > 0.9
