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
    assert result.attrs["warning"].startswith("1 of 1 networks were not measured by the protocol of murray2014")
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


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ("siegle2021", {}, "measures of the table"),
        ("siegle2021", {"measure": "response_decay"}, "expected one that an estimator of this package can repeat"),
        ("chaudhuri2015", {"measure": "noise_to_all"}, "does not say how it was measured"),
        ("rudelt2024", {"measure": "tau_C"}, "bin_ms is 5.0; expected a whole multiple of the time step of 10 ms"),
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


def test_the_command_line_measures_like_a_study_and_says_so(recording, tmp_path, capsys):
    # Protects the way from a recording to a comparison by the protocol of a study, without Python.
    run = tmp_path / "mine-seed0"
    recordings.save(recording, run / "spontaneous.nc")
    taus, out = run / "timescales.nc", tmp_path / "comparison.nc"
    like = ["timescales", str(run / "spontaneous.nc"), "--out", str(taus), "--bootstrap", "20", "--quiet"]
    assert main([*like, "--like", "murray2014"]) == 0
    said = capsys.readouterr().out
    assert "matched: bin_ms 50" in said
    assert "unmatched: number of trials of the study (here 120)" in said
    assert main(["compare", str(taus), "--out", str(out)]) == 0
    assert "mine-seed0: measured by the protocol of murray2014" in capsys.readouterr().out
    assert cortex.load_comparison(out)["protocol"].item() == "matched"
    assert main([*like, "--like", "murray2014", "--estimator", "acf"]) == 2
    assert "neither with --like" in capsys.readouterr().err
    assert main(["compare", str(taus), "--out", str(out), "--table", "siegle2021", "--measure", "intrinsic"]) == 0
    assert "not measured by the protocol of siegle2021" in capsys.readouterr().out
