"""A model measured as a study measured the cortex: what is matched, what is not, and that all of it is said."""

import numpy as np
import pytest
import xarray as xr

from cortexsnn import cortex, timescales
from cortexsnn import recording as recordings
from cortexsnn.cli import main
from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.timescales import SpikeTrains


def rng():
    return np.random.default_rng(5)


@pytest.fixture(scope="module")
def recording():
    """Two layers of known timescales and a silent one: 30 trials of 4.2 s in steps of 10 ms, 200 ms of burn-in."""
    draws = rng()
    layers = [
        RecordedPopulation.from_counts(
            name,
            "lif",
            timescales.ou_poisson_counts(
                tau_ms=tau_ms, trials=30, bins=420, neurons=25, bin_ms=10.0, rate_hz=20.0, rng=draws
            ).clip(0, 1),
        )
        for name, tau_ms in (("hidden1", 60.0), ("hidden2", 150.0))
    ]
    layers.append(RecordedPopulation.from_counts("hidden3", "lif", np.zeros((30, 420, 25), dtype=int)))
    recorded = make_recording(layers, dt_s=0.01, trials=30, steps=420, source="example")
    recorded.attrs |= {"burn_in_ms": 200.0, "network": "abc"}
    return recorded


@pytest.fixture(scope="module")
def murray():
    return cortex.load("murray2014")


def items(measured, kind):
    return measured.attrs[f"protocol_{kind}"].splitlines()


def test_a_recording_is_cut_and_measured_as_the_study(recording, murray):
    measured = cortex.measure_like(recording, murray, bootstrap=20, rng=rng(), progress=False)
    assert (measured.attrs["estimator"], measured.attrs["bin_ms"], measured.attrs["per"]) == (
        "pearson_trials", 50.0, "layer",
    )  # fmt: skip
    # 30 trials of 4 s without their burn-in, in pieces of 1 s.
    assert (measured.attrs["trials"], measured.attrs["window_ms"], measured.attrs["start_ms"]) == (120, 1000.0, 200.0)
    assert measured["tau_ms"].to_numpy()[:2] == pytest.approx([60.0, 150.0], rel=0.35)
    assert measured["status"].to_numpy().tolist()[2] == "too_few_spikes"
    assert measured["layer"].to_numpy().tolist() == ["hidden1", "hidden2", "hidden3"]
    assert (measured.attrs["protocol_table"], measured.attrs["protocol_verdict"]) == ("murray2014", "matched")
    assert (measured.attrs["network"], measured.attrs["source"]) == ("abc", "example")
    assert "bin_ms 50" in items(measured, "matched")
    unmatched = items(measured, "unmatched")
    assert "number of trials of the study (here 120)" in unmatched
    assert "'hidden3': 25 of 25 neurons are silent" in unmatched
    assert any("rates of the study are not known" in item for item in unmatched)


def test_what_is_measured_so_is_recognised_after_a_file(recording, murray, tmp_path):
    measured = cortex.measure_like(recording, murray, bootstrap=20, rng=rng(), progress=False)
    timescales.save(measured, tmp_path / "timescales.nc")
    back = timescales.load(tmp_path / "timescales.nc")
    assert back.attrs["protocol_matched"] == measured.attrs["protocol_matched"]
    result = cortex.compare(back, murray, rng=rng())
    assert (result["protocol"].item(), result.attrs["warning"]) == ("matched", "")
    assert "as in the study: estimator pearson_trials" in result["protocol_note"].item()


def test_other_ways_to_measure_are_named(recording, murray):
    # Protects the warning in a comparison: timescales of another protocol must not pass as those of the study.
    usual = timescales.estimate(recording, bin_ms=20.0, start_ms=200.0, bootstrap=0, rng=rng(), progress=False)
    found = cortex.protocol_difference(usual, murray)
    assert found.verdict == "differs"
    assert found.differs == ("bin_ms 20 (study: 50)", "trials of 4000 ms (study: 500 to 1000 ms)")
    result = cortex.compare(usual, murray, rng=rng())
    assert result["protocol"].item() == "differs"
    assert result.attrs["warning"].startswith("1 of 1 network was not measured by the protocol of murray2014")
    assert "bin_ms 20 (study: 50)" in result["protocol_note"].item()
    other = timescales.estimate(recording, "acf", start_ms=200.0, bootstrap=0, rng=rng(), progress=False)
    assert "estimator acf (study: pearson_trials)" in cortex.protocol_difference(other, murray).differs


def test_what_is_not_known_is_not_said_to_match(murray):
    handmade = xr.Dataset({"tau_ms": ("layer", [50.0])})
    assert cortex.protocol_difference(handmade, murray).verdict == "unknown"
    of_model = cortex.rows(cortex.load("chaudhuri2015"), measure="noise_to_all")
    assert cortex.protocol_difference(handmade, of_model).unknown == ("how the study measured",)
    response = cortex.rows(cortex.load("siegle2021"), measure="response_decay")
    assert cortex.protocol_difference(handmade, response).verdict == "differs"


def test_signals_are_not_measured_as_spikes(murray):
    attributes = {"estimator": "pearson_trials", "bin_ms": 50.0, "per": "layer", "window_ms": 1000.0}
    spikes = xr.Dataset({"rate_hz": ("layer", [5.0])}, attrs=attributes)
    signals = xr.Dataset({"rate_hz": ("layer", [np.nan])}, attrs=attributes)
    assert cortex.protocol_difference(spikes, murray).verdict == "matched"
    assert "signals (study: spikes)" in cortex.protocol_difference(signals, murray).differs


@pytest.mark.parametrize(
    ("window_ms", "bin_ms", "verdict"),
    [(450.0, 50.0, "differs"), (500.0, 50.0, "matched"), (480.0, 48.0, "differs"), (1000.0, 50.0, "matched"),
     (1050.0, 50.0, "differs")],
)  # fmt: skip
def test_trials_shorter_than_those_of_the_study_are_no_match(murray, window_ms, bin_ms, verdict):
    # Protects "matched" from a whole bin of slack: 450 ms are not between 500 and 1000 ms.
    attributes = {"estimator": "pearson_trials", "bin_ms": bin_ms, "per": "layer", "window_ms": window_ms}
    found = cortex.protocol_difference(xr.Dataset(attrs=attributes), murray)
    assert found.verdict == verdict
    said = f"trials of {window_ms:g} ms (study: 500 to 1000 ms)"
    # Bins of 48 ms differ, but ten of them are all that trials of 500 ms hold.
    assert (said in found.same) == (window_ms in (480.0, 500.0, 1000.0))


def test_test_trials_are_not_what_a_study_had(recording, murray, tmp_path, capsys):
    # Protects "matched": structure of the stimulus in the timescales is none of the cortex at rest.
    driven = recording.copy()
    driven.attrs |= {"input": "test"}
    measured = cortex.measure_like(driven, murray, bootstrap=0, rng=rng(), progress=False)
    assert measured.attrs["protocol_verdict"] == "differs"
    assert any(
        item.startswith("driven by test trials (the study: decay time of") for item in items(measured, "unmatched")
    )
    assert cortex.compare(measured, murray, rng=rng())["protocol"].item() == "differs"
    recordings.save(driven, tmp_path / "run" / "test.nc")
    arguments = ["timescales", str(tmp_path / "run" / "test.nc"), "--out", str(tmp_path / "run" / "timescales.nc")]
    assert main([*arguments, "--bootstrap", "0", "--quiet"]) == 0
    assert "unmatched: driven by test trials (the study: " in capsys.readouterr().out


def test_layers_are_cut_at_the_same_times(murray):
    # Protects pieces that are drawn: the same neurons under two names must give the same timescale.
    trains = timescales.ou_poisson_trains(tau_ms=80.0, trials=1, duration_s=90.0, neurons=15, rate_hz=20.0, rng=rng())
    measured = cortex.measure_like(
        {"a": trains, "b": trains}, murray, trials=60, bootstrap=0, rng=rng(), progress=False
    )
    assert measured.attrs["trials"] == 60
    assert measured["tau_ms"].to_numpy()[0] == measured["tau_ms"].to_numpy()[1]
    again = cortex.measure_like({"a": trains, "b": trains}, murray, trials=60, bootstrap=0, rng=rng(), progress=False)
    assert again["tau_ms"].to_numpy()[0] == measured["tau_ms"].to_numpy()[0]


def test_choices_of_ones_own_are_told(murray):
    long = timescales.ou_poisson_trains(tau_ms=50.0, trials=4, duration_s=30.0, neurons=15, rate_hz=20.0, rng=rng())
    chosen = {"trial_ms": 500.0, "trials": 100, "neurons": 10, "rate_hz": 5.0, "start_ms": 1000.0, "bin_ms": 20.0}
    measured = cortex.measure_like({"one": long}, murray, **chosen, bootstrap=0, rng=rng(), progress=False)
    assert measured.attrs["protocol_verdict"] == "differs"
    assert "bin_ms 20 (study: 50)" in items(measured, "unmatched")
    assert "trials of 500 ms (study: 500 to 1000 ms)" in items(measured, "matched")
    assert not any("not thinned" in item for item in items(measured, "unmatched"))
    assert (measured.attrs["trials"], measured.attrs["start_ms"]) == (100, 1000.0)
    assert measured["neurons_used"].item() + measured["neurons_excluded"].item() == 10
    assert measured["rate_hz"].item() == pytest.approx(5.0, rel=0.15)


def test_a_study_of_one_long_recording_is_followed_as_far_as_it_goes(recording):
    long = cortex.load("pochinok2026")
    measured = cortex.measure_like(recording, long, bootstrap=0, rng=rng(), progress=False)
    assert measured.attrs["window_ms"] == 4000.0
    assert measured.attrs["trials"] == 30
    unmatched = items(measured, "unmatched")
    assert "trials of 4000 ms (study: 1800000 ms)" in unmatched
    assert any("record longer" in item for item in unmatched)
    assert any("25 neurons of a layer (study: 254 to 1063 of an area)" in item for item in unmatched)


def test_counts_of_neurons_follow_the_table(murray):
    trains = timescales.ou_poisson_trains(tau_ms=50.0, trials=1, duration_s=60.0, neurons=15, rate_hz=20.0, rng=rng())
    counted = murray.assign(n=("observation", np.full(16, 12)))
    measured = cortex.measure_like(trains, counted, bootstrap=0, rng=rng(), progress=False)
    assert measured["neurons_used"].item() + measured["neurons_excluded"].item() == 12
    assert "12 neurons of a layer (study: 12 of an area)" in items(measured, "matched")


def in_steps(dt_s, duration_s, tau_ms=60.0):
    """A recording of one layer: 40 trials in steps of `dt_s`, without burn-in."""
    steps = round(duration_s / dt_s)
    counts = timescales.ou_poisson_counts(
        tau_ms=tau_ms, trials=40, bins=steps, neurons=25, bin_ms=1000 * dt_s, rate_hz=20.0, rng=rng()
    )
    layer = RecordedPopulation.from_counts("hidden1", "lif", counts.clip(0, 1))
    return make_recording([layer], dt_s=dt_s, trials=40, steps=steps, source="example")


@pytest.mark.parametrize(
    ("dt_s", "bin_ms", "window_ms"), [(0.004, 48.0, 960.0), (0.014, 56.0, 952.0), (0.003, 51.0, 969.0)]
)
def test_steps_that_do_not_divide_the_bins_of_a_study_are_a_difference_and_no_error(murray, dt_s, bin_ms, window_ms):
    # Protects networks of any time step: speech comes in steps of 14 ms, studies count in bins of 50 ms.
    measured = cortex.measure_like(in_steps(dt_s, 2.2), murray, bootstrap=0, rng=rng(), progress=False)
    assert (measured.attrs["bin_ms"], measured.attrs["window_ms"]) == pytest.approx((bin_ms, window_ms))
    assert measured.attrs["trials"] == 80
    assert measured.attrs["protocol_verdict"] == "differs"
    assert f"bin_ms {bin_ms:g} (study: 50)" in items(measured, "unmatched")
    rounded = [item for item in items(measured, "unmatched") if "the nearest to 1000 ms in steps of" in item]
    assert len(rounded) == (dt_s != 0.004)


def test_trials_shorter_than_the_longest_of_a_study_are_cut_to_the_next_that_it_has(murray):
    # Protects "matched": no data set of the study has trials of 600 ms, three of them have 500 ms.
    short = in_steps(0.01, 0.6)
    measured = cortex.measure_like(short, murray, bootstrap=0, rng=rng(), progress=False)
    assert (measured.attrs["window_ms"], measured.attrs["protocol_verdict"]) == (500.0, "matched")
    assert "trials of 500 ms (study: 500 to 1000 ms)" in items(measured, "matched")
    assert "trials of 1000 ms: those of the recording have at most 600 ms, record longer" in items(
        measured, "unmatched"
    )
    chosen = cortex.measure_like(short, murray, trial_ms=600.0, bootstrap=0, rng=rng(), progress=False)
    assert chosen.attrs["protocol_verdict"] == "matched"  # between the data sets that the table pools
    assert "trials of 600 ms (study: 500 to 1000 ms)" in items(chosen, "matched")
    assert "no data set of the study has trials of 600 ms (but of 500, 1000 ms)" in items(chosen, "unmatched")
    # A length that no data set has is not that of the study, nor are its timescales rough for it.
    outside = cortex.measure_like(in_steps(0.01, 0.6), murray, trial_ms=300.0, bootstrap=0, rng=rng(), progress=False)
    assert outside.attrs["protocol_verdict"] == "differs"
    assert "those of the study too" not in outside.attrs["protocol_caution"]
    assert "fifth of the trials of 300 ms" in outside.attrs["protocol_caution"]
    shorter = cortex.measure_like(in_steps(0.01, 0.4), murray, bootstrap=0, rng=rng(), progress=False)
    assert (shorter.attrs["window_ms"], shorter.attrs["protocol_verdict"]) == (400.0, "differs")
    assert "trials of 500, 1000 ms: those of the recording have at most 400 ms, record longer" in items(
        shorter, "unmatched"
    )


def test_timescales_that_are_long_for_the_trials_of_a_study_are_named(recording, murray):
    # Protects the reader from values that trials so short cannot hold, see docs/timescales.md.
    short = cortex.measure_like(recording, murray, trial_ms=500.0, bootstrap=0, rng=rng(), progress=False)
    tau_ms = short["tau_ms"].to_numpy()
    assert tau_ms[1] > 100
    assert short.attrs["protocol_caution"] == (
        "timescales of more than a fifth of the trials of 500 ms are rough, those of the study too: "
        f"hidden2 ({tau_ms[1]:.0f} ms)"
    )
    long = cortex.measure_like(recording, murray, bootstrap=0, rng=rng(), progress=False)
    assert long.attrs["protocol_caution"] == ""
    table = cortex.load("siegle2021", "intrinsic")
    few = {"neurons": 6, "trial_ms": 500.0, "max_lag_ms": 400.0}
    neurons = cortex.measure_like(recording, table, **few, bootstrap=0, rng=rng(), progress=False)
    found = neurons["tau_ms"].to_numpy()
    assert (found > 100).any()
    assert neurons.attrs["protocol_caution"].endswith(f": {(found > 100).sum()} of {np.isfinite(found).sum()} neurons")


def test_trials_that_are_too_short_to_be_cut_are_counted(murray):
    # Protects recordings of trials of many lengths, such as spoken words: what is left out is said.
    long = timescales.ou_poisson_trains(tau_ms=60.0, trials=20, duration_s=1.2, neurons=9, rate_hz=20.0, rng=rng())
    lengths_s = np.where(np.arange(20) < 5, 0.7, 1.2)
    keep = long.time_s < lengths_s[long.trial]
    uneven = SpikeTrains(long.time_s[keep], long.trial[keep], long.neuron[keep], lengths_s, long.neurons, long.name)
    measured = cortex.measure_like(uneven, murray, bootstrap=0, rng=rng(), progress=False)
    assert measured.attrs["trials"] == 15
    assert "5 of 20 trials of the recording are shorter than 1000 ms" in items(measured, "unmatched")


def test_settings_that_are_not_known_of_the_study_are_told(recording, murray):
    measured = cortex.measure_like(recording, murray, max_lag_ms=500.0, bootstrap=0, rng=rng(), progress=False)
    assert "max_lag_ms 500.0 (not known of the study)" in items(measured, "unmatched")


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("siegle2021", {}, "measures of the table"),
        ("siegle2021", {"measure": "response_decay"}, "expected one that an estimator of this package can repeat"),
        ("chaudhuri2015", {"measure": "noise_to_all"}, "does not say how it was measured"),
        ("rudelt2024", {"measure": "tau_C"}, "max_lag_ms is 10000.0; expected at most 3980"),
        ("murray2014", {"bin_ms": 25.0}, "bin_ms is 25.0; expected a whole multiple of the time step of 10 ms"),
        ("murray2014", {"trial_ms": 9000.0}, "trial_ms is 9000.0; expected at most 4000"),
        ("murray2014", {"trial_ms": -1.0}, "trial_ms is -1.0; expected a positive number"),
        ("murray2014", {"trial_ms": 505.0}, "trial_ms is 505.0; expected a whole multiple"),
        ("murray2014", {"trials": 500}, "trials of the protocol is 500; expected at most 120"),
        ("murray2014", {"neurons": 26}, "neurons of the protocol is 26; expected at most 25"),
        ("murray2014", {"rate_hz": 900.0}, "rate_hz of the protocol is 900.0; expected at most"),
        ("murray2014", {"start_ms": 4200.0}, "start_ms"),
    ],
)
def test_bad_input_is_named(recording, table, options, message):
    with pytest.raises(InputError, match=message):
        cortex.measure_like(recording, cortex.load(table), rng=rng(), progress=False, **options)


def test_data_that_cannot_be_cut_is_refused(murray):
    with pytest.raises(InputError, match=r"data is \['ndarray'\]; expected a recording, or SpikeTrains"):
        cortex.measure_like(np.zeros(3), murray, rng=rng())
    one, other = (SpikeTrains.from_times([[0.1], [0.2]], durations_s=duration) for duration in (2.0, 3.0))
    with pytest.raises(InputError, match="durations_s of the layers"):
        cortex.measure_like({"a": one, "b": other}, murray, rng=rng())
    with pytest.raises(InputError, match="start_ms is 5000"):
        cortex.measure_like(one, murray, start_ms=5000.0, rng=rng())
    for start_ms in (float("nan"), "x", -500.0):
        with pytest.raises(InputError, match=r"start_ms is .*; expected a number of at least 0"):
            cortex.measure_like(one, murray, start_ms=start_ms, rng=rng())
    uneven = SpikeTrains.from_times([[[0.1], [0.2]], [[0.05], [0.4]]], durations_s=[0.3, 0.45])
    with pytest.raises(InputError, match=r"start_ms is 350\.0; expected less than the 300 ms of the shortest trial"):
        cortex.measure_like(uneven, murray, start_ms=350.0, rng=rng())
    for table in (None, "murray2014"):
        with pytest.raises(InputError, match=r"table is .*; expected a table. cortex.load\('murray2014'\) gives one"):
            cortex.measure_like(one, table, rng=rng())


def test_the_command_line_measures_like_the_study_that_it_compares_with(recording, tmp_path, capsys):
    # Protects the way from a recording to a comparison: without any option, both take the protocol of one study.
    run = tmp_path / "mine-seed0"
    recordings.save(recording, run / "spontaneous.nc")
    taus, out = run / "timescales.nc", tmp_path / "comparison.nc"
    usual = ["timescales", str(run / "spontaneous.nc"), "--out", str(taus), "--bootstrap", "20", "--quiet"]
    assert main(usual) == 0
    said = capsys.readouterr().out
    assert said.startswith("measured as in murray2014")
    assert "matched: bin_ms 50" in said
    assert "unmatched: number of trials of the study (here 120)" in said
    assert main(["compare", str(taus), "--out", str(out)]) == 0
    assert "mine-seed0: measured by the protocol of murray2014" in capsys.readouterr().out
    assert cortex.load_comparison(out)["protocol"].item() == "matched"
    assert main([*usual, "--like", "murray2014"]) == 0
    assert capsys.readouterr().out == said
    assert main(["compare", str(taus), "--out", str(out), "--table", "siegle2021", "--measure", "intrinsic"]) == 0
    assert "not measured by the protocol of siegle2021" in capsys.readouterr().out


@pytest.mark.parametrize("own", [["--estimator", "pearson_trials"], ["--bin-ms", "50"], ["--per", "layer"],
                                 ["--like", "none"]], ids=lambda own: own[0])  # fmt: skip
def test_the_command_line_measures_the_whole_window_if_told_how(recording, tmp_path, capsys, own):
    recordings.save(recording, tmp_path / "run" / "spontaneous.nc")
    taus = tmp_path / "run" / "timescales.nc"
    usual = ["timescales", str(tmp_path / "run" / "spontaneous.nc"), "--out", str(taus), "--bootstrap", "0", "--quiet"]
    assert main([*usual, *own]) == 0
    assert "measured as" not in capsys.readouterr().out
    measured = timescales.load(taus)
    assert (measured.attrs["window_ms"], measured.attrs["trials"]) == (4000.0, 30)
    assert "protocol_table" not in measured.attrs


def test_the_command_line_refuses_what_contradicts_itself(recording, tmp_path, capsys):
    recordings.save(recording, tmp_path / "spontaneous.nc")
    usual = ["timescales", str(tmp_path / "spontaneous.nc"), "--out", str(tmp_path / "timescales.nc"), "--quiet"]
    assert main([*usual, "--like", "murray2014", "--estimator", "acf"]) == 2
    assert "neither with --like" in capsys.readouterr().err
    assert main([*usual, "--like", "none", "--measure", "intrinsic"]) == 2
    assert "--like TABLE names one" in capsys.readouterr().err
    assert not (tmp_path / "timescales.nc").exists()
