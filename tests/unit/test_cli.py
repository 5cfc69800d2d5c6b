"""The command line: bad input gives one line that teaches and exit code 2, and leaves nothing half-written."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

from cortexsnn import recording, timescales
from cortexsnn.cli import main
from cortexsnn.network import Network, Population, Projection
from cortexsnn.recording import RecordedPopulation, make_recording


@pytest.fixture
def network_file(tmp_path):
    rng = np.random.default_rng(0)
    network = Network(
        0.01,
        (
            Population.input("input", 40),
            Population.lif("hidden1", 6, tau_s=0.03),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "hidden1", rng.normal(0.2, 0.5, (6, 40))),
            Projection("hidden1", "readout", rng.normal(0, 1, (2, 6))),
        ),
        "per_step",
        {"dataset": {"name": "mts_xor", "seed": 0, "train": 40, "validation": 4, "test": 4, "noise": 0.01}},
    )
    path = tmp_path / "network.safetensors"
    network.save(path)
    return path


def _recording(counts):
    return make_recording(
        [RecordedPopulation.from_counts("hidden1", "lif", counts)],
        dt_s=0.01,
        trials=counts.shape[0],
        steps=counts.shape[1],
        source="test",
    )


def _refused(capsys, arguments, *words):
    """Run, expect exit code 2 and one line with all the words."""
    assert main([str(a) for a in arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    for word in words:
        assert word in said, said


def test_missing_file_is_named(tmp_path, capsys):
    out = tmp_path / "out.nc"
    _refused(capsys, ["simulate", tmp_path / "none.safetensors", "--out", out], "none.safetensors", "existing file")
    _refused(capsys, ["timescales", tmp_path / "none.nc", "--out", out], "none.nc", "existing file")
    _refused(capsys, ["compare", tmp_path / "none.nc", "--out", out], "none.nc", "existing file")
    assert not out.exists()


def test_truncated_and_foreign_files_are_refused(tmp_path, network_file, capsys):
    whole = tmp_path / "recording.nc"
    recording.save(_recording(np.ones((12, 100, 3), dtype=np.uint8)), whole)
    for source, verb in ((network_file, "simulate"), (whole, "timescales")):
        cut = tmp_path / f"cut{source.suffix}"
        cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        _refused(capsys, [verb, cut, "--out", tmp_path / "out.nc"], cut.name, "complete")
    text = tmp_path / "notes.nc"
    text.write_text("not a recording")
    _refused(capsys, ["timescales", text, "--out", tmp_path / "out.nc"], "notes.nc")
    assert not (tmp_path / "out.nc").exists()


def test_unknown_names_list_the_known_ones(tmp_path, network_file, capsys):
    pytest.importorskip("torch")
    _refused(capsys, ["train", "--out", tmp_path / "run", "--hierarchy", "pyramid"], "pyramid", "linear", "tanh")
    _refused(capsys, ["train", "--out", tmp_path / "run", "--data", "no-such-data"], "no-such-data", "mts_xor")
    _refused(capsys, ["simulate", network_file, "--out", tmp_path / "o.nc", "--device", "tpu"], "tpu", "cpp_standalone")
    assert not (tmp_path / "run").exists()


def test_impossible_time_constants_are_refused(tmp_path, capsys):
    pytest.importorskip("torch")
    for options in (["--tau-ms=100", "--span-ms=300"], ["--hierarchy=homogeneous", "--tau-ms=-5"]):
        _refused(capsys, ["train", "--out", tmp_path / "run", *options], "positive time constant")
    assert not (tmp_path / "run").exists()


def test_options_out_of_range_are_refused_by_the_parser(tmp_path, capsys):
    for options in (["--seed=-1"], ["--width=many"]):
        with pytest.raises(SystemExit) as stopped:
            main(["train", "--out", str(tmp_path / "run"), *options])
        assert stopped.value.code == 2
        assert options[0].split("=")[0] in capsys.readouterr().err


def test_impossible_settings_are_refused(tmp_path, capsys):
    pytest.importorskip("torch")
    for options, words in (
        (["--epochs=0"], ("epochs is 0", "at least 1")),
        (["--set", "network=3"], ("network is 3", "a table")),
        (["--set", "network.weight_bounds=0.1"], ("weight_bounds is 0.1", "5 positive numbers")),
        (["--reset=soft"], ("soft", "subtract_decayed")),
        (["--learned-tau=neuron", "--tau-ms=1", "--span-ms=0"], ("tau_s", "between its bounds")),
    ):
        _refused(capsys, ["train", "--out", tmp_path / "run", "--quiet", *options], *words)
    assert not (tmp_path / "run").exists()


def test_empty_recording_gives_statuses_not_numbers(tmp_path, capsys):
    path = tmp_path / "silent" / "recording.nc"
    recording.save(_recording(np.zeros((20, 100, 3), dtype=np.uint8)), path)
    out = tmp_path / "silent" / "timescales.nc"
    assert main(["timescales", str(path), "--out", str(out), "--quiet"]) == 0
    assert "no timescale" in capsys.readouterr().out
    assert timescales.load(out)["status"].item() == "too_few_spikes"


def test_recording_without_trials_is_refused(tmp_path, capsys):
    path = tmp_path / "recording.nc"
    recording.save(_recording(np.zeros((0, 100, 3), dtype=np.uint8)), path)
    _refused(capsys, ["timescales", path, "--out", tmp_path / "out.nc"], "trial")


def test_unknown_table_lists_the_known(tmp_path, capsys):
    counts = np.random.default_rng(0).poisson(0.2, (20, 100, 3)).astype(np.uint8)
    recording.save(_recording(counts), tmp_path / "run" / "recording.nc")
    taus = tmp_path / "run" / "timescales.nc"
    assert main(["timescales", str(tmp_path / "run" / "recording.nc"), "--out", str(taus), "--quiet"]) == 0
    capsys.readouterr()
    _refused(capsys, ["compare", taus, "--out", tmp_path / "c.nc", "--table", "atlantis"], "atlantis", "murray2014")
    assert main(["compare", str(taus), "--out", str(tmp_path / "c.nc")]) == 0
    assert "n too small" in capsys.readouterr().out


def test_report_names_the_verb_that_makes_a_missing_file(tmp_path, network_file, capsys):
    _refused(capsys, ["report", tmp_path, "--out", tmp_path / "report.html"], "comparison.nc")
    run = tmp_path / "runs" / "mine-seed0"
    run.mkdir(parents=True)
    counts = np.random.default_rng(0).poisson(0.2, (20, 100, 3)).astype(np.uint8)
    recording.save(_recording(counts), run / "spontaneous.nc")
    network_file.rename(run / "network.safetensors")
    assert main(["timescales", str(run / "spontaneous.nc"), "--out", str(run / "timescales.nc"), "--quiet"]) == 0
    assert main(["compare", str(run / "timescales.nc"), "--out", str(tmp_path / "comparison.nc")]) == 0
    capsys.readouterr()
    _refused(capsys, ["report", tmp_path, "--out", tmp_path / "report.html"], "metrics.jsonl", "cortexsnn train")
    assert not (tmp_path / "report.html").exists()


def test_verbs_work_alone_on_the_files_of_another(tmp_path, network_file):
    recorded = tmp_path / "run" / "spontaneous.nc"
    taus = tmp_path / "run" / "timescales.nc"
    simulate = ["simulate", network_file, "--input", "spontaneous", "--trials", 20, "--device", "numpy", "--quiet"]
    assert main([str(a) for a in [*simulate, "--seed", 5, "--out", recorded]]) == 0
    loaded = recording.load(recorded)
    # A burn-in of 2 tau, with tau = 30 ms, and a window as long as the trials of the study, which is more than 5 tau.
    assert loaded.attrs["burn_in_ms"] == pytest.approx(60)
    assert loaded.attrs["input_seed"] == 5
    assert float(loaded["trial_duration_s"][0]) == pytest.approx(1.06)
    assert loaded.sizes["trial"] == 20
    assert main(["timescales", str(recorded), "--out", str(taus), "--quiet"]) == 0
    measured = timescales.load(taus)
    assert measured.attrs["start_ms"] == pytest.approx(60)
    assert measured.attrs["window_ms"] == pytest.approx(1000)
    assert measured.attrs["protocol_verdict"] == "matched"
    assert main([str(a) for a in [*simulate, "--like", "none", "--out", recorded]]) == 0
    assert float(recording.load(recorded)["trial_duration_s"][0]) == pytest.approx(0.21)
    assert main(["timescales", str(recorded), "--out", str(taus), "--bin-ms", "10", "--quiet"]) == 0
    assert timescales.load(taus).attrs["window_ms"] == pytest.approx(150)


def test_spontaneous_trials_are_enough_for_a_study(network_file):
    """A recording holds whole trials of the study, as many as it had where that is known, whatever the layers are."""
    from cortexsnn import cortex, datasets
    from cortexsnn import trials as trials_of_a_run

    network = Network.load(network_file)
    slow = Network(
        0.01,
        (network["input"], Population.lif("hidden1", 6, tau_s=0.3), network["readout"]),
        network.projections,
        "per_step",
        network.metadata,
    )
    dataset = datasets.load_described(network.metadata["dataset"])
    murray = cortex.load("murray2014")

    def made(network, trials=None, study=murray):
        return trials_of_a_run.spontaneous_trials(network, dataset, trials, np.random.default_rng(0), study=study)

    # 5 tau are 1.5 s, which two trials of 1 s hold; 2 tau of burn-in come before.
    trials = made(slow, 21)
    assert (trials.counts.shape, trials.burn_in_steps) == ((11, 60 + 200, 40), 60)
    assert "each holds 2 of 1000 ms as in murray2014" in trials.reason
    assert "short for membrane time constants of up to 300 ms" in trials.reason
    assert made(network, 21).counts.shape[0] == 21
    assert "short" not in made(network, 21).reason
    unknown = made(network)
    assert unknown.counts.shape == (trials_of_a_run.USUAL_TRIALS, 6 + 100, 40)
    assert "how many murray2014 had is not known" in unknown.reason
    # The numbers of a study that tells them.
    known = json.dumps({"intrinsic": cortex.protocol(murray) | {"trials": 30}})
    counted = murray.assign_attrs(protocol=known)
    assert made(network, study=counted).counts.shape[0] == 30
    assert "murray2014 had 30" in made(network, study=counted).reason
    # A study that tells how many it had and not how long they were.
    assert "gao2020_macaque had 1, of unknown length" in made(slow, study=cortex.load("gao2020_macaque")).reason
    # Without a study, and with one that does not know how long: 5 tau.
    assert made(slow, 4, study=None).counts.shape == (4, 60 + 150, 40)
    assert made(slow, 4, study=cortex.load("gao2020_macaque")).counts.shape == (4, 60 + 150, 40)


@pytest.mark.parametrize(
    ("name", "measure", "window_ms", "words"),
    [("rudelt2024", "tau_C", 10_020, "10020 ms, which multistep of rudelt2024 needs"),
     ("ito2020", None, 73_440, "73440 ms, which acf of ito2020 needs"),
     ("gao2020_human", None, 1000, "1000 ms, which knee of gao2020_human needs")],
)  # fmt: skip
def test_recordings_are_long_enough_for_the_lags_of_a_study_of_unknown_trials(network_file, name, measure, window_ms,
                                                                              words):  # fmt: skip
    # Protects from a long simulation that the verb after it refuses to measure.
    from cortexsnn import cortex, datasets
    from cortexsnn import trials as trials_of_a_run

    network = Network.load(network_file)
    dataset = datasets.load_described(network.metadata["dataset"])
    study = cortex.load(name, measure)
    trials = trials_of_a_run.spontaneous_trials(network, dataset, 2, np.random.default_rng(0), study=study)
    assert trials.counts.shape[1] - trials.burn_in_steps == window_ms / 10
    assert words in trials.reason
    recorded = _recording(np.ones((2, trials.counts.shape[1], 3), dtype=int))
    recorded.attrs["burn_in_ms"] = 10.0 * trials.burn_in_steps
    measured = cortex.measure_like(recorded, study, bootstrap=0, rng=np.random.default_rng(0), progress=False)
    assert measured.attrs["window_ms"] == pytest.approx(window_ms)


def test_a_recording_that_cannot_be_measured_or_held_is_refused_before_it_is_made(tmp_path, network_file, capsys):
    simulate = ["simulate", network_file, "--out", tmp_path / "o.nc", "--input", "spontaneous"]
    _refused(capsys, [*simulate, "--like", "siegle2021", "--measure", "response_decay"], "can repeat", "--like none")
    _refused(capsys, [*simulate, "--like", "chaudhuri2015", "--measure", "noise_to_V1"], "does not say how", "--like")
    _refused(capsys, [*simulate, "--like", "siegle2021"], "--measure")
    # 200 trials of half an hour, in steps of 10 ms on 40 channels.
    long = [*simulate, "--like", "pochinok2026", "--trials", "200"]
    _refused(capsys, long, "200 trials of 1800", "at most 4 GB", "--trials")
    assert not (tmp_path / "o.nc").exists()


def test_test_trials_are_not_made_for_a_study(tmp_path, network_file, capsys):
    of_measure = ["simulate", network_file, "--out", tmp_path / "o.nc", "--measure", "intrinsic"]
    _refused(capsys, of_measure, "--measure", "--input spontaneous")
    simulate = ["simulate", network_file, "--out", tmp_path / "o.nc", "--like", "murray2014"]
    _refused(capsys, simulate, "--like", "--input spontaneous")


@pytest.mark.parametrize(("dt_s", "expected"), [(0.01, 50.0), (0.014, 56.0), (0.001, 50.0), (0.2, 200.0)])
def test_bins_are_the_whole_steps_nearest_to_50_ms(dt_s, expected):
    """Speech is trained in steps of 14 ms, which do not divide the 50 ms of the cortical data."""
    from cortexsnn.pipeline import measuring_protocol

    made = make_recording([], dt_s=dt_s, trials=1, steps=10, source="test")
    assert measuring_protocol(made) == pytest.approx((expected, 0.0))
    assert measuring_protocol(made, 20.0, 5.0) == (20.0, 5.0)


def test_a_potential_that_is_not_a_number_agrees_with_nothing():
    """The proof of agreement must not pass over NaN, as xarray's maximum does."""
    from cortexsnn.pipeline import agreement_in_words, agrees

    def table(*differences):
        columns = {"differing": [0, 0], "spikes": [5, 0], "potential_scale": [2.0, 1.0]}
        return xr.Dataset(
            {k: ("population", v) for k, v in (columns | {"potential_difference": list(differences)}).items()}
        )

    assert agrees(table(1e-12, 0.0))
    assert not agrees(table(1e-12, 1e-3))
    assert not agrees(table(1e-12, float("nan")))
    assert "nan" in agreement_in_words(table(1e-12, float("nan")))


def test_activity_without_spiking_layers_is_refused(tmp_path, network_file, capsys):
    network = Network.load(network_file)
    readout = network["readout"]
    weights = Projection("input", "readout", np.ones((2, 40)))
    Network(0.01, (network["input"], readout), (weights,), "per_step", network.metadata).save(network_file)
    _refused(capsys, ["simulate", network_file, "--input=spontaneous", "--out", tmp_path / "o.nc"], "spiking", "[]")


def test_a_demo_folder_of_other_data_is_not_taken_for_its_own(tmp_path, capsys):
    (tmp_path / "settings.json").write_text('{"data": "/somewhere/else"}')
    _refused(capsys, ["demo", "--out", tmp_path], str(tmp_path), "--out")


@pytest.mark.parametrize("text", ["[1, 2]", "{", "3"])
def test_a_demo_folder_with_other_settings_is_no_demo_folder(tmp_path, capsys, text):
    (tmp_path / "settings.json").write_text(text)
    _refused(capsys, ["demo", "--out", tmp_path], "a file that cortexsnn demo wrote")


def test_a_demo_folder_of_an_older_version_says_what_differs(tmp_path, capsys, monkeypatch):
    # Protects users of an older folder: its settings lack what came later, and are no foreign file for that.
    import cortexsnn
    from cortexsnn import demo

    path = tmp_path / "settings.json"
    demo._remember(path, "mts_xor", demo._MTS_XOR)
    then = json.loads(path.read_text())
    del then["measured_like"]
    path.write_text(json.dumps(then | {"version": "0.0.1"}))
    _refused(capsys, ["demo", "--out", tmp_path], "version and measured_like of the demo", "'0.0.1', None",
             f"'{cortexsnn.__version__}', 'murray2014', as now")  # fmt: skip


@pytest.mark.torch
def test_interrupted_training_goes_on_to_the_same_network(tmp_path):
    """Ctrl-C leaves the last checkpoint usable, and the same command ends with the same weights."""
    pytest.importorskip("torch")

    def command(out):
        options = "--layers 2 --width 4 --epochs 4 --batch-size 512 --tau-ms 100 --span-ms 50 --quiet"
        return [sys.executable, "-m", "cortexsnn.cli", "train", "--out", str(out), *options.split()]

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole), check=True, capture_output=True)
    process = subprocess.Popen(command(broken), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = broken / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not (broken / "network.safetensors").exists()
    done = [json.loads(line)["epoch"] for line in metrics.read_text().splitlines()]
    assert 1 <= len(done) < 4
    subprocess.run(command(broken), check=True, capture_output=True)
    assert Network.load(broken / "network.safetensors").fingerprint() == (
        Network.load(whole / "network.safetensors").fingerprint()
    )
    assert metrics.read_text() == (whole / "metrics.jsonl").read_text()
