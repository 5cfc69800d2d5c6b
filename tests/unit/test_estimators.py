"""Every estimator through the one call: known timescales come back, noise has none, every NaN has a reason."""

import numpy as np
import pytest
import xarray as xr

from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.timescales import (
    ESTIMATORS,
    Signals,
    SpikeTrains,
    Status,
    estimate,
    from_counts,
    hawkes_trains,
    load,
    ornstein_uhlenbeck,
    ou_poisson_trains,
    save,
    silent_trains,
    sinusoid,
    white_poisson_trains,
)
from cortexsnn.timescales.estimators import Autocorrelation, Tiling

OF_SPIKES = tuple(ESTIMATORS)


def generator(seed=1):
    return np.random.default_rng(seed)


def measured(data, estimator, seed=1, **settings):
    settings = {"bootstrap": 0, "progress": False} | settings
    return estimate(data, estimator, rng=generator(seed), **settings)


@pytest.fixture(scope="module")
def trials():
    return ou_poisson_trains(
        tau_ms=100.0, trials=120, duration_s=2.0, neurons=15, rate_hz=20.0, dt_ms=5.0, rng=generator()
    )


@pytest.fixture(scope="module")
def long():
    return ou_poisson_trains(
        tau_ms=100.0, trials=1, duration_s=600.0, neurons=15, rate_hz=20.0, dt_ms=5.0, rng=generator(2)
    )


@pytest.mark.parametrize("estimator", OF_SPIKES)
def test_layer_has_its_timescale(estimator, trials):
    # Protects the whole way of every estimator: observing, fitting, testing, bounding.
    result = measured(trials, estimator, bootstrap=40).isel(layer=0)
    assert result["status"].item() == "ok"
    assert result["tau_ms"].item() == pytest.approx(100.0, rel=0.25)
    assert result["tau_low_ms"].item() <= result["tau_ms"].item() <= result["tau_high_ms"].item()
    assert result["estimator"].item() == estimator
    assert result["noise_p_value"].item() <= 0.01


@pytest.mark.parametrize("estimator", OF_SPIKES)
def test_neurons_have_their_timescales(estimator, trials):
    result = measured(trials, estimator, per="neuron")
    assert result["tau_ms"].dims == ("unit",)
    assert result["neuron"].to_numpy().tolist() == list(range(15))
    usable = np.isfinite(result["tau_ms"].to_numpy())
    assert usable.mean() > 0.6
    assert np.nanmedian(result["tau_ms"]) == pytest.approx(100.0, rel=0.35)


@pytest.mark.parametrize("estimator", [name for name in OF_SPIKES if name != "pearson_trials"])
def test_one_long_trial_is_enough(estimator, long):
    result = measured(long, estimator, bootstrap=40).isel(layer=0)
    assert result["tau_ms"].item() == pytest.approx(100.0, rel=0.25)
    assert np.isfinite([result["tau_low_ms"].item(), result["tau_high_ms"].item()]).all()


def test_one_trial_has_no_correlation_across_trials(long):
    result = measured(long, "pearson_trials", bin_ms=500.0)
    assert result["status"].item() == "too_few_trials"
    assert result["exclusion"].to_numpy().tolist() == ["too_few_trials"] * 15


def test_neurons_with_an_empty_bin_are_left_out_if_asked():
    # Protects the rule of Kim & Sejnowski: neuron 1 never fires in the third of ten bins, in any of 40 trials.
    counts = generator().poisson(2.0, (40, 10, 3))
    counts[:, 2, 1] = 0
    trains = from_counts(counts, 50.0)
    status = measured(trains, "pearson_trials", per="neuron", exclude_empty_bins=True)["status"].to_numpy()
    assert (status == Status.EMPTY_BINS.value).tolist() == [False, True, False]
    layer = measured(trains, "pearson_trials", exclude_empty_bins=True)
    assert layer["exclusion"].to_numpy().tolist() == ["", Status.EMPTY_BINS.value, ""]
    assert not (measured(trains, "pearson_trials", per="neuron")["status"] == Status.EMPTY_BINS.value).any()


@pytest.mark.parametrize(("estimator", "bin_ms"), [("acf", 10.0), ("knee", 6.0), ("integral", 10.0), ("acf", 25.0)])
def test_usual_bins_are_whole_steps_of_a_signal(estimator, bin_ms):
    step_ms = 25.0 if bin_ms == 25.0 else 2.0 if bin_ms == 10.0 else 3.0
    values = ornstein_uhlenbeck(tau_ms=100.0, trials=1, steps=20_000, neurons=2, dt_ms=step_ms, rng=generator())
    assert measured(Signals.from_array(values, step_ms), estimator).attrs["bin_ms"] == bin_ms


def paused(trains, pause_ms):
    """Spikes that come sooner after the one before than the pause are taken away."""
    begins = np.flatnonzero(np.diff(trains.neuron, prepend=-1) | np.diff(trains.trial, prepend=-1))
    keep = np.zeros(trains.time_s.size, dtype=bool)
    for first, last in zip(begins, [*begins[1:], trains.time_s.size], strict=True):
        before = -np.inf
        for place in range(first, last):
            if trains.time_s[place] - before >= pause_ms / 1000.0:
                keep[place], before = True, trains.time_s[place]
    return SpikeTrains(trains.time_s[keep], trains.trial[keep], trains.neuron[keep], trains.durations_s, trains.neurons)


@pytest.mark.parametrize(
    ("estimator", "settings"),
    [
        ("acf", {"bin_ms": 10.0, "max_lag_ms": 500.0, "start": "largest_drop"}),
        ("pearson_trials", {"bin_ms": 25.0}),
    ],
)
def test_a_pause_after_each_spike_is_no_noise(estimator, settings, trials):
    # Protects the noise test: the first lags are strongly negative, the fit begins after them, and so must the test.
    result = measured(paused(trials, 20.0), estimator, **settings).isel(layer=0)
    assert result["autocorrelation"].to_numpy()[0] < 0
    assert result["status"].item() == "ok"
    # The pause also makes the next spikes more regular, which shortens what is read.
    assert 40.0 < result["tau_ms"].item() < 135.0


@pytest.mark.parametrize("estimator", OF_SPIKES)
def test_silence_and_white_noise_have_none(estimator):
    silent = measured(silent_trains(trials=20, duration_s=2.0, neurons=3), estimator)
    assert silent["status"].item() == "too_few_spikes"
    rng, found = generator(3), 0
    for _ in range(20):
        white = white_poisson_trains(trials=20, duration_s=2.0, neurons=4, rate_hz=15.0, rng=rng)
        found += np.isfinite(estimate(white, estimator, bootstrap=0, rng=rng, progress=False)["tau_ms"].item())
    assert found <= 1


@pytest.mark.parametrize("estimator", OF_SPIKES)
def test_chunks_of_neurons_change_nothing(estimator, trials, monkeypatch):
    # Protects estimates of recordings that do not fit in memory at once.
    plain = ESTIMATORS[estimator]()

    class OneAtATime(type(plain)):
        def plan(self, source, replicates):
            from dataclasses import replace

            return replace(super().plan(source, replicates), neurons_at_a_time=1)

    for per in ("layer", "neuron"):
        whole, parts = (measured(trials, one, per=per, bootstrap=5) for one in (plain, OneAtATime()))
        for name in ("tau_ms", "tau_low_ms", "autocorrelation"):
            if name in whole:
                assert whole[name].to_numpy() == pytest.approx(parts[name].to_numpy(), rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("estimator", [name for name in OF_SPIKES if name != "isttc"])
@pytest.mark.parametrize("per", ["layer", "neuron"])
def test_constant_activity_has_none(estimator, per):
    # Protects the reason of what has no curve at all, for sums over neurons too.
    constant = from_counts(np.ones((30, 400, 2), dtype=int), 5.0)
    result = measured(constant, estimator, per=per, bin_ms=5.0)
    assert set(result["status"].to_numpy().tolist()) == {"no_variance"}


def test_every_excluded_neuron_keeps_a_reason(trials):
    quiet = SpikeTrains.from_times([[[0.5] if t == 0 else [] for _ in range(2)] for t in range(120)], np.full(120, 2.0))
    both = SpikeTrains.from_times(
        [
            [trials.time_s[(trials.trial == t) & (trials.neuron == n)] for n in range(5)] + [[0.5] if t == 0 else []]
            for t in range(120)
        ],
        np.full(120, 2.0),
        neurons=["a", "b", "c", "d", "e", "quiet"],
    )
    result = measured({"V4": both, "V1": quiet}, "acf")
    assert result["exclusion"].to_numpy().tolist() == ["", "", "", "", "", *["too_few_spikes"] * 3]
    assert result["unit_layer"].to_numpy().tolist() == ["V4"] * 6 + ["V1"] * 2
    assert result["neurons_excluded"].to_numpy().tolist() == [1, 2]
    assert result["status"].to_numpy().tolist() == ["ok", "too_few_spikes"]
    one_by_one = measured(both, "acf", per="neuron")
    assert one_by_one["status"].to_numpy().tolist()[-1] == "too_few_spikes"
    assert one_by_one["reason"].to_numpy().tolist()[-1] == Status.TOO_FEW_SPIKES.reason


def test_signals_too():
    values = ornstein_uhlenbeck(tau_ms=50.0, trials=4, steps=20_000, neurons=6, dt_ms=5.0, rng=generator())
    signals = Signals.from_array(values, 5.0, name="LFP")
    for estimator in ("acf", "multistep"):
        result = measured(signals, estimator, bin_ms=5.0, bootstrap=20)
        assert result["tau_ms"].sel(layer="LFP").item() == pytest.approx(50.0, rel=0.1)
        assert np.isnan(result["rate_hz"].item())
    with pytest.raises(InputError, match="data is 'Signals'; expected spike times"):
        measured(signals, "isttc")


def test_two_timescales_are_told_apart():
    rng = generator(4)
    fast, slow = (
        ornstein_uhlenbeck(tau_ms=tau, trials=1, steps=400_000, neurons=8, dt_ms=2.0, rng=rng) for tau in (10.0, 150.0)
    )
    signals = Signals.from_array(np.sqrt(0.6) * fast + np.sqrt(0.4) * slow, 2.0)
    result = measured(signals, Autocorrelation(2.0, 800.0, model=("exponential", "two_exponentials"))).isel(layer=0)
    assert result["model"].item() == "two_exponentials"
    assert [result["tau_fast_ms"].item(), result["tau_slow_ms"].item()] == pytest.approx([10.0, 150.0], rel=0.15)
    assert result["tau_ms"].item() == result["tau_fast_ms"].item()


def test_recording_and_spike_trains_are_the_same():
    rng = generator(6)
    spikes = (rng.random((30, 1500, 4)) < 0.03).astype(int)
    layer = RecordedPopulation.from_counts("hidden1", "lif", spikes)
    recording = make_recording([layer], dt_s=0.001, trials=30, steps=1500, source="test")
    times = [[np.flatnonzero(spikes[t, :, n]) * 0.001 for n in range(4)] for t in range(30)]
    trains = SpikeTrains.from_times(times, np.full(30, 1.5), name="hidden1")
    for estimator in OF_SPIKES:
        one, other = measured(recording, estimator), measured(trains, estimator)
        name = "autocorrelation" if "autocorrelation" in one else "power"
        xr.testing.assert_allclose(one[name], other[name])
    binned = from_counts(spikes, 1.0)
    assert measured(binned, "acf", bin_ms=10.0)["autocorrelation"].to_numpy() == pytest.approx(
        measured(trains, "acf", bin_ms=10.0)["autocorrelation"].to_numpy()
    )


def test_result_of_neurons_survives_a_file(trials, tmp_path):
    result = measured(trials, "acf", per="neuron")
    save(result, tmp_path / "neurons.nc")
    xr.testing.assert_identical(load(tmp_path / "neurons.nc"), result)


def test_same_seed_same_result(trials):
    for estimator in OF_SPIKES:
        one, again = (measured(trials, estimator, bootstrap=10) for _ in range(2))
        xr.testing.assert_identical(one, again)


def test_oscillation_is_told():
    # A decay alone would describe it wrongly.
    x = sinusoid(frequency_hz=4.0, trials=50, steps=400, neurons=1, dt_ms=5.0, rng=generator())
    signals = Signals.from_array(x + 0.3 * generator(2).standard_normal(x.shape), 5.0)
    assert measured(signals, "acf", bin_ms=5.0, max_lag_ms=1000.0)["status"].item() == "oscillation"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": "fourier"}, "estimator is 'fourier'; expected one of pearson_trials, acf"),
        ({"estimator": "acf", "bins": 3}, "setting of acf is 'bins'; expected one of bin_ms"),
        ({"estimator": Tiling(), "bin_ms": 3.0}, "expected none beside Tiling"),
        ({"estimator": "acf", "per": "area"}, "per is 'area'; expected one of layer, neuron"),
        ({"estimator": "acf", "max_lag_ms": 5000.0}, "max_lag_ms is 5000.0; expected at most 1980"),
        ({"estimator": "acf", "bin_ms": 500.0}, "number of bins in the longest trial is 4; expected at least 12"),
        ({"estimator": "isttc", "window_ms": 30.0}, "window_ms is 30.0; expected positive, less than bin_ms = 25"),
        ({"estimator": "multistep", "method": "mean"}, "method is 'mean'; expected one of"),
        ({"estimator": "acf", "model": "line"}, "model is 'line'; expected one of"),
    ],
)
def test_bad_settings_are_named(arguments, message, trials):
    with pytest.raises(InputError, match=message):
        measured(trials, **arguments)


def test_bad_data_are_named():
    with pytest.raises(InputError, match="data is 'ndarray'; expected a recording, SpikeTrains"):
        measured(np.zeros((3, 4, 5)), "acf")
    with pytest.raises(InputError, match=r"data is \{\}; expected at least one layer"):
        measured({}, "acf")


@pytest.mark.parametrize("estimator", ["acf", "isttc", "multistep", "integral"])
@pytest.mark.parametrize(("trials", "duration_s", "has_interval"), [(1, 8.0, False), (1, 60.0, True), (9, 10.0, True)])
def test_few_blocks_have_no_interval(estimator, trials, duration_s, has_interval):
    # Protects against intervals of no width, and against blocks that plan and sums count differently.
    rng = generator(5)
    trains = ou_poisson_trains(
        tau_ms=60.0, trials=trials, duration_s=duration_s, neurons=10, rate_hz=40.0, dt_ms=5.0, rng=rng
    )
    result = measured(trains, estimator, bin_ms=20.0, max_lag_ms=500.0, bootstrap=20).isel(layer=0)
    if np.isfinite(result["tau_ms"].item()):
        known = np.isfinite(result["tau_low_ms"].item())
        assert known == has_interval


def test_tau_beyond_the_lags_is_rough(long):
    # 100 ms seen through lags up to 60 ms, in a recording of ten minutes.
    result = measured(long, "acf", bin_ms=5.0, max_lag_ms=60.0, model="exponential").isel(layer=0)
    assert result["tau_ms"].item() == pytest.approx(100.0, rel=0.2)
    assert result["status"].item() == "too_short"


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ["acf", "isttc"])
def test_hawkes_units_are_within_a_quarter(estimator):
    # The benchmark of the iSTTC paper: 2 Hz, 100 ms, 10 min; at least 75 % of the units within 25 %.
    trains = hawkes_trains(
        reproduction=0.7, kernel_tau_ms=30.0, rate_hz=2.0, trials=1, duration_s=600.0, neurons=200, rng=generator()
    )
    tau = measured(trains, estimator, per="neuron", minimum_rate_hz=0.0)["tau_ms"].to_numpy()
    assert np.mean(np.abs(tau / 100.0 - 1.0) <= 0.25) >= 0.75
