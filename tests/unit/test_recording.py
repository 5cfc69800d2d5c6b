"""What a run leaves behind: written, read, refused and compared."""

import tracemalloc

import h5py
import numpy as np
import pytest
import xarray as xr

from cortexsnn import recording
from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation


def counts(trials=3, steps=6, neurons=4, rate=0.4, seed=0):
    return np.random.default_rng(seed).poisson(rate, (trials, steps, neurons))


def make(hidden=None, potential=None, trials=3, steps=6, source="reference"):
    """A recording of an input, one hidden layer and a readout."""
    hidden = np.minimum(counts(seed=1), 1) if hidden is None else hidden
    readout = np.zeros((trials, steps, 2))
    return recording.make_recording(
        [
            RecordedPopulation.from_counts("input", "input", counts(trials, steps)),
            RecordedPopulation.from_counts("hidden1", "lif", hidden, potential),
            RecordedPopulation.from_counts("readout", "readout", readout, readout + 0.5),
        ],
        dt_s=0.01,
        trials=trials,
        steps=steps,
        source=source,
        network="0123456789abcdef",
        description={"seed": 1},
    )


@pytest.fixture
def path(tmp_path):
    """A recording file."""
    recording.save(make(), tmp_path / "recording.nc")
    return tmp_path / "recording.nc"


def test_layout_and_order():
    made = make()
    assert recording.populations(made) == ["input", "hidden1", "readout"]
    assert recording.populations(made, "lif") == ["hidden1"]
    assert [made[name].attrs["layer"] for name in recording.populations(made)] == [0, 1, 2]
    node = made["hidden1"]
    keys = np.stack([node[f"spike_{key}"].to_numpy() for key in ("trial", "step", "neuron")])
    np.testing.assert_array_equal(keys, keys[:, np.lexsort(keys[::-1])])
    np.testing.assert_allclose(node["spike_time"], node["spike_step"] * 0.01)
    assert made["trial_duration_s"].to_numpy() == pytest.approx([0.06] * 3)


def test_dense_spikes_are_those_that_went_in():
    np.testing.assert_array_equal(recording.dense_spikes(make(), "input"), counts())
    assert counts().max() > 1  # several spikes of a channel in a step
    with pytest.raises(InputError, match="population is 'hidden9'; expected one of input, hidden1, readout"):
        recording.dense_spikes(make(), "hidden9")


def test_silent_neurons_and_empty_trials_count():
    # Protects rates: what never fired is still there to be divided by.
    hidden = np.zeros((3, 6, 4), dtype=int)
    hidden[1, 2:4, 1] = 1
    made = make(hidden)
    assert made["hidden1"].sizes["neuron"] == 4
    assert made.sizes["trial"] == 3
    assert recording.dense_spikes(made, "hidden1").shape == (3, 6, 4)
    table = recording.compare(made, made).sel(population="hidden1")
    assert float(table["active_percent"]) == pytest.approx(100 * 2 / 72)
    assert float(table["rate_hz"]) == pytest.approx(2 / (3 * 0.06 * 4))


def test_a_recording_without_any_spike_survives_a_file(tmp_path):
    silent = make(np.zeros((3, 6, 4), dtype=int))
    recording.save(silent, tmp_path / "silent.nc")
    read = recording.load(tmp_path / "silent.nc")
    xr.testing.assert_identical(read, silent)
    assert recording.dense_spikes(read, "hidden1").shape == (3, 6, 4)


@pytest.mark.parametrize(
    "potential",
    [None, *(np.random.default_rng(2).normal(size=(3, 6, 4)).astype(p) for p in (np.float64, np.float32))],
)
def test_a_saved_recording_is_the_same_recording(tmp_path, potential):
    made = make(potential=potential)
    recording.save(made, tmp_path / "recording.nc")
    read = recording.load(tmp_path / "recording.nc")
    xr.testing.assert_identical(read, made)
    for name in recording.populations(made):
        assert {v: d.dtype for v, d in read[name].variables.items()} == {
            v: d.dtype for v, d in made[name].variables.items()
        }


def test_an_interrupted_save_leaves_the_old_file(path, monkeypatch):
    before = path.read_bytes()

    def half(self, file, **_):
        file.write_bytes(before[:50])
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", half)
    with pytest.raises(KeyboardInterrupt):
        recording.save(make(source="another"), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_potentials_can_be_left_out():
    made = make(potential=np.ones((3, 6, 4)))
    small = recording.without_potentials(made, ["hidden1"])
    assert "potential" not in small["hidden1"]
    assert "time" not in small["hidden1"].coords
    xr.testing.assert_identical(small["readout"].to_dataset(), made["readout"].to_dataset())
    np.testing.assert_array_equal(recording.dense_spikes(small, "hidden1"), recording.dense_spikes(made, "hidden1"))


@pytest.mark.parametrize("shape", [(2, 6, 4), (3, 6, 5)])
def test_potentials_fit_trials_and_neurons(shape):
    with pytest.raises(InputError, match=r"shape of the potential of 'hidden1' is .*; expected \(3, time, 4\)"):
        make(potential=np.zeros(shape))


# --- files that are refused -----------------------------------------------------------------------------------


def test_links_out_of_the_file_are_refused(path, tmp_path):
    # Protects other files of the user from being read through a recording.
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.arange(5)
    with h5py.File(path, "a") as file:
        file["hidden1"]["stolen"] = h5py.ExternalLink("secret.h5", "numbers")
    with pytest.raises(InputError, match=r"entry /hidden1/stolen is 'secret.h5'; expected data inside the file itself"):
        recording.load(path)


def test_virtual_datasets_are_refused(path, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.arange(5)
    layout = h5py.VirtualLayout((5,), "i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "numbers", (5,))
    with h5py.File(path, "a") as file:
        file["readout"].create_virtual_dataset("stolen", layout)
    with pytest.raises(InputError, match="entry /readout/stolen is 'virtual or external storage'"):
        recording.load(path)


def test_external_storage_is_refused(path, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(40))
    with h5py.File(path, "a") as file:
        file.create_dataset("stolen", (5,), "i8", external=[(str(tmp_path / "secret.bin"), 0, 40)])
    with pytest.raises(InputError, match="entry /stolen is 'virtual or external storage'"):
        recording.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"recording file is .*; expected a complete HDF5 file"):
        recording.load(path)


def test_missing_empty_text_and_folder(tmp_path):
    with pytest.raises(InputError, match=r"recording file is .*; expected an existing file"):
        recording.load(tmp_path / "nowhere.nc")
    (tmp_path / "empty.nc").touch()
    with pytest.raises(InputError, match="expected a file with content"):
        recording.load(tmp_path / "empty.nc")
    (tmp_path / "text.nc").write_text("spikes at 3 ms")
    with pytest.raises(InputError, match="expected a complete HDF5 file"):
        recording.load(tmp_path / "text.nc")
    with pytest.raises(InputError, match="this is a folder"):
        recording.load(tmp_path)


def test_foreign_netcdf_is_refused(tmp_path):
    xr.Dataset({"temperature": ("time", np.arange(3.0))}).to_netcdf(tmp_path / "foreign.nc", engine="h5netcdf")
    with pytest.raises(
        InputError, match=r"schema of .* is None; expected 'cortexsnn-recording-1'. is this a recording"
    ):
        recording.load(tmp_path / "foreign.nc")


def test_plain_hdf5_is_refused_without_a_warning(tmp_path):
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["numbers"] = np.arange(3)
    with pytest.raises(InputError, match=r"schema of .* is None"):
        recording.load(tmp_path / "plain.h5")


def change_attribute(name, value):
    def change(file):
        if value is None:
            del file.attrs[name]
        else:
            file.attrs[name] = value

    return change


def change_values(name, value):
    def change(file):
        file[name][0] = value

    return change


def remove(name):
    def change(file):
        del file[name]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_attribute("schema", "cortexsnn-recording-99"), "schema of .* is 'cortexsnn-recording-99'"),
        (change_attribute("schema", None), "schema of .* is None"),
        (change_attribute("dt_s", None), "attribute dt_s of .* is None"),
        (change_attribute("dt_s", 0.0), "attribute dt_s of .* is .*0.0.*; expected a positive number"),
        (change_attribute("dt_s", float("nan")), "attribute dt_s of .* is .*nan"),
        (change_attribute("dt_s", "fast"), "attribute dt_s of .* is 'fast'"),
        (remove("trial_duration_s"), "contents of .*; expected trial_duration_s and at least one population"),
        (remove("hidden1/spike_step"), "population 'hidden1' of .*; expected a variable 'spike_step'"),
        (remove("hidden1/spike_neuron"), "expected a variable 'spike_neuron'"),
        (change_values("hidden1/spike_trial", 3), "spike_trial of 'hidden1' in .* is 3; expected 0 to 2"),
        (change_values("hidden1/spike_trial", -1), "spike_trial of 'hidden1' in .*; expected 0 to 2"),
        (change_values("hidden1/spike_step", 6), "spike_step of 'hidden1' in .* is 6; expected steps inside the trial"),
        (change_values("hidden1/spike_step", -1), "spike_step of 'hidden1' in .*; expected steps inside the trial"),
        (change_values("hidden1/spike_neuron", 4), "spike_neuron of 'hidden1' in .* is 4; expected 0 to 3"),
        (change_values("hidden1/spike_neuron", -1), "spike_neuron of 'hidden1' in .*; expected 0 to 3"),
        (change_values("trial_duration_s", 0.01), "spike_step of '.*' in .*; expected steps inside the trial"),
    ],
)
def test_fields_of_the_file_are_checked(path, change, message):
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(InputError, match=message):
        recording.load(path)


def test_a_missing_neuron_coordinate_is_named(tmp_path):
    made = make()
    nodes = {"/": made.to_dataset()}
    nodes |= {f"/{n}": made[n].to_dataset(inherit=False).drop_vars("neuron") for n in made.children}
    recording.save(xr.DataTree.from_dict(nodes), tmp_path / "r.nc")
    with pytest.raises(InputError, match="expected a variable 'neuron'"):
        recording.load(tmp_path / "r.nc")


def rewritten(tmp_path, **variables):
    """A recording file in which variables of hidden1 are replaced."""
    made = make()
    nodes = {"/": made.to_dataset()} | {f"/{n}": made[n].to_dataset(inherit=False) for n in made.children}
    for name, value in variables.items():
        nodes["/hidden1"] = nodes["/hidden1"].drop_vars(name)
        nodes["/hidden1"][name] = value
    recording.save(xr.DataTree.from_dict(nodes), tmp_path / "rewritten.nc")
    return tmp_path / "rewritten.nc"


def test_spikes_are_whole_numbers(tmp_path):
    # Protects indexing: a trial of 0.5 is not a trial.
    size = make()["hidden1"].sizes["spike"]
    with pytest.raises(InputError, match="spike_trial of 'hidden1'"):
        recording.load(rewritten(tmp_path, spike_trial=("spike", np.full(size, 0.5))))


def test_spike_variables_have_one_length(tmp_path):
    with pytest.raises(InputError, match="hidden1"):
        recording.load(rewritten(tmp_path, spike_step=("another", np.zeros(2, dtype=np.int32))))


def test_trial_durations_are_finite(path):
    with h5py.File(path, "a") as file:
        file["trial_duration_s"][0] = np.nan
    with pytest.raises(InputError, match="trial_duration_s"):
        recording.load(path)


# --- comparison -----------------------------------------------------------------------------------------------


def test_compare_counts_the_symmetric_difference():
    # Protects the figure of merit of the whole project, on a case that can be counted by hand.
    left, right = np.zeros((3, 6, 4), dtype=int), np.zeros((3, 6, 4), dtype=int)
    left[0, 0, 0] = left[0, 1, 0] = left[2, 5, 3] = left[1, 2, 2] = 1
    right[0, 0, 0] = right[0, 2, 0] = right[1, 2, 2] = 1
    # Only left: (0,1,0), (2,5,3). Only right: (0,2,0).
    table = recording.compare(make(left), make(right, source="brian2"))
    assert table["population"].to_numpy().tolist() == ["hidden1", "readout"]
    assert table["kind"].to_numpy().tolist() == ["lif", "readout"]
    assert table["spikes"].to_numpy().tolist() == [4, 0]
    assert table["differing"].to_numpy().tolist() == [3, 0]
    assert (table.attrs["expected"], table.attrs["observed"]) == ("reference", "brian2")
    assert recording.compare(make(right), make(left))["differing"].to_numpy().tolist() == [3, 0]
    assert recording.compare(make(left), make(left))["differing"].to_numpy().tolist() == [0, 0]


def test_compare_measures_potentials():
    first, second = np.zeros((3, 6, 4)), np.zeros((3, 6, 4))
    first[1, 2, 3], second[1, 2, 3], second[2, 0, 0] = -4.0, -3.5, 0.25
    table = recording.compare(make(potential=first), make(potential=second))
    assert table["potential_difference"].to_numpy().tolist() == [0.5, 0.0]
    assert table["potential_scale"].to_numpy().tolist() == [4.0, 0.5]
    assert np.isnan(recording.compare(make(potential=first), make())["potential_difference"][0])


def test_compare_measures_potentials_of_either_precision():
    # Protects the figure for simulators in single precision from being rounded itself.
    exact = np.full((3, 6, 4), 0.1)
    table = recording.compare(make(potential=exact), make(potential=exact.astype(np.float32)))
    assert float(table["potential_difference"][0]) == abs(0.1 - float(np.float32(0.1)))
    assert recording.compare(make(potential=exact * np.nan), make(potential=exact))["potential_scale"].isnull()[0]


def test_compare_names_the_first_divergence():
    # Protects the place where one starts to look for the reason.
    left, right = np.zeros((3, 6, 4), dtype=int), np.zeros((3, 6, 4), dtype=int)
    left[0, 1, 2] = right[0, 1, 2] = 1
    right[1, 3, 2] = left[1, 3, 3] = left[1, 4, 0] = left[2, 0, 0] = 1
    for table in (recording.compare(make(left), make(right)), recording.compare(make(right), make(left))):
        first = [table[f"first_{axis}"].to_numpy().tolist() for axis in ("trial", "step", "neuron")]
        assert first == [[1, -1], [3, -1], [2, -1]]
        assert all(table[f"first_{axis}"].dtype == np.int64 for axis in ("trial", "step", "neuron"))


def dense_comparison(left, right):
    """The same figures from arrays on the grid of time steps."""
    where = np.argwhere(left != right)
    first = where[0].tolist() if len(where) else [-1, -1, -1]
    return [int(left.sum()), len(where), *first, 100 * float(left.mean()), float(left.sum()) / (0.18 * 4)]


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.0, 0.4), (0.4, 0.0), (0.4, 0.4), (1.5, 0.2)])
@pytest.mark.parametrize("changed", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("block", [1, 3, 2**20])
def test_compare_is_that_of_dense_arrays(monkeypatch, rates, changed, block):
    # Protects the comparison of long runs, which goes block by block; blocks are cut in the middle of a cell too.
    monkeypatch.setattr(recording.comparison, "_BLOCK", block)
    rng = np.random.default_rng(5)
    left = rng.poisson(rates[0], (3, 6, 4))
    right = np.where(rng.random(left.shape) < changed, rng.poisson(rates[1], left.shape), left)
    table = recording.compare(make(left), make(right)).sel(population="hidden1")
    figures = ("spikes", "differing", "first_trial", "first_step", "first_neuron", "active_percent", "rate_hz")
    assert [table[name].item() for name in figures] == pytest.approx(dense_comparison(left, right), rel=1e-15)
    potential = rng.normal(size=(3, 6, 4))
    table = recording.compare(make(left, potential), make(left, potential * 1.5)).sel(population="hidden1")
    assert float(table["potential_scale"]) == np.abs(potential).max()
    assert float(table["potential_difference"]) == np.abs(potential - 1.5 * potential).max()


def test_a_long_run_is_compared_in_little_memory():
    # Protects hours of activity: on the grid of time steps this one would take 3.6 GB for each recording.
    rng = np.random.default_rng(6)
    step, neuron = np.sort(rng.integers(36_000_000, size=20_000)), rng.integers(100, size=20_000)

    def one(step, source):
        layer = RecordedPopulation("hidden1", "lif", 100, np.zeros_like(step), step, neuron)
        return recording.make_recording([layer], dt_s=1e-4, trials=1, steps=36_000_000, source=source)

    expected, observed = one(step, "a"), one(np.append(step[:-1], step[-1] + 1), "b")
    tracemalloc.start()
    table = recording.compare(expected, observed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (int(table["differing"][0]), int(table["first_step"][0])) == (2, step[-1])
    assert peak < 10e6


def test_only_runs_of_the_same_trials_are_compared():
    other_trials = make(np.zeros((2, 6, 4), dtype=int), trials=2)
    with pytest.raises(InputError, match="trials of the second recording is 2; expected the same trials"):
        recording.compare(make(), other_trials)
    longer = make(np.zeros((3, 7, 4), dtype=int), steps=7)
    with pytest.raises(InputError, match="trials of the second recording"):
        recording.compare(make(), longer)
    lonely = recording.make_recording(
        [RecordedPopulation.from_counts("hidden2", "lif", counts())], dt_s=0.01, trials=3, steps=6, source="x"
    )
    with pytest.raises(InputError, match="populations of the second recording"):
        recording.compare(make(), lonely)
    other_steps = recording.make_recording(
        [RecordedPopulation.from_counts(n, k, counts()) for n, k in (("hidden1", "lif"), ("readout", "readout"))],
        dt_s=0.005, trials=3, steps=12, source="x",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"dt_s of the second recording is 0.005; expected 0.01"):
        recording.compare(make(), other_steps)


def test_potentials_that_are_compared_have_one_shape():
    # Protects from a wrong number: what is longer in one recording would not be looked at.
    with pytest.raises(InputError, match=r"shape of the potential of 'hidden1' in the second recording is \(3, 7, 4\)"):
        recording.compare(make(potential=np.zeros((3, 6, 4))), make(potential=np.zeros((3, 7, 4))))


@pytest.mark.parametrize("neurons", [1, 5])
def test_only_populations_of_the_same_size_are_compared(neurons):
    # Protects from a wrong number: a population of one neuron is compared with every neuron of the other.
    with pytest.raises(InputError, match="hidden1"):
        recording.compare(make(), make(np.zeros((3, 6, neurons), dtype=int)))
